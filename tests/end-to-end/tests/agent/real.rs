//! AWS's own agent, a process over the fake, in place of the stand-in.
//!
//! The agent is a Rust program with most of the SDK in it, which takes minutes to build. So these
//! tests are ignored, and their message says how to run them. When they change, run them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault, FaultId};
use secrets_provider::backend::conformance::{Capability, Harness, check};
use secrets_provider::{Agent, Backend, Error, ErrorKind, Live, Rotating, SecretsManager};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

/// The program that is tested.
const PROGRAM: &str = "aws-workload-credentials-provider";
/// Where it is, if that is not in the PATH.
const VARIABLE: &str = "AWS_AGENT";
const INSTALL: &str = "cargo install --root /tmp/agent --locked --debug \
                       aws_workload_credentials_provider@3.1.2, and set AWS_AGENT to \
                       /tmp/agent/bin/aws-workload-credentials-provider";

/// Far more than it takes to start.
const PATIENCE: Duration = Duration::from_secs(60);

fn program() -> PathBuf {
    let given = std::env::var_os(VARIABLE).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM));
    let found = given.into_iter().chain(in_path).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("no `{PROGRAM}`: {INSTALL}"))
}

/// A process of the agent, whose token is in a file, and the service behind it.
struct Process {
    fake: FakeSecretsManager,
    folder: TempDir,
    url: String,
    child: Child,
    stalled: Mutex<BTreeMap<String, FaultId>>,
}

impl Process {
    /// An agent that keeps values for so many seconds.
    async fn start(ttl: u16) -> Self {
        let fake = FakeSecretsManager::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "first-token\n").unwrap();
        // It takes no port of its own choice.
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let config = format!(
            "[logging]\nlog_to_file = false\n[capabilities.secrets_manager]\nenabled = true\n\
             http_port = {}\nregion = \"us-east-1\"\nvalidate_credentials = false\n\
             [capabilities.secrets_manager.cache]\nttl_seconds = {ttl}\n",
            free.port()
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let child = spawn(&folder, &fake);
        let url = format!("http://{free}");
        Self { fake, folder, url, child, stalled: Mutex::default() }
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    fn agent(&self) -> Agent {
        Agent::local().address(&self.url).token_file(self.token_file())
    }

    /// As a service's restart does: with another token.
    fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::fs::write(self.token_file(), "second-token\n").unwrap();
        self.child = spawn(&self.folder, &self.fake);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the agent, and returns when it serves.
fn spawn(folder: &TempDir, fake: &FakeSecretsManager) -> Child {
    let mut command = Command::new(program());
    command.args(["sm", "start", "--config"]).arg(folder.path().join("config.toml"));
    command.current_dir(folder.path()).env_clear();
    let token = format!("file://{}", folder.path().join("token").display());
    command.envs([("AWS_TOKEN", &*token), ("AWS_ENDPOINT_URL", &fake.endpoint_url())]);
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    command.env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (sender, ready) = mpsc::channel();
    std::thread::spawn(move || {
        // To the end: a full pipe would stop the agent.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.contains("listening on http://") {
                let _ = sender.send(());
            }
        }
    });
    ready.recv_timeout(PATIENCE).expect("the agent did not start");
    child
}

struct Conforming {
    process: Process,
    agent: Agent,
}

impl Harness for Conforming {
    fn backend(&self) -> &dyn Backend {
        &self.agent
    }

    async fn put(&self, name: &str, text: &str) {
        self.process.fake.put(name, text);
    }

    async fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.process.fake.put_binary(name, bytes);
    }

    async fn delete(&self, name: &str) {
        self.process.fake.remove(name);
    }

    async fn deny(&self, name: &str) {
        self.process.fake.deny_secret(name);
    }

    async fn corrupt(&self, name: &str) {
        self.process.fake.inject(Fault::malformed_body().for_secret(name));
    }

    async fn stall(&self, name: &str) {
        let fault = self.process.fake.inject(Fault::hang().for_secret(name));
        self.process.stalled.lock().unwrap().insert(name.to_owned(), fault);
    }

    async fn resume(&self, name: &str) {
        if let Some(fault) = self.process.stalled.lock().unwrap().remove(name) {
            self.process.fake.remove_fault(fault);
        }
    }

    async fn other_id(&self, name: &str) -> String {
        self.process.fake.arn(name)
    }

    fn lacks(&self) -> Vec<Capability> {
        crate::conformance::LACKS.to_vec()
    }
}

