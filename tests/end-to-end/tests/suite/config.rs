//! The layers as config-rs merges and reloads them, and what its errors and ours say about a key
//! that a secret gives.

use config::{Config, ConfigError, Environment, File, FileFormat, Map};
use fake_secrets_manager::FakeSecretsManager;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{ErrorKind, Live, Memory, Rotating, SecretsManager, Snapshot};
use serde::Deserialize;

use crate::fixtures::manager;

#[derive(Debug, Deserialize)]
struct Settings {
    database: Database,
}

#[derive(Debug, Deserialize)]
struct Database {
    host: String,
    port: u16,
    password: SecretString,
}

fn put(fake: &FakeSecretsManager, json: &str) -> String {
    fake.put("app/database", json)
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let source = Some(Map::from_iter(variables));
    Environment::with_prefix("APP").prefix_separator("_").separator("__").source(source)
}

fn snapshot(name: &str, text: &str) -> Snapshot {
    let secrets = Memory::new();
    secrets.put(name, text);
    SecretsManager::prefix("app").backend(secrets).fetch_blocking().unwrap()
}

#[tokio::test]
async fn secrets_override_earlier_sources_and_yield_to_later_ones() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.json");
    std::fs::write(
        &file,
        r#"{"database": {"host": "file", "port": 1, "password": "file", "pool": 7}}"#,
    )
    .unwrap();
    let fake = FakeSecretsManager::new();
    put(&fake, r#"{"password": "secret", "sslmode": "require"}"#);
    let below = Config::builder()
        .set_default("database.schema", "default")
        .unwrap()
        .add_source(File::from(file))
        .add_source(environment(&[
            ("APP_DATABASE__PORT", "2"),
            ("APP_DATABASE__PASSWORD", "environment"),
        ]));
    let fetched = manager(&fake).fetch().await.unwrap();
    let expected = serde_json::json!({"database": {
        "schema": "default", "host": "file", "pool": 7, "port": "2", "password": "secret", "sslmode": "require"
    }});
    let by_snapshot = below.clone().add_source(fetched.clone()).build().unwrap();
    let by_manager = below.clone().add_async_source(manager(&fake)).build().await.unwrap();
    for config in [by_snapshot, by_manager] {
        assert_eq!(config.try_deserialize::<serde_json::Value>().unwrap(), expected);
    }
    let over = below.add_source(fetched).add_source(environment(&[
        ("APP_DATABASE__PASSWORD", "over"),
        ("APP_DATABASE__EXTRA", "x"),
    ]));
    let config = over.build().unwrap();
    assert_eq!(config.get_string("database.password").unwrap(), "over");
    assert_eq!(config.get_string("database.sslmode").unwrap(), "require");
    assert_eq!(config.get_string("database.extra").unwrap(), "x");
}

