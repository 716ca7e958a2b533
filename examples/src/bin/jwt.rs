//! An axum service that accepts tokens signed before its secret was rotated.

#![allow(clippy::print_stdout, reason = "says how to try it")]

use std::process::ExitCode;

use examples::{Failure, Secrets, jwt};
use secrets_provider::Live;

#[tokio::main]
async fn main() -> ExitCode {
    examples::log_to_stderr();
    examples::exit_code(serve().await)
}

async fn serve() -> Result<(), Failure> {
    let listener = examples::listen()?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let secrets = Secrets::from_environment().await?;
    let manager = secrets.manager().with_previous(["jwt-secret"]);
    let settings: Live<jwt::Settings> =
        Live::builder(manager).refresh_every(secrets.every()?).start().await?;
    let address = listener.local_addr()?;
    println!(
        "Serving on http://{address}\n{secrets}\nSign a token, rotate jwt-secret likewise, and use the token:"
    );
    println!("  TOKEN=$(curl -s -X POST http://{address}/token)");
    println!("  curl -H \"Authorization: Bearer $TOKEN\" http://{address}/me");
    axum::serve(listener, jwt::app(settings)).await?;
    Ok(())
}
