//! The service: `/plain` queries the pool of the request once, and `/fresh` queries it under
//! `with_fresh`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, http, web};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use examples::postgres::retry;
use secrets_provider::Live;
use sqlx::PgPool;
use tokio::task::AbortHandle;

/// The header with the number of attempts.
pub(crate) const ATTEMPTS: &str = "x-attempts";

#[derive(Debug, Clone, Copy)]
pub(crate) enum Framework {
    Axum,
    Actix,
}

/// A running server. It ends when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    end: End,
}

enum End {
    Axum(AbortHandle),
    Actix(ServerHandle),
}

impl Drop for Server {
    fn drop(&mut self) {
        match &self.end {
            End::Axum(task) => task.abort(),
            End::Actix(server) => drop(server.stop(false)),
        }
    }
}

impl Framework {
    pub(crate) fn serve(self, pool: Live<PgPool>) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let end = match self {
            Self::Axum => End::Axum(serve_axum(listener, pool)),
            Self::Actix => End::Actix(serve_actix(listener, pool)),
        };
        Server { address, end }
    }
}

fn serve_axum(listener: TcpListener, pool: Live<PgPool>) -> AbortHandle {
    use secrets_provider_axum::Current;

    type Response = (StatusCode, [(&'static str, String); 1], String);

    fn respond(answer: Answer) -> Response {
        (
            StatusCode::from_u16(answer.status).unwrap(),
            [(ATTEMPTS, answer.attempts.to_string())],
            answer.text,
        )
    }

    async fn plain(Current(pool): Current<PgPool>) -> Response {
        respond(Answer::of(&pool).await)
    }

    async fn fresh(State(pool): State<Live<PgPool>>) -> Response {
        respond(Answer::with_fresh(&pool).await)
    }

    let app = axum::Router::new()
        .route("/plain", get(plain))
        .route("/fresh", get(fresh))
        .with_state(pool);
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await }).abort_handle()
}

fn serve_actix(listener: TcpListener, pool: Live<PgPool>) -> ServerHandle {
    use secrets_provider_actix::Current;

    fn respond(answer: Answer) -> HttpResponse {
        HttpResponse::build(http::StatusCode::from_u16(answer.status).unwrap())
            .insert_header((ATTEMPTS, answer.attempts.to_string()))
            .body(answer.text)
    }

    async fn plain(Current(pool): Current<PgPool>) -> HttpResponse {
        respond(Answer::of(&pool).await)
    }

    async fn fresh(pool: web::Data<Live<PgPool>>) -> HttpResponse {
        respond(Answer::with_fresh(&pool).await)
    }

    let pool = web::Data::new(pool);
    let app = move || {
        App::new()
            .app_data(pool.clone())
            .route("/plain", web::get().to(plain))
            .route("/fresh", web::get().to(fresh))
    };
    let server = HttpServer::new(app).workers(2).disable_signals().listen(listener).unwrap().run();
    let handle = server.handle();
    tokio::spawn(server);
    handle
}

/// The answer to a request: the user of the database, or the kind of the error.
struct Answer {
    status: u16,
    attempts: u32,
    text: String,
}

impl Answer {
    async fn of(pool: &PgPool) -> Self {
        Self::new(query(pool).await, 1)
    }

    async fn with_fresh(pool: &Live<PgPool>) -> Self {
        let attempts = AtomicU32::new(0);
        let operation = |pool: Arc<PgPool>| {
            attempts.fetch_add(1, Ordering::Relaxed);
            async move { query(&pool).await }
        };
        let result = pool.with_fresh(operation, retry).await;
        Self::new(result, attempts.into_inner())
    }

    fn new(result: Result<String, sqlx::Error>, attempts: u32) -> Self {
        let (status, text) = match result {
            Ok(user) => (200, user),
            Err(error) => (500, kind(&error)),
        };
        Self { status, attempts, text }
    }
}

async fn query(pool: &PgPool) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT current_user::text").fetch_one(pool).await
}

/// The kind of an error, without any value.
fn kind(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
        sqlx::Error::Io(error) => format!("Io: {}", error.kind()),
        sqlx::Error::PoolTimedOut => "PoolTimedOut".to_owned(),
        sqlx::Error::PoolClosed => "PoolClosed".to_owned(),
        sqlx::Error::Protocol(_) => "Protocol".to_owned(),
        _ => "another error".to_owned(),
    }
}
