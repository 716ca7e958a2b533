//! `exec`: what the program gets, and how it ends.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::harness::{Cli, finished};

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_program_gets_secrets_over_the_environment_over_dotenv() {
    let cli = Cli::with_secrets().await;
    cli.write(".env", "JWT_SECRET=of-dotenv\nSMTP__HOST=of-dotenv\nPORT=of-dotenv\n");
    let script =
        "echo $DATABASE__PASSWORD $DATABASE__PORT $JWT_SECRET $SMTP__HOST $PORT $jwt_secret.";
    let mut command = cli.command(&["exec", "--prefix", "gaara/prod", "--", "sh", "-c", script]);
    command.env("PORT", "of-environment").env("jwt_secret", "hidden");
    let ran = finished(command, None).await;
    let expected = "canary-password-1 5432 canary-jwt-secret of-dotenv of-environment .\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, expected, ""));
}

/// With `ENVIRONMENT=local` nothing is read, and nothing has to be configured.
#[tokio::test]
async fn a_local_environment_needs_no_aws() {
    let cli = Cli::with_secrets().await;
    cli.write(".env", "ENVIRONMENT=local\nJWT_SECRET=of-dotenv\n");
    let mut command = cli.command(&["exec", "--", "printenv", "JWT_SECRET"]);
    command.env_remove("AWS_REGION").env_remove("AWS_ACCESS_KEY_ID");
    let ran = finished(command, None).await;
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "of-dotenv\n", ""));
    assert_eq!(cli.fake.total_calls(), 0);
}

#[tokio::test]
async fn names_have_two_formats_and_those_of_the_user() {
    let cli = Cli::with_secrets().await;
    for (switches, name) in [
        ("", "DATABASE__PASSWORD"),
        ("--format upper", "DATABASE_PASSWORD"),
        ("--var PGPASSWORD=database.password", "PGPASSWORD"),
        ("--pristine --rename database=db", "DB__PASSWORD"),
    ] {
        let ran = cli.run(&format!("--prefix gaara/prod exec {switches} -- printenv {name}")).await;
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (0, "canary-password-1\n"),
            "{switches}: {}",
            ran.err
        );
    }
    let ran = cli.run("exec --prefix gaara/prod --pristine -- /usr/bin/env").await;
    let mut names: Vec<_> = ran.out.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    let expected = ["DATABASE__PASSWORD", "DATABASE__PORT", "DATABASE__USERNAME", "JWT_SECRET"];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn what_no_variable_can_be_is_a_warning() {
    let cli = Cli::with_secrets().await;
    cli.fake.put("gaara/prod/2fa", "canary-seed");
    cli.fake.put("gaara/prod/tokens", r#"{"7canary": "canary-token"}"#);
    let ran = cli.run("exec --prefix gaara/prod -- printenv TOKENS__7CANARY").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "canary-token\n"), "{}", ran.err);
    assert!(ran.err.starts_with("warning: no variable can be called `2FA`: "), "{}", ran.err);
    let line = "--json exec --prefix gaara/prod --var SEED=2fa -- printenv SEED";
    let ran = cli.run(line).await;
    assert_eq!(ran.out, "canary-seed\n");
    let warning: serde_json::Value = serde_json::from_str(&ran.err).expect("JSON");
    assert!(warning["warning"].is_string() && !ran.err.contains("canary"), "{}", ran.err);
}

#[tokio::test]
async fn the_exit_code_is_the_programs_own() {
    let cli = Cli::with_secrets().await;
    for (line, code) in [
        ("exec --prefix gaara/prod -- true", 0),
        ("exec --prefix gaara/prod -- false", 1),
        ("exec --prefix gaara/prod -- no-such-program", 127),
        ("exec --prefix gaara/prod -- /etc/passwd", 126),
        ("exec --prefix gaara/prod --watch -- true", 0),
        ("exec --prefix gaara/prod --watch -- false", 1),
        ("exec --prefix gaara/prod --watch -- no-such-program", 127),
        ("exec --prefix gaara/none -- true", 1),
        ("exec --prefix gaara/prod", 2),
        ("exec --prefix gaara/prod true", 2),
    ] {
        assert_eq!(cli.run(line).await.code, code, "{line}");
    }
}

/// No values are among the arguments of any process, which `ps` shows.
#[tokio::test]
async fn no_value_is_an_argument() {
    let cli = Cli::with_secrets().await;
    let script = "tr '\\0' ' ' < /proc/$$/cmdline; tr '\\0' ' ' < /proc/$PPID/cmdline";
    for watch in [&[][..], &["--watch"]] {
        let words: Vec<&str> = ["exec", "--prefix", "gaara/prod"]
            .iter()
            .chain(watch)
            .chain(&["--", "sh", "-c", script])
            .copied()
            .collect();
        let ran = finished(cli.command(&words), None).await;
        assert!(ran.out.contains("cmdline") && !ran.out.contains("canary"), "{}", ran.out);
    }
}

