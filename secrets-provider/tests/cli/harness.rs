//! A fake, a folder, and the program in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use fake_secrets_manager::FakeSecretsManager;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::prompt::Terminal;

/// How a run ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Code, output and errors as one text, without what differs from run to run.
    pub(crate) fn shown(&self) -> String {
        let Self { code, out, err } = self;
        let mut text = format!("exit code {code}\n");
        if !out.is_empty() {
            text += &format!("--- standard output\n{out}");
        }
        if !err.is_empty() {
            text += &format!("--- standard error\n{err}");
        }
        scrubbed(&text)
    }
}

/// The program, its fake and its folder.
pub(crate) struct Cli {
    pub(crate) fake: FakeSecretsManager,
    pub(crate) folder: TempDir,
}

impl Cli {
    pub(crate) async fn new() -> Self {
        let fake = FakeSecretsManager::start().await.expect("a fake");
        Self { fake, folder: TempDir::new().expect("a folder") }
    }

    /// The secrets of most tests.
    pub(crate) async fn with_secrets() -> Self {
        let cli = Self::new().await;
        let login = r#"{"username": "gaara", "password": "canary-password-1", "port": 5432}"#;
        cli.fake.put("gaara/prod/database", login);
        cli.fake.put("gaara/prod/jwt-secret", "canary-jwt-secret");
        cli
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("a file");
    }

    /// The program with these words as its arguments, in an environment that has AWS's variables.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_secrets-provider"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("AWS_ACCESS_KEY_ID", "AKIDCANARYKEY00001")
            .env("AWS_SECRET_ACCESS_KEY", "canary-secret-access-key")
            .env("AWS_REGION", self.fake.region())
            // Not that of every service: the fake has no STS.
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.fake.endpoint_url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Nothing listens there.
            .env("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "9")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it with the words of a line; `""` is an empty one.
    pub(crate) async fn run(&self, line: &str) -> Ran {
        finished(self.command(&words(line)), None).await
    }

    /// Runs it on a terminal, without colours.
    pub(crate) async fn seen(&self, line: &str) -> Ran {
        let mut command = self.command(&words(line));
        command.env("NO_COLOR", "1");
        Terminal::run(command).await
    }

    /// Runs it with this on its standard input.
    pub(crate) async fn fed(&self, line: &str, input: &str) -> Ran {
        finished(self.command(&words(line)), Some(input)).await
    }

    /// The current value of a secret in the store.
    pub(crate) async fn stored(&self, name: &str) -> Option<String> {
        let answer = self.fake.client().get_secret_value().secret_id(name).send().await;
        answer.ok()?.secret_string
    }
}

/// The words of a line; `""` is an empty one.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().map(|word| word.trim_matches('"')).collect()
}

/// Runs a command to its end.
pub(crate) async fn finished(mut command: Command, input: Option<&str>) -> Ran {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().expect("a process");
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that fails early does not read it.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.expect("an end");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// The text with `[version 1]` and so on in place of ids, `[time]` in place of times, and `[port]` in
/// place of the fake's.
pub(crate) fn scrubbed(text: &str) -> String {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut result = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(id) = rest.get(..36).filter(|id| is_uuid(id)) {
            let next = known.len() + 1;
            let number = *known.entry(id.to_owned()).or_insert(next);
            result += &format!("[version {number}]");
            rest = &rest[36..];
            continue;
        }
        if rest.get(..TIME.len()).is_some_and(is_time) {
            result += "[time]";
            rest = &rest[TIME.len()..];
            continue;
        }
        let host = ["127.0.0.1:", "localhost:"].into_iter().find(|host| rest.starts_with(host));
        if let Some(host) = host {
            result += &format!("{host}[port]");
            rest = rest[host.len()..].trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        let length = rest.chars().next().map_or(1, char::len_utf8);
        result += &rest[..length];
        rest = &rest[length..];
    }
    result
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == b'-',
        _ => c.is_ascii_hexdigit(),
    })
}

const TIME: &str = "0000-00-00T00:00:00Z";

fn is_time(text: &str) -> bool {
    text.bytes().zip(TIME.bytes()).all(|(c, expected)| match expected {
        b'0' => c.is_ascii_digit(),
        other => c == other,
    })
}
