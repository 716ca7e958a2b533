//! axum behind TLS: a listener for `axum::serve`, which also gives graceful shutdown and
//! `ConnectInfo`.
//!
//! Handshakes run beside each other, so that a slow client delays no other one; each is limited in
//! time, and all together in number. `axum-server` and hyper-util take the same `ServerConfig`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many handshakes may be under way; further connections wait in the system's queue.
const MAX_HANDSHAKES: usize = 1024;

/// Connections that have done their handshake.
#[derive(Debug)]
pub struct TlsListener {
    tcp: TcpListener,
    config: Arc<ServerConfig>,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    /// TLS on what comes from this listener.
    pub fn new(tcp: TcpListener, config: ServerConfig) -> Self {
        Self { tcp, config: Arc::new(config), handshakes: JoinSet::new() }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                // A handshake that failed is the client's affair.
                Some(done) = self.handshakes.join_next() => if let Ok(Some(connection)) = done {
                    return connection;
                },
                accepted = self.tcp.accept(), if self.handshakes.len() < MAX_HANDSHAKES => {
                    match accepted {
                        Ok((stream, from)) => {
                            let handshake = TlsAcceptor::from(self.config.clone()).accept(stream);
                            self.handshakes.spawn(async move {
                                let stream = timeout(HANDSHAKE_TIMEOUT, handshake).await.ok()?;
                                Some((stream.ok()?, from))
                            });
                        }
                        // Too many open files, most likely: more of it would not help.
                        Err(_) => sleep(Duration::from_millis(100)).await,
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
