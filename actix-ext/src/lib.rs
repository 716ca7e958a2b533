//! [actix-web](https://docs.rs/actix-web) extractors for settings that [`secrets_provider`] keeps
//! current.
//!
//! [`Current<T>`](Current) gives a handler the settings of one generation, the same one to every
//! extractor of a request, even when a secret rotates while the request is served. The settings
//! come from `app_data(web::Data::new(live))`, where `live` is a
//! [`Live<T>`](secrets_provider::Live).
//!
//! ```
//! # actix_web::rt::System::new().block_on(async {
//! use actix_web::{App, HttpServer, get, web};
//! use secrets_provider::{Live, Memory, SecretsManager};
//! use secrets_provider_actix::Current;
//!
//! #[derive(serde::Deserialize)]
//! struct Settings { database: Database }
//! #[derive(serde::Deserialize)]
//! struct Database { host: String, username: String }
//!
//! #[get("/")]
//! async fn index(Current(s): Current<Settings>) -> String {
//!     format!("{}@{}", s.database.username, s.database.host)
//! }
//!
//! # let secrets = Memory::new();
//! # secrets.put("gaara/prod/database", r#"{"host": "db.internal", "username": "gaara"}"#);
//! let manager = SecretsManager::prefix("gaara/prod");
//! # let manager = manager.backend(secrets);
//! let settings: Live<Settings> = manager.live().await?;
//! // Outside the closure, which runs once per worker: all workers share one `Live`.
//! let data = web::Data::new(settings);
//! # let for_test = data.clone();
//! let server = HttpServer::new(move || App::new().app_data(data.clone()).service(index));
//! # drop(server);
//! # use actix_web::test::{TestRequest, call_and_read_body, init_service};
//! # let app = init_service(App::new().app_data(for_test).service(index)).await;
//! # assert_eq!(call_and_read_body(&app, TestRequest::get().to_request()).await, "gaara@db.internal");
//! # Ok::<(), secrets_provider::Error>(()) }).unwrap();
//! ```
//!
//! # A whole state that follows the settings
//!
//! A service whose handlers take `web::Data<AppContext>`, with pools and clients in the context,
//! doesn't have to change them. [Derive](secrets_provider::Live::derive) the whole context, and let
//! a middleware give each request the current one:
//!
//! ```
//! # actix_web::rt::System::new().block_on(async {
//! use std::rc::Rc;
//! use std::sync::Arc;
//!
//! use actix_web::dev::{Extensions, Service as _};
//! use actix_web::{App, get, web};
//! use secrets_provider::{Live, Rejected};
//!
//! # struct Settings { greeting: String }
//! # struct Client;
//! # impl Client { fn new(_: &Settings) -> Self { Self } }
//! struct AppContext { settings: Arc<Settings>, client: Client }
//!
//! #[get("/")]
//! async fn index(context: web::Data<AppContext>) -> String { // as it was
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
//! let app = App::new().service(index).wrap_fn(move |mut request, service| {
//!     let mut data = Extensions::new();
//!     data.insert(web::Data::from(context.current()));
//!     request.add_data_container(Rc::new(data));
//!     service.call(request)
//! });
//! # use actix_web::test::{TestRequest, call_and_read_body, init_service};
//! # let app = init_service(app).await;
//! # assert_eq!(call_and_read_body(&app, TestRequest::get().to_request()).await, "hello");
//! # Ok::<(), secrets_provider::Error>(()) }).unwrap();
//! ```
//!
//! All extractors of one request get the same context. What must not run again stays out
//! of the closure: migrations, `bind`, spawned workers, the registration of metrics.
//!
//! # Status
//!
//! [`health_routes`] serves `/live` and `/ready`; [`status_routes`], for an internal port,
//! `/status` too; [`refresh_route`] lets clients with the token refresh the settings over HTTP.

mod current;
mod status;

pub use current::{Current, MissingLive};
pub use secrets_provider::endpoints::RefreshToken;
pub use status::{health_routes, refresh_route, status_routes};

/// The `tracing` target of every event, the core's.
const TARGET: &str = "secrets_provider";
