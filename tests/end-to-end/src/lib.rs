//! What the suites share: fixtures, clients over real sockets, and a log to search.

#[cfg(feature = "external")]
pub mod external;

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;
use fake_secrets_manager::FakeSecretsManager;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A client of the fake over its socket, with connections that are kept alive.
pub fn client(fake: &FakeSecretsManager) -> Client {
    Client::from_conf(config(&fake.endpoint_url()).build())
}

/// The SDK's configuration for an endpoint that checks no signature.
pub fn config(endpoint_url: &str) -> aws_sdk_secretsmanager::config::Builder {
    aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint_url)
}

/// An interval that no test waits for. The first refresh comes at a random time within it, so it is
/// long: a refresh within the first hour comes once in nine thousand runs.
pub const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

thread_local! {
    static LOG: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// Everything that this thread logs at TRACE, with every target, until the guard is dropped. The
/// process has one subscriber, which looks for the log of the thread. With one subscriber per
/// thread, an event that is first met on a thread without one would stay disabled for all: tracing
/// caches that.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

/// Ends the log of this thread when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Logging(());

impl Log {
    /// Logs this thread until the guard is dropped.
    pub fn start() -> (Self, Logging) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let here = dynamic_filter_fn(|_, _| LOG.with_borrow(Option::is_some));
            let layer = tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_writer(Writer)
                .with_filter(here);
            tracing_subscriber::registry().with(layer).init();
        });
        // Another thread may have met an event before the subscriber was installed.
        tracing::callsite::rebuild_interest_cache();
        let log = Self::default();
        LOG.set(Some(log.clone()));
        (log, Logging(()))
    }

    /// The log as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        LOG.set(None);
    }
}

/// Writes to the log of the current thread.
#[derive(Debug, Clone, Copy)]
struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow(|log| {
            if let Some(Log(text)) = log {
                text.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}
