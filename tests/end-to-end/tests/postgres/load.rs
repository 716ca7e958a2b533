//! The clients of the service: each asks over HTTP, on its own connection.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, body::Incoming, header::HOST};
use hyper_util::rt::TokioIo;
use rotation_rig::{Answer, Client, Load};
use tokio::net::TcpStream;

use crate::service::ATTEMPTS;

const CLIENTS: usize = 8;

type Connection = SendRequest<Empty<Bytes>>;

struct HttpClient {
    address: SocketAddr,
    path: &'static str,
    connection: Option<Connection>,
}

/// Load on this path of a service.
pub(crate) fn load(address: SocketAddr, path: &'static str) -> Load {
    Load::start((0..CLIENTS).map(|_| HttpClient { address, path, connection: None }))
}

impl Client for HttpClient {
    async fn ask(&mut self) -> Result<Answer, String> {
        // A connection is not used again after a failure.
        let mut sending = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.address).await.map_err(|error| format!("connect: {error}"))?,
        };
        let request = Request::get(self.path).header(HOST, self.address.to_string());
        let request = request.body(Empty::new()).unwrap();
        let response =
            sending.send_request(request).await.map_err(|error| format!("HTTP: {error}"))?;
        let attempts =
            response.headers().get(ATTEMPTS).and_then(|value| value.to_str().ok()?.parse().ok());
        let status = response.status();
        let text = text(response).await.map_err(|error| format!("HTTP: {error}"))?;
        match (status.is_success(), attempts) {
            (true, Some(attempts)) => {
                self.connection = Some(sending);
                Ok(Answer { text, attempts })
            }
            _ => Err(format!("{status}: {text}")),
        }
    }
}

async fn connect(
    address: SocketAddr,
) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
    let (sender, driver) = handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    tokio::spawn(driver);
    Ok(sender)
}

async fn text(response: Response<Incoming>) -> Result<String, hyper::Error> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
