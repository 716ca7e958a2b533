//! T3 below `flatten`: serde buffers the members, so names match exactly there, and are looked for in
//! other spellings once one is missing.

use super::*;

#[test]
fn a_flattened_struct_finds_its_variables_too() {
    #[derive(Debug, Deserialize)]
    struct Inner {
        port: String,
        user: String,
    }
    #[derive(Debug, Deserialize)]
    struct Flat {
        host: String,
        #[serde(flatten)]
        inner: Inner,
    }
    let variables = [("X__HOST", "h"), ("X_PORT", "1"), ("X_USER", "u")];
    let read: X<Flat> =
        crate::Layers::new().environment_from(variables).extract().expect("a struct");
    assert_eq!(
        (read.x.host.as_str(), read.x.inner.port.as_str(), read.x.inner.user.as_str()),
        ("h", "1", "u")
    );
    let error = crate::Layers::new()
        .environment_from([("X__HOST", "h"), ("X_PORT", "1")])
        .extract::<X<Flat>>();
    assert_eq!(error.err().as_ref().and_then(Error::key), Some("x.user"));
}

/// serde passes members to such a struct as to a map: names match exactly, and two of them may
/// belong to one field.
#[test]
fn the_higher_layer_wins_among_aliases_of_a_struct_with_flatten() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Settings {
        #[serde(alias = "dsn")]
        database_url: String,
        #[serde(flatten)]
        rest: BTreeMap<String, String>,
    }
    struct Case {
        secret: &'static str,
        env: &'static [(&'static str, &'static str)],
        url: &'static str,
        rest: &'static [&'static str],
    }
    for Case { secret, env, url, rest } in [
        Case {
            secret: r#"{"database_url": "s", "other": "o"}"#,
            env: &[("DSN", "e")],
            url: "s",
            rest: &["other"],
        },
        Case { secret: r#"{"dsn": "s"}"#, env: &[("DATABASE_URL", "e")], url: "s", rest: &[] },
        Case { secret: "{}", env: &[("DSN", "e")], url: "e", rest: &[] },
    ] {
        let read: Settings =
            layered(secret, env, "").unwrap_or_else(|error| panic!("{secret} {error}"));
        assert_eq!(read.database_url, url, "{secret}");
        assert_eq!(read.rest.keys().collect::<Vec<_>>(), rest, "{secret}");
    }
    let error = layered::<Settings>(r#"{"dsn": "s", "database_url": "t"}"#, &[], "");
    let error = error.expect_err("two").to_string();
    assert!(error.contains("as `database_url` and `dsn` (secret `app`, version `v1`)"), "{error}");
    // Other spellings are only tried where the field is missing.
    let read: Settings = layered(r#"{"databaseUrl": "s", "o": "x"}"#, &[], "").expect("settings");
    assert_eq!((read.database_url.as_str(), read.rest.len()), ("s", 1));
}

/// Their names are in serde's buffer, so they are looked for once serde misses one.
#[test]
fn fields_below_flatten_are_found_in_any_spelling_and_a_duplicate_is_named() {
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    struct Api {
        #[serde(alias = "TOKEN")]
        api_key: String,
        api_user: String,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Flat {
        name: String,
        #[serde(flatten)]
        api: Api,
    }
    type Env = &'static [(&'static str, &'static str)];
    for (secret, env) in [
        (r#"{"name": "n", "API_KEY": "k", "API_USER": "u"}"#, &[][..] as Env),
        ("{}", &[("NAME", "n"), ("API_KEY", "k"), ("API_USER", "u")]),
        (r#"{"name": "n"}"#, &[("API_KEY", "k"), ("API_USER", "u")]),
        (r#"{"name": "n", "apiKey": "k", "api-user": "u"}"#, &[]),
        (r#"{"name": "n", "apiKey": "k", "API_USER": "u"}"#, &[("API_KEY", "e")]),
    ] {
        for nested in [false, true] {
            let secret = match nested {
                true => format!(r#"{{"x": {secret}}}"#),
                false => secret.to_owned(),
            };
            let env: Vec<_> = env
                .iter()
                .map(|(name, value)| (format!("{}{name}", if nested { "X__" } else { "" }), *value))
                .collect();
            let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let read = match nested {
                true => layered::<X<Flat>>(&secret, &env, "").map(|x| x.x),
                false => layered::<Flat>(&secret, &env, ""),
            };
            let read = read.unwrap_or_else(|error| panic!("{secret} {env:?}: {error}"));
            let api = Api { api_key: "k".into(), api_user: "u".into() };
            assert_eq!(read, Flat { name: "n".into(), api }, "{secret} {env:?}");
        }
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        #[serde(alias = "dsn")]
        url: String,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        name: String,
        #[serde(flatten)]
        inner: Inner,
    }
    let outer = |secret, env| layered::<Outer>(secret, env, "");
    let higher = outer(r#"{"name": "n", "url": "s"}"#, &[("DSN", "e")]).expect("the secret's");
    assert_eq!(higher.inner.url, "s");
    let higher = outer(r#"{"name": "n", "dsn": "s"}"#, &[("URL", "e")]).expect("the secret's");
    assert_eq!(higher.inner.url, "s");
    let error = outer(r#"{"name": "n", "url": "hunter2", "dsn": "t"}"#, &[]).expect_err("twice");
    assert!(error.to_string().contains("field `url` is given twice"), "{error}");
    let twice = r#"{"name": "n", "API_KEY": "hunter2", "TOKEN": "t", "API_USER": "u"}"#;
    let error = layered::<Flat>(twice, &[], "").expect_err("a duplicate").to_string();
    assert!(error.contains("field `API_KEY` is given twice"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
