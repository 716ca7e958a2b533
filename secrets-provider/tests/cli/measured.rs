//! How long `exec` takes beside the `aws` client, with 20 ms for each call. By hand:
//!
//! ```text
//! AWS_CLI=/usr/bin/aws cargo test -p secrets-provider --features cli --test cli -- --ignored --nocapture measured
//! ```

use std::time::{Duration, Instant};

use fake_secrets_manager::Fault;

use crate::harness::{Cli, finished};

const RUNS: u32 = 10;

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
    for (what, arguments) in [("exec, listed", listed), ("exec, named", only)] {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            assert_eq!(finished(cli.command(&arguments), None).await.code, 0);
            times.push(start.elapsed());
        }
        say(what, times);
    }
    let Some(aws) = std::env::var_os("AWS_CLI") else { return };
    let batch = [&["secretsmanager", "batch-get-secret-value", "--secret-id-list"], &named[..]];
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut command = tokio::process::Command::new(&aws);
        let own = cli.command(&[]);
        for (name, value) in own.as_std().get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("AWS_DEFAULT_REGION", cli.fake.region());
        command.args(batch.concat()).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        let start = Instant::now();
        let ran = finished(command, None).await;
        times.push(start.elapsed());
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    say("aws, one batch", times);
}

#[allow(clippy::print_stderr, reason = "what is measured")]
fn say(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (least, middle) = (times[0], times[times.len() / 2]);
    eprintln!("{what}: median {} ms, least {} ms", middle.as_millis(), least.as_millis());
}
