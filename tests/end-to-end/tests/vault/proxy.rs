//! A proxy before the server, which lets answers hang, cuts them off, and answers the login of
//! Kubernetes itself, because there is no cluster to ask.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

#[derive(Clone, Default)]
pub(crate) struct Proxy(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    resumed: Notify,
}

#[derive(Default)]
struct State {
    stalled: BTreeSet<String>,
    corrupt: BTreeSet<String>,
    logins: Vec<String>,
}

impl Proxy {
    /// Serves before this server. Returns the URL.
    pub(crate) async fn before(&self, server: SocketAddr) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = proxy.clone();
                // A client that went away ends the connection.
                tokio::spawn(async move { _ = proxy.serve(stream, server).await });
            }
        });
        format!("http://{address}")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub(crate) fn stall(&self, path: &str) {
        self.state().stalled.insert(path.to_owned());
    }

    pub(crate) fn resume(&self, path: &str) {
        self.state().stalled.remove(path);
        self.0.resumed.notify_waiters();
    }

    pub(crate) fn corrupt(&self, path: &str) {
        self.state().corrupt.insert(path.to_owned());
    }

    /// The bodies of the logins of Kubernetes so far.
    pub(crate) fn logins(&self) -> Vec<String> {
        self.state().logins.clone()
    }

    async fn serve(&self, mut client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
        let (head, body) = request(&mut client).await?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if path == "/v1/auth/kubernetes/login" {
            self.state().logins.push(body);
            // A token without rights to renew it, so that there is another login at two thirds.
            let answer = r#"{"auth":{"client_token":"root","lease_duration":1,"renewable":false}}"#;
            return client.write_all(response("200 OK", answer).as_bytes()).await;
        }
        loop {
            let resumed = self.0.resumed.notified();
            if !self.state().stalled.iter().any(|stalled| path.ends_with(stalled)) {
                break;
            }
            resumed.await;
        }
        let mut upstream = TcpStream::connect(server).await?;
        let request = format!("{}{body}", head.replacen("HTTP/1.1", "HTTP/1.0", 1));
        upstream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        upstream.read_to_string(&mut answer).await?;
        if self.state().corrupt.iter().any(|corrupt| path.ends_with(corrupt)) {
            let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
            answer = response("200 OK", &body[..body.len() * 9 / 10]);
        }
        client.write_all(answer.as_bytes()).await
    }
}

fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The head of a request, with the empty line at its end, and its body.
async fn request(client: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, length)| length.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Ok((format!("{head}\r\n\r\n"), body.to_owned()));
            }
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