#[test]
fn a_table_and_a_scalar_replace_each_other() {
    for (below, secret, expected) in [
        (r#"{"x": {"a": 1}}"#, "text", serde_json::json!({"x": "text"})),
        (r#"{"x": "text"}"#, r#"{"a": 1}"#, serde_json::json!({"x": {"a": 1}})),
        (r#"{"x": [1, 2]}"#, r#"{}"#, serde_json::json!({"x": {}})),
        (r#"{"x": {"a": [1, 2]}}"#, r#"{"a": [3]}"#, serde_json::json!({"x": {"a": [3]}})),
        (
            r#"{"x": {"a": 1}}"#,
            r#"{"a": null, "b": 2}"#,
            serde_json::json!({"x": {"a": 1, "b": 2}}),
        ),
    ] {
        let builder = Config::builder().add_source(File::from_str(below, FileFormat::Json));
        let config = builder.add_source(snapshot("app/x", secret)).build().unwrap();
        assert_eq!(
            config.try_deserialize::<serde_json::Value>().unwrap(),
            expected,
            "{below} and {secret}"
        );
    }
}

/// An asynchronous builder takes keys as they are; a synchronous one reads those at the root as
/// paths.
#[tokio::test]
async fn odd_keys_are_kept_except_at_the_root_of_a_synchronous_builder() {
    let odd = r#"{"a.b": 1, "c[0]": 2, "[": 3, "": 4, "Mixed": 5, "nest": {"a.b": 6, "c[0]": 7}}"#;
    let secrets = Memory::new();
    secrets.put("app", odd);
    let manager = SecretsManager::prefix("app").backend(secrets);
    let snapshot = manager.fetch().await.unwrap();
    let builder = Config::builder().add_source(environment(&[("APP_MIXED", "x")]));

    let mut expected: serde_json::Value = serde_json::from_str(odd).unwrap();
    expected["mixed"] = "x".into();
    let config = builder.clone().add_async_source(manager).build().await.unwrap();
    assert_eq!(config.try_deserialize::<serde_json::Value>().unwrap(), expected);

    // This limit is documented.
    expected.as_object_mut().unwrap().retain(|key, _| !["a.b", "c[0]"].contains(&key.as_str()));
    expected["a"] = serde_json::json!({"b": 1});
    expected["c"] = serde_json::json!([2]);
    let config = builder.add_source(snapshot).build().unwrap();
    assert_eq!(config.try_deserialize::<serde_json::Value>().unwrap(), expected);
}

#[test]
fn numbers_are_as_precise_as_config_rs_allows() {
    #[derive(Deserialize)]
    struct Numbers {
        big: u64,
        most: i64,
        least: i64,
        small: u8,
        float: f64,
        beyond: f64,
        /// serde buffers these values.
        #[serde(flatten)]
        rest: std::collections::BTreeMap<String, serde_json::Value>,
    }
    let json = format!(
        r#"{{"big": {}, "most": {}, "least": {}, "small": 255, "float": 1.5, "beyond": 1{}, "other": {}}}"#,
        u64::MAX,
        i64::MAX,
        i64::MIN,
        "0".repeat(30),
        u64::MAX,
    );
    let config = Config::builder().add_source(snapshot("app", &json)).build().unwrap();
    assert_eq!(config.get::<u64>("big").unwrap(), u64::MAX);
    assert_eq!(config.get_string("big").unwrap(), u64::MAX.to_string());
    let numbers: Numbers = config.try_deserialize().unwrap();
    assert_eq!(
        (numbers.big, numbers.most, numbers.least, numbers.small),
        (u64::MAX, i64::MAX, i64::MIN, 255)
    );
    assert_eq!((numbers.float, numbers.beyond), (1.5, 1e30));
    assert_eq!(numbers.rest["other"], u64::MAX);
}

#[tokio::test]
async fn build_cloned_fetches_again_each_time() {
    let fake = FakeSecretsManager::new();
    let builder = Config::builder()
        .add_source(environment(&[("APP_DATABASE__HOST", "h"), ("APP_DATABASE__PORT", "5432")]))
        .add_async_source(manager(&fake));
    for n in 1..=3 {
        put(&fake, &format!(r#"{{"password": "p{n}"}}"#));
        let settings: Settings = builder.build_cloned().await.unwrap().try_deserialize().unwrap();
        assert_eq!(settings.database.password.expose_secret(), format!("p{n}"));
        assert_eq!((settings.database.host.as_str(), settings.database.port), ("h", 5432));
    }
    assert!(
        !format!("{builder:?}").contains("p3"),
        "`Debug` of a builder includes that of its sources"
    );
}

#[tokio::test]
async fn config_rs_errors_name_the_secret() {
    let fake = FakeSecretsManager::new();
    let version = put(&fake, r#"{"host": {"deep": 1}, "port": "x", "password": "p"}"#);
    let secret = format!("secret `app/database`, version `{version}`");
    let fetched = manager(&fake).fetch().await.unwrap();
    let by_snapshot = Config::builder().add_source(fetched).build().unwrap();
    let by_manager = Config::builder().add_async_source(manager(&fake)).build().await.unwrap();
    for (config, keys) in [
        // A synchronous builder does not keep the origin of tables.
        (by_snapshot, &["database.port"][..]),
        (by_manager, &["database.port", "database.host", "database"][..]),
    ] {
        for key in keys {
            let error = config.get_int(key).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(&secret), "{error}");
        }
    }
}

#[tokio::test]
async fn a_failed_fetch_becomes_a_config_rs_error_that_holds_ours() {
    let fake = FakeSecretsManager::new();
    let error = Config::builder().add_async_source(manager(&fake)).build().await.unwrap_err();
    assert!(error.to_string().contains("there is no secret at or below `app`"), "{error}");
    let ConfigError::Foreign(cause) = error else { panic!("{error}") };
    assert_eq!(cause.downcast::<secrets_provider::Error>().unwrap().kind(), ErrorKind::NotFound);
}

/// The config-rs layers of a service, live.
async fn live(fake: &FakeSecretsManager) -> Result<Live<Settings>, secrets_provider::Error> {
    let layers = |secrets: &Snapshot| {
        Config::builder()
            .set_default("database.port", 5432)?
            .add_source(environment(&[
                ("APP_DATABASE__HOST", "h"),
                ("APP_DATABASE__PASSWORD", "hunter1"),
            ]))
            .add_source(secrets.clone())
            .build()
    };
    Live::builder(manager(fake)).layers(layers).start().await
}

#[tokio::test(start_paused = true)]
async fn live_rotates_over_config_rs_layers() {
    let fake = FakeSecretsManager::new();
    put(&fake, r#"{"password": "p1"}"#);
    let settings = live(&fake).await.unwrap();
    let mut changes = settings.changes();
    assert_eq!(
        (settings.load().database.host.as_str(), settings.load().database.port),
        ("h", 5432)
    );
    assert_eq!(settings.load().database.password.expose_secret(), "p1");

    put(&fake, r#"{"password": "p2", "port": "6432"}"#);
    let change = changes.next().await.unwrap();
    assert_eq!(change.keys(), ["database.password", "database.port"]);
    assert_eq!(settings.load().database.password.expose_secret(), "p2");
    assert_eq!(settings.load().database.port, 6432);
}

#[tokio::test(start_paused = true)]
async fn live_errors_over_config_rs_layers_name_key_and_secret_and_show_no_value() {
    let (log, _guard) = end_to_end::Log::start();
    let fake = FakeSecretsManager::new();
    put(&fake, r#"{"password": "p1"}"#);
    let settings = live(&fake).await.unwrap();
    let version = put(&fake, r#"{"password": "hunter2", "port": "hunter3"}"#);
    let error = settings.refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!((error.key(), error.secret()), (Some("database.port"), Some("app/database")));
    assert!(error.to_string().contains(&version), "{error}");
    assert_eq!(settings.load().database.password.expose_secret(), "p1");
    let status = settings.status();
    let ours: String =
        log.text().lines().filter(|line| line.contains("secrets_provider")).collect();
    let shown = format!("{error} {error:?} {settings:?} {status:?} {ours}");
    assert!(ours.contains("settings_rejected") && !shown.contains("hunter"), "{shown}");
}

#[tokio::test]
async fn live_names_the_layer_of_a_wrong_value_but_not_the_value() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Settings {
        database: Pool,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Pool {
        host: String,
        port: u16,
        size: u16,
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.json");
    std::fs::write(&file, r#"{"database": {"host": {"hunter": "hunter2"}}}"#).unwrap();
    let fake = FakeSecretsManager::new();
    put(&fake, r#"{"size": ["hunter2"]}"#);
    let builder = Live::<Settings>::builder(manager(&fake)).layers(move |secrets| {
        Config::builder()
            .add_source(File::from(file.as_path()))
            .add_source(environment(&[("APP_DATABASE__PORT", "hunter2")]))
            .add_source(secrets.clone())
            .build()
            .unwrap()
    });
    let error = builder.start().await.unwrap_err();
    let shown = error.to_string();
    for (key, layer) in [
        ("database.host", "settings.json`"),
        ("database.port", "config source `the environment`"),
        ("database.size", "secret `app/database`"),
    ] {
        let line =
            shown.lines().find(|line| line.contains(key)).unwrap_or_else(|| panic!("{shown}"));
        assert!(line.contains(layer), "{line}");
    }
    assert!(!format!("{shown} {error:?}").contains("hunter"), "{shown}");
}

#[tokio::test]
async fn live_keeps_the_source_text_and_the_bytes_of_secrets() {
    #[derive(Deserialize)]
    struct Settings {
        pin: String,
        account: u128,
        whole: String,
        key: String,
    }
    let secrets = Memory::new();
    secrets.put("app", r#"{"pin": 1.10, "account": 123456789012345678901234567890}"#);
    secrets.put("app/whole", r#"{"b": 1,  "a": [2]}"#);
    secrets.put_binary("app/key", [0xff, 0xfe]);
    let settings: Live<Settings> = Live::builder(SecretsManager::prefix("app").backend(secrets))
        .layers(|secrets| Config::builder().add_source(secrets.clone()).build())
        .start()
        .await
        .unwrap();
    let settings = settings.load();
    assert_eq!(settings.pin, "1.10", "config-rs would say 1.1");
    assert_eq!(settings.account, 123_456_789_012_345_678_901_234_567_890);
    assert_eq!(settings.whole, r#"{"b": 1,  "a": [2]}"#);
    assert_eq!(settings.key, "//4=");
}

/// A built config does not keep the order of its sources. The environment goes over files, as is
/// usual.
#[tokio::test]
async fn live_matches_names_relaxed_and_finds_nested_fields_in_variables() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Settings {
        master_arn: String,
        log_level: String,
        database: Database,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Database {
        url: String,
    }
    let secrets = Memory::new();
    secrets.put("app", r#"{"masterArn": "secret"}"#);
    let settings: Live<Settings> = Live::builder(SecretsManager::prefix("app").backend(secrets))
        .layers(|secrets| {
            let variables = [
                ("APP_MASTERARN", "variable"),
                ("APP_LOGLEVEL", "variable"),
                ("APP_DATABASE_URL", "variable"),
            ];
            Config::builder()
                .add_source(environment(&variables))
                .add_source(File::from_str(r#"{"log-level": "string"}"#, FileFormat::Json))
                .add_source(secrets.clone())
                .build()
        })
        .start()
        .await
        .unwrap();
    let expected = Settings {
        master_arn: "secret".into(),
        log_level: "variable".into(),
        database: Database { url: "variable".into() },
    };
    assert_eq!(*settings.load(), expected);
}

#[tokio::test]
async fn live_has_the_previous_values_of_secrets() {
    #[derive(Deserialize)]
    struct Settings {
        jwt_secret: Rotating<String>,
        database: Rotating<Map<String, String>>,
    }
    let secrets = Memory::new();
    for n in [1, 2] {
        secrets.put("app/jwt-secret", format!("jwt{n}"));
        secrets.put("app/database", format!(r#"{{"password": "p{n}"}}"#));
    }
    let manager =
        SecretsManager::prefix("app").with_previous(["jwt-secret", "database"]).backend(secrets);
    let settings: Live<Settings> = Live::builder(manager)
        .layers(|secrets| Config::builder().add_source(secrets.clone()).build())
        .start()
        .await
        .unwrap();
    let settings = settings.load();
    let jwt: Vec<_> = settings.jwt_secret.iter().collect();
    assert_eq!(jwt, ["jwt2", "jwt1"]);
    let passwords: Vec<_> =
        settings.database.iter().map(|database| database["password"].as_str()).collect();
    assert_eq!(passwords, ["p2", "p1"]);
}

#[tokio::test]
async fn a_config_that_cannot_be_built_is_reported_without_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeSecretsManager::new();
    put(&fake, r#"{"password": "p"}"#);
    let malformed = folder.path().join("malformed.json");
    std::fs::write(&malformed, "{\"hunter2").unwrap();
    for (file, mention) in [
        (malformed, "malformed.json` cannot be parsed"),
        (folder.path().join("none.json"), "none.json` does not exist"),
    ] {
        let builder = Live::<Settings>::builder(manager(&fake)).layers(move |secrets| {
            Config::builder()
                .add_source(File::from(file.as_path()))
                .add_source(secrets.clone())
                .build()
        });
        let error = builder.start().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(mention), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    }
}
