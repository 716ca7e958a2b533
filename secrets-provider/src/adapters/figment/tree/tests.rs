use std::collections::BTreeMap;

use figment::providers::{Format as _, Serialized, Toml};
use serde::Deserialize;

use super::*;
use crate::{Memory, SecretsManager};

fn secrets(json: &str) -> SecretsManager {
    let memory = Memory::new();
    memory.put("app", json);
    SecretsManager::prefix("app").backend(memory)
}

fn text(toml: &str) -> figment::providers::Data<Toml> {
    Toml::string(toml)
}

#[derive(Debug, Deserialize)]
struct Settings {
    database_url: String,
}

#[test]
fn of_two_spellings_the_provider_merged_later_wins_secret_or_not() {
    let secret = || secrets(r#"{"database_url": "secret"}"#);
    for (figment, expected) in [
        (Figment::new().merge(text("databaseUrl = 'file'")).merge(secret()), "secret"),
        (Figment::new().merge(secret()).merge(text("databaseUrl = 'file'")), "file"),
        (
            Figment::new()
                .merge(secret())
                .merge(text("database-url = 'file'"))
                .merge(text("x = 1")),
            "file",
        ),
        // Exactness breaks a tie within one provider alone.
        (Figment::new().merge(secret()).merge(text("databaseUrl = 'r'\ndatabase_url = 'e'")), "e"),
        (
            Figment::new()
                .merge(text("databaseUrl = 'low'"))
                .merge(secrets(r#"{"databaseUrl": "secret"}"#))
                .merge(text("database-url = 'file'")),
            "file",
        ),
    ] {
        let settings: Settings = figment.settings().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings.database_url, expected);
    }
}

#[test]
fn of_two_spellings_the_selected_profile_outranks_the_order_of_merges() {
    let files = || {
        Figment::new()
            .merge(text("[global]\n[prod]\ndatabaseUrl = 'prod'").nested())
            .merge(text("[default]\ndatabase_url = 'default'").nested())
    };
    let url = |figment: Figment| figment.settings::<Settings>().expect("settings").database_url;
    assert_eq!(url(files().select("prod")), "prod");
    assert_eq!(url(files()), "default");
    let global = text("[global]\ndatabase-url = 'global'").nested();
    assert_eq!(url(Figment::from(global).merge(files()).select("prod")), "global");
}

#[test]
fn a_table_in_two_spellings_takes_each_member_from_the_provider_merged_later() {
    #[derive(Deserialize)]
    struct Settings {
        api_keys: BTreeMap<String, String>,
    }
    let figment = Figment::new()
        .merge(text("api_keys = { a = '1', b = '1', c = '1' }"))
        .merge(secrets(r#"{"apiKeys": {"a": "2", "b": "2"}}"#))
        .merge(text("api_keys = { a = '3' }"));
    let keys = figment.settings::<Settings>().expect("settings").api_keys;
    assert_eq!(keys.values().map(String::as_str).collect::<Vec<_>>(), ["3", "2", "1"]);
}

#[test]
fn a_failed_fetch_comes_out_whole() {
    let empty = || SecretsManager::names(["app/a", "app/b"]).backend(Memory::new());
    let fetched = empty().fetch_blocking().expect_err("no secrets");
    assert_eq!((fetched.kind(), fetched.errors().len()), (ErrorKind::NotFound, 2));
    let below = || Figment::from(Serialized::default("database_url", "default"));
    for figment in [
        below().merge(empty()),
        below().merge(empty()).merge(text("x = 1")),
        below().merge(below().merge(empty())),
    ] {
        let error = figment.settings::<Settings>().expect_err("the same");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), fetched.to_string());
        assert_eq!(error.secret(), Some("app/a"));
    }
}

#[test]
fn failures_of_other_providers_come_beside_it_and_without_their_text() {
    let empty = SecretsManager::names(["app/a"]).backend(Memory::new());
    let broken = text("port = hunter2");
    let error =
        Figment::from(broken).merge(empty).settings::<Settings>().expect_err("two failures");
    let kinds: Vec<_> = error.errors().iter().map(Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::Invalid, ErrorKind::NotFound]);
    assert!(error.to_string().contains("TOML source string failed"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "the file is quoted");
}

#[test]
fn a_focused_figment_has_its_own_values() {
    let figment = Figment::from(secrets(
        r#"{"database_url": "root", "replica": {"database_url": "replica"}, "n": 1.50, "m": {"n": 1.50}}"#,
    ));
    let settings: Settings = figment.focus("replica").settings().expect("settings");
    assert_eq!(settings.database_url, "replica");
}

#[test]
fn an_array_that_another_provider_added_to_has_all_items() {
    #[derive(Deserialize)]
    struct Settings {
        hosts: Vec<String>,
    }
    let figment =
        Figment::from(secrets(r#"{"hosts": ["a", 1.50]}"#)).admerge(text("hosts = ['b']"));
    assert_eq!(figment.settings::<Settings>().expect("settings").hosts, ["a", "1.5", "b"]);
}

#[test]
fn a_secret_that_nothing_was_merged_into_is_text_as_it_was_stored() {
    #[derive(Deserialize)]
    struct Settings {
        db: String,
    }
    let memory = Memory::new();
    memory.put("app/db", "{\"a\":  1.50}");
    let manager = SecretsManager::prefix("app").backend(memory);
    let whole = Figment::from(&manager).settings::<Settings>().expect("text");
    assert_eq!(whole.db, "{\"a\":  1.50}");
    let mixed = Figment::from(text("db = { b = 1 }")).merge(&manager).settings::<Settings>();
    assert_eq!(mixed.err().as_ref().and_then(Error::key), Some("db"));
}

/// Threads that merge one manager may come in between each other.
#[test]
fn each_threads_metadata_gets_its_own_fetch() {
    use figment::Provider as _;
    let memory = Memory::new();
    memory.put("app/port", "1");
    let manager = SecretsManager::prefix("app").backend(memory);
    let ours = manager.metadata();
    let theirs =
        std::thread::scope(|scope| scope.spawn(|| manager.metadata()).join().expect("a thread"));
    manager.data().expect("data");
    assert!(fetch_of(&ours).is_some() && fetch_of(&theirs).is_none());
}
