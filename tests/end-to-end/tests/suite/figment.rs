//! The layers as figment merges them, and what its errors say about a key that a secret gives.

use fake_secrets_manager::FakeSecretsManager;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use secrets_provider::{Dotenv, FigmentExt as _, Live, Memory, SecretsManager};
use serde::Deserialize;

use crate::fixtures::Endpoint;

#[derive(Debug, Deserialize)]
struct Settings {
    database: Endpoint,
}

fn fake(json: &str) -> (FakeSecretsManager, String) {
    let fake = FakeSecretsManager::new();
    let version = fake.put("gaara/prod/database", json);
    (fake, version)
}

#[test]
fn secrets_override_environment_and_dotenv() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("env-file");
    std::fs::write(
        &file,
        "E2E_DATABASE__HOST=from-dotenv\nE2E_DATABASE__PORT=1\nE2E_X=from-dotenv\n",
    )
    .unwrap();
    let (fake, _) = fake(r#"{"host": "from-secret"}"#);
    let figment = Figment::new()
        .merge(Dotenv::file(&file).prefixed("E2E_").split("__"))
        .merge(Env::prefixed("E2E_").split("__"))
        .merge(SecretsManager::prefix("gaara/prod").client(fake.client()));
    let settings: Settings = figment.extract().unwrap();
    assert_eq!((settings.database.host.as_str(), settings.database.port), ("from-secret", 1));
    assert_eq!(figment.extract_inner::<String>("x").unwrap(), "from-dotenv");
    assert!(std::env::var_os("E2E_X").is_none(), "the process environment is not touched");
}

#[tokio::test]
async fn errors_for_a_secrets_key_name_the_secret() {
    let (fake, version) = fake(r#"{"host": "h", "port": [1]}"#);
    let manager = SecretsManager::prefix("gaara/prod").client(fake.client());
    let snapshot = manager.fetch().await.unwrap();
    for figment in [Figment::from(manager), Figment::from(snapshot)] {
        let error = figment.extract::<Settings>().unwrap_err().to_string();
        let place = format!("database.port (secret `gaara/prod/database`, version `{version}`)");
        assert!(error.contains(&place), "{error}");
        assert!(error.contains("AWS Secrets Manager"), "{error}");
    }
}

#[test]
fn two_merges_of_one_manager_each_name_their_own_versions() {
    let (fake, first) = fake(r#"{"host": "h", "port": []}"#);
    let manager = SecretsManager::prefix("gaara/prod").client(fake.client());
    let before = Figment::from(&manager);
    let second = fake.put("gaara/prod/database", r#"{"host": "h", "port": {}}"#);
    let after = Figment::from(&manager);
    for (figment, version) in [(before, first), (after, second)] {
        let error = figment.extract::<Settings>().unwrap_err().to_string();
        assert!(error.contains(&version), "{error} lacks {version}");
    }
}

#[test]
fn a_failed_fetch_becomes_a_figment_error_with_the_same_message() {
    let fake = FakeSecretsManager::new();
    let figment = Figment::from(SecretsManager::prefix("gaara/prod").client(fake.client()));
    let error = figment.extract::<Settings>().unwrap_err().to_string();
    assert!(error.contains("there is no secret at or below `gaara/prod`"), "{error}");
}

#[test]
fn settings_names_every_failed_provider() {
    let manager = SecretsManager::prefix("gaara/prod").backend(Memory::new());
    let error =
        Figment::from(manager).merge(Toml::string("no TOML")).settings::<Settings>().unwrap_err();
    let mut messages: Vec<String> = error.errors().iter().map(ToString::to_string).collect();
    messages.sort();
    assert_eq!(messages[0], "the figment cannot be read: TOML source string failed");
    assert!(messages[1].contains("there is no secret at or below `gaara/prod`"), "{error}");
}

#[test]
fn profiles_outrank_the_order_of_merges() {
    let (fake, _) = fake(r#"{"host": "from-secret"}"#);
    let manager = SecretsManager::prefix("gaara/prod").client(fake.client());
    let file =
        Toml::string("[default.database]\nhost = 'default'\n[prod.database]\nhost = 'prod'\n")
            .nested();
    let host = |figment: Figment| figment.extract_inner::<String>("database.host").unwrap();
    let figment = Figment::from(file);
    assert_eq!(host(figment.clone().merge(&manager)), "from-secret");
    assert_eq!(host(figment.clone().merge(&manager).select("prod")), "prod");
    let ours = manager.clone().profile("prod");
    assert_eq!(host(figment.clone().merge(&ours).select("prod")), "from-secret");
    assert_eq!(host(figment.clone().merge(&ours)), "default");
    assert_eq!(
        host(figment.merge(manager.profile(figment::Profile::Global)).select("prod")),
        "from-secret"
    );
}

#[test]
fn a_variable_means_the_same_in_dotenv_and_in_env() {
    // Only this test sets variables with this prefix, in figment's jail.
    let values = [
        ("PIN", "0042"),
        ("BIG", "12345678"),
        ("RATIO", "1.50"),
        ("LIST", "[a, 2]"),
        ("ON", "true"),
        ("QUOTED", "\\\"q\\\""),
        ("TABLE__A__B", "1"),
        ("TABLE__A__C", "{x=1}"),
        ("Mixed_Case", "x"),
        ("EMPTY", ""),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("env-file");
    let lines: String =
        values.iter().map(|(name, value)| format!("DTV_{name}='{value}'\n")).collect();
    std::fs::write(&file, lines).unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "figment::print_env", "--nocapture", "--include-ignored"])
        .envs(values.iter().map(|(name, value)| (format!("DTV_{name}"), value)))
        .env("DTV_PRINT", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8(child.stdout).unwrap();
    let by_env: serde_json::Value = {
        let json = printed
            .lines()
            .find_map(|line| line.split_once("DTV="))
            .unwrap_or_else(|| panic!("{printed}"))
            .1;
        serde_json::from_str(json).unwrap()
    };
    let by_dotenv: serde_json::Value =
        Figment::from(Dotenv::file(&file).prefixed("DTV_").split("__")).extract().unwrap();
    assert_eq!(by_dotenv, by_env);
    assert_eq!(by_dotenv["pin"], 42);
}

/// The test above runs this in a process with those variables.
#[test]
#[allow(clippy::print_stdout, reason = "the test above reads it")]
fn print_env() {
    let figment = Figment::from(Env::prefixed("DTV_").split("__").ignore(&["print"]));
    println!("DTV={}", figment.extract::<serde_json::Value>().unwrap());
}

#[tokio::test]
async fn live_over_a_figment_names_the_source_of_a_wrong_value() {
    let memory = Memory::new();
    memory.put("app/database", r#"{"host": "h", "port": "5432"}"#);
    let manager = SecretsManager::prefix("app").backend(memory.clone());
    let with_defaults = |secrets: &secrets_provider::Snapshot| {
        Figment::from(Serialized::default("database.host", "default")).merge(secrets)
    };
    let settings: Live<Settings> =
        Live::builder(manager).layers(with_defaults).start().await.unwrap();
    assert_eq!(
        (settings.load().database.host.as_str(), settings.load().database.port),
        ("h", 5432)
    );

    memory.put("app/database", r#"{"port": "hunter2"}"#);
    let error = settings.refresh().await.unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("`database.port`") && message.contains("secret `app/database`"),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
    assert_eq!(settings.load().database.port, 5432);
}
