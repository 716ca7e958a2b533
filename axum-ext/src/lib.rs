//! [axum](https://docs.rs/axum) extractors for settings that [`secrets_provider`] keeps current.
//!
//! [`Current<T>`](Current) gives a handler the settings of one generation, the same one to every
//! extractor of a request, even when a secret rotates while the request is served. The settings
//! come from the router's state: a [`Live<T>`](secrets_provider::Live) itself, or a struct with one
//! among its fields and axum's `#[derive(FromRef)]`, or an `Arc` of such a struct. A state without
//! one does not compile; `#[axum::debug_handler]` then says what to do.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use axum::{Router, routing::get};
//! use secrets_provider::{Live, Memory, SecretsManager};
//! use secrets_provider_axum::Current;
//!
//! #[derive(serde::Deserialize)]
//! struct Settings { database: Database }
//! #[derive(serde::Deserialize)]
//! struct Database { host: String, username: String }
//!
//! async fn index(Current(s): Current<Settings>) -> String {
//!     format!("{}@{}", s.database.username, s.database.host)
//! }
//!
//! # let secrets = Memory::new();
//! # secrets.put("gaara/prod/database", r#"{"host": "db.internal", "username": "gaara"}"#);
//! let manager = SecretsManager::prefix("gaara/prod");
//! # let manager = manager.backend(secrets);
//! let settings: Live<Settings> = manager.live().await?;
//! let app: Router = Router::new().route("/", get(index)).with_state(settings);
//! # use tower::ServiceExt as _;
//! # let response = app.oneshot(http::Request::new(axum::body::Body::empty())).await.unwrap();
//! # let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
//! # assert_eq!(body, "gaara@db.internal");
//! # Ok::<(), secrets_provider::Error>(()) }).unwrap();
//! ```
//!
//! # In a larger state
//!
//! ```
//! use axum::{Router, extract::FromRef, routing::get};
//! use secrets_provider::Live;
//! use secrets_provider_axum::Current;
//!
//! struct Settings { greeting: String }
//!
//! #[derive(Clone, FromRef)]
//! struct AppState { settings: Live<Settings>, name: &'static str }
//!
//! async fn index(settings: Current<Settings>) -> String { settings.greeting.clone() }
//!
//! let settings = Live::constant(Settings { greeting: "hello".to_owned() });
//! let app: Router = Router::new().route("/", get(index)).with_state(AppState { settings, name: "gaara" });
//! ```
//!
//! # In a shared state
//!
//! A state that is an `Arc<AppState>` gives out what `AppState` gives out. `derive(FromRef)` needs
//! every field to be `Clone`, and no two of one type; skip the others:
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, extract::{FromRef, State}, routing::get};
//! use secrets_provider::Live;
//! use secrets_provider_axum::Current;
//!
//! # struct Settings { greeting: String }
//! #[derive(FromRef)]
//! struct AppState {
//!     settings: Live<Settings>,
//!     #[from_ref(skip)]
//!     started: std::sync::Mutex<u64>,
//! }
//!
//! async fn index(State(app): State<Arc<AppState>>, settings: Current<Settings>) -> String {
//!     settings.greeting.clone()
//! }
//!
//! # let settings = Live::constant(Settings { greeting: "hello".to_owned() });
//! let state = Arc::new(AppState { settings, started: 0.into() });
//! let app: Router = Router::new().route("/", get(index)).with_state(state);
//! ```
//!
//! If `AppState` is of another crate, put the two side by side. Handlers keep their
//! `State<Arc<AppState>>`, and only the router has another state:
//!
//! ```
//! # use std::sync::Arc;
//! # use axum::{Router, extract::{FromRef, State}, routing::get};
//! # use secrets_provider::Live;
//! # use secrets_provider_axum::Current;
//! # struct Settings { greeting: String }
//! # struct AppState;
//! # async fn index(State(app): State<Arc<AppState>>, settings: Current<Settings>) -> String {
//! #     settings.greeting.clone()
//! # }
//! #[derive(Clone, FromRef)]
//! struct WithSettings { app: Arc<AppState>, settings: Live<Settings> }
//!
//! # let settings = Live::constant(Settings { greeting: "hello".to_owned() });
//! let state = WithSettings { app: Arc::new(AppState), settings };
//! let app: Router = Router::new().route("/", get(index)).with_state(state);
//! ```
//!
//! # A whole state that follows the settings
//!
//! A service whose handlers take `State<Arc<AppContext>>`, with pools and clients in the context,
//! doesn't have to change them. [Derive](secrets_provider::Live::derive) the whole context, and
//! make the result the router's state: `State<Arc<AppContext>>` is then the current one.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use axum::{Router, extract::State, routing::get};
//! use secrets_provider::{Live, Rejected};
//!
//! # #[derive(Clone)] struct Settings { greeting: String }
//! # struct Client;
//! # impl Client { fn new(_: &Settings) -> Self { Self } }
//! struct AppContext { settings: Arc<Settings>, client: Client }
//!
//! async fn index(State(context): State<Arc<AppContext>>) -> String { // as it was
//!     context.settings.greeting.clone()
//! }
//!
//! # let settings = Live::constant(Settings { greeting: "hello".to_owned() });
//! // Once, before: migrations, listeners, background tasks, metrics.
//! let context: Live<AppContext> = settings
//!     .derive("", |settings| async move { // again at each change of the settings
//!         Ok::<_, Rejected>(AppContext { client: Client::new(&settings), settings })
//!     })
//!     .await?;
//! let app: Router = Router::new().route("/", get(index)).with_state(context);
//! # Ok::<(), secrets_provider::Error>(()) }).unwrap();
//! ```
//!
//! What must not run again stays out of the closure: migrations, `bind`, `tokio::spawn`, the
//! registration of metrics. The old context serves until the new one is built, and is dropped with
//! the last request that holds it. Each `State<Arc<AppContext>>` reads the current context by
//! itself; take [`Current<AppContext>`](Current) where a middleware and its handler must see the
//! same one.
//!
//! # Status
//!
#![cfg_attr(
    feature = "status",
    doc = "[`health_routes`] serves `/live` and `/ready`; [`status_routes`], for an internal port, `/status` too;
[`refresh_route`] lets clients with the token refresh the settings over HTTP."
)]
#![cfg_attr(not(feature = "status"), doc = "Routes that serve it are behind the feature `status`.")]

mod current;
#[cfg(feature = "status")]
mod status;

pub use current::{Current, LiveState};
#[cfg(feature = "status")]
pub use secrets_provider::endpoints::RefreshToken;
#[cfg(feature = "status")]
pub use status::{health_routes, refresh_route, status_routes};
