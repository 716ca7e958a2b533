//! A proxy before the server, which counts calls, refuses and drops connections, fails, lets answers
//! hang, cuts them off, and answers the login of Kubernetes itself, because there is no cluster to
//! ask.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

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
    fault: Option<Fault>,
    calls: Vec<Call>,
    connections: usize,
    /// The proxy's own address, and the server's.
    addresses: Option<(SocketAddr, SocketAddr)>,
    accepting: Option<JoinHandle<()>>,
}

/// What happens to every call.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    DropsConnections,
    InternalError,
}

/// A call that was answered.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) status: u16,
}

impl Proxy {
    /// Serves before this server. Returns the URL.
    pub(crate) async fn before(&self, server: SocketAddr) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        self.state().addresses = Some((listener.local_addr().unwrap(), server));
        self.accept(listener);
        self.url()
    }

    fn accept(&self, listener: TcpListener) {
        let proxy = self.clone();
        let accepting = tokio::spawn(async move {
            // Connections end with the task.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                proxy.state().connections += 1;
                let proxy = proxy.clone();
                // A client that went away ends the connection.
                connections.spawn(async move { _ = proxy.serve(stream).await });
            }
        });
        self.state().accepting = Some(accepting);
    }

    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        self.state().addresses.expect("it serves before a server")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addresses().0)
    }

    /// Refuses connections from now on, and ends those there are.
    pub(crate) async fn stop(&self) {
        let accepting = self.state().accepting.take().expect("it serves");
        accepting.abort();
        // The listener is closed when the task has ended.
        _ = accepting.await;
    }

    /// Serves again at the same address.
    pub(crate) async fn serve_again(&self) {
        self.accept(TcpListener::bind(self.addresses().0).await.unwrap());
    }

    pub(crate) fn fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// The calls so far that were answered.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    pub(crate) fn reset_calls(&self) {
        self.state().calls.clear();
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

    async fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let (head, body) = request(&mut client).await?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let fault = self.state().fault;
        match fault {
            Some(Fault::DropsConnections) => return Ok(()),
            Some(Fault::InternalError) => {
                let answer = response("500 Internal Server Error", r#"{"errors":[]}"#);
                return client.write_all(answer.as_bytes()).await;
            }
            None => {}
        }
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
        let mut upstream = TcpStream::connect(self.addresses().1).await?;
        let request = format!("{}{body}", head.replacen("HTTP/1.1", "HTTP/1.0", 1));
        upstream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        upstream.read_to_string(&mut answer).await?;
        if self.state().corrupt.iter().any(|corrupt| path.ends_with(corrupt)) {
            let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
            answer = response("200 OK", &body[..body.len() * 9 / 10]);
        }
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        self.state().calls.push(Call { path, status: status.unwrap_or_default() });
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
