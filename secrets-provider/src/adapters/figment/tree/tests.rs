//! How a Figment becomes our tree: which spelling of a name wins, what keeps its source text, and
//! which errors come through.
//!
//! They read the tree itself; what a whole program sees is in the suite of `end-to-end`.

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
fn of_two_spellings_the_provider_merged_later_wins() {
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
        // The exact spelling only wins within one provider.
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
fn of_two_spellings_the_profile_comes_before_the_order_of_merges() {
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
fn the_error_of_a_failed_fetch_is_returned_unchanged() {
    let empty = || SecretsManager::names(["app/a", "app/b"]).backend(Memory::new());
    let fetched = empty().fetch_blocking().expect_err("no secrets");
    assert_eq!((fetched.kind(), fetched.errors().len()), (ErrorKind::NotFound, 2));
    let below = || Figment::from(Serialized::default("database_url", "default"));
    for figment in [
        below().merge(empty()),
        below().merge(empty()).merge(text("x = 1")),
        below().merge(below().merge(empty())),
    ] {
        let error = figment.settings::<Settings>().expect_err("the error of the fetch");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), fetched.to_string());
        assert_eq!(error.secret(), Some("app/a"));
    }
}

#[test]
fn errors_of_other_providers_are_listed_without_their_message() {
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
fn a_focused_figment_has_the_values_of_its_table() {
    let figment = Figment::from(secrets(
        r#"{"database_url": "root", "replica": {"database_url": "replica"},
            "n": 1.50, "m": {"n": 1.50}}"#,
    ));
    let settings: Settings = figment.focus("replica").settings().expect("settings");
    assert_eq!(settings.database_url, "replica");
}

#[test]
fn an_array_keeps_the_items_of_all_providers() {
    #[derive(Deserialize)]
    struct Settings {
        hosts: Vec<String>,
    }
    let figment =
        Figment::from(secrets(r#"{"hosts": ["a", 1.50]}"#)).admerge(text("hosts = ['b']"));
    assert_eq!(figment.settings::<Settings>().expect("settings").hosts, ["a", "1.5", "b"]);
}

#[test]
fn an_unchanged_secret_keeps_its_source_text() {
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

#[test]
fn a_dotenv_file_keeps_its_text() {
    #[derive(Debug, Deserialize)]
    struct Settings {
        pin: String,
        flag: String,
        ratio: String,
        quoted: String,
        port: u16,
        debug: bool,
        list: Vec<u16>,
        nested: BTreeMap<String, String>,
        over: String,
        none: Option<u16>,
        bracketed: String,
        braced: String,
        codes: Vec<String>,
        words: Vec<String>,
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".env");
    let lines = "PIN=0042\nFLAG=true\nRATIO=1.50\nQUOTED='\"x\"'\nPORT=0080\nDEBUG=true\n\
                 LIST='[1, 2]'\nNESTED__PIN=007\nOVER=0042\nNONE=\n\
                 BRACKETED=[a,b]\nBRACED={a=1}\nCODES=[0042,7]\nWORDS=[a,b]\n";
    std::fs::write(&file, lines).expect("a file");
    let dotenv = || crate::Dotenv::file(&file).split("__");
    let over = || text("over = 'file'");
    for figment in [
        Figment::new().merge(dotenv()).merge(over()),
        Figment::new().merge(dotenv()).merge(dotenv()).merge(over()),
        Figment::new().merge(Figment::new().merge(dotenv())).merge(over()),
        Figment::new().join(over()).join(dotenv()),
    ] {
        let read: Settings = figment.settings().unwrap_or_else(|error| panic!("{error}"));
        let texts = [&read.pin, &read.flag, &read.ratio, &read.quoted, &read.nested["pin"]];
        assert_eq!(texts, ["0042", "true", "1.50", "\"x\"", "007"]);
        assert_eq!((read.port, read.debug, &*read.over, read.none), (80, true, "file", None));
        assert_eq!(read.list, [1, 2]);
        assert_eq!((&*read.bracketed, &*read.braced), ("[a,b]", "{a=1}"));
        assert_eq!(read.codes, ["0042", "7"]);
        assert_eq!(read.words, ["a", "b"]);
    }
}

/// figment keeps only the words of an error.
#[test]
fn a_file_that_cannot_be_read_keeps_its_line_and_hint() {
    #[derive(Debug, Deserialize)]
    struct Any {}
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".env");
    std::fs::write(&file, "A=1\nhunter2 hunter2\n").expect("a file");
    for figment in [
        Figment::new().merge(crate::Dotenv::file(&file)),
        Figment::new().merge(text("a = 1")).merge(crate::Dotenv::file(&file).split("__")),
    ] {
        let error = figment.settings::<Any>().expect_err("a line that is no variable");
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(error.hint().is_some() && !format!("{error:?}").contains("hunter2"), "{error}");
    }
}

/// figment's own types ask its deserializer for what it knows about a value's source.
#[test]
fn figments_magic_types_are_read_as_by_figment() {
    use figment::value::magic::{Either, RelativePathBuf, Tagged};
    #[derive(Debug, Deserialize)]
    struct Magic {
        path: RelativePathBuf,
        paths: Vec<RelativePathBuf>,
        none: Option<RelativePathBuf>,
        port: Tagged<u16>,
        either: Either<RelativePathBuf, Vec<String>>,
        other: Either<Tagged<u16>, String>,
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.toml");
    let toml = "path = 'certs/ca.pem'\npaths = ['a', '/b']\nport = 80\neither = 'x'\nother = 'o'\n";
    std::fs::write(&file, toml).expect("a file");
    let figment = Figment::new().merge(Toml::file(&file));
    let theirs: Magic = figment.extract().expect("figment's");
    let ours: Magic = figment.settings().expect("ours");
    for read in [&theirs, &ours] {
        assert_eq!(read.path.relative(), folder.path().join("certs/ca.pem"));
        assert_eq!(read.path.original(), std::path::Path::new("certs/ca.pem"));
        assert_eq!(read.paths[0].relative(), folder.path().join("a"));
        assert_eq!(read.paths[1].relative(), std::path::Path::new("/b"));
        assert!(read.none.is_none());
        assert_eq!(*read.port, 80);
        assert!(matches!(&read.either, Either::Left(path) if path.original().ends_with("x")));
        assert!(matches!(&read.other, Either::Right(text) if text == "o"));
    }

    // Values of no file, of a secret, and of a struct that figment has serialized.
    #[derive(Debug, Deserialize, serde::Serialize)]
    struct Path {
        path: RelativePathBuf,
    }
    let path = || Path { path: "certs/ca.pem".into() };
    for figment in [
        Figment::new().merge(("path", "certs/ca.pem")),
        Figment::new().merge(secrets(r#"{"path": "certs/ca.pem"}"#)),
        Figment::new().merge(Serialized::defaults(path())),
    ] {
        let read: Path = figment.settings().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.path.relative(), std::path::Path::new("certs/ca.pem"));
    }
    let error = Figment::new().merge(("path", 5)).settings::<Path>();
    assert!(error.is_ok() || error.is_err_and(|error| error.to_string().contains("`path`")));
    let error = Figment::new().merge(("path.x", 5)).settings::<Path>().expect_err("a table");
    assert!(error.to_string().contains("key `path`"), "{error}");
}
