//! Malformed `.env` files, invalid variables, and the switches.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::Command;

use config::{Config, Environment};
use fake_secrets_manager::FakeSecretsManager;
use figment::Figment;
use figment::providers::Env;
use secrets_provider::{Dotenv, FigmentExt as _, Layers, Live, Memory, SecretsManager};
use serde_json::Value;

use crate::canaries::Canaries;
use crate::log::Log;
use crate::shown;

type Numbers = BTreeMap<String, u16>;

#[tokio::test]
async fn errors_of_a_malformed_dotenv_file_show_no_line() {
    let log = Log::start();
    let mut canaries = Canaries::of("lines");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    let [plain, awkward, line] =
        [canaries.plain("text"), canaries.awkward("awkward"), canaries.line("a line")];
    let mut refusals = 0;
    for canary in [plain, awkward, line] {
        for content in [
            "KEY WITH SPACE=CANARY",
            "CANARY",
            "A=1\nCANARY\nB=2",
            "export CANARY",
            "KEY=\"CANARY",
            "KEY='CANARY",
            "KEY=\"one\nCANARY",
            "KEY=CANARY and more",
            "KEY=CANARY\\x",
            "1KEY=CANARY",
            "=CANARY",
            "KEY: CANARY",
            "KEY=$CANARY",
            "KEY=${CANARY",
            "KEY=\"$CANARY ${CANARY}\"",
            "KEY=good\nOTHER=CANARY\nA LINE\n",
            "KEY=CANARY\nKEY=CANARY\nKEY",
            "KEY=CANARY\u{0}",
            "KEY=CANARY",
            "KEY='CANARY'",
            "KEY=\"CANARY\"",
        ] {
            let content = content.replace("CANARY", &canary);
            for content in [content.clone().into_bytes(), [content.as_bytes(), b"\xff\n"].concat()]
            {
                std::fs::write(&file, content).unwrap();
                refusals += read(&file, &canaries).await;
            }
        }
    }
    assert!(refusals > 500, "{refusals}");
    log.assert_silent(&canaries, &[]);
}

/// Reads a file in each way. Returns the number of errors.
async fn read(file: &Path, canaries: &Canaries) -> usize {
    let layers = Layers::new().dotenv(file);
    let figment = Figment::from(Dotenv::file(file));
    let manager = SecretsManager::prefix("app").backend(Memory::new()).fallback_to_env();
    let live = Live::<Numbers>::builder(manager).layers({
        let layers = layers.clone();
        move |secrets| layers.clone().secrets(secrets)
    });
    let errors = [
        layers.extract::<Numbers>().err(),
        layers.explain().err(),
        Dotenv::file(file).variables().err(),
        figment.settings::<Numbers>().err(),
        live.start().await.err(),
    ];
    for error in errors.iter().flatten() {
        canaries.assert_absent("a .env file", shown::error(error));
    }
    // The error of our provider goes through figment's own.
    if let Err(error) = figment::Provider::data(&Dotenv::file(file)) {
        canaries.assert_absent("a .env file, through figment", shown::foreign(&error));
    }
    if let Ok(explanation) = layers.explain() {
        canaries.assert_absent(
            "an explanation",
            shown::debug(&explanation) + &explanation.all().to_string(),
        );
    }
    canaries.assert_absent("layers", shown::debug(&layers) + &shown::debug(&Dotenv::file(file)));
    errors.iter().flatten().count()
}

/// A child process, for code that reads the process environment.
struct Child {
    folder: tempfile::TempDir,
    variables: Vec<(String, OsString)>,
}

impl Child {
    fn new(dotenv: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> =
            dotenv.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
        std::fs::write(folder.path().join(".env"), lines.concat()).unwrap();
        Self { folder, variables: Vec::new() }
    }

    fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The output of the process.
    fn run(self) -> Vec<u8> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "variables::in_an_environment_of_canaries",
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        command.env_clear().env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.env("AWS_EC2_METADATA_DISABLED", "true").envs(self.variables);
        let output = command.output().unwrap();
        assert!(output.status.success(), "the process failed");
        let shown = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&shown).contains("<<all is shown>>"));
        shown
    }
}

