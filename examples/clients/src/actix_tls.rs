//! actix-web behind TLS.

use std::io;
use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use rustls::ServerConfig;

/// A service on this listener. The handshakes are those of the configuration, in every worker.
///
/// # Errors
///
/// If the system refuses the listener.
pub fn serve(tcp: TcpListener, config: ServerConfig) -> io::Result<Server> {
    let app = || App::new().route("/", web::get().to(async || "hello"));
    Ok(HttpServer::new(app).listen_rustls_0_23(tcp, config)?.run())
}
