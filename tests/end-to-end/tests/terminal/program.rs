//! The program, in a folder of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Far more than any command takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a command ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, with these variables and a home without any file.
#[derive(Debug)]
pub(crate) struct Program {
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl Program {
    /// Without any variable but `PATH`.
    pub(crate) fn new() -> Self {
        Self { home: TempDir::new().unwrap(), variables: Vec::new() }
            .with("PATH", std::env::var("PATH").unwrap_or_default())
            .with("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// With the variables that AWS's own programs read.
    pub(crate) fn of_aws(endpoint_url: impl Into<String>) -> Self {
        Self::new()
            .with("AWS_ENDPOINT_URL", endpoint_url)
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test")
            .with("AWS_MAX_ATTEMPTS", "1")
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Runs it with the words of a line, of which `""` is an empty one.
    pub(crate) async fn run(&self, line: &str) -> Ran {
        self.fed(line, "").await
    }

    /// The same, with this on its standard input.
    pub(crate) async fn fed(&self, line: &str, input: &str) -> Ran {
        let words = line.split_whitespace().map(|word| word.trim_matches('"'));
        let mut child = Command::new(binary())
            .args(words)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("HOME", self.home.path())
            .current_dir(self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // A command that does not read it may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = ended.unwrap_or_else(|_| panic!("`{line}` did not end")).unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Where the program is: beside the tests, in the target folder.
///
/// # Panics
/// If it is not built.
fn binary() -> PathBuf {
    let ours = std::env::current_exe().unwrap();
    let places = ours.ancestors().map(|folder| folder.join("secrets-provider"));
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("no program: run `cargo build -p secrets-provider --features cli`")
    })
}