#[test]
fn errors_of_invalid_switches_show_no_value() {
    let mut canaries = Canaries::of("switches");
    let bad: Vec<(&str, String)> = [
        "USE_SECRETS_MANAGER",
        "SECRET_CACHE_TTL",
        "SECRETS_CACHE_TTL",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_MAX_ATTEMPTS",
        "AWS_RETRY_MODE",
        "AWS_ROLE_ARN",
    ]
    .map(|name| (name, canaries.plain(name)))
    .into();
    let braced = format!("{{{}}}", canaries.plain("braces"));
    let names = format!("{} {}, =", canaries.plain("names"), canaries.plain("more names"));
    let stray = canaries.awkward("a stray variable").replace('\'', "");
    let bytes = [b"\xff", canaries.plain("no UTF-8").as_bytes()].concat();
    for (prefix, key_name) in
        [(Some(&braced), None), (None, Some(&names)), (Some(&braced), Some(&names))]
    {
        let selected = [("SECRETS_MANAGER_PREFIX", prefix), ("SECRETS_MANAGER_KEY_NAME", key_name)];
        let selected: Vec<(&str, &str)> = selected
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.as_str())))
            .collect();
        let all: Vec<(&str, &str)> =
            bad.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let all =
            [all, selected, vec![("STRAY", stray.as_str()), ("DATABASE__PORT", stray.as_str())]]
                .concat();
        canaries.assert_absent("a process with such a .env", Child::new(&all).run());
        let in_process =
            all.iter().fold(Child::new(&[]), |child, (name, value)| child.with(name, *value));
        canaries.assert_absent("a process with such an environment", in_process.run());
        let no_text = all.iter().fold(Child::new(&all), |child, (name, _)| {
            child.with(name, OsString::from_vec(bytes.clone()))
        });
        canaries.assert_absent("a process whose variables are no text", no_text.run());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_used_without_being_shown() {
    let mut canaries = Canaries::of("credentials");
    let fake = FakeSecretsManager::start().await.unwrap();
    fake.put("app/token", canaries.plain("a secret"));
    let endpoint = fake.endpoint_url();
    let (key, token) =
        (canaries.plain("the secret access key"), canaries.plain("the session token"));
    let variables = [
        ("SECRETS_MANAGER_KEY_NAME", "app/token"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", key.as_str()),
        ("AWS_SESSION_TOKEN", token.as_str()),
    ];
    let in_process =
        variables.iter().fold(Child::new(&[]), |child, (name, value)| child.with(name, *value));
    for child in [Child::new(&variables), in_process] {
        let calls = fake.total_calls();
        let child = child.with("WHOLE_LOG", "");
        let shown = tokio::task::spawn_blocking(|| child.run()).await.unwrap();
        assert!(fake.total_calls() > calls, "nothing was fetched");
        canaries.assert_absent("a process that fetches", shown);
    }
}

/// Runs everything that reads the environment, and prints all that it shows.
#[tokio::test]
#[ignore = "the tests above run it in an environment of its own"]
#[allow(clippy::print_stdout, reason = "the tests above read it")]
async fn in_an_environment_of_canaries() {
    let log = Log::start();
    let say = |shown: String| println!("{shown}");
    match SecretsManager::from_env() {
        Err(error) => say(shown::error(&error)),
        Ok(manager) => {
            say(shown::debug(&manager) + &manager.iam_policy());
            match manager.clone().fetch().await {
                Err(error) => say(shown::error(&error)),
                Ok(snapshot) => say(shown::debug(&snapshot)),
            }
            match manager.live::<Value>().await {
                Err(error) => say(shown::error(&error)),
                Ok(live) => say(shown::live(&live)),
            }
        }
    }
    if let Err(error) = SecretsManager::from_env_or_prefix("app/{env}") {
        say(shown::error(&error));
    }
    let layers = Layers::new().dotenv(".env").environment();
    say(shown::debug(&layers) + &layers.explain().unwrap().all().to_string());
    say(shown::error(&layers.extract::<Numbers>().unwrap_err()));
    let figment = Figment::from(Dotenv::file(".env")).merge(Env::raw());
    say(shown::error(&figment.settings::<Numbers>().unwrap_err()));
    let manager = || SecretsManager::prefix("app").backend(Memory::new()).fallback_to_env();
    let configured = Live::<Numbers>::builder(manager())
        .layers(|_| Config::builder().add_source(Environment::default().separator("__")).build());
    say(shown::error(&configured.start().await.unwrap_err()));
    match manager().live::<Value>().await {
        Err(error) => say(shown::error(&error)),
        Ok(live) => say(shown::live(&live)),
    }
    // The SDK logs the values of its own variables, except credentials.
    say(if std::env::var_os("WHOLE_LOG").is_some() { log.all() } else { log.ours() });
    say("<<all is shown>>".to_owned());
}