/// With --watch, only the child has the values among its variables, and not what watches over it.
#[tokio::test]
async fn no_value_is_in_the_environment_of_what_watches() {
    let cli = Cli::with_secrets().await;
    let script = "tr '\\0' ' ' < /proc/$PPID/environ; echo; echo of-child=$DATABASE__PASSWORD";
    let words = ["exec", "--prefix", "gaara/prod", "--watch", "--", "sh", "-c", script];
    let ran = finished(cli.command(&words), None).await;
    let (parent, child) = ran.out.split_once('\n').expect("two lines");
    assert!(parent.contains("AWS_REGION=") && child.contains("of-child=canary-password-1"));
    for value in ["canary-password", "canary-jwt"] {
        assert!(!parent.contains(value), "{parent}");
    }
}

/// A watching `exec` of a script that prints a line when it starts, and at signals, and ends with
/// `exec`.
struct Watched {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watched {
    fn start(cli: &Cli, switches: &[&str]) -> Self {
        let script = "trap 'echo got-hup' HUP; trap 'echo got-term; exit 7' TERM; \
                      echo started $JWT_SECRET $DATABASE__PASSWORD; \
                      while kill -0 $PPID 2>/dev/null; do sleep 0.05; done";
        let debounce = match switches.contains(&"--debounce") {
            true => [].as_slice(),
            false => &["--debounce", "0"],
        };
        let words: Vec<&str> = ["exec", "--prefix", "gaara/prod", "--watch", "--interval", "1"]
            .iter()
            .chain(debounce)
            .chain(switches)
            .chain(&["--", "sh", "-c", script])
            .copied()
            .collect();
        let mut child = cli.command(&words).stderr(Stdio::inherit()).spawn().expect("a process");
        let out = child.stdout.take().expect("output");
        Self { child, lines: BufReader::new(out).lines() }
    }

    async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        line.expect("output").unwrap_or_else(|| "the end".to_owned())
    }

    fn send(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id().expect("it runs")).expect("an id");
        let id = rustix::process::Pid::from_raw(id).expect("an id");
        rustix::process::kill_process(id, signal).expect("a signal");
    }
}

#[tokio::test]
async fn a_new_value_starts_the_program_again() {
    let cli = Cli::with_secrets().await;
    let mut watched = Watched::start(&cli, &[]);
    assert_eq!(watched.line().await, "started canary-jwt-secret canary-password-1");
    cli.fake.put("gaara/prod/jwt-secret", "second");
    assert_eq!(watched.line().await, "got-term");
    assert_eq!(watched.line().await, "started second canary-password-1");
    // The same value in a new version changes nothing, and the next line is of the next value.
    cli.fake.put("gaara/prod/jwt-secret", "second");
    cli.fake.wait_for_calls("BatchGetSecretValue", cli.fake.calls("BatchGetSecretValue") + 3).await;
    cli.fake.put("gaara/prod/database", r#"{"password": "new"}"#);
    assert_eq!(watched.line().await, "got-term");
    assert_eq!(watched.line().await, "started second new");
    watched.send(rustix::process::Signal::TERM);
    assert_eq!(watched.line().await, "got-term");
    assert_eq!(watched.child.wait().await.expect("an end").code(), Some(7));
}

#[tokio::test]
async fn values_that_change_together_start_the_program_once() {
    let cli = Cli::with_secrets().await;
    let mut watched = Watched::start(&cli, &["--debounce", "5"]);
    assert_eq!(watched.line().await, "started canary-jwt-secret canary-password-1");
    let reads = cli.fake.calls("BatchGetSecretValue");
    cli.fake.put("gaara/prod/jwt-secret", "second");
    // It has been read when the next read begins.
    cli.fake.wait_for_calls("BatchGetSecretValue", reads + 2).await;
    cli.fake.put("gaara/prod/database", r#"{"password": "new"}"#);
    assert_eq!(watched.line().await, "got-term");
    assert_eq!(watched.line().await, "started second new");
}

#[tokio::test]
async fn a_new_value_may_be_a_signal_and_signals_are_passed_on() {
    let cli = Cli::with_secrets().await;
    let mut watched = Watched::start(&cli, &["--signal", "HUP"]);
    assert_eq!(watched.line().await, "started canary-jwt-secret canary-password-1");
    cli.fake.put("gaara/prod/jwt-secret", "second");
    assert_eq!(watched.line().await, "got-hup");
    watched.send(rustix::process::Signal::HUP);
    assert_eq!(watched.line().await, "got-hup");
    watched.send(rustix::process::Signal::TERM);
    assert_eq!(watched.line().await, "got-term");
    assert_eq!(watched.child.wait().await.expect("an end").code(), Some(7));
}
