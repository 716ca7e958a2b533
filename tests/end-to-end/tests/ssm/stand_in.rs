//! A server that answers as Parameter Store does: GetParameters of ten names at most, which fails as
//! a whole when one is denied or cannot be decrypted, and GetParametersByPath, whose pages may be
//! short or empty and still go on.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::config::Credentials;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use secrets_provider::ParameterStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

/// The sizes of pages, in turns.
const PAGES: [usize; 4] = [3, 0, 10, 1];

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

#[derive(Default)]
pub(crate) struct Known {
    parameters: BTreeMap<String, Vec<Value>>,
    pub(crate) denied: BTreeSet<String>,
    pub(crate) undecryptable: BTreeSet<String>,
    pub(crate) corrupt: BTreeSet<String>,
    pub(crate) stalled: BTreeSet<String>,
    pub(crate) denies_paths: bool,
    pub(crate) throttles: bool,
    /// The operations so far, with how many names each had.
    pub(crate) calls: Vec<(String, usize)>,
    changes: u64,
}

type Refusal = (&'static str, &'static str);

impl Known {
    fn put(&mut self, name: &str, kind: &str, value: &str) {
        self.changes += 1;
        let versions = self.parameters.entry(name.to_owned()).or_default();
        versions.push(json!({
            "Name": name, "Type": kind, "Value": value, "Version": versions.len() + 1,
            "ARN": format!("arn:aws:ssm:us-east-1:123456789012:parameter/{}", name.trim_matches('/')),
            "LastModifiedDate": 1_700_000_000 + self.changes, "DataType": "text",
        }));
    }

    fn by_path(&self, body: &Value) -> Result<Value, Refusal> {
        if self.denies_paths {
            return Err(("AccessDeniedException", "User is not authorized to perform it"));
        }
        assert_eq!(body["Recursive"], true);
        let below = format!("{}/", body["Path"].as_str().unwrap());
        let names: Vec<_> =
            self.parameters.keys().filter(|name| name.starts_with(&below)).collect();
        let token = body["NextToken"].as_str().unwrap_or("0:0");
        let (at, page) = token.split_once(':').unwrap();
        let (at, page): (usize, usize) = (at.parse().unwrap(), page.parse().unwrap());
        let end = names.len().min(at + PAGES[page % PAGES.len()]);
        let found: Vec<_> = names[at..end].iter().map(|name| json!({ "Name": name })).collect();
        Ok(match end < names.len() {
            true => json!({ "Parameters": found, "NextToken": format!("{end}:{}", page + 1) }),
            false => json!({ "Parameters": found }),
        })
    }

    fn by_name(&self, names: &[&str], decrypts: bool) -> Result<Value, Refusal> {
        if names.len() > 10 || names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return Err(("ValidationException", "at most ten names, each once"));
        }
        let bare = |name: &str| name.split(':').next().unwrap().to_owned();
        if names.iter().any(|name| self.denied.contains(&bare(name))) {
            return Err(("AccessDeniedException", "User is not authorized to perform it"));
        }
        if decrypts && names.iter().any(|name| self.undecryptable.contains(&bare(name))) {
            return Err(("InvalidKeyId", "the key is disabled"));
        }
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        for name in names {
            let versions = self.parameters.get(&bare(name)).map_or(&[][..], Vec::as_slice);
            let version = match name.split_once(':') {
                Some((_, number)) => {
                    number.parse::<usize>().unwrap().checked_sub(1).and_then(|at| versions.get(at))
                }
                None => versions.last(),
            };
            match version {
                Some(version) => found.push(version.clone()),
                None => invalid.push(*name),
            }
        }
        Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
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

    pub(crate) fn store(&self) -> ParameterStore {
        let config = aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                Credentials::new("test", "test", None, None, "test"),
            ))
            .endpoint_url(&self.url)
            .build();
        ParameterStore::new().aws_config(&config)
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.state.known.lock().unwrap()
    }

    pub(crate) fn put(&self, name: &str, value: &str) {
        self.known().put(name, "SecureString", value);
    }

    pub(crate) fn put_list(&self, name: &str, value: &str) {
        self.known().put(name, "StringList", value);
    }

    pub(crate) fn delete(&self, name: &str) {
        self.known().parameters.remove(name);
    }

    pub(crate) fn resume(&self, name: &str) {
        self.known().stalled.remove(name);
        self.state.resumed.notify_waiters();
    }

    /// The calls since the last time.
    pub(crate) fn calls(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.known().calls)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = state.clone();
        connections.spawn(async move {
            let answer = service_fn(|request| answer(&state, request));
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(
    state: &State,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
    let operation = target.strip_prefix("AmazonSSM.").unwrap();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let names: Vec<&str> =
        body["Names"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
    loop {
        let resumed = state.resumed.notified();
        if !names.iter().any(|name| state.known.lock().unwrap().stalled.contains(*name)) {
            break;
        }
        resumed.await;
    }
    let mut known = state.known.lock().unwrap();
    known.calls.push((operation.to_owned(), names.len()));
    let decrypts = body["WithDecryption"] == true;
    let result = match operation {
        _ if known.throttles => Err(("ThrottlingException", "Rate exceeded")),
        "GetParameters" => known.by_name(&names, decrypts),
        "GetParametersByPath" => known.by_path(&body),
        _ => panic!("{operation}"),
    };
    let (status, body) = match result {
        Ok(body) => (200, body),
        Err((code, message)) => (400, json!({ "__type": code, "message": message })),
    };
    let mut body = body.to_string();
    if names.iter().any(|name| known.corrupt.contains(*name)) {
        body.truncate(body.len() - 2);
    }
    Ok(Response::builder().status(status).body(Full::new(body.into())).unwrap())
}
