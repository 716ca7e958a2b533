//! The whole environment is a layer: variables that are not meant for the settings break nothing.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::*;

/// What a machine, a shell, a scheduler and Kubernetes put into the environment.
const AMBIENT: [(&str, &str); 16] = [
    ("PATH", "/usr/bin:/bin"),
    ("HOME", "/root"),
    ("MAIL", "/var/mail/root"),
    ("USER", "root"),
    ("HOST", "ip-10-0-0-1"),
    ("SHELL", "/bin/sh"),
    ("PWD", "/"),
    ("_", "/usr/bin/env"),
    ("SHLVL", "1"),
    ("CI", "true"),
    ("REDIS_PORT", "tcp://10.0.0.1:6379"),
    ("REDIS_PORT_6379_TCP", "tcp://10.0.0.1:6379"),
    ("REDIS_SERVICE_HOST", "10.0.0.1"),
    ("CACHE", ""),
    ("NPM__REGISTRY", "https://r"),
    ("EMPTY__", "x"),
];

#[derive(Debug, Deserialize, PartialEq)]
struct Section {
    host: String,
    port: u16,
}

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(default)]
struct Defaults {
    host: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Tagged {
    Smtp { host: String },
}

fn read<T: DeserializeOwned>(secret: &str) -> T {
    layered(secret, &AMBIENT, "").unwrap_or_else(|error| panic!("{error}"))
}

fn preset() -> Option<Section> {
    Some(Section { host: "preset".into(), port: 1 })
}

#[test]
fn text_never_fills_an_optional_section() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Optional<T> {
        mail: Option<T>,
    }
    assert_eq!(read::<Optional<Section>>("{}").mail, None, "a struct");
    assert_eq!(read::<Optional<Option<Section>>>("{}").mail, None, "nested");
    assert_eq!(read::<Optional<Box<Section>>>("{}").mail, None, "in a box");
    assert_eq!(read::<Optional<BTreeMap<String, String>>>("{}").mail, None, "a map");
    assert_eq!(read::<Optional<Tagged>>("{}").mail, None, "an internally tagged enum");
    assert_eq!(read::<Optional<Vec<Section>>>("{}").mail, None, "a list of sections");
    assert_eq!(read::<Optional<Json>>("{}").mail, Some("/var/mail/root".into()), "any value");

    #[derive(Debug, Deserialize, PartialEq)]
    struct ByDefault {
        #[serde(default)]
        mail: Defaults,
        #[serde(default)]
        user: Vec<Section>,
        #[serde(default = "preset")]
        home: Option<Section>,
        #[serde(default)]
        cache: Option<Section>,
        #[serde(default)]
        shell: HashMap<String, Section>,
    }
    let read: ByDefault = read("{}");
    assert_eq!((read.mail, read.user.len()), (Defaults::default(), 0));
    assert_eq!((read.home, read.cache, read.shell.len()), (preset(), None, 0));
}

#[test]
fn json_does_fill_an_optional_section_and_a_secret_that_does_not_is_an_error() {
    #[derive(Debug, Deserialize)]
    struct Optional {
        mail: Option<Section>,
    }
    let mail = [("MAIL", r#"{"host": "h", "port": "1"}"#)];
    let read: Optional = layered("{}", &mail, "").expect("JSON");
    assert_eq!(read.mail.expect("a section").port, 1);
    for broken in [r#"{"host": "h""#, r#"{"host": "h", "port": "x"}"#, r#"["h"]"#] {
        let error = layered::<Optional>("{}", &[("MAIL", broken)], "").expect_err("an error");
        assert!(error.to_string().contains("environment variable `MAIL`"), "{error}");
    }
    let error = layered::<Optional>(r#"{"mail": "hunter2"}"#, &AMBIENT, "").expect_err("an error");
    assert!(error.to_string().contains("expected a table, found text"), "{error}");
}

#[test]
fn a_required_section_is_not_filled_by_text_and_the_error_names_the_variable() {
    #[derive(Debug, Deserialize)]
    struct Required {
        #[allow(dead_code, reason = "only serde uses it")]
        mail: Section,
    }
    let error = layered::<Required>("{}", &AMBIENT, "").expect_err("an error");
    let text = error.to_string();
    assert!(text.contains("`mail`: expected a table, found text"), "{text}");
    assert!(text.contains("environment variable `MAIL`"), "{text}");
    assert!(error.hint().is_some_and(|hint| hint.contains("JSON object")), "{text}");
    let env = [("MAIL", "/var/mail/root"), ("MAIL_HOST", "h"), ("MAIL_PORT", "1")];
    assert_eq!(layered::<Required>("{}", &env, "").expect("variables").mail.port, 1);
}

#[test]
fn a_catch_all_takes_what_fits_it() {
    #[derive(Debug, Deserialize)]
    struct Flat<T> {
        name: String,
        #[serde(flatten)]
        rest: T,
    }
    let secret = r#"{"name": "n", "plugin": {"host": "h", "port": 1}}"#;
    let any: Flat<HashMap<String, Json>> = read(secret);
    assert_eq!((any.name.as_str(), any.rest["home"].as_str()), ("n", Some("/root")));
    let text: Flat<HashMap<String, String>> = read(r#"{"name": "n"}"#);
    assert_eq!(text.rest.get("home").map(String::as_str), Some("/root"));
    let sections: Flat<HashMap<String, Section>> = read(secret);
    assert_eq!((sections.name.as_str(), sections.rest.len()), ("n", 1));
    assert_eq!(sections.rest["plugin"].port, 1);

    #[derive(Debug, Deserialize)]
    struct Both {
        #[serde(flatten)]
        user: User,
        #[serde(flatten)]
        rest: BTreeMap<String, Json>,
    }
    #[derive(Debug, Deserialize)]
    struct User {
        user: String,
        home: String,
    }
    let both: Both = read("{}");
    assert_eq!((both.user.user.as_str(), both.user.home.as_str()), ("root", "/root"));
    assert!(both.rest.contains_key("path"));

    #[derive(Debug, Deserialize)]
    struct Typed {
        #[serde(flatten)]
        user: User,
        #[serde(flatten)]
        rest: BTreeMap<String, Section>,
    }
    let typed: Typed = read(secret.replace(r#""name": "n", "#, "").as_str());
    assert_eq!((typed.user.user.as_str(), typed.rest.len()), ("root", 1));

    // What is wrong in the secret stays an error.
    let wrong = r#"{"name": "n", "plugin": {"host": "h"}}"#;
    assert!(layered::<Flat<HashMap<String, Section>>>(wrong, &AMBIENT, "").is_err());
}

#[test]
fn a_map_of_sections_at_the_root_leaves_text_out() {
    let mut env = AMBIENT.to_vec();
    env.retain(|(name, _)| !name.starts_with("NPM__"));
    let secret = r#"{"plugin": {"host": "h", "port": 1}}"#;
    let sections: BTreeMap<String, Section> = layered(secret, &env, "").expect("one section");
    assert_eq!(sections.into_keys().collect::<Vec<_>>(), ["plugin"]);
}

#[test]
fn a_service_of_kubernetes_is_named_as_such() {
    #[derive(Debug, Deserialize)]
    struct Port {
        #[allow(dead_code, reason = "only serde uses it")]
        redis_port: Option<u16>,
    }
    let error = layered::<Port>("{}", &AMBIENT, "").expect_err("a URL");
    assert!(error.to_string().contains("environment variable `REDIS_PORT`"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("enableServiceLinks")), "{error}");
}
