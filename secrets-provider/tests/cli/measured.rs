//! How long `exec` takes beside the `aws` client, with 20 ms for each call. By hand:
//!
//! ```text
//! AWS_CLI=target/external-venv/bin/aws cargo test --release -p secrets-provider --features cli --test cli -- --ignored --nocapture measured
//! ```

use std::process::Stdio;
use std::time::{Duration, Instant};

use fake_secrets_manager::Fault;
use tokio::process::Command;

use crate::harness::{Cli, finished};

const RUNS: u32 = 10;

/// What is measured, and its command.
type Contender<'a> = (&'a str, Box<dyn Fn() -> Command + 'a>);

#[tokio::test]
#[ignore = "a measurement"]
async fn twenty_secrets() {
    let cli = Cli::new().await;
    let names: Vec<String> = (0..20).map(|at| format!("gaara/prod/secret-{at}")).collect();
    for name in &names {
        cli.fake.put(name, "a value");
    }
    cli.fake.inject(Fault::slow(Duration::from_millis(20)));
    let only = names.iter().map(|name| &name["gaara/prod/".len()..]).collect::<Vec<_>>().join(",");
    let named: Vec<&str> = names.iter().map(String::as_str).collect();
    let listed = vec!["exec", "--prefix", "gaara/prod", "--", "true"];
    let only = vec!["exec", "--prefix", "gaara/prod", "--only", &only, "--", "true"];
    let ours = |arguments: &[&str]| cli.command(arguments);
    let mut commands: Vec<Contender<'_>> = vec![
        ("exec, listed", Box::new(|| ours(&listed))),
        ("exec, named", Box::new(|| ours(&only))),
    ];
    if let Some(aws) = std::env::var_os("AWS_CLI") {
        let batch = [&["secretsmanager", "batch-get-secret-value", "--secret-id-list"], &named[..]];
        let cli = &cli;
        let of_aws = move || {
            let mut command = Command::new(&aws);
            for (name, value) in cli.command(&[]).as_std().get_envs() {
                command.env(name, value.unwrap_or_default());
            }
            command.env("AWS_DEFAULT_REGION", cli.fake.region()).args(batch.concat());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        commands.push(("aws, one batch", Box::new(of_aws)));
    }
    // In turns, so that what else the machine does is the same for all.
    let mut times = vec![Vec::new(); commands.len()];
    for _ in 0..RUNS {
        for ((_, command), times) in commands.iter().zip(&mut times) {
            let command = command();
            let start = Instant::now();
            let ran = finished(command, None).await;
            times.push(start.elapsed());
            assert_eq!(ran.code, 0, "{}", ran.err);
        }
    }
    for ((what, _), times) in commands.iter().zip(times) {
        say(what, times);
    }
}

#[allow(clippy::print_stderr, reason = "what is measured")]
fn say(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (least, middle) = (times[0], times[times.len() / 2]);
    eprintln!("{what}: median {} ms, least {} ms", middle.as_millis(), least.as_millis());
}
