//! A program as a child process, with an environment of its own, and a minimal HTTP client.
//!
//! The tests of the examples start each program as its user does. A child is killed when its handle
//! is dropped, and no wait is longer than `STEP_TIMEOUT`.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// No step takes anywhere near as long, on however busy a machine.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// A running program. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    /// Its home and working directory: no AWS profile, no `.env`.
    _home: TempDir,
}

struct Lines {
    incoming: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    pub(crate) fn start(binary: &str, environment: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(binary)
            .env_clear()
            .env("HOME", home.path())
            .env("EMBEDDED_PORT", "0")
            .envs(environment.iter().copied())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr, _home: home }
    }

    /// The next line on stdout that holds this text.
    pub(crate) fn stdout_line(&mut self, text: &str) -> String {
        self.stdout.wait_for(text)
    }

    /// The next line on stderr that holds this text.
    pub(crate) fn stderr_line(&mut self, text: &str) -> String {
        self.stderr.wait_for(text)
    }

    /// Ctrl-C; how it ended, and all it printed.
    pub(crate) fn interrupt(self) -> (ExitStatus, String) {
        let kill = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.wait()
    }

    /// Waits for the end; how it ended, and all it printed.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        // Its streams end with it.
        self.stdout.drain();
        self.stderr.drain();
        let status = self.child.wait().unwrap();
        (status, [self.stdout.seen.concat(), self.stderr.seen.concat()].concat())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, incoming) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                if sender.send(line.unwrap() + "\n").is_err() {
                    return;
                }
            }
        });
        Self { incoming, seen: Vec::new() }
    }

    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + STEP_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.incoming.recv_timeout(left) else {
                panic!("no line with {text:?} in:\n{}", self.seen.concat())
            };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line.trim_end_matches('\n').to_owned();
            }
        }
    }

    fn drain(&mut self) {
        let deadline = Instant::now() + STEP_TIMEOUT;
        while let Ok(line) =
            self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
        }
        assert!(Instant::now() < deadline, "it has not ended");
    }
}

/// What a shell makes of a command line: what stands before the command as variables, then its
/// arguments. The command itself is not run, nor need it be installed.
pub(crate) fn shell_words(command: &str, line: &str) -> Vec<String> {
    let script = format!(
        r#"{command}() {{
            printf '%s\n' "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_DEFAULT_REGION" "$@"
        }}
        {line}"#
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

pub(crate) fn get(address: &str, path: &str) -> String {
    http(address, "GET", path, "", "")
}

/// One request on a connection of its own; the body of the answer, which must be a success.
pub(crate) fn http(address: &str, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(STEP_TIMEOUT)).unwrap();
    let length = body.len();
    // HTTP/1.0: the answer comes in one piece, and the connection ends with it.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}
