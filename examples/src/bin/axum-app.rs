//! An axum service whose settings follow the rotation of its secrets.

#![allow(clippy::print_stdout, reason = "says how to try it")]

use std::process::ExitCode;

use axum::extract::State;
use axum::{Json, Router, routing::get};
use examples::{Failure, Report, Secrets, Settings};
use secrets_provider::Live;
use secrets_provider_axum::{Current, refresh_route, status_routes};

async fn index(State(settings): State<Live<Settings>>) -> Json<Report> {
    Json(Report::of(&settings))
}

async fn whoami(Current(s): Current<Settings>) -> String {
    format!("{}@{}", s.database.username, s.database.host)
}

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
    let settings = secrets.live().await?;
    let address = listener.local_addr()?;
    let interrupted = examples::interrupted()?;
    println!(
        "Serving on http://{address}\n{secrets}\nRead the settings:\n  curl http://{address}/"
    );
    println!("See what is live, in a browser:\n  http://{address}/status");

    let mut app = Router::new()
        .route("/", get(index))
        .route("/whoami", get(whoami))
        // A service that others than its operators can reach would serve these on a port of their
        // own.
        .merge(status_routes(settings.clone()));
    if let Some(token) = examples::refresh_token()? {
        app = app.merge(refresh_route(settings.clone(), token));
    }
    let app = app.with_state(settings.clone());
    axum::serve(listener, app).with_graceful_shutdown(interrupted).await?;
    settings.shutdown().await;
    Ok(())
}
