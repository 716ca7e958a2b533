//! Which generation a handler sees, and when.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt;
use std::sync::Barrier;
use std::thread;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, call_and_read_body, call_service, init_service, read_body};
use actix_web::{App, Error, FromRequest as _, HttpRequest, body, dev, web};
use secrets_provider::{Live, Memory, SecretsManager};
use secrets_provider_actix::Current;

/// Each rotation changes both, so that a mix of two generations shows.
#[derive(serde::Deserialize)]
struct Settings {
    database: Database,
}

#[derive(serde::Deserialize)]
struct Database {
    username: String,
    password: String,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.username, self.password)
    }
}

/// Settings, and the store to rotate them in.
#[derive(Clone)]
struct Rotation {
    settings: Live<Settings>,
    secrets: Memory,
}

impl Rotation {
    async fn start() -> Self {
        let secrets = Memory::new();
        put(&secrets, 1);
        let manager = SecretsManager::prefix("gaara/prod").backend(secrets.clone());
        Self { settings: manager.live().await.unwrap(), secrets }
    }

    fn data(&self) -> web::Data<Live<Settings>> {
        web::Data::new(self.settings.clone())
    }

    async fn rotate(&self, to: u64) {
        put(&self.secrets, to);
        assert!(self.settings.refresh().await.unwrap().changed());
    }
}

fn put(secrets: &Memory, n: u64) {
    secrets.put(
        "gaara/prod/database",
        format!(r#"{{"username": "user-{n}", "password": "pass-{n}"}}"#),
    );
}

fn constant(username: &str) -> web::Data<Live<Settings>> {
    let database = Database { username: username.into(), password: "-".into() };
    web::Data::new(Live::constant(Settings { database }))
}

async fn index(Current(settings): Current<Settings>) -> String {
    settings.database.to_string()
}

#[actix_web::test]
async fn a_handler_sees_a_rotation() {
    let rotation = Rotation::start().await;
    let app =
        init_service(App::new().app_data(rotation.data()).route("/", web::get().to(index))).await;
    assert_eq!(call_and_read_body(&app, TestRequest::get().to_request()).await, "user-1/pass-1");

    rotation.rotate(2).await;
    assert_eq!(call_and_read_body(&app, TestRequest::get().to_request()).await, "user-2/pass-2");
}

#[actix_web::test]
async fn a_swap_between_two_extractors_shows_in_the_next_request() {
    async fn both(
        first: Current<Settings>,
        live: web::Data<Live<Settings>>,
        rotation: web::Data<Rotation>,
        request: HttpRequest,
    ) -> Result<String, Error> {
        rotation.rotate(2).await;
        assert_eq!(live.load().database.to_string(), "user-2/pass-2", "the swap has happened");
        let second = Current::<Settings>::extract(&request).await?;
        Ok(format!("{} {}", first.database, second.database))
    }
    let rotation = Rotation::start().await;
    let app = App::new()
        .app_data(rotation.data())
        .app_data(web::Data::new(rotation))
        .route("/both", web::get().to(both))
        .route("/", web::get().to(index));
    let app = init_service(app).await;

    let both = TestRequest::with_uri("/both").to_request();
    assert_eq!(call_and_read_body(&app, both).await, "user-1/pass-1 user-1/pass-1");
    assert_eq!(call_and_read_body(&app, TestRequest::get().to_request()).await, "user-2/pass-2");
}

#[actix_web::test]
async fn middleware_and_the_handler_after_it_see_one_generation() {
    async fn rotating(
        settings: Current<Settings>,
        rotation: web::Data<Rotation>,
        request: dev::ServiceRequest,
        next: Next<impl body::MessageBody>,
    ) -> Result<dev::ServiceResponse<impl body::MessageBody>, Error> {
        rotation.rotate(rotation.settings.status().generation() + 1).await;
        let mut response = next.call(request).await?;
        let seen = HeaderValue::from_str(&settings.database.username)?;
        response.headers_mut().insert(HeaderName::from_static("middleware"), seen);
        Ok(response)
    }
    let rotation = Rotation::start().await;
    let app = App::new()
        .wrap(from_fn(rotating))
        .app_data(rotation.data())
        .app_data(web::Data::new(rotation.clone()))
        .route("/", web::get().to(index));
    let app = init_service(app).await;

    for generation in 1..=3 {
        let response = call_service(&app, TestRequest::get().to_request()).await;
        assert_eq!(response.headers().get("middleware").unwrap(), &format!("user-{generation}"));
        assert_eq!(read_body(response).await, format!("user-{generation}/pass-{generation}"));
    }
    assert_eq!(rotation.settings.status().generation(), 4);
}

#[actix_web::test]
async fn two_lives_of_one_type_do_not_mix() {
    async fn outer(
        request: dev::ServiceRequest,
        next: Next<impl body::MessageBody>,
    ) -> Result<dev::ServiceResponse<impl body::MessageBody>, Error> {
        // Before routing, so that the app's own data is the nearest.
        let settings = Current::<Settings>::extract(request.request()).await?;
        assert_eq!(settings.database.username, "outer");
        next.call(request).await
    }
    let inner = web::scope("/inner").app_data(constant("inner")).route("", web::get().to(index));
    let app = App::new()
        .wrap(from_fn(outer))
        .app_data(constant("outer"))
        .service(inner)
        .route("/", web::get().to(index));
    let app = init_service(app).await;

    assert_eq!(call_and_read_body(&app, TestRequest::get().to_request()).await, "outer/-");
    let inner = TestRequest::with_uri("/inner").to_request();
    assert_eq!(call_and_read_body(&app, inner).await, "inner/-");
}

#[actix_web::test]
async fn a_live_can_be_taken_plainly() {
    async fn plain(live: web::Data<Live<Settings>>) -> String {
        live.current().database.to_string()
    }
    let app =
        init_service(App::new().app_data(constant("plain")).route("/", web::get().to(plain))).await;
    assert_eq!(call_and_read_body(&app, TestRequest::get().to_request()).await, "plain/-");
}

/// One `App` per thread over one `Live`, as `HttpServer` has it.
#[test]
fn concurrent_requests_see_whole_generations_while_settings_swap() {
    const REQUESTS: usize = 200;
    const SWAPS: u64 = 200;
    async fn pair(first: Current<Settings>, request: HttpRequest) -> Result<String, Error> {
        tokio::task::yield_now().await;
        let second = Current::<Settings>::extract(&request).await?;
        Ok(format!("{} {}", first.database, second.database))
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rotation = runtime.block_on(Rotation::start());
    let ready = Barrier::new(9);

    let read = || {
        actix_web::rt::System::new().block_on(async {
            let app = App::new().app_data(rotation.data()).route("/", web::get().to(pair));
            let app = init_service(app).await;
            ready.wait();
            for _ in 0..REQUESTS {
                let seen = call_and_read_body(&app, TestRequest::get().to_request()).await;
                let seen = std::str::from_utf8(&seen).unwrap();
                let n = seen[5..].split('/').next().unwrap();
                assert_eq!(seen, format!("user-{n}/pass-{n} user-{n}/pass-{n}"));
            }
        });
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(read);
        }
        ready.wait();
        runtime.block_on(async {
            for n in 2..=SWAPS {
                rotation.rotate(n).await;
            }
        });
    });
    assert_eq!(rotation.settings.status().generation(), SWAPS);
}

#[test]
fn it_clones_and_prints_without_asking_anything_of_its_type() {
    struct Opaque;
    let current = Current(std::sync::Arc::new(Opaque));
    assert_eq!(format!("{:?}", current.clone()), "Current { .. }");
}
