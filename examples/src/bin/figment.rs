//! Settings read once, by figment: one line brings the secrets in.

#![allow(clippy::print_stdout, reason = "shows what was read")]

use examples::{Failure, Secrets, Settings};
use figment::{Figment, providers::Env};
use secrets_provider::{Dotenv, FigmentExt as _};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let secrets = Secrets::from_environment().await?;
    let settings: Settings = Figment::new()
        .merge(Dotenv::file(".env"))
        .merge(Env::raw())
        .merge(&secrets.manager().fetch().await?)
        .settings()?;
    println!("{settings:#?}");
    Ok(())
}
