//! What an explanation says of layers, and what it leaves out.
//!
//! No value is in it, and the time it takes grows with the number of keys. How it looks for a whole
//! program is in the suite of `end-to-end`.

use super::*;
use crate::{Layers, Memory, SecretsManager, Snapshot};

fn secrets(secrets: &[(&str, &str)]) -> Snapshot {
    let memory = Memory::new();
    for (name, text) in secrets {
        memory.put(format!("app/{name}").trim_end_matches('/'), *text);
    }
    SecretsManager::prefix("app").backend(memory).fetch_blocking().expect("a snapshot")
}

/// Each key as `key: layer source <- what it hides`.
fn lines(explanation: &Explanation) -> Vec<String> {
    let line = |key: &ExplainedKey| {
        let hides: Vec<_> = key.hides().iter().map(ToString::to_string).collect();
        format!("{}: {} <- {}", key.key(), key.source(), hides.join("; "))
    };
    explanation.keys().iter().map(line).collect()
}

#[test]
fn a_key_has_one_source_and_hides_lower_layers() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".env");
    let secrets = secrets(&[
        ("db", r#"{"user": "s", "hosts": ["s"]}"#),
        ("smtp", "s"),
        ("tls", r#"{"key": "s"}"#),
        ("", r#"{"tokenUrl": "s"}"#),
    ]);
    struct Case {
        about: &'static str,
        dotenv: &'static str,
        environment: &'static [(&'static str, &'static str)],
        hiding: &'static [&'static str],
    }
    for case in [
        Case {
            about: "each layer hides those below it",
            dotenv: "DB__USER=d",
            environment: &[("DB__USER", "e")],
            hiding: &["db.user: secret app/db (version v1) <- \
                       environment DB__USER; .env DB__USER in FILE"],
        },
        Case {
            about: "a table hides a scalar",
            dotenv: "",
            environment: &[("TLS", "e")],
            hiding: &["tls.*: secret app/tls (version v3) <- environment TLS"],
        },
        Case {
            about: "a scalar hides a table",
            dotenv: "SMTP__HOST=d\nSMTP__PORT=1",
            environment: &[],
            hiding: &["smtp: secret app/smtp (version v2) <- \
                       .env SMTP__HOST in FILE; .env SMTP__PORT in FILE"],
        },
        Case {
            about: "among variables, a lower table hides a scalar",
            dotenv: "A__B=d\nA__C=d",
            environment: &[("A", "e")],
            hiding: &[
                "a.b: .env A__B in FILE <- environment A",
                "a.c: .env A__C in FILE <- environment A",
            ],
        },
        Case {
            about: "the higher of two spellings hides the other",
            dotenv: "",
            environment: &[("TOKEN_URL", "e"), ("TOKEN_URL__X", "e")],
            hiding: &["tokenUrl: secret app (version v4) <- environment TOKEN_URL__X"],
        },
        Case {
            about: "an array is one value",
            dotenv: "",
            environment: &[("DB__HOSTS", "e")],
            hiding: &["db.hosts: secret app/db (version v1) <- environment DB__HOSTS"],
        },
    ] {
        std::fs::write(&file, case.dotenv).expect("a file");
        let layers = Layers::new()
            .dotenv(&file)
            .environment_from(case.environment.iter().copied())
            .secrets(&secrets);
        let explanation = layers.explain().expect("an explanation");
        let hiding = lines(&explanation).into_iter().filter(|line| !line.ends_with("<- "));
        let hiding: Vec<_> =
            hiding.map(|line| line.replace(&file.display().to_string(), "FILE")).collect();
        assert_eq!(hiding, case.hiding, "{}", case.about);
    }
}

#[test]
fn environment_variables_that_are_not_settings_are_omitted() {
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only the names of its fields are read")]
    struct Settings {
        #[serde(rename = "log-level")]
        log_level: String,
        home: String,
    }
    let environment = [
        ("PATH", "e"),
        ("HOME", "e"),
        ("LOG_LEVEL", "e"),
        ("DB__POOL__SIZE", "e"),
        ("DB_URL", "e"),
        ("HOMEDRIVE", "e"),
        ("LC_ALL", "e"),
        ("SMTP__HOST", "e"),
    ];
    let layers = Layers::new()
        .environment_from(environment)
        .secrets(&secrets(&[("db", r#"{"user": "s"}"#)]));
    let explanation = layers.explain().expect("an explanation");
    let keys = |explanation: &Explanation| -> Vec<String> {
        explanation.keys().iter().map(|key| key.key().to_owned()).collect()
    };
    assert_eq!(keys(&explanation), ["db.*", "db.pool.size", "db_url"]);
    assert_eq!(explanation.omitted(), 6);
    assert_eq!(explanation.key("path").expect("a key").source().name(), "PATH");

    let of_type = explanation.clone().with_fields(fields_of::<Settings>());
    assert_eq!(keys(&of_type), ["db.*", "db.pool.size", "db_url", "home", "log_level"]);
    assert_eq!(of_type.omitted(), 4);

    let all = explanation.all();
    assert_eq!((all.keys().len(), all.omitted()), (9, 0));
    assert!(all.keys().is_sorted_by_key(|key| key.key().to_owned()));
}

#[test]
fn no_value_is_shown_or_serialized() {
    let layers = Layers::new()
        .environment_from([("DB", "hunter2"), ("OTHER", "hunter2")])
        .secrets(&secrets(&[("db", "hunter2"), ("nl", r#"{"a\nb": "hunter2"}"#)]));
    let explanation = layers.explain().expect("an explanation");
    let json = serde_json::to_value(&explanation).expect("JSON");
    let expected = serde_json::json!({"keys": [
        {"key": "db", "layer": "secret", "name": "app/db", "version_id": "v1",
            "hides": [{"layer": "environment", "name": "DB"}]},
        {"key": "nl.*", "layer": "secret", "name": "app/nl", "version_id": "v2", "hides": []},
    ], "omitted": 1});
    assert_eq!(json, expected);
    assert_eq!(explanation.to_string().lines().count(), 4, "{explanation}");
    let shown = format!("{explanation} {explanation:?} {json} {}", explanation.clone().all());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "only read by serde")]
struct Gaara {
    database: Database,
    jwt_secret: String,
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "only read by serde")]
struct Database {
    url: String,
    #[serde(default)]
    pool: u8,
}

async fn of_live<T: serde::de::DeserializeOwned + Send + Sync + 'static>(
    secret: &str,
    environment: &'static [(&'static str, &'static str)],
) -> String {
    let memory = crate::Memory::new();
    memory.put("app", secret);
    let manager = crate::SecretsManager::prefix("app").backend(memory);
    let settings: crate::Live<T> = crate::Live::builder(manager)
        .layers(move |secrets| {
            Layers::new().environment_from(environment.iter().copied()).secrets(secrets)
        })
        .start()
        .await
        .expect("settings");
    settings.explain().to_string()
}

/// Without the secret, the variable fills the nested key; with it, the secret hides the variable.
#[tokio::test]
async fn a_variable_named_after_a_nested_key_is_shown_at_that_key() {
    const VARIABLES: &[(&str, &str)] =
        &[("DATABASE_URL", "e"), ("JWT_SECRET", "e"), ("DATABASE_POOL", "3")];
    assert_eq!(
        of_live::<Gaara>("{}", VARIABLES).await,
        "\
key            layer        source         hides
database.url   environment  DATABASE_URL
database_pool  environment  DATABASE_POOL
jwt_secret     environment  JWT_SECRET
"
    );
    let secret = r#"{"database": {"url": "s", "pool": "4"}, "jwt_secret": "s"}"#;
    assert_eq!(
        of_live::<Gaara>(secret, VARIABLES).await,
        "\
key            layer   source            hides
database.pool  secret  app (version v1)  environment DATABASE_POOL
database.url   secret  app (version v1)  environment DATABASE_URL
jwt_secret     secret  app (version v1)  environment JWT_SECRET
"
    );
}

/// A field is not hidden by a nested key of the same name.
#[tokio::test]
async fn a_variable_that_is_also_a_field_keeps_its_own_row() {
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only read by serde")]
    struct Both {
        database: Database,
        database_url: String,
    }
    assert_eq!(
        of_live::<Both>(r#"{"database": {"url": "s"}}"#, &[("DATABASE_URL", "e")]).await,
        "\
key           layer        source            hides
database.url  secret       app (version v1)
database_url  environment  DATABASE_URL
"
    );
    assert_eq!(
        of_live::<Both>("{}", &[("DATABASE_URL", "e")]).await,
        "\
key           layer        source        hides
database.url  environment  DATABASE_URL
database_url  environment  DATABASE_URL
"
    );
}

/// A flat key and a nested one are separate keys of the tree, so neither layer hides the other.
#[tokio::test]
async fn a_secrets_key_is_hidden_by_a_variable_that_fills_its_field_in_another_spelling() {
    let row = async |secret: &'static str, variables: &'static [(&'static str, &'static str)]| {
        let shown = of_live::<Gaara>(secret, variables).await;
        shown.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    const VARIABLES: &[(&str, &str)] = &[("DATABASE__URL", "e"), ("JWT__SECRET", "e")];
    for (about, secret) in [
        ("as it is spelled in a .env", r#"{"DATABASE_URL": "s", "jwt_secret": "s"}"#),
        ("lowercase", r#"{"database-url": "s", "jwt_secret": "s"}"#),
        ("in camel case", r#"{"databaseUrl": "s", "jwt_secret": "s"}"#),
    ] {
        let rows = row(secret, VARIABLES).await;
        assert_eq!(rows.len(), 3, "{about}: {rows:?}");
        assert!(
            rows.iter().any(|row| row.starts_with("database.url  environment  DATABASE__URL")
                && row.ends_with("secret app (version v1)")),
            "{about}: {rows:?}"
        );
    }
    // The other way round: the field is flat, and the secret's key is nested.
    let rows = row(r#"{"database": {"url": "s"}, "jwt": {"secret": "s"}}"#, &[("JWT_SECRET", "e")]);
    let rows = rows.await;
    assert!(
        rows.iter().any(|row| row.starts_with("jwt_secret    environment  JWT_SECRET")
            && row.ends_with("secret app (version v1)")),
        "{rows:?}"
    );
}

/// A comparison of every leaf with every first name would take minutes here.
#[test]
fn an_explanation_of_many_keys_takes_a_time_that_grows_with_their_number() {
    let member = |n: usize| (format!("k{n}"), serde_json::Value::from("v"));
    let json = serde_json::Value::Object((0..20_000).map(member).collect()).to_string();
    let names = (0..20_000).map(|n| (format!("E{n}_{n}"), "e"));
    let layers = Layers::new().environment_from(names).secrets(&secrets(&[("", &json)]));
    let begun = std::time::Instant::now();
    let explanation = layers.explain().expect("an explanation");
    assert_eq!((explanation.keys().len(), explanation.omitted()), (1, 20_000));
    assert_eq!(explanation.keys()[0].count(), 20_000);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
