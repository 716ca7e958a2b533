//! Secrets looked up by name, where they are needed: prints what may be shown of them, and the
//! cache's counts.

#![allow(clippy::print_stdout, reason = "shows what was looked up")]

use examples::{Database, Failure, Secrets, log_to_stderr};
use secrecy::SecretString;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    log_to_stderr();
    let embedded = Secrets::from_environment().await?;
    let secrets = embedded.manager().lookup();

    let database: Database = secrets.get("database").await?;
    let port: u16 = secrets.get("database").key("port").await?;
    let _jwt_secret: SecretString = secrets.get("jwt-secret").refresh().await?;
    let dsn = secrets.get::<SecretString>("sentry-dsn").optional().await?;

    println!("{}@{}:{port}", database.username, database.host);
    println!("sentry: {}", if dsn.is_some() { "on" } else { "off" });
    println!("{}", serde_json::to_string(&secrets.stats())?);
    Ok(())
}
