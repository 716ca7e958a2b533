//! An actix-web service whose settings follow the rotation of its secrets.

#![allow(clippy::print_stdout, reason = "says how to try it")]

use std::process::ExitCode;

use actix_web::{App, HttpServer, get, web};
use examples::{Failure, Report, Secrets, Settings};
use secrets_provider::Live;
use secrets_provider_actix::{Current, refresh_route, status_routes};

#[get("/")]
async fn index(settings: web::Data<Live<Settings>>) -> web::Json<Report> {
    web::Json(Report::of(&settings))
}

#[get("/whoami")]
async fn whoami(Current(s): Current<Settings>) -> String {
    format!("{}@{}", s.database.username, s.database.host)
}

#[actix_web::main]
async fn main() -> ExitCode {
    examples::log_to_stderr();
    examples::exit_code(serve().await)
}

async fn serve() -> Result<(), Failure> {
    let listener = examples::listen()?;
    let address = listener.local_addr()?;

    let secrets = Secrets::from_environment().await?;
    let settings = secrets.live().await?;
    println!(
        "Serving on http://{address}\n{secrets}\nRead the settings:\n  curl http://{address}/"
    );
    println!("See what is live, in a browser:\n  http://{address}/status");

    let data = web::Data::new(settings.clone());
    let token = examples::refresh_token()?;
    let app = move || {
        let live = data.get_ref();
        App::new()
            .app_data(data.clone())
            .service(index)
            .service(whoami)
            // A service that others than its operators can reach would serve these on a port of
            // their own.
            .configure(status_routes(live.clone()))
            .configure(|routes| {
                if let Some(token) = &token {
                    routes.configure(refresh_route(live.clone(), token.clone()));
                }
            })
    };
    // Ends by Ctrl-C, which actix handles itself.
    HttpServer::new(app).listen(listener)?.run().await?;
    settings.shutdown().await;
    Ok(())
}
