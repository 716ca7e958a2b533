//! A server that answers as the Workload Credentials Provider 3.1 does, or as the Lambda extension:
//! by hand over TCP, so that a test also decides when a connection ends.
//!
//! What it does and says is that of the agent's sources: its cache, its query parameters, its plain
//! texts, and the JSON of AWS's errors that it passes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) const TOKEN: &str = "the-token-of-the-agent";

/// The server and what it knows. It ends when it is dropped.
pub(crate) struct StandIn {
    url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    known: Mutex<Known>,
    resumed: Notify,
}

pub(crate) struct Known {
    /// What AWS has: each secret's values, the current one last, as the members of the answer.
    secrets: BTreeMap<String, Vec<Value>>,
    /// What the agent has cached, by secret and label.
    cache: BTreeMap<(String, String), Value>,
    /// Whether it caches.
    pub(crate) caches: bool,
    pub(crate) token: String,
    /// Whether it is the extension, which does not know `refreshNow`.
    pub(crate) is_extension: bool,
    /// For how many more calls the extension does not serve yet.
    pub(crate) not_ready: u32,
    /// Closes the connection after each answer, without a word, as one that is 61 s old.
    pub(crate) closes: bool,
    /// Answers everything with this status and text.
    pub(crate) instead: Option<(u16, String)>,
    /// Closes the connection in the middle of an answer.
    pub(crate) cuts_off: bool,
    pub(crate) denied: BTreeSet<String>,
    pub(crate) corrupt: BTreeSet<String>,
    pub(crate) stalled: BTreeSet<String>,
    pub(crate) deleted: BTreeSet<String>,
    /// What the cache has of these was deleted and made again, with another ARN: it looks for the
    /// old one.
    pub(crate) made_again: BTreeSet<String>,
    /// The targets of the requests so far.
    pub(crate) requests: Vec<String>,
    versions: u32,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            secrets: BTreeMap::new(),
            cache: BTreeMap::new(),
            caches: true,
            token: TOKEN.to_owned(),
            is_extension: false,
            not_ready: 0,
            closes: false,
            instead: None,
            cuts_off: false,
            denied: BTreeSet::new(),
            corrupt: BTreeSet::new(),
            stalled: BTreeSet::new(),
            deleted: BTreeSet::new(),
            made_again: BTreeSet::new(),
            requests: Vec::new(),
            versions: 0,
        }
    }
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let task = tokio::spawn(accept(listener, state.clone()));
        Self { url, state, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.state.known.lock().unwrap()
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        self.known().put(name, json!({ "SecretString": text }));
    }

    pub(crate) fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.known().put(name, json!({ "SecretBinary": STANDARD.encode(bytes) }));
    }

    pub(crate) fn resume(&self, name: &str) {
        self.known().stalled.remove(name);
        self.state.resumed.notify_waiters();
    }

    /// The requests since the last call, without what is the same in all.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = std::mem::take(&mut self.known().requests);
        let short = |target: &String| target.replace("/secretsmanager/get?secretId=", "");
        requests.iter().map(short).collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf")
}

impl Known {
    fn put(&mut self, name: &str, mut value: Value) {
        self.versions += 1;
        self.deleted.remove(name);
        value["ARN"] = arn(name).into();
        value["Name"] = name.into();
        value["VersionId"] = format!("{:0>32}", self.versions).into();
        // Text in the agent's answers, RFC 3339 in the extension's; and Go writes what is absent.
        value["CreatedDate"] = match self.is_extension {
            false => "1569534789.046".into(),
            true => "2019-09-26T21:53:09Z".into(),
        };
        if self.is_extension {
            for member in ["SecretString", "SecretBinary"] {
                value.as_object_mut().unwrap().entry(member).or_insert(Value::Null);
            }
            value["ResultMetadata"] = json!({});
        }
        self.secrets.entry(name.to_owned()).or_default().push(value);
    }

    /// What AWS answers.
    fn ask_aws(&self, id: &str, stage: &str) -> Result<Value, (u16, String)> {
        let error = |code: &str, message: &str| {
            Err((400, json!({ "__type": code, "message": message }).to_string()))
        };
        let named = |name: &&String| *name == id || arn(name) == id;
        let Some(name) = self.secrets.keys().find(named) else {
            return error(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret.",
            );
        };
        if self.denied.contains(name) {
            return error("AccessDeniedException", "User is not authorized to perform it");
        }
        if self.deleted.contains(name) {
            let message = "You can't perform this operation on the secret because it was marked \
                           for deletion.";
            return error("InvalidRequestException", message);
        }
        let values = &self.secrets[name];
        let back = match stage {
            "AWSCURRENT" => 1,
            "AWSPREVIOUS" => 2,
            _ => usize::MAX,
        };
        let Some(value) = values.len().checked_sub(back).and_then(|at| values.get(at)) else {
            return error(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret value for staging label: x",
            );
        };
        let mut value = value.clone();
        value["VersionStages"] = json!([stage]);
        Ok(value)
    }

