//! Slips in the set-up: each is named, with what to do, and is never an outage.
//!
//! `selection` has those in what is selected and what the secrets hold; `set_ups` has those in
//! variables and files, which the SDK reads, so each runs in a process of its own, as do those of
//! `proxies`, `profiles` and `files`.

mod files;
mod profiles;
mod proxies;
mod selection;
mod set_ups;

use std::process::Command;
use std::time::Duration;

use aws_config::BehaviorVersion;
use secrets_provider::SecretsManager;

use super::message;

/// A set-up with a slip, and what its error contains.
struct Slip {
    /// `HOME` in a value is replaced by the home folder, which is the working directory, too.
    variables: &'static [(&'static str, &'static str)],
    /// Files below the home folder.
    files: &'static [(&'static str, &'static str)],
    kind: &'static str,
    sentence: &'static str,
    hint: &'static str,
}

/// A slip in the set-up is named, shows no value, and fails the start even where an outage would
/// not.
#[test]
fn a_slip_in_the_set_up_is_named_and_never_an_outage() {
    let mut wrong = Vec::new();
    for Slip { variables, files, kind, sentence, hint } in
        set_ups::SLIPS.iter().chain(profiles::SLIPS).chain(files::SLIPS)
    {
        let output = with_set_up("errors::slips::with_a_slip", variables, files);
        if !output_says(&output, kind, sentence, hint) {
            wrong.push(format!("{variables:?} {files:?}: {output}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

/// Whether the error has these parts, and only an outage lets the program start.
fn output_says(output: &str, kind: &str, sentence: &str, hint: &str) -> bool {
    let all = [kind, sentence, hint].iter().all(|part| output.contains(part));
    let starts = output.contains("fallback starts: true");
    all && output.contains("1 passed") && starts == (kind == "unavailable")
}

/// Runs a test of this program in a process of its own, with nothing but these variables and files,
/// and returns what it printed.
fn with_set_up(
    test: &str,
    variables: &[(&str, &str)],
    files: &[(&str, impl AsRef<[u8]>)],
) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).current_dir(folder.path());
    command.env_clear().env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    // One attempt each, and a name server that does not answer is given up after a second.
    command.env("AWS_MAX_ATTEMPTS", "1").env("RES_OPTIONS", "timeout:1 attempts:1");
    for (name, value) in variables {
        command.env(name, value.replace("HOME", &folder.path().display().to_string()));
    }
    let output = command.output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    text.concat()
}

#[test]
#[ignore = "run by the test above, in an environment of its own"]
#[allow(clippy::print_stdout, reason = "how it answers the test above")]
fn with_a_slip() {
    // Longer than any row takes on a busy machine: running out of time is another error.
    let manager = || SecretsManager::names(["a"]).timeout(Duration::from_secs(120));
    let error = manager().fetch_blocking().unwrap_err();
    let starts = manager().fallback_to_env().fetch_blocking().is_ok();
    println!("<<{}: {}>> fallback starts: {starts}", error.kind(), message(&error));
    if std::env::var("AWS_ENDPOINT_URL").as_deref() == Ok("") {
        // A configuration that the program loads has the empty endpoint in it.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let given = runtime.block_on(async {
            let config = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
            manager().aws_config(&config).fetch().await.unwrap_err()
        });
        assert_eq!(given.to_string(), error.to_string());
    }
}