#[ignore = "needs AWS's agent: CONTRIBUTING.md says how to install it"]
#[tokio::test]
async fn the_real_agent_conforms() {
    let process = Process::start(0).await;
    let agent = process.agent().cache_ttl(Duration::ZERO);
    let report = check(&Conforming { process, agent }).await;
    report.assert_passed();
    let skipped = report.skipped().map(|(_, capability)| capability);
    assert!(
        skipped.into_iter().all(|lacking| crate::conformance::LACKS.contains(&lacking)),
        "{report}"
    );
}

#[derive(Debug, Deserialize)]
struct Settings {
    token: Rotating<String>,
}

/// A value is kept by the agent; a refresh that is asked for reads past it, the pair as well.
#[ignore = "needs AWS's agent: CONTRIBUTING.md says how to install it"]
#[tokio::test]
async fn the_real_agent_keeps_values_and_a_refresh_reads_past_them() {
    let process = Process::start(300).await;
    let rotate = |value: &str| process.fake.put("app/token", value);
    rotate("0");
    rotate("1");
    let manager = || SecretsManager::prefix("app").only(["token"]).with_previous(["token"]);
    let settings: Live<Settings> = manager().backend(process.agent()).live().await.unwrap();
    let pair = || {
        let settings = settings.load();
        (settings.token.current.clone(), settings.token.previous.clone())
    };
    let expected = |current: &str, previous: &str| (current.to_owned(), Some(previous.to_owned()));
    assert_eq!(pair(), expected("1", "0"));

    rotate("2");
    let by_cache: Settings =
        manager().backend(process.agent()).fetch().await.unwrap().extract().unwrap();
    assert_eq!(by_cache.token.current, "1", "its cache answers");
    assert!(settings.refresh().await.unwrap().changed());
    assert_eq!(pair(), expected("2", "1"));
    settings.shutdown().await;
}

async fn read(agent: &Agent, name: &str) -> Result<Value, Error> {
    SecretsManager::names([name]).backend(agent.clone()).fetch().await?.extract()
}

#[ignore = "needs AWS's agent: CONTRIBUTING.md says how to install it"]
#[tokio::test]
async fn the_real_agents_token_is_read_again_after_a_restart() {
    let mut process = Process::start(0).await;
    process.fake.put("app/token", "1");
    let agent = process.agent();
    read(&agent, "app/token").await.unwrap();
    process.restart();
    read(&agent, "app/token").await.unwrap();

    std::fs::write(process.token_file(), "another").unwrap();
    let error = read(&process.agent(), "app/token").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
    assert!(error.hint().unwrap().contains("token"), "{error:#?}");
}

/// Names that other stores do not have, and each failure of AWS.
#[ignore = "needs AWS's agent: CONTRIBUTING.md says how to install it"]
#[tokio::test]
async fn the_real_agent_passes_on_what_aws_says() {
    let process = Process::start(0).await;
    let agent = process.agent();
    for name in ["rds!db-1", "a+b", "a/b_c.d-e@f=g"] {
        process.fake.put(name, "1");
        read(&agent, name).await.expect(name);
    }
    process.fake.put("app/a", "1");
    process.fake.put("app/denied", "1");
    process.fake.deny_secret("app/denied");
    let faults: [(&str, &str, Option<Fault>, ErrorKind); 6] = [
        ("absent", "app/absent", None, ErrorKind::NotFound),
        ("denied", "app/denied", None, ErrorKind::AccessDenied),
        ("throttled", "app/a", Some(Fault::throttled()), ErrorKind::Throttled),
        ("fails", "app/a", Some(Fault::internal_error()), ErrorKind::Unavailable),
        ("cuts connections", "app/a", Some(Fault::drop_connection()), ErrorKind::Unavailable),
        (
            "refuses the agent's credentials",
            "app/a",
            Some(Fault::error("UnrecognizedClientException", 400, "no")),
            ErrorKind::AccessDenied,
        ),
    ];
    for (case, name, fault, kind) in faults {
        let fault = fault.map(|fault| process.fake.inject(fault));
        let error = read(&agent, name).await.expect_err(case);
        assert_eq!(error.kind(), kind, "{case}: {error:#?}");
        fault.into_iter().for_each(|fault| process.fake.remove_fault(fault));
    }
    let error = read(&agent.role("no role"), "app/a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:#?}");
}
