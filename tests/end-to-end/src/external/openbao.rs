//! OpenBao, a server that speaks Vault's protocol: the real program, from a Python wheel.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PATIENCE, tool_of};

const VENV: &str = "openbao-venv";

/// The token that may do everything.
const ROOT: &str = "root";

/// How often a port that was free is tried: another process may take it first.
const TRIES: usize = 5;

/// A server in development mode, in memory and unsealed, with a key-value engine of version 2 at
/// `secret`. It ends with this handle.
pub struct OpenBao {
    child: Child,
    address: SocketAddr,
    tls: bool,
    unseal_key: String,
    home: TempDir,
}

impl fmt::Debug for OpenBao {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBao").field("address", &self.address).finish_non_exhaustive()
    }
}

impl OpenBao {
    /// Starts the server, and returns when it serves.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts the server with TLS, for clients other than [`call`](Self::call).
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn start_tls() -> Self {
        Self::start_with(true)
    }

    fn start_with(tls: bool) -> Self {
        let mut log = String::new();
        for _ in 0..TRIES {
            match Self::try_start(tls) {
                Ok(server) => return server,
                Err(said) => log = said,
            }
        }
        panic!("OpenBao did not start:\n{log}");
    }

    fn try_start(tls: bool) -> Result<Self, String> {
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let home = TempDir::new().expect("a temporary folder");
        let mut command = std::process::Command::new(tool_of(VENV, "bao"));
        command.args(["server", "-dev", "-dev-no-store-token"]);
        if tls {
            let folder = home.path().display();
            command.arg("-dev-tls").arg(format!("-dev-tls-cert-dir={folder}"));
        }
        let mut child = command
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={address}"))
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("OpenBao's program");
        let stdout = child.stdout.take().expect("piped");
        let (sender, ready) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut log, mut unseal_key) = (String::new(), String::new());
            // Read to the end: a full pipe would stop the server.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(key) = line.strip_prefix("Unseal Key: ") {
                    unseal_key = key.to_owned();
                }
                if line.starts_with("Root Token: ") {
                    let _ = sender.send(Ok(unseal_key.clone()));
                }
                if log.len() < 64 * 1024 {
                    log.push_str(&line);
                    log.push('\n');
                }
            }
            let _ = sender.send(Err(log));
        });
        match ready.recv_timeout(PATIENCE) {
            Ok(Ok(unseal_key)) => Ok(Self { child, address, tls, unseal_key, home }),
            failed => {
                // The process may have ended already.
                let _ = child.kill();
                let _ = child.wait();
                Err(failed.ok().and_then(Result::err).unwrap_or_default())
            }
        }
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.tls { "s" } else { "" }, self.address)
    }

    /// The certificate of the authority that signed the server's, if it has TLS.
    ///
    /// # Panics
    /// If there is none.
    pub fn ca_cert(&self) -> PathBuf {
        let files = std::fs::read_dir(self.home.path()).expect("the folder");
        let mut files = files.map(|file| file.expect("a file").path());
        files.find(|path| path.to_string_lossy().ends_with("ca.pem")).expect("a certificate")
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token that may do everything.
    pub fn root_token(&self) -> &'static str {
        ROOT
    }

    /// Makes a call as root: a method, and a path below `/v1/`. Returns the status and the JSON.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.call_in("", method, path, body).await
    }

    /// The same in a namespace.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call_in(
        &self,
        namespace: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(self.address).await.expect("OpenBao listens");
        let request = format!(
            "{method} /v1/{path} HTTP/1.0\r\nX-Vault-Token: {ROOT}\r\nX-Vault-Namespace: \
             {namespace}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        let answer = String::from_utf8(answer).expect("UTF-8");
        let (head, json) = answer.split_once("\r\n\r\n").expect("a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), serde_json::from_str(json).unwrap_or_default())
    }

    /// Makes a call as root that must succeed.
    ///
    /// # Panics
    /// If it fails.
    pub async fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Puts a version of a secret: the JSON object `data`.
    ///
    /// # Panics
    /// If it fails.
    pub async fn put(&self, path: &str, data: Value) {
        self.must("POST", &format!("secret/data/{path}"), json!({ "data": data })).await;
    }

    /// Writes a policy, in HCL.
    ///
    /// # Panics
    /// If it fails.
    pub async fn policy(&self, name: &str, hcl: &str) {
        let path = format!("sys/policies/acl/{name}");
        self.must("PUT", &path, json!({ "policy": hcl })).await;
    }

    /// A token with these policies.
    ///
    /// # Panics
    /// If it fails.
    pub async fn token(&self, policies: &[&str]) -> String {
        let body = json!({ "policies": policies });
        let answer = self.must("POST", "auth/token/create", body).await;
        answer["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// Seals the server.
    ///
    /// # Panics
    /// If it fails.
    pub async fn seal(&self) {
        self.must("PUT", "sys/seal", Value::Null).await;
    }

    /// Unseals the server.
    ///
    /// # Panics
    /// If it fails.
    pub async fn unseal(&self) {
        self.must("PUT", "sys/unseal", json!({ "key": self.unseal_key })).await;
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
