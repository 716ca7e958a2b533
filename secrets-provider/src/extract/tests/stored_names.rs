//! M4: names are data where the type says so, and a `.env` file that moved into one secret keeps
//! its meaning.
//!
//! Maps, variants and tags get the spelling that was stored; fields are found by it or by the name
//! that a variable would have.

use serde_json::{Value as Json, json};

use super::*;

type Map = BTreeMap<String, String>;

fn map(members: &[(&str, &str)]) -> Map {
    members.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn maps_and_values_get_keys_as_they_are_stored() {
    assert_eq!(ok::<Map>(r#"{"USD": "1", "eur": "2"}"#), map(&[("USD", "1"), ("eur", "2")]));
    let text = r#"{"A__B": "1", "A__C__D": {"E": 2}, "__X": 3, "x": {"Y": [{"Z": "z"}]}}"#;
    let value: Json = serde_json::from_str(text).expect("JSON");
    assert_eq!(ok::<Json>(text), value);
    // An empty table, beside one of its name.
    for text in [r#"{"B__A": false, "b": {}}"#, r#"{"B__A__C": {}, "b": {"a": {}}, "B__D": 1}"#] {
        let value: Json = serde_json::from_str(text).expect("JSON");
        assert_eq!(ok::<Json>(text), value);
    }
    // A scalar and a table of its name, as in a `.env` file.
    let text = r#"{"SMTP": "1", "SMTP__HOST": "2", "smtp_port": "3"}"#;
    assert_eq!(ok::<Map>(text), map(&[("SMTP", "1"), ("SMTP__HOST", "2"), ("smtp_port", "3")]));
    // JSON text in a variable, too.
    let layers = crate::Layers::new().environment_from([("X", r#"{"USD": "1"}"#)]);
    assert_eq!(layers.extract::<X<Map>>().expect("a map").x, map(&[("USD", "1")]));
}

#[test]
fn map_keys_that_are_enums_and_variants_are_named_as_they_are_stored() {
    #[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    enum Currency {
        #[serde(rename = "USD")]
        Usd,
        #[serde(rename = "eur")]
        Eur,
    }
    let rates: BTreeMap<Currency, u8> = ok(r#"{"USD": 1, "eur": 2}"#);
    assert_eq!(rates, [(Currency::Usd, 1), (Currency::Eur, 2)].into());
    #[derive(Debug, Deserialize, PartialEq)]
    enum Method {
        #[serde(rename = "BASIC")]
        Basic { user: String },
        #[serde(rename = "none")]
        None { reason: String },
    }
    assert_eq!(ok::<Method>(r#"{"BASIC": {"USER": "u"}}"#), Method::Basic { user: "u".into() });
    assert_eq!(ok::<Method>(r#"{"NONE": {"REASON": "r"}}"#), Method::None { reason: "r".into() });
}

#[test]
fn a_tag_is_named_as_it_is_stored() {
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(
        tag = "TYPE",
        rename_all = "SCREAMING_SNAKE_CASE",
        rename_all_fields = "SCREAMING_SNAKE_CASE"
    )]
    enum Store {
        ObjectStore { bucket_name: String },
    }
    let store = ok::<Store>(r#"{"TYPE": "OBJECT_STORE", "BUCKET_NAME": "b"}"#);
    assert_eq!(store, Store::ObjectStore { bucket_name: "b".into() });
    // Fields that serde looks for itself are found by the lowercased name, too.
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "type")]
    enum Tagged {
        File { path: String },
    }
    assert_eq!(ok::<Tagged>(r#"{"TYPE": "File", "PATH": "p"}"#), Tagged::File { path: "p".into() });
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Screaming {
    api_key: String,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Flat<T> {
    name: String,
    token: Option<String>,
    database: Option<Map>,
    #[serde(flatten)]
    rest: T,
}

#[test]
fn below_flatten_fields_are_found_and_the_rest_keeps_its_names() {
    let flat: Flat<Screaming> = ok(r#"{"name": "n", "API_KEY": "k"}"#);
    assert_eq!(flat.rest, Screaming { api_key: "k".into() });
    let payload = r#"{"NAME": "n", "TOKEN": "t", "OTHER": "o", "DATABASE__URL": "u", "more": "m"}"#;
    let flat: Flat<Map> = ok(payload);
    assert_eq!((flat.name.as_str(), flat.token.as_deref()), ("n", Some("t")));
    assert_eq!(flat.database, Some(map(&[("url", "u")])));
    assert_eq!(flat.rest, map(&[("OTHER", "o"), ("more", "m")]));
    // Each in a sequence, as what is known about the type is kept.
    let both: Vec<Flat<Map>> = ok(r#"[{"NAME": "a", "X": "x"}, {"NAME": "b", "Y": "y"}]"#);
    assert_eq!(both[1].rest, map(&[("Y", "y")]));
    assert!(refused::<Flat<Map>>(r#"{"NAME": "n", "DATABASE": 1}"#).contains("`x.database`"));
}

#[test]
fn a_struct_finds_a_field_by_either_name() {
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Database {
        url: String,
        password: String,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Settings {
        database: Database,
    }
    let settings: Settings = ok(r#"{"DATABASE__PASSWORD": "p", "DATABASE__URL": "u"}"#);
    assert_eq!(settings.database, Database { url: "u".into(), password: "p".into() });
    let settings: Settings = ok(r#"{"DATABASE__PASSWORD": "p", "database": {"url": "u"}}"#);
    assert_eq!(settings.database.password, "p");
    #[derive(Debug, Deserialize, PartialEq)]
    struct ToTheLetter {
        #[serde(rename = "DATABASE__PASSWORD")]
        password: String,
        database_url: String,
    }
    let settings: ToTheLetter = ok(r#"{"DATABASE__PASSWORD": "p", "DATABASE__URL": "u"}"#);
    assert_eq!((settings.password.as_str(), settings.database_url.as_str()), ("p", "u"));
}

#[test]
fn a_dotenv_file_that_moved_into_a_secret_overrides_the_stale_variables() {
    #[derive(Debug, Deserialize)]
    struct Settings {
        database: Map,
    }
    let old =
        [("DATABASE__USERNAME", "old"), ("DATABASE__PASSWORD", "old"), ("DATABASE__HOST", "h")];
    let moved = r#"{"DATABASE__USERNAME": "new", "DATABASE__PASSWORD": "new"}"#;
    let settings: Settings = layered(moved, &old, "").expect("settings");
    assert_eq!(settings.database, map(&[("host", "h"), ("password", "new"), ("username", "new")]));
}

/// Keys of maps are data, so a map holds both; a field cannot.
#[test]
fn keys_that_differ_in_case_are_two_keys_for_a_map_and_one_for_a_field() {
    for text in [
        r#"{"ACME": "1", "acme": "2"}"#,
        r#"{"acme": "2", "Acme": "3", "ACME": "1"}"#,
        r#"{"ACME": {"x": 1, "X": 2}, "acme": {"x": 3}}"#,
        r#"{"A": 1, "a": [{"B": 1, "b": 2}]}"#,
        r#"{"A": {"B": {"C": 1, "c": 2}}}"#,
    ] {
        let value: Json = serde_json::from_str(text).expect("JSON");
        assert_eq!(ok::<Json>(text), value);
        assert_eq!(layered::<Json>(text, &[], "").expect("at the root"), value);
    }
    let both = map(&[("ACME", "1"), ("acme", "2")]);
    assert_eq!(ok::<Map>(r#"{"ACME": "1", "acme": "2"}"#), both);
    // The layers below still meet the key of their name.
    let layers: X<Map> =
        layered(r#"{"x": {"ACME": "1", "acme": "2"}}"#, &[("X__ACME", "e")], "").expect("a map");
    assert_eq!(layers.x, both);
    let error = read::<X<u8>>(r#"{"X": 1, "x": 2}"#).expect_err("a field");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("as `x.X` and `x.x` (secret `app/x`"), "{error}");
    let error = read::<X<Map>>(r#"{"X": {"a": 1}, "x": {"b": 2}}"#).expect_err("a section");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // What nothing reads is no error, nor is a key that is absent.
    assert_eq!(ok::<X<u8>>(r#"{"x": 1, "ACME": 1, "acme": 2}"#).x, 1);
    assert_eq!(ok::<X<u8>>(r#"{"x": 1, "X": null}"#).x, 1);
}

#[test]
fn one_key_in_two_spellings_is_malformed() {
    for payload in [
        r#"{"A__B": 1, "a": {"b": 2}}"#,
        r#"{"A__B": 1, "A": {"B": 2}}"#,
        r#"{"A__B": {"C": 1}, "A__B__C": 2}"#,
    ] {
        assert_eq!(read::<Json>(payload).expect_err(payload).kind(), ErrorKind::Malformed);
    }
    assert_eq!(ok::<Json>(r#"{"A": {"x": 1}, "A__B": 2}"#), json!({"A": {"x": 1}, "A__B": 2}));
}

/// Reading takes time in proportion to the members: 20,000 of them take seconds in a debug build, and
/// minutes if each is compared with all others. The limit is for a busy machine.
#[test]
fn many_keys_are_read_in_linear_time() {
    let members: Vec<_> = (0..20_000).map(|n| format!("\"K{n}__A__B\": \"{n}\"")).collect();
    let payload = format!("{{{}}}", members.join(","));
    let start = std::time::Instant::now();
    assert_eq!(ok::<Map>(&payload).len(), 20_000);
    assert_eq!(ok::<BTreeMap<String, String>>(&payload)["K7__A__B"], "7");
    // Each key beside its form in lower case, and more variants than one.
    let members: Vec<_> =
        (0..20_000).map(|n| format!("\"K{n}\": \"api-token\", \"k{n}\": \"NONE\"")).collect();
    let payload = format!("{{{}}}", members.join(","));
    assert_eq!(ok::<Map>(&payload).len(), 40_000);
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    enum Plain {
        ApiToken,
        None,
    }
    assert_eq!(ok::<BTreeMap<String, Plain>>(&payload)["K7"], Plain::ApiToken);
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
enum Method {
    ApiToken(String),
    Basic { user: String, pass: Option<String> },
    None,
}

/// A variable's name has no case, so a segment that names a variant has any spelling.
#[test]
fn a_variant_is_found_in_any_spelling_as_a_field_is() {
    type Env = &'static [(&'static str, &'static str)];
    let token = |token: &str| Method::ApiToken(token.to_owned());
    let basic = |user: &str, pass: Option<&str>| Method::Basic {
        user: user.to_owned(),
        pass: pass.map(str::to_owned),
    };
    for (secret, env, dotenv, expected) in [
        ("{}", &[("X__API_TOKEN", "t")][..] as Env, "", token("t")),
        ("{}", &[("X__APITOKEN", "t")], "", token("t")),
        ("{}", &[], "X__API_TOKEN=t", token("t")),
        ("{}", &[("X__BASIC__USER", "u")], "", basic("u", None)),
        ("{}", &[("X__BASIC__USER", "u"), ("X__BASIC__PASS", "p")], "", basic("u", Some("p"))),
        (r#"{"X__API_TOKEN": "t"}"#, &[], "", token("t")),
        (r#"{"X__BASIC__USER": "u"}"#, &[], "", basic("u", None)),
        (r#"{"x": {"API-TOKEN": "t"}}"#, &[], "", token("t")),
        (r#"{"x": {"apiToken": "t"}}"#, &[], "", token("t")),
        (r#"{"X": {"BASIC": {"USER": "u"}}}"#, &[], "", basic("u", None)),
        ("{}", &[("X", r#"{"api_token": "t"}"#)], "", token("t")),
        ("{}", &[("X", "none")], "", Method::None),
        (r#"{"x": "None"}"#, &[], "", Method::None),
        // The layers meet in one variant, and the higher one wins between two.
        (
            r#"{"x": {"Basic": {"user": "s"}}}"#,
            &[("X__BASIC__PASS", "e")],
            "",
            basic("s", Some("e")),
        ),
        (r#"{"x": {"apiToken": "s"}}"#, &[("X__API_TOKEN", "e")], "X__API_TOKEN=d", token("s")),
        (r#"{"x": {"API-TOKEN": "s"}}"#, &[("X__BASIC__USER", "e")], "", token("s")),
        ("{}", &[("X__BASIC__USER", "e")], "X__API_TOKEN=d", basic("e", None)),
        // Variables that are not meant.
        ("{}", &[("X__API_TOKEN", "t"), ("X__OTHER", "o")], "", token("t")),
    ] {
        let read = layered::<X<Method>>(secret, env, dotenv)
            .unwrap_or_else(|error| panic!("{secret} {env:?} {dotenv}: {error}"));
        assert_eq!(read.x, expected, "{secret} {env:?} {dotenv}");
    }
    let error = layered::<X<Method>>("{}", &[("X__API_TOKEN", "t"), ("X__BASIC__USER", "u")], "");
    let error = error.expect_err("two variants").to_string();
    assert!(error.contains("expected one variant, but there are two, `API-TOKEN`"), "{error}");
    let error = layered::<X<Method>>(r#"{"x": {"BASIC": {"user": "u"}, "hunter2": 1}}"#, &[], "");
    let error = error.expect_err("another key").to_string();
    assert!(error.contains("expected one of") && !error.contains("hunter2"), "{error}");
}

#[test]
fn map_keys_that_are_enums_and_tags_are_found_in_any_spelling() {
    #[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    #[serde(rename_all = "UPPERCASE")]
    enum Currency {
        Usd,
        Eur,
    }
    let env = [("X__USD", "1"), ("X__EUR", "2")];
    let rates: X<BTreeMap<Currency, u8>> = layered("{}", &env, "").expect("rates");
    assert_eq!(rates.x, [(Currency::Usd, 1), (Currency::Eur, 2)].into());
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "type", rename_all = "kebab-case")]
    enum Internal {
        ObjectStore { bucket: String },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "t", content = "c", rename_all = "kebab-case")]
    enum Adjacent {
        ObjectStore { bucket: String },
        Disk,
    }
    for tag in ["object-store", "OBJECT_STORE", "ObjectStore"] {
        let text = format!(r#"{{"type": "{tag}", "bucket": "b"}}"#);
        assert_eq!(ok::<Internal>(&text), Internal::ObjectStore { bucket: "b".into() });
        let text = format!(r#"{{"c": {{"bucket": "b"}}, "t": "{tag}"}}"#);
        assert_eq!(ok::<Adjacent>(&text), Adjacent::ObjectStore { bucket: "b".into() });
    }
    let both: Vec<Adjacent> = ok(r#"[{"t": "DISK"}, {"t": "disk"}]"#);
    assert_eq!(both, [Adjacent::Disk, Adjacent::Disk]);
    let error = refused::<Internal>(r#"{"type": "hunter2", "bucket": "b"}"#);
    assert!(error.contains("expected one of `object-store`"), "{error}");
}
