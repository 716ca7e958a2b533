//! The programs that `.ci/external` installs: moto, the `aws` client and boto3 in a Python venv,
//! MiniStack in another, because they need different versions of the same packages, OpenBao in a
//! third, and Chromium.

mod chromium;
mod openbao;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

pub use chromium::{Chromium, Look, OpenPage};
pub use openbao::OpenBao;

const VENV: &str = "external-venv";

const MINISTACK_VENV: &str = "ministack-venv";

/// Far more than any child takes: one that hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(120);

/// The path of a program in the venv.
///
/// # Panics
/// If it is not installed: no test is skipped.
pub fn tool(name: &str) -> PathBuf {
    tool_of(VENV, name)
}

/// The path of cfn-lint.
///
/// # Panics
/// If it is not installed.
pub fn cfn_lint() -> PathBuf {
    tool_of(MINISTACK_VENV, "cfn-lint")
}

fn tool_of(venv: &str, name: &str) -> PathBuf {
    let asked = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let ours = std::env::current_exe().unwrap_or_default();
    // A relative CARGO_TARGET_DIR is relative to cargo's own folder, but this binary lies below it.
    let folders = asked.iter().map(PathBuf::as_path).filter(|folder| folder.is_absolute());
    folders
        .chain(ours.ancestors())
        .map(|folder| folder.join(venv).join("bin").join(name))
        .find(|tool| tool.is_file())
        .unwrap_or_else(|| panic!("no `{name}` in `{venv}` of the target folder: run .ci/external"))
}

/// A child process whose environment has only `PATH` of ours, with AWS at `endpoint_url`.
fn command(program: &Path, endpoint_url: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", endpoint_url)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .kill_on_drop(true)
        .stdin(Stdio::null());
    command
}

async fn run(mut command: Command) -> (bool, String, String) {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end"));
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// The real `aws` client, for an endpoint.
#[derive(Debug)]
pub struct Aws {
    endpoint_url: String,
    home: TempDir,
}

impl Aws {
    /// A client without configuration files.
    pub fn new(endpoint_url: impl Into<String>) -> Self {
        Self {
            endpoint_url: endpoint_url.into(),
            home: TempDir::new().expect("a temporary folder"),
        }
    }

    /// Runs `aws secretsmanager ARGUMENTS`. Returns its output, or its error message.
    pub async fn try_run<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Value, String> {
        self.try_run_in("secretsmanager", arguments).await
    }

    async fn try_run_in<A: AsRef<OsStr>>(
        &self,
        service: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Value, String> {
        let mut command = command(&tool("aws"), &self.endpoint_url, self.home.path());
        // For SQS, the client leaves the variable out of account.
        command.args(["--endpoint-url", &self.endpoint_url, "--output", "json", service]);
        command.args(arguments);
        let (success, stdout, stderr) = run(command).await;
        match (success, stdout.trim()) {
            (false, _) => Err(stderr),
            (true, "") => Ok(Value::Null),
            (true, json) => Ok(serde_json::from_str(json).expect("JSON")),
        }
    }

    /// Runs `aws SERVICE ARGUMENTS`. Returns its output.
    ///
    /// # Panics
    /// If it fails, with its error message.
    pub async fn run_in<A: AsRef<OsStr>>(
        &self,
        service: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Value {
        let result = self.try_run_in(service, arguments).await;
        result.unwrap_or_else(|complaint| panic!("{complaint}"))
    }

    /// Runs `aws secretsmanager ARGUMENTS`. Returns its output.
    ///
    /// # Panics
    /// If it fails, with its error message.
    pub async fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        self.try_run(arguments).await.unwrap_or_else(|complaint| panic!("{complaint}"))
    }
}

/// Runs a Python script, with AWS at the endpoint. Returns its output, which must be JSON.
///
/// # Panics
/// If it fails, with its traceback.
pub async fn python(script: &str, endpoint_url: &str) -> Value {
    let home = TempDir::new().expect("a temporary folder");
    let mut command = command(&tool("python"), endpoint_url, home.path());
    command.args(["-c", script]);
    let (success, stdout, stderr) = run(command).await;
    assert!(success, "{stderr}");
    serde_json::from_str(&stdout).expect("JSON")
}

/// A server that emulates AWS, with its own state. It ends with this handle, or with the process of
/// the test.
pub struct Emulator {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    address: SocketAddr,
    log: Log,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The log of the server, which a thread reads all the time: a full pipe would stop the server.
struct Log {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    fn of(mut stderr: impl io::Read + Send + 'static) -> Self {
        let text = Arc::<Mutex<String>>::default();
        let written = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut buffer) {
                let read = String::from_utf8_lossy(&buffer[..read]);
                written.lock().unwrap_or_else(PoisonError::into_inner).push_str(&read);
            }
        });
        Self { text, reader: Some(reader) }
    }

    /// The whole log, once the server has ended.
    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            // The thread only reads, so it does not panic.
            let _ = reader.join();
        }
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Emulator {
    /// Starts moto, and returns when it serves.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn moto() -> Self {
        Self::start("moto", VENV, include_str!("moto.py"), [])
    }

    /// Starts MiniStack, which sends the events of Secrets Manager through EventBridge, SNS and SQS.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn ministack() -> Self {
        Self::start("MiniStack", MINISTACK_VENV, include_str!("ministack.py"), [])
    }

    /// Starts a mail server, aiosmtpd. The folder has `logins.json`, by user the passwords that are
    /// valid now; a line of its `messages` is added for each message that is taken.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn mail(folder: &Path) -> Self {
        Self::start("aiosmtpd", VENV, include_str!("mail.py"), [folder.as_os_str()])
    }

    fn start<const N: usize>(
        name: &'static str,
        venv: &str,
        script: &str,
        arguments: [&OsStr; N],
    ) -> Self {
        let mut child = std::process::Command::new(tool_of(venv, "python"))
            .args(["-u", "-c", script])
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the venv's Python");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let mut log = Log::of(child.stderr.take().expect("piped"));
        let (sender, port) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            if BufReader::new(stdout).read_line(&mut line).is_ok() {
                // The receiver is gone if the start took too long.
                let _ = sender.send(line);
            }
        });
        let port =
            port.recv_timeout(PATIENCE).ok().and_then(|line| line.trim().parse::<u16>().ok());
        let Some(port) = port else {
            // The process may have ended already.
            let _ = child.kill();
            let _ = child.wait();
            panic!("{name} did not start:\n{}", log.finish());
        };
        Self { name, child, stdin, address: ([127, 0, 0, 1], port).into(), log }
    }

    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the server.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests for an operation moto received.
    pub async fn calls(&self, operation: &str) -> usize {
        let mut stream = TcpStream::connect(self.address).await.expect("moto answers");
        stream.write_all(b"GET /calls HTTP/1.0\r\n\r\n").await.expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (_, json) = answer.split_once("\r\n\r\n").expect("a body");
        let calls: HashMap<String, usize> = serde_json::from_str(json).expect("JSON");
        calls.get(operation).copied().unwrap_or_default()
    }
}

impl Drop for Emulator {
    #[allow(clippy::print_stderr, reason = "it belongs to the output of the failed test")]
    fn drop(&mut self) {
        drop(self.stdin.take());
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{} said:\n{}", self.name, self.log.finish());
        }
    }
}
