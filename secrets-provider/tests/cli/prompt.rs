//! The prompt of `put`, on a terminal: what is typed does not show, and the terminal is given back as
//! it was, however the prompt ends.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::harness::{Cli, Ran, words};

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal: what a person has before them, and what a program has as its standard input or output.
pub(crate) struct Terminal {
    person: OwnedFd,
    pub(crate) program: OwnedFd,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&person).expect("its owner");
        unlockpt(&person).expect("it unlocks");
        let name = ptsname(&person, Vec::new()).expect("its name");
        let program = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        Self { person, program: program.expect("it opens") }
    }

    /// Runs a command with its standard output here. What a person sees is its output, with the line
    /// breaks of other files.
    pub(crate) async fn run(mut command: Command) -> Ran {
        let Self { person, program } = Self::open();
        command.stdout(program);
        let child = command.spawn().expect("a process");
        // It has the terminal open, too, and reading would not end.
        drop(command);
        let seen = tokio::task::spawn_blocking(move || {
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            // An error says that nobody has it open any more.
            while let Ok(length @ 1..) = rustix::io::read(&person, &mut buffer) {
                seen.extend_from_slice(&buffer[..length]);
            }
            String::from_utf8(seen).expect("UTF-8").replace("\r\n", "\n")
        });
        let ended = timeout(PATIENCE, child.wait_with_output()).await.expect("an end in time");
        let ended = ended.expect("an end");
        Ran {
            code: ended.status.code().unwrap_or(-1),
            out: seen.await.expect("what is seen"),
            err: String::from_utf8(ended.stderr).expect("UTF-8"),
        }
    }

    fn types(&self, text: &str) {
        rustix::io::write(&self.person, text.as_bytes()).expect("it is typed");
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.program).expect("its modes").local_modes.contains(LocalModes::ECHO)
    }

    /// What a person sees, apart from the prompt, which goes to standard error.
    pub(crate) fn shows(&self) -> String {
        // So that reading ends.
        let mut person = std::fs::File::from(self.person.try_clone().expect("a copy"));
        person.write_all(b"end\n").expect("it is typed");
        let mut seen = String::new();
        while !seen.contains("end") {
            let mut buffer = [0; 256];
            let length = rustix::io::read(&self.person, &mut buffer).expect("it is read");
            seen += &String::from_utf8_lossy(&buffer[..length]);
        }
        seen
    }
}

/// The program at its prompt.
struct Prompted {
    child: Child,
    err: ChildStderr,
}

impl Prompted {
    async fn start(mut command: Command, terminal: &Terminal) -> Self {
        command.stdin(Stdio::from(terminal.program.try_clone().expect("a copy")));
        let mut child = command.spawn().expect("a process");
        let mut err = child.stderr.take().expect("standard error");
        let mut seen = String::new();
        let prompt = async {
            while !seen.ends_with("new value of gaara/prod/jwt-secret: ") {
                let byte = err.read_u8().await.unwrap_or_else(|_| panic!("no prompt: {seen}"));
                seen.push(char::from(byte));
            }
        };
        timeout(PATIENCE, prompt).await.expect("a prompt in time");
        Self { child, err }
    }

    /// The code that it ends with, or that of its signal, and what it says.
    async fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        timeout(PATIENCE, self.err.read_to_string(&mut said))
            .await
            .expect("in time")
            .expect("text");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("in time").expect("an end");
        (status.code().or(status.signal().map(|signal| -signal)), said)
    }
}

const LINE: &str = "put jwt-secret --prefix gaara/prod";

#[tokio::test]
async fn what_is_typed_is_stored_and_does_not_show() {
    let (cli, terminal) = (Cli::with_secrets().await, Terminal::open());
    let prompted = Prompted::start(cli.command(&words(LINE)), &terminal).await;
    assert!(!terminal.echoes());
    terminal.types("canary typed \n");
    assert_eq!(prompted.end().await, (Some(0), String::new()));
    assert_eq!(cli.stored("gaara/prod/jwt-secret").await.as_deref(), Some("canary typed "));
    assert!(terminal.echoes());
    let seen = terminal.shows();
    assert!(!seen.contains("canary"), "{seen}");
}

#[tokio::test]
async fn a_signal_gives_the_terminal_back() {
    for (signal, code) in
        [(Signal::INT, 130), (Signal::TERM, 143), (Signal::QUIT, 131), (Signal::HUP, 129)]
    {
        let (cli, terminal) = (Cli::with_secrets().await, Terminal::open());
        let prompted = Prompted::start(cli.command(&words(LINE)), &terminal).await;
        let id = i32::try_from(prompted.child.id().expect("it runs")).expect("an id");
        kill_process(Pid::from_raw(id).expect("an id"), signal).expect("a signal");
        assert_eq!(prompted.end().await, (Some(code), "nothing was stored\n".to_owned()));
        assert!(terminal.echoes());
        let stored = cli.stored("gaara/prod/jwt-secret").await;
        assert_eq!(stored.as_deref(), Some("canary-jwt-secret"));
    }
}

/// The key itself, on a terminal that the program is in the foreground of.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn control_c_gives_the_terminal_back_and_control_z_does_nothing() {
    let (cli, terminal) = (Cli::with_secrets().await, Terminal::open());
    let inner = cli.command(&words(LINE));
    let inner = inner.as_std();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(cli.path()).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let prompted = Prompted::start(command, &terminal).await;
    // Suspended, it would not hear Ctrl-C.
    terminal.types("canary half a li\u{1a}\u{3}");
    assert_eq!(prompted.end().await, (Some(130), "nothing was stored\n".to_owned()));
    assert!(terminal.echoes());
    let seen = terminal.shows();
    assert!(!seen.contains("canary"), "{seen}");
}

#[tokio::test]
async fn a_line_that_the_terminal_would_cut_off_is_an_error() {
    let (cli, terminal) = (Cli::with_secrets().await, Terminal::open());
    let prompted = Prompted::start(cli.command(&words(LINE)), &terminal).await;
    terminal.types(&"x".repeat(4_000));
    terminal.types(&format!("{}\n", "y".repeat(200)));
    let (code, said) = prompted.end().await;
    assert_eq!(code, Some(1));
    assert!(said.contains("a terminal takes no line of 4,095 bytes"), "{said}");
    assert!(terminal.echoes());
}