    fn answer(&mut self, request: &Request) -> (u16, String) {
        self.requests.push(request.target.clone());
        let plain = |status: u16, text: &str| (status, text.to_owned());
        if let Some(instead) = &self.instead {
            return instead.clone();
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        if path == "/ping" {
            return plain(200, "healthy");
        }
        if request.headers.contains_key("x-forwarded-for") {
            return plain(400, "Forwarded");
        }
        let token = request.headers.get("x-aws-parameters-secrets-token");
        if token != Some(&self.token) {
            return plain(403, "Bad Token");
        }
        if request.method != "GET" {
            return plain(405, "Not allowed");
        }
        if path != "/secretsmanager/get" {
            return plain(404, "Not found");
        }
        if let Some(left) = self.not_ready.checked_sub(1) {
            self.not_ready = left;
            return plain(400, "not ready to serve traffic, please wait");
        }
        let (mut id, mut stage, mut refresh) = (None, "AWSCURRENT".to_owned(), false);
        let mut role = String::new();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match (name, &*value.to_ascii_lowercase()) {
                ("secretId", _) => id = Some(decoded(value)),
                ("versionStage", _) => stage = decoded(value),
                ("refreshNow", "true" | "1") if !self.is_extension => refresh = true,
                ("refreshNow", "false" | "0") if !self.is_extension => {}
                ("roleArn", _)
                    if !self.is_extension && !decoded(value).starts_with("arn:aws:iam::") =>
                {
                    let expected = "arn:<partition>:iam::<account>:role/<name>";
                    return (400, format!("invalid roleArn format, expected {expected}"));
                }
                ("roleArn", _) if !self.is_extension => role = decoded(value),
                _ => return (400, format!("unknown parameter: {name}")),
            }
        }
        let Some(id) = id else { return plain(400, "missing parameter secretId") };
        if role.ends_with("role/denied") {
            let message = format!("Failed to create caching client from role: {role}");
            let body = json!({ "__type": "AccessDeniedException", "message": message });
            return (403, body.to_string());
        }
        if refresh {
            self.made_again.remove(&id);
        } else if self.made_again.contains(&id) {
            let message = "Secrets Manager can't find the specified secret.";
            let body = json!({ "__type": "ResourceNotFoundException", "message": message });
            return (400, body.to_string());
        }
        let key = (id.clone(), stage.clone());
        let cached = self.cache.get(&key).filter(|_| self.caches && !refresh).cloned();
        let value = match cached.map_or_else(|| self.ask_aws(&id, &stage), Ok) {
            Ok(value) => value,
            Err(error) => return error,
        };
        self.cache.insert(key, value.clone());
        let mut body = value.to_string();
        if self.corrupt.contains(&id) {
            body.truncate(body.len() - 2);
        }
        (200, body)
    }
}

struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.first_chunk::<2>()).flatten();
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]).1,
            None => (bytes.push(*first), rest = tail).1,
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = state.clone();
        connections.spawn(async move {
            // Whoever closes it ends it.
            let _ = serve(stream, &state).await;
        });
    }
}

async fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|part| part == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
        buffer.drain(..end + 4);
        let mut lines = head.lines();
        let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
        let headers = lines.filter_map(|line| line.split_once(": "));
        let request = Request {
            method: first.next().unwrap(),
            target: first.next().unwrap(),
            headers: headers.map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect(),
        };
        let is_stalled = || {
            let known = state.known.lock().unwrap();
            known.stalled.iter().any(|name| decoded(&request.target).contains(name))
        };
        loop {
            let resumed = state.resumed.notified();
            if !is_stalled() {
                break;
            }
            resumed.await;
        }
        let (answer, closes) = {
            let mut known = state.known.lock().unwrap();
            let (status, body) = known.answer(&request);
            let mut answer = String::new();
            // Without a Content-Type, as the agent's.
            write!(answer, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .unwrap();
            if known.cuts_off {
                answer.truncate(answer.len() - body.len() / 2);
            }
            (answer, known.closes || known.cuts_off)
        };
        stream.write_all(answer.as_bytes()).await?;
        if closes {
            return Ok(());
        }
    }
}
