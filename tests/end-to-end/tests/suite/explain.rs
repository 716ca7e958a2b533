//! `explain()`: where each key of the live settings comes from, generation by generation.

use fake_secrets_manager::FakeSecretsManager;
use figment::Figment;
use figment::providers::{Format as _, Toml};
use secrets_provider::{Explanation, Layers, Live, LiveBuilder};
use serde::Deserialize;

use crate::fixtures::{Database, manager};

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the tests read the explanation, not the settings")]
struct Settings {
    database: Database,
    port: u16,
}

/// The table, with `v0`, `v1`, … in place of version ids, which are random.
fn shown(explanation: &Explanation, versions: &[&str]) -> String {
    let mut text = explanation.to_string();
    for (n, version) in versions.iter().enumerate() {
        text =
            text.replace(version, &format!("{:<width$}", format!("v{n}"), width = version.len()));
    }
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[tokio::test]
async fn explain_describes_the_live_generation() {
    let fake = FakeSecretsManager::new();
    let first = fake.put("app/database", r#"{"username": "hunter2", "password": "hunter2"}"#);
    let variables =
        [("DATABASE__PASSWORD", "hunter2"), ("PORT", "80"), ("PATH", "/bin"), ("HOME", "/")];
    let settings: Live<Settings> = Live::builder(manager(&fake))
        .layers(move |secrets| Layers::new().environment_from(variables).secrets(secrets))
        .start()
        .await
        .unwrap();
    let expected = |version: &str| {
        format!(
            "key layer source hides\n\
             database.password secret app/database (version {version} ) environment DATABASE__PASSWORD\n\
             database.username secret app/database (version {version} )\n\
             port environment PORT\n\
             and 2 other environment variables (`.all()` shows them)\n"
        )
    };
    assert_eq!(shown(&settings.explain(), &[&first]), expected("v0"));

    let second = fake.put("app/database", r#"{"username": "hunter3", "password": "hunter3"}"#);
    settings.refresh().await.unwrap();
    assert_eq!(shown(&settings.explain(), &[&first, &second]), expected("v1"));

    // Rejected settings do not change the explanation.
    fake.put("app/database", "hunter4");
    settings.refresh().await.unwrap_err();
    let explanation = settings.explain();
    let all =
        format!("{explanation} {explanation:?} {}", serde_json::to_string(&explanation).unwrap());
    assert!(all.contains(&second) && !all.contains("hunter"), "{all}");
}

/// A file that is merged over the secrets hides them.
#[tokio::test]
async fn explain_shows_which_secrets_a_figment_hides() {
    let fake = FakeSecretsManager::new();
    let version = fake.put("app/database", r#"{"username": "hunter2", "password": "hunter2"}"#);
    let settings: Live<Settings> = Live::builder(manager(&fake))
        .layers(|secrets| {
            let file = Toml::string("port = 1\n[database]\npassword = 'hunter2'");
            Figment::new().merge(secrets.clone()).merge(file)
        })
        .start()
        .await
        .unwrap();
    assert_eq!(
        shown(&settings.explain(), &[&version]),
        "key layer source hides\n\
         database.password figment TOML source string secret app/database (version v0 )\n\
         database.username secret app/database (version v0 )\n\
         port figment TOML source string\n"
    );
}

/// The layers below the secrets are shown with their names, and so is what a secret hides of them.
/// cargo sets the variables when it runs a test.
#[tokio::test]
async fn explain_shows_what_secrets_hide_of_a_figment_and_of_a_config() {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "the test reads the explanation, not the settings")]
    struct Settings {
        pkg_name: String,
        pkg_version: String,
        greeting: String,
    }
    async fn check(builder: LiveBuilder<Settings>, file: &str) {
        let explanation = builder.start().await.unwrap().explain();
        let hides = |key: &str| {
            let hides = explanation.key(key).unwrap().hides();
            hides.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(hides("pkg_name"), ["environment CARGO_PKG_NAME"]);
        assert_eq!(hides("greeting").len(), 1);
        assert!(hides("greeting")[0].ends_with(file), "{explanation}");
        let version = explanation.key("pkg_version").unwrap().source();
        assert_eq!(version.to_string(), "environment CARGO_PKG_VERSION");
        let all = format!("{explanation} {explanation:?}");
        assert!(!all.contains("hunter2"), "{all}");
    }
    let fake = FakeSecretsManager::new();
    fake.put("app/pkg-name", "hunter2");
    fake.put("app/greeting", "hunter2");
    let folder = tempfile::tempdir().unwrap();
    let (toml, json) = (folder.path().join("app.toml"), folder.path().join("app.json"));
    std::fs::write(&toml, "greeting = 'hunter2'").unwrap();
    std::fs::write(&json, r#"{"greeting": "hunter2"}"#).unwrap();

    let by_figment = Live::builder(manager(&fake)).layers(move |secrets| {
        let environment = figment::providers::Env::prefixed("CARGO_");
        Figment::from(Toml::file(&toml)).merge(environment).merge(secrets.clone())
    });
    check(by_figment, "app.toml TOML file").await;
    let by_config = Live::builder(manager(&fake)).layers(move |secrets| {
        let environment = config::Environment::with_prefix("CARGO").prefix_separator("_");
        config::Config::builder()
            .add_source(config::File::from(json.clone()))
            .add_source(environment)
            .add_source(secrets.clone())
            .build()
    });
    check(by_config, "app.json").await;
}

/// Layers that cannot be made without secrets are explained as far as they are known.
#[tokio::test]
async fn explain_survives_layers_that_need_secrets() {
    let fake = FakeSecretsManager::new();
    fake.put("app/database", r#"{"username": "u", "password": "p"}"#);
    let settings: Live<Settings> = Live::builder(manager(&fake))
        .layers(|secrets| {
            assert!(!secrets.secrets().is_empty(), "no secrets");
            let port = figment::providers::Serialized::default("port", 80);
            Figment::from(port).merge(secrets.clone())
        })
        .start()
        .await
        .unwrap();
    assert_eq!(settings.explain().keys().len(), 3);
}

/// So does a source of config-rs that comes after the secrets. It is shown by the name that it
/// gives itself.
#[tokio::test]
async fn explain_shows_which_secrets_a_config_hides() {
    let fake = FakeSecretsManager::new();
    let version = fake.put("app/database", r#"{"username": "hunter2", "password": "hunter2"}"#);
    let variables = [("DATABASE__PASSWORD", "hunter2"), ("PORT", "80"), ("PATH", "/bin")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings: Live<Settings> = Live::builder(manager(&fake))
        .layers(move |secrets| {
            let source = Some(variables.clone().into_iter().collect());
            let environment = config::Environment::default().separator("__").source(source);
            config::Config::builder().add_source(secrets.clone()).add_source(environment).build()
        })
        .start()
        .await
        .unwrap();
    assert_eq!(
        shown(&settings.explain(), &[&version]),
        "key layer source hides\n\
         database.password config the environment secret app/database (version v0 )\n\
         database.username secret app/database (version v0 )\n\
         port config the environment\n\
         and 1 other environment variable (`.all()` shows it)\n"
    );
}

/// `Env::raw()` of figment holds the whole environment.
#[tokio::test]
async fn explain_omits_unrelated_variables_of_a_figment() {
    let fake = FakeSecretsManager::new();
    fake.put("app/database", r#"{"username": "u", "password": "p"}"#);
    let settings: Live<Settings> = Live::builder(manager(&fake))
        .layers(|secrets| {
            let port = figment::providers::Serialized::default("port", 80);
            Figment::from(port).merge(figment::providers::Env::raw()).merge(secrets.clone())
        })
        .start()
        .await
        .unwrap();
    let explanation = settings.explain();
    assert!(explanation.key("path").is_some(), "PATH is set wherever tests run");
    assert!(explanation.keys().iter().all(|key| key.key() != "path"), "{explanation}");
    assert!(explanation.omitted() > 0);
}

#[test]
fn a_constant_has_nothing_to_explain() {
    assert!(Live::constant(7).explain().all().keys().is_empty());
}
