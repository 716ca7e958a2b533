//! Several sources as one: the right one lies over the left one, key by key, and each keeps its own
//! rules. `live` has what happens when they change and fail.

mod live;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{
    Error, ErrorKind, Layer, Layers, Memory, SecretsManager, Snapshot, Sources,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The secrets below `app` in a store of their own.
fn source(secrets: &[(&str, &str)]) -> SecretsManager {
    let memory = Memory::new();
    secrets.iter().for_each(|(name, text)| _ = memory.put(&format!("app/{name}"), *text));
    SecretsManager::prefix("app").backend(memory)
}

fn tree(secrets: &Sources) -> Result<Value, Error> {
    secrets.fetch_blocking()?.extract()
}

#[test]
fn the_right_source_lies_over_the_left_one_key_by_key() {
    for (case, left, right, expected) in [
        ("a text", &[("a", "left")][..], &[("a", "right")][..], json!({"a": "right"})),
        ("different keys", &[("a", "left")], &[("b", "right")], json!({"a": "left", "b": "right"})),
        (
            "tables merge",
            &[("db", r#"{"host": "h", "tls": {"ca": "left", "on": true}}"#)],
            &[("db", r#"{"user": "u", "tls": {"ca": "right"}}"#)],
            json!({"db": {"host": "h", "user": "u", "tls": {"ca": "right", "on": true}}}),
        ),
        ("a text over a table", &[("a", r#"{"b": 1}"#)], &[("a", "t")], json!({"a": "t"})),
        ("a table over a text", &[("a", "t")], &[("a", r#"{"b": 1}"#)], json!({"a": {"b": 1}})),
        (
            "null hides nothing",
            &[("a", r#"{"b": 1}"#)],
            &[("a", r#"{"b": null}"#)],
            json!({"a": {"b": 1}}),
        ),
        (
            "a name over the root",
            &[("", r#"{"a": 1, "b": 2}"#)],
            &[("a", "t")],
            json!({"a": "t", "b": 2}),
        ),
        (
            "the root over a name",
            &[("a/b", "left")],
            &[("", r#"{"a": {"b": 2}}"#)],
            json!({"a": {"b": 2}}),
        ),
        (
            "an array is one value",
            &[("a", r#"{"b": [1, 2]}"#)],
            &[("a", r#"{"b": [3]}"#)],
            json!({"a": {"b": [3]}}),
        ),
    ] {
        let [left, right] = [left, right].map(|secrets| {
            let named = secrets.iter().map(|(name, text)| (*name, *text)).collect::<Vec<_>>();
            let memory = Memory::new();
            for (name, text) in named {
                memory.put(format!("app/{name}").trim_end_matches('/'), text);
            }
            SecretsManager::prefix("app").backend(memory)
        });
        assert_eq!(tree(&left.clone().and(right.clone())).unwrap(), expected, "{case}");
    }
}

/// Each source maps by its own prefix and renames; the order is that of `and`, however it is
/// nested.
#[test]
fn each_source_maps_by_its_own_rules() {
    let store = Memory::new();
    for (name, text) in [("team/smtp", "t"), ("team/db", "t"), ("eu/primary", "e"), ("own/db", "o")]
    {
        store.put(name, text);
    }
    let of = |prefix: &str| SecretsManager::prefix(prefix).backend(store.clone());
    let (team, eu, own) = (of("team"), of("eu").rename("primary", "db"), of("own"));
    for (sources, db) in [
        (team.clone().and(eu.clone()).and(own.clone()), "o"),
        (team.clone().and(eu.clone().and(own.clone())), "o"),
        (own.clone().and(team.clone()).and(eu.clone()), "e"),
        (eu.and(own).and(team), "t"),
    ] {
        assert_eq!(tree(&sources).unwrap(), json!({"db": db, "smtp": "t"}));
    }
}

#[test]
fn two_secrets_of_one_source_still_conflict_and_the_error_names_it() {
    let bad = source(&[("a/b", "1"), ("a", r#"{"b": 2}"#)]).source_name("the team's");
    let other = source(&[("a", r#"{"b": 3}"#)]);
    for sources in [bad.clone().and(other.clone()), other.and(bad)] {
        let error = tree(&sources).unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Conflict, Some("a.b")));
        assert!(
            error.to_string().starts_with("source `the team's`: secrets `app/a` and "),
            "{error}"
        );
    }
}

/// The spelling of the higher source wins, as it does between any two layers.
#[test]
fn a_field_takes_the_spelling_of_the_higher_source() {
    #[derive(Deserialize)]
    struct Settings {
        database_url: String,
    }
    let upper = source(&[("x", "1"), ("settings", r#"{"DATABASE_URL": "upper"}"#)]);
    let lower = source(&[("settings", r#"{"databaseUrl": "lower"}"#)]);
    for (sources, expected) in
        [(upper.clone().and(lower.clone()), "lower"), (lower.and(upper), "upper")]
    {
        #[derive(Deserialize)]
        struct Outer {
            settings: Settings,
        }
        let outer: Outer = sources.fetch_blocking().unwrap().extract().unwrap();
        assert_eq!(outer.settings.database_url, expected);
    }
}

#[tokio::test]
async fn every_failure_of_a_fetch_names_its_source() {
    let (team, own) = (FakeSecretsManager::new(), FakeSecretsManager::new());
    team.put("app/a", "1");
    own.put("app/b", "2");
    let of = |fake: &FakeSecretsManager| SecretsManager::prefix("app").client(fake.client());
    let sources = of(&team).and(of(&own).only(["b", "missing"]));
    team.deny_action("ListSecrets");
    let error = sources.fetch().await.unwrap_err();
    let messages: Vec<_> = error.errors().iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), 2, "{error}");
    assert!(messages[0].starts_with("source `app (1)`: "), "{error}");
    assert!(messages[1].starts_with("source `app (2)`: "), "{error}");
    assert_eq!(error.errors()[1].secret(), Some("app/missing"));

    let error = SecretsManager::prefix("").and(of(&own)).fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().starts_with("source ``: "), "{error}");
}

#[test]
fn a_snapshot_and_its_explanation_say_which_source_a_secret_is_of() {
    let team = source(&[("db", r#"{"host": "h", "password": "p"}"#)]).source_name("team");
    let own = source(&[("db", r#"{"password": "q"}"#)]);
    let snapshot: Snapshot = team.and(own).fetch_blocking().unwrap();
    let of: Vec<_> = snapshot.secrets().iter().map(|s| (s.name(), s.source())).collect();
    assert_eq!(of, [("app/db", Some("team")), ("app/db", Some("app"))]);

    let variables = [("DB__PASSWORD", "v")];
    let layers = Layers::new().environment_from(variables).secrets(&snapshot);
    let explanation = layers.explain().unwrap();
    let at = |key: &str| {
        explanation.keys().iter().find(|known| known.source().source() == Some(key)).unwrap()
    };
    assert_eq!(at("team").source().layer(), Layer::Secret);
    let hidden: Vec<_> = at("app").hides().iter().map(|p| (p.layer(), p.source())).collect();
    assert_eq!(hidden, [(Layer::Secret, Some("team")), (Layer::Environment, None)]);
    let shown = explanation.to_string();
    assert!(shown.contains("app/db (version v1, source team)"), "{shown}");

    #[derive(Debug, Deserialize)]
    struct Settings {
        #[allow(dead_code, reason = "only serde reads it")]
        db: Db,
    }
    #[derive(Debug, Deserialize)]
    struct Db {
        #[allow(dead_code, reason = "only serde reads it")]
        host: u16,
    }
    let error = snapshot.extract::<Settings>().unwrap_err().to_string();
    assert!(error.contains("of source `team`"), "{error}");
}

/// In figment, each is merged on its own, or their snapshot at once.
#[tokio::test]
async fn figment_and_config_get_the_same_from_the_snapshot_as_from_each_source() {
    let team = source(&[("db", r#"{"host": "h", "password": "p"}"#), ("a", "1")]);
    let own = source(&[("db", r#"{"password": "q"}"#)]);
    let expected = json!({"a": "1", "db": {"host": "h", "password": "q"}});
    let snapshot = team.clone().and(own.clone()).fetch().await.unwrap();
    let one_by_one = ::figment::Figment::new()
        .merge(team.fetch().await.unwrap())
        .merge(own.fetch().await.unwrap());
    assert_eq!(one_by_one.extract::<Value>().unwrap(), expected);
    let figment = ::figment::Figment::new().merge(snapshot.clone());
    assert_eq!(figment.extract::<Value>().unwrap(), expected);
    let config = ::config::Config::builder().add_source(snapshot).build().unwrap();
    assert_eq!(config.try_deserialize::<Value>().unwrap(), expected);
}

#[tokio::test]
async fn the_merged_policy_serves_all_sources_and_needs_every_statement() {
    let fake = FakeSecretsManager::new();
    fake.put("team/a", "1");
    fake.put("own/b", "2");
    fake.put("own/c", "3");
    let of = |manager: SecretsManager| manager.client(fake.client());
    let both = || {
        of(SecretsManager::prefix("team")).and(of(SecretsManager::prefix("own").only(["b", "c"])))
    };
    let policy: Value = serde_json::from_str(&both().iam_policy()).unwrap();
    let statements = policy["Statement"].as_array().unwrap().clone();
    let mut sids: Vec<_> = statements.iter().filter_map(|one| one["Sid"].as_str()).collect();
    sids.sort_unstable();
    sids.dedup();
    let with_sid = statements.iter().filter(|one| one["Sid"].is_string()).count();
    assert_eq!(sids.len(), with_sid, "IAM refuses a Sid that occurs twice: {policy:#}");
    fake.enforce_policy(&policy.to_string()).unwrap();
    assert_eq!(both().fetch().await.unwrap().secrets().len(), 3);
    for (index, statement) in statements.iter().enumerate() {
        let action = statement["Action"].as_str().unwrap();
        // A denied batch is replaced by single calls, and these secrets have no keys of their own.
        if action.ends_with("BatchGetSecretValue") || action.starts_with("kms:") {
            continue;
        }
        let mut fewer = policy.clone();
        fewer["Statement"].as_array_mut().unwrap().remove(index);
        fake.enforce_policy(&fewer.to_string()).unwrap();
        both().fetch().await.expect_err(action);
    }
}

#[tokio::test]
async fn a_lookup_asks_the_next_source_only_if_a_secret_does_not_exist() {
    let (team, own) = (FakeSecretsManager::new(), FakeSecretsManager::new());
    team.put("app/both", "team");
    team.put("app/only-team", "team");
    own.put("app/both", "own");
    own.put("app/denied", "own");
    team.put("app/denied", "team");
    own.deny_secret("app/denied");
    let of = |fake: &FakeSecretsManager| SecretsManager::prefix("app").client(fake.client());
    let secrets = of(&team).and(of(&own)).lookup();
    let get = async |name: &'static str| secrets.get::<String>(name).await;
    assert_eq!(get("both").await.unwrap(), "own");
    assert_eq!(team.total_calls(), 0);
    assert_eq!(get("only-team").await.unwrap(), "team");
    assert_eq!((own.total_calls(), team.total_calls()), (2, 1));
    assert_eq!(get("only-team").await.unwrap(), "team", "cached");
    assert_eq!(team.total_calls(), 1);

    let error = get("denied").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(error.to_string().starts_with("source `app (2)`: "), "{error}");
    own.inject(Fault::unavailable());
    assert_eq!(get("new").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(team.total_calls(), 1, "neither denied nor unreachable is absent");
    own.clear_faults();

    let error = get("nowhere").await.unwrap_err();
    assert_eq!((error.kind(), error.errors().len()), (ErrorKind::NotFound, 2), "{error}");
    assert_eq!(secrets.get::<String>("nowhere").optional().await.unwrap(), None);
}
