//! One suite for the crates that join `secrets-provider` to a web framework.
//!
//! A framework crate implements [`Framework`] in one file of its tests (how to build each app, and
//! how to call it) and gets every case by one line: `http_suite::tests!(tokio::test, Axum);`. What
//! is special to a framework is tested beside that.

#![allow(clippy::missing_panics_doc, reason = "a case fails by panicking")]
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod current;
mod routes;

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;

use secrecy::SecretString;
use secrets_provider::endpoints::RefreshToken;
use secrets_provider::{Layers, Live, Memory, SecretsManager};
use serde_json::Value;

pub use current::*;
pub use routes::*;

/// The token of the refresh routes.
pub const TOKEN: &str = "t0ken-of-this-test";

/// The apps that a framework has to build for the suite, and how to call them in process.
#[allow(async_fn_in_trait, reason = "the futures of actix are not `Send`")]
pub trait Framework {
    /// An app that can be called.
    type App;

    /// Sends one request, with these headers added in their order.
    async fn send(
        app: &Self::App,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer;

    /// Sends one request without a body.
    async fn call(app: &Self::App, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        Self::send(app, method, path, headers, "").await
    }

    /// Runs a future as this framework's programs do, on the current thread.
    fn block_on<F: Future>(future: F) -> F::Output;

    /// Only the health routes.
    async fn health<T: Send + Sync + 'static>(settings: Live<T>) -> Self::App;

    /// Only the status routes.
    async fn status<T: Send + Sync + 'static>(settings: Live<T>) -> Self::App;

    /// Only the refresh route.
    async fn refresh(settings: Live<Value>, token: RefreshToken) -> Self::App;

    /// The status routes and the refresh route below `/internal`.
    async fn nested(settings: Live<Value>, token: RefreshToken) -> Self::App;

    /// The status routes and the refresh route on a socket of the loopback interface.
    async fn serve(settings: Live<Value>) -> Server;

    /// `/` shows the database that `Current<Settings>` has; `/plain` shows that of the
    /// `Live<Settings>` itself.
    async fn index(settings: Live<Settings>) -> Self::App;

    /// As [`index`](Self::index); `/both` takes a `Current<Settings>`, rotates to 2, takes another,
    /// and shows the databases of both, separated by a space.
    async fn rotating_handler(rotation: Rotation) -> Self::App;

    /// As [`index`](Self::index), behind middleware that takes a `Current<Settings>`, rotates to
    /// the next generation, calls the handler, and adds the user that it saw as the header
    /// `middleware`.
    async fn rotating_middleware(rotation: Rotation) -> Self::App;

    /// `/` shows the outer settings' database and `/inner` the inner ones', both behind middleware
    /// that takes the outer ones and checks with [`is_outer`].
    async fn two_lives(outer: Live<Settings>, inner: Live<Settings>) -> Self::App;

    /// `/` takes a `Current<Settings>`, yields to other tasks, takes another, and shows the
    /// databases of both, separated by a space.
    async fn pair(settings: Live<Settings>) -> Self::App;
}

/// A response, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body, which is UTF-8 in all cases.
    pub body: String,
}

impl Answer {
    /// The value of a header that the response must have.
    pub fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no header `{name}` in {:?}", self.headers))
    }

    /// Whether the response has a header.
    pub fn has_header(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The methods of the header `allow`, without white space: frameworks differ in it.
    pub fn allowed(&self) -> String {
        self.header("allow").replace(' ', "")
    }

    /// The body as JSON, which the content type must say.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A server on a socket, and how to stop it.
#[allow(missing_debug_implementations, reason = "a closure")]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Stops it, and waits until it has stopped.
    pub stop: Pin<Box<dyn Future<Output = ()>>>,
}

/// Settings of which each rotation changes both members, so that a mix of two generations shows.
#[derive(Debug, serde::Deserialize)]
pub struct Settings {
    /// The only member.
    pub database: Database,
}

/// A user and its password. `Display` shows both.
#[derive(Debug, serde::Deserialize)]
pub struct Database {
    /// `user-1` in the first generation.
    pub username: String,
    /// `pass-1` in the first generation.
    pub password: String,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.username, self.password)
    }
}

/// Settings, and the store to rotate them in.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The settings.
    pub settings: Live<Settings>,
    /// Their store.
    pub secrets: Memory,
}

impl Rotation {
    /// Settings of the first generation.
    pub async fn start() -> Self {
        let secrets = Memory::new();
        put(&secrets, 1);
        let manager = SecretsManager::prefix("gaara/prod").backend(secrets.clone());
        let builder = Live::builder(manager).layers(|secrets| Layers::new().secrets(secrets));
        Self { settings: builder.start().await.unwrap(), secrets }
    }

    /// Makes `user-{to}` and `pass-{to}` live.
    pub async fn rotate(&self, to: u64) {
        put(&self.secrets, to);
        assert!(self.settings.refresh().await.unwrap().changed());
    }
}

fn put(secrets: &Memory, n: u64) {
    let database = format!(r#"{{"username": "user-{n}", "password": "pass-{n}"}}"#);
    secrets.put("gaara/prod/database", database);
}

/// Settings that never change, of this user.
pub fn constant(username: &str) -> Live<Settings> {
    let database = Database { username: username.to_owned(), password: "-".to_owned() };
    Live::constant(Settings { database })
}

/// Fails unless these are the outer ones of [`Framework::two_lives`].
pub fn is_outer(settings: &Settings) {
    assert_eq!(settings.database.username, "outer");
}

/// Settings of any shape over a store with one secret, whose values all start with `value-`.
pub async fn untyped(secrets: &Memory) -> Live<Value> {
    secrets.put("app/database", r#"{"username": "value-user", "password": "value-password"}"#);
    Live::builder(SecretsManager::prefix("app").backend(secrets.clone()))
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap()
}

/// The token that the suite refreshes with.
pub fn token() -> RefreshToken {
    RefreshToken::new(SecretString::from(TOKEN)).unwrap()
}

/// Declares a test for each case, with the attribute that a framework's tests need.
#[macro_export]
macro_rules! tests {
    (@each $attribute:meta, $framework:ty: $($case:ident)*) => {$(
        #[$attribute]
        async fn $case() {
            $crate::$case::<$framework>().await;
        }
    )*};
    ($attribute:meta, $framework:ty) => {
        $crate::tests! { @each $attribute, $framework:
            a_handler_sees_a_rotation
            a_swap_between_two_extractors_shows_in_the_next_request
            middleware_and_the_handler_after_it_see_one_generation
            two_lives_of_one_type_do_not_mix
            a_live_can_be_taken_itself
            a_replica_that_cannot_read_its_secrets_is_alive_but_not_ready
            browsers_get_a_page_and_all_others_json
            only_get_and_head_read
            routes_nest_below_a_prefix
            derived_values_have_routes_too
            only_the_token_refreshes_and_only_by_post
            a_refresh_may_name_one_secret
            a_refresh_checks_the_token_before_it_reads_the_body
            head_has_no_body_on_the_wire
        }

        #[test]
        fn concurrent_requests_see_whole_generations_while_settings_swap() {
            $crate::concurrent_requests_see_whole_generations_while_settings_swap::<$framework>();
        }
    };
}
