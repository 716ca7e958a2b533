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
fn a_key_has_one_source_and_hides_what_lies_below() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".env");
    let path = file.display();
    let secrets = secrets(&[
        ("db", r#"{"user": "s", "hosts": ["s"]}"#),
        ("smtp", "s"),
        ("tls", r#"{"key": "s"}"#),
        ("", r#"{"tokenUrl": "s"}"#),
    ]);
    for (about, dotenv, env, expected) in [
        (
            "each layer over those below it",
            "DB__USER=d",
            vec![("DB__USER", "e")],
            vec![
                "db.user: secret app/db (version v1) <- environment DB__USER; .env DB__USER in FILE"
                    .to_owned(),
            ],
        ),
        (
            "a table over a scalar",
            "",
            vec![("TLS", "e")],
            vec!["tls.key: secret app/tls (version v3) <- environment TLS".to_owned()],
        ),
        (
            "a scalar over a table",
            "SMTP__HOST=d\nSMTP__PORT=1",
            vec![],
            vec![
                "smtp: secret app/smtp (version v2) <- .env SMTP__HOST in FILE; .env SMTP__PORT in FILE"
                    .to_owned(),
            ],
        ),
        (
            "a lower table over a scalar, as variables have it",
            "A__B=d\nA__C=d",
            vec![("A", "e")],
            vec![
                "a.b: .env A__B in FILE <- environment A".to_owned(),
                "a.c: .env A__C in FILE <- environment A".to_owned(),
            ],
        ),
        (
            "the higher of two spellings",
            "",
            vec![("TOKEN_URL", "e"), ("TOKEN_URL__X", "e")],
            vec!["tokenUrl: secret app (version v4) <- environment TOKEN_URL__X".to_owned()],
        ),
        (
            "an array is one value",
            "",
            vec![("DB__HOSTS", "e")],
            vec!["db.hosts: secret app/db (version v1) <- environment DB__HOSTS".to_owned()],
        ),
    ] {
        std::fs::write(&file, dotenv).expect("a file");
        let layers = Layers::new().dotenv(&file).environment_from(env).secrets(&secrets);
        let explanation = layers.explain().expect("an explanation");
        for line in expected {
            let line = line.replace("FILE", &path.to_string());
            assert!(lines(&explanation).contains(&line), "{about}: {line} in {:#?}", lines(&explanation));
        }
        let hiding = explanation.keys().iter().filter(|key| !key.hides().is_empty()).count();
        assert_eq!(hiding, if about.contains("lower table") { 2 } else { 1 }, "{about}");
    }
}

#[test]
fn of_the_environment_only_settings_are_shown() {
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only its fields' names count")]
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
    assert_eq!(keys(&explanation), ["db.pool.size", "db.user", "db_url"]);
    assert_eq!(explanation.omitted(), 6);
    assert_eq!(explanation.key("path").expect("a key").source().name(), "PATH");

    let of_type = explanation.clone().with_fields(fields_of::<Settings>());
    assert_eq!(keys(&of_type), ["db.pool.size", "db.user", "db_url", "home", "log_level"]);
    assert_eq!(of_type.omitted(), 4);

    let all = explanation.all();
    assert_eq!((all.keys().len(), all.omitted()), (9, 0));
    assert!(all.keys().is_sorted_by_key(|key| key.key().to_owned()));
}

#[test]
fn it_serializes_and_shows_no_value() {
    let layers = Layers::new()
        .environment_from([("DB", "hunter2"), ("OTHER", "hunter2")])
        .secrets(&secrets(&[("db", "hunter2"), ("nl", r#"{"a\nb": "hunter2"}"#)]));
    let explanation = layers.explain().expect("an explanation");
    let json = serde_json::to_value(&explanation).expect("JSON");
    let expected = serde_json::json!({"keys": [
        {"key": "db", "layer": "secret", "name": "app/db", "version_id": "v1",
            "hides": [{"layer": "environment", "name": "DB"}]},
        {"key": "nl.a\nb", "layer": "secret", "name": "app/nl", "version_id": "v2", "hides": []},
    ], "omitted": 1});
    assert_eq!(json, expected);
    assert_eq!(explanation.to_string().lines().count(), 4, "{explanation}");
    let shown = format!("{explanation} {explanation:?} {json} {}", explanation.clone().all());
    assert!(!shown.contains("hunter2"), "{shown}");
}

proptest::proptest! {
    #[test]
    fn related_paths_are_those_that_lead_to_each_other(
        paths in proptest::collection::btree_set(proptest::collection::vec(0..3_u8, 0..4), 0..20),
        path in proptest::collection::vec(0..3_u8, 0..4),
    ) {
        let leaves = paths.iter().map(|path| (path.clone(), ())).collect();
        let found: Vec<_> = related(&leaves, &path).map(|(other, ())| other).collect();
        let compared = paths.iter().filter(|other| other.starts_with(&path) || path.starts_with(other));
        proptest::prop_assert_eq!(found, compared.collect::<Vec<_>>());
    }
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "read by serde alone")]
struct Gaara {
    database: Database,
    jwt_secret: String,
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "read by serde alone")]
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

/// In development the variable fills the nested key; in production the secret hides it.
#[tokio::test]
async fn a_variable_named_after_a_nested_key_stands_there() {
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

/// A field of its own is hidden by no nested key.
#[tokio::test]
async fn a_variable_that_is_a_field_too_has_a_row_of_its_own() {
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
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
