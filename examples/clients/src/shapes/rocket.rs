//! Rocket, with its own configuration in the same figment: `Rocket.toml`, `ROCKET_` variables and
//! the secrets.
//!
//! Rocket reads its configuration once, at its launch: a new `port` or `secret_key` needs a
//! restart. The settings of the program are live.

use std::convert::Infallible;
use std::sync::Arc;

use rocket::figment::{Figment, Profile};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::{Build, Config, Rocket, State, get, routes};
use secrets_provider::{Error, Live, SecretsManager, Snapshot};

use super::Settings;

/// The layers: Rocket's own, and the secrets over them.
pub fn layers(secrets: &Snapshot) -> Figment {
    over(Config::figment(), secrets)
}

/// The secrets over a figment with profiles. In figment's profile `default`, they would be below
/// the sections of `Rocket.toml` and below the variables, in whichever order they are merged.
pub fn over(configuration: Figment, secrets: &Snapshot) -> Figment {
    configuration.merge(secrets.clone().profile(Profile::Global))
}

/// The service. The secrets are fetched twice, for Rocket and for the program.
///
/// # Errors
///
/// If the secrets cannot be read, or do not fit the settings.
pub async fn service(manager: SecretsManager) -> Result<Rocket<Build>, Error> {
    let configuration = layers(&manager.clone().fetch().await?);
    let settings: Live<Settings> = Live::builder(manager).layers(layers).start().await?;
    Ok(app(configuration, settings))
}

/// The service with these settings.
pub fn app(configuration: Figment, settings: Live<Settings>) -> Rocket<Build> {
    rocket::custom(configuration).manage(settings).mount("/", routes![index, sender])
}

/// The settings of one generation for all of a request's guards and its handler.
#[derive(Debug)]
pub struct Current(pub Arc<Settings>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Current {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        match request.rocket().state::<Live<Settings>>() {
            Some(live) => Outcome::Success(Self(request.local_cache(|| live.current()).clone())),
            // Rocket answers 500: `app` manages them.
            None => Outcome::Forward(rocket::http::Status::InternalServerError),
        }
    }
}

#[get("/")]
fn index(settings: Current) -> String {
    settings.0.mail.from.clone()
}

/// Without the guard: two reads may see two generations.
#[get("/sender")]
fn sender(settings: &State<Live<Settings>>) -> String {
    settings.load().mail.from.clone()
}
