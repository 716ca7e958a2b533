//! How an example starts and ends: its log, its port, Ctrl-C, its exit code.
//!
//! All programs in `src/bin` use these, so that they take the same variables. None of it is part of
//! what they show.

use std::env::{self, VarError};
use std::net::TcpListener;
use std::process::ExitCode;

use secrets_provider::endpoints::RefreshToken;
use tracing_subscriber::EnvFilter;

/// Why an example could not do its work.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Logs to stderr what `RUST_LOG` selects; without it, what this library says and others' warnings.
pub fn log_to_stderr() {
    let filter = match env::var(EnvFilter::DEFAULT_ENV) {
        Ok(filter) if !filter.is_empty() => EnvFilter::new(filter),
        _ => EnvFilter::new("warn,secrets_provider=info"),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Listens on `127.0.0.1:$PORT`, 3000 by default; with 0, the system picks a port.
///
/// # Errors
///
/// If `PORT` is no port, or is in use.
pub fn listen() -> Result<TcpListener, Failure> {
    let port = port("PORT", 3000)?;
    TcpListener::bind(("127.0.0.1", port))
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port} (PORT): {error}").into())
}

/// Ends with the first Ctrl-C after this call, even one that comes before the future is polled:
/// `tokio::signal::ctrl_c` misses those.
///
/// # Errors
///
/// If the system refuses a handler for the signal.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn interrupted() -> Result<impl Future<Output = ()>, Failure> {
    #[cfg(unix)]
    let mut interrupts = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    #[cfg(windows)]
    let mut interrupts = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        // `None` means that none will come.
        if interrupts.recv().await.is_none() {
            std::future::pending().await
        }
    })
}

/// The token that `POST /refresh` asks for: `REFRESH_TOKEN`. Without it, there is no such route.
///
/// # Errors
///
/// If it is no token.
pub fn refresh_token() -> Result<Option<RefreshToken>, Failure> {
    match env::var("REFRESH_TOKEN") {
        Ok(token) if !token.is_empty() => {
            let token =
                RefreshToken::new(token).map_err(|error| format!("REFRESH_TOKEN: {error}"))?;
            Ok(Some(token))
        }
        Ok(_) | Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err("REFRESH_TOKEN is not text".into()),
    }
}

pub(crate) fn port(variable: &str, default: u16) -> Result<u16, Failure> {
    let parsed = match env::var(variable) {
        Err(VarError::NotPresent) => return Ok(default),
        Ok(text) if text.is_empty() => return Ok(default),
        Ok(text) => text.parse().ok(),
        Err(VarError::NotUnicode(_)) => None,
    };
    parsed.ok_or_else(|| format!("{variable} must be a port number from 0 to 65535").into())
}

/// 0, or 1 after saying on stderr what went wrong.
#[allow(clippy::print_stderr, reason = "shown even if nothing is logged")]
pub fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
