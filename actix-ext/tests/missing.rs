//! What the client and the log see if `app_data` is missing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use secrets_provider::Live;
use secrets_provider_actix::Current;
use tracing_subscriber::fmt::MakeWriter;

struct Settings;

async fn index(_: Current<Settings>) -> &'static str {
    "served"
}

/// What was logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Sends one request to this app, with confidential data that must not be repeated. Returns the
/// log.
macro_rules! refused {
    ($app:expr) => {{
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        let _capturing = tracing::subscriber::set_default(subscriber);

        let app = init_service($app.route("/users/{id}", web::get().to(index))).await;
        let request = TestRequest::with_uri("/users/confidential?key=confidential").to_request();
        let response = call_service(&app, request).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(read_body(response).await, "Internal Server Error");
        log.text()
    }};
}

#[actix_web::test]
async fn a_missing_live_is_a_plain_500_and_the_log_says_what_to_add() {
    let log = refused!(App::new());

    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.starts_with("ERROR secrets_provider: app_data_missing"), "{log}");
    assert!(log.contains("::Settings\""), "{log}");
    assert!(log.contains("add `app_data(web::Data::new(live))`"), "{log}");
    assert!(log.contains("/users/{id}"), "{log}");
    assert!(!log.contains("confidential"), "{log}");
}

#[actix_web::test]
async fn a_live_that_is_not_wrapped_in_data_is_named_as_the_mistake() {
    let log = refused!(App::new().app_data(Live::constant(Settings)));

    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("app_data has the `Live` itself"), "{log}");
    assert!(log.contains("wrap it, as in `app_data(web::Data::new(live))`"), "{log}");
}

#[actix_web::test]
async fn a_live_of_another_type_does_not_count() {
    let log = refused!(App::new().app_data(web::Data::new(Live::constant(5_u16))));

    assert!(log.contains("where `live` is a `Live` of this very type"), "{log}");
}

#[actix_web::test]
async fn with_it_the_same_handler_serves() {
    let data = web::Data::new(Live::constant(Settings));
    let app = init_service(App::new().app_data(data).route("/", web::get().to(index))).await;
    let response = call_service(&app, TestRequest::get().to_request()).await;
    assert_eq!(read_body(response).await, "served");
}
