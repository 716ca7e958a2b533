//! A system as a process of its own: its folder with `.env`, its environment, its log, and a
//! minimal HTTP client.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::store::Store;

use super::{CHILD, SYSTEM};

/// The time limit of each step, far beyond what a step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The `.env` file and the environment that a system starts with.
pub(super) struct Setup<'a> {
    system: &'a str,
    dotenv: String,
    environment: Vec<(String, String)>,
}

impl<'a> Setup<'a> {
    /// An environment with the store, and an empty `.env`.
    pub(super) fn new(system: &'a str, store: &Store) -> Self {
        let setup = Self { system, dotenv: String::new(), environment: Vec::new() };
        let variables = store.environment();
        variables.iter().fold(setup, |setup, (name, value)| setup.variable(name, value))
    }

    /// Adds to its `.env`.
    pub(super) fn dotenv(mut self, text: &str) -> Self {
        self.dotenv += text;
        self
    }

    /// Sets a variable of its environment.
    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the variables that a guide's shell script exports.
    pub(super) fn exports(self, script: &str) -> Self {
        let exports =
            script.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        exports.fold(self, |setup, (name, value)| setup.variable(name, value))
    }

    /// Starts it, and waits until it serves and has logged its start.
    pub(super) async fn start(self) -> Program {
        let program = self.started().await.unwrap_or_else(|log| panic!("{log}"));
        program.logged("settings_loaded").await;
        program
    }

    /// Runs a system that must not start, and returns all that it writes to stderr.
    pub(super) async fn refusal(self) -> String {
        self.started().await.err().expect("it started")
    }

    async fn started(self) -> Result<Program, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), self.dotenv).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--nocapture"])
            .current_dir(folder.path())
            .env_clear()
            // No profile and no metadata service of this machine.
            .env("HOME", folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env(SYSTEM, self.system)
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (sender, mut log) = watch::channel(String::new());
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        tokio::spawn(async move {
            while let Some(line) = stderr.next_line().await.unwrap() {
                sender.send_modify(|log| *log += &(line + "\n"));
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(line) = timeout(PATIENCE, stdout.next_line()).await.unwrap().unwrap() {
            if let Some((_, address)) = line.split_once("listening on ") {
                let address = address.to_owned();
                return Ok(Program {
                    address,
                    log,
                    _child: child,
                    _stdout: stdout,
                    _folder: folder,
                });
            }
        }
        // It has not started: read the log to its end.
        let ended = timeout(PATIENCE, log.wait_for(|_| false)).await.is_ok();
        assert!(ended, "it has not ended");
        Err(log.borrow().clone())
    }
}

/// A running system. It is killed when this is dropped.
pub(super) struct Program {
    address: String,
    log: watch::Receiver<String>,
    _child: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
    _folder: TempDir,
}

impl Program {
    /// The log so far.
    pub(super) fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until the log contains this text.
    pub(super) async fn logged(&self, text: &str) {
        let mut log = self.log.clone();
        let logged = timeout(PATIENCE, log.wait_for(|log| log.contains(text))).await;
        if !matches!(logged, Ok(Ok(_))) {
            panic!("no {text:?} in:\n{}", self.log());
        }
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.http("GET", path, "").await).unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> String {
        self.http("POST", path, body).await
    }

    /// Refreshes its settings. Returns whether they changed, or the error.
    pub(super) async fn refresh(&self) -> Result<bool, String> {
        let answer: Value = serde_json::from_str(&self.post("/refresh", "").await).unwrap();
        answer["changed"].as_bool().ok_or_else(|| answer["error"].as_str().unwrap().to_owned())
    }

    pub(super) async fn health(&self) -> String {
        self.get("/status").await["health"].as_str().unwrap().to_owned()
    }

    /// Sends one request on a new connection. Returns the body of the answer, whose status must be
    /// 200.
    async fn http(&self, method: &str, path: &str, body: &str) -> String {
        let request = async {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            let length = body.len();
            // With HTTP/1.0, the connection ends after the answer.
            let head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + body).as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = timeout(PATIENCE, request).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.split(' ').nth(1), Some("200"), "{method} {path}");
        body.to_owned()
    }
}
