//! T3: how members of the layers are matched with fields.
//!
//! Exact or relaxed, the higher layer wins; two relaxed names in one layer are an error that names
//! both.

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Url {
    database_url: String,
}

#[test]
fn names_match_exactly_or_relaxed_and_the_higher_layer_wins() {
    struct Case {
        secret: &'static str,
        env: &'static [(&'static str, &'static str)],
        dotenv: &'static str,
        url: &'static str,
    }
    for Case { secret, env, dotenv, url } in [
        Case { secret: r#"{"database_url": "s"}"#, env: &[], dotenv: "", url: "s" },
        Case { secret: r#"{"DATABASE_URL": "s"}"#, env: &[], dotenv: "", url: "s" },
        Case { secret: r#"{"database-url": "s"}"#, env: &[], dotenv: "", url: "s" },
        Case { secret: r#"{"databaseUrl": "s"}"#, env: &[], dotenv: "", url: "s" },
        // The higher layer wins in any spelling.
        Case {
            secret: r#"{"databaseUrl": "s"}"#,
            env: &[("DATABASE_URL", "e")],
            dotenv: "DATABASE_URL=d",
            url: "s",
        },
        Case { secret: "{}", env: &[("DATABASEURL", "e")], dotenv: "DATABASE_URL=d", url: "e" },
        Case { secret: "{}", env: &[], dotenv: "DATABASE_URL=d", url: "d" },
        // Exactness breaks a tie within one layer.
        Case {
            secret: r#"{"databaseUrl": "relaxed", "database_url": "exact"}"#,
            env: &[],
            dotenv: "",
            url: "exact",
        },
    ] {
        let read =
            layered::<Url>(secret, env, dotenv).unwrap_or_else(|error| panic!("{secret} {error}"));
        assert_eq!(read.database_url, url, "{secret}");
    }
}

#[test]
fn two_relaxed_names_in_one_layer_are_an_error_that_names_both() {
    let error =
        layered::<Url>(r#"{"databaseUrl": "a", "database-url": "b"}"#, &[], "").expect_err("a tie");
    assert_eq!(
        error.to_string(),
        "key `database_url` is given twice in one layer: as `database-url` and `databaseUrl` \
         (secret `app`, version `v1`)\nhint: remove one of them"
    );
    assert_eq!((error.kind(), error.secret()), (ErrorKind::Conflict, Some("app")));
}

#[test]
fn two_fields_of_relaxed_equal_names_each_get_their_own() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Both {
        api_key: String,
        apikey: String,
    }
    let both = layered::<Both>(r#"{"api_key": "1", "apikey": "2"}"#, &[], "").expect("both");
    assert_eq!(both, Both { api_key: "1".into(), apikey: "2".into() });
}

#[test]
fn tables_of_one_field_merge_in_any_spelling() {
    #[derive(Debug, Deserialize)]
    struct Keys {
        api_keys: BTreeMap<String, String>,
    }
    // Tables merge value by value: one of a higher layer does not hide a whole lower one.
    let read: Keys =
        layered(r#"{"api_keys": {"b": "s"}}"#, &[("APIKEYS__A", "e")], "API_KEYS__A=d")
            .expect("ok");
    assert_eq!(read.api_keys, [("a".into(), "e".into()), ("b".into(), "s".into())].into());
    let keys: Keys =
        layered(r#"{"apiKeys": {"a": "s"}}"#, &[("API_KEYS__A", "e"), ("API_KEYS__B", "e")], "")
            .expect("ok");
    assert_eq!(keys.api_keys, [("a".into(), "s".into()), ("b".into(), "e".into())].into());
}

#[derive(Debug, Deserialize, PartialEq)]
struct Aliased {
    #[serde(alias = "url", alias = "dsn")]
    database_url: String,
}

#[test]
fn the_higher_layer_wins_among_aliases_and_none_is_a_duplicate() {
    struct Case {
        secret: &'static str,
        env: &'static [(&'static str, &'static str)],
        dotenv: &'static str,
        url: &'static str,
    }
    for Case { secret, env, dotenv, url } in [
        Case {
            secret: r#"{"url": "s"}"#,
            env: &[("DATABASE_URL", "e")],
            dotenv: "DSN=d",
            url: "s",
        },
        Case { secret: "{}", env: &[("URL", "e")], dotenv: "DATABASE_URL=d\nDSN=d", url: "e" },
        Case { secret: r#"{"dsn": "s"}"#, env: &[("URL", "e")], dotenv: "URL=d", url: "s" },
    ] {
        let read = layered::<Aliased>(secret, env, dotenv)
            .unwrap_or_else(|error| panic!("{secret} {error}"));
        assert_eq!(read.database_url, url, "{secret}");
    }
    // A hidden value is not read, so it may be wrong.
    #[derive(Debug, Deserialize)]
    struct Port {
        #[serde(alias = "db_port", alias = "a_port")]
        port: u16,
    }
    for (secret, env, dotenv) in [
        (r#"{"port": 1}"#, &[("A_PORT", "hunter2")][..], "DB_PORT=hunter2"),
        (r#"{"db_port": 1}"#, &[("A_PORT", "hunter2")], "PORT=hunter2"),
        (r#"{"port": 1}"#, &[("A_PORT", "hunter2")], "A_PORT=hunter2"),
        ("{}", &[("PORT", "1")], "A_PORT=hunter2"),
        ("{}", &[("A_PORT", "tcp://10.0.0.1:80"), ("PORT", "1")], ""),
        ("{}", &[("A_PORT", "1"), ("DB_PORT", "tcp://10.0.0.1:80")], ""),
    ] {
        let read =
            layered::<Port>(secret, env, dotenv).unwrap_or_else(|error| panic!("{secret} {error}"));
        assert_eq!(read.port, 1, "{secret}");
    }
}

/// As for serde, which calls it a duplicate field: nothing says which of the two is meant.
#[test]
fn a_field_that_is_given_twice_in_one_layer_is_an_error_that_names_both_and_the_source() {
    type Env = &'static [(&'static str, &'static str)];
    for (about, secret, env, dotenv, message) in [
        (
            "two aliases",
            r#"{"url": "hunter2", "dsn": "b"}"#,
            &[][..] as Env,
            "",
            "as `dsn` and `url` (secret `app`, version `v1`)",
        ),
        (
            "the field and an alias",
            r#"{"database_url": "hunter2", "url": "b"}"#,
            &[],
            "",
            "as `database_url` and `url` (secret `app`, version `v1`)",
        ),
        (
            "as they are stored",
            r#"{"DATABASE_URL": "hunter2", "Dsn": "b"}"#,
            &[],
            "",
            "as `DATABASE_URL` and `dsn` (secret `app`, version `v1`)",
        ),
        (
            "variables",
            "{}",
            &[("DATABASE_URL", "hunter2"), ("URL", "b")],
            "DSN=c",
            "as `database_url` (environment variable `DATABASE_URL`) and `url` (environment \
             variable `URL`)",
        ),
        (
            "two spellings at the root",
            r#"{"DATABASE_URL": "hunter2", "databaseUrl": "b"}"#,
            &[],
            "",
            "as `DATABASE_URL` and `databaseUrl` (secret `app`, version `v1`)",
        ),
        (
            "capitals",
            r#"{"DATABASE_URL": "hunter2", "database_url": "b"}"#,
            &[],
            "",
            "as `DATABASE_URL` and `database_url` (secret `app`, version `v1`)",
        ),
    ] {
        let error = layered::<Aliased>(secret, env, dotenv).expect_err(about);
        let message = format!("key `database_url` is given twice in one layer: {message}");
        assert_eq!(error.to_string(), format!("{message}\nhint: remove one of them"), "{about}");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{about}");
        assert_eq!(error.secret().is_some(), secret != "{}", "{about}");
        // The same in a table of its own, and in a list.
        if secret != "{}" {
            for nested in [format!(r#"{{"x": {secret}}}"#), format!(r#"{{"x": [{secret}]}}"#)] {
                let error = match nested.contains('[') {
                    false => layered::<X<Aliased>>(&nested, &[], "").err(),
                    true => layered::<X<Vec<Aliased>>>(&nested, &[], "").err(),
                };
                let error = error.unwrap_or_else(|| panic!("{about}: {nested}"));
                assert_eq!(error.kind(), ErrorKind::Conflict, "{about}: {nested}");
            }
        }
    }
    // Other errors are found beside it.
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "the errors are read")]
    struct Two {
        #[serde(alias = "db_port")]
        port: u16,
        size: u8,
    }
    let error = layered::<Two>(r#"{"port": 1, "db_port": 2, "size": "x"}"#, &[], "");
    assert_eq!(error.expect_err("two errors").errors().len(), 2);
}

#[derive(Debug, Deserialize, PartialEq)]
struct Nested {
    database: Database,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Database {
    url: String,
    #[serde(default)]
    pool: Option<u16>,
    #[serde(default)]
    port: u16,
}

#[test]
fn only_a_missing_required_nested_field_is_looked_up_as_a_variable() {
    let url = |url: &str| Nested { database: Database { url: url.into(), pool: None, port: 0 } };
    struct Case {
        secret: &'static str,
        env: &'static [(&'static str, &'static str)],
        dotenv: &'static str,
        expected: Nested,
    }
    for Case { secret, env, dotenv, expected } in [
        Case {
            secret: r#"{"database": {}}"#,
            env: &[("DATABASE_URL", "e")],
            dotenv: "",
            expected: url("e"),
        },
        // A secret's key may have any spelling, and comes first.
        Case {
            secret: r#"{"databaseUrl": "s"}"#,
            env: &[("DATABASE_URL", "e")],
            dotenv: "",
            expected: url("s"),
        },
        Case {
            secret: r#"{"database-url": "s"}"#,
            env: &[("DATABASE_URL", "e")],
            dotenv: "DATABASE_URL=d",
            expected: url("s"),
        },
        Case { secret: r#"{"DatabaseUrl": "s"}"#, env: &[], dotenv: "", expected: url("s") },
        Case { secret: r#"{"database.url": "s"}"#, env: &[], dotenv: "", expected: url("s") },
        // There is no table.
        Case { secret: "{}", env: &[("DATABASE_URL", "e")], dotenv: "", expected: url("e") },
        Case {
            secret: "{}",
            env: &[("DATABASE_URL", "e")],
            dotenv: "DATABASE_URL=d",
            expected: url("e"),
        },
        Case { secret: "{}", env: &[], dotenv: "DATABASE_URL=d", expected: url("d") },
        Case {
            secret: r#"{"database": {"url": "s"}}"#,
            env: &[("DATABASE_URL", "e")],
            dotenv: "",
            expected: url("s"),
        },
        Case {
            secret: "{}",
            env: &[("DATABASE__URL", "nested"), ("DATABASE_URL", "flat")],
            dotenv: "",
            expected: url("nested"),
        },
        // An option or a default stays as it is.
        Case {
            secret: "{}",
            env: &[
                ("DATABASE_URL", "e"),
                ("DATABASE_POOL", "5"),
                ("DATABASE_PORT", "tcp://10.0.0.1:5432"),
            ],
            dotenv: "",
            expected: url("e"),
        },
    ] {
        let read = layered::<Nested>(secret, env, dotenv)
            .unwrap_or_else(|error| panic!("{secret} {error}"));
        assert_eq!(read, expected, "{secret} {env:?}");
    }
    // Only a key at the root of the secrets may be a variable that has moved.
    let error = layered::<Nested>(r#"{"x": {"database_url": "s"}}"#, &[], "").expect_err("missing");
    assert_eq!(error.key(), Some("database"));
}

#[test]
fn variables_of_kubernetes_fill_no_field_by_accident() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Settings {
        redis: Option<BTreeMap<String, String>>,
        #[serde(default)]
        postgres: BTreeMap<String, String>,
    }
    let env = [("REDIS_PORT", "tcp://10.0.0.1:6379"), ("POSTGRES_SERVICE_HOST", "10.0.0.2")];
    let read: Settings = layered("{}", &env, "").expect("defaults");
    assert_eq!(read, Settings { redis: None, postgres: BTreeMap::new() });

    // A missing field of an existing table is looked up, but not among the variables that
    // Kubernetes injects.
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Redis {
        host: String,
        port: u16,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct WithRedis {
        redis: Redis,
    }
    let secret = r#"{"redis": {"host": "h"}}"#;
    let error = layered::<WithRedis>(secret, &env, "").expect_err("nothing");
    assert_eq!(error.to_string().lines().next(), Some("key `redis.port` is missing"));
    let read: WithRedis = layered(secret, &[("REDIS_PORT", "6379")], "").expect("a number");
    assert_eq!(read.redis.port, 6379);
    #[derive(Debug, Deserialize)]
    struct Text {
        #[allow(dead_code, reason = "only serde uses it")]
        port: SecretString,
    }
    for variable in [
        ("X_PORT", "tcp://10.0.0.1:6379"),
        ("X_PORT", "udp://10.0.0.1:53"),
        ("X_PORT_53_UDP", "udp://x"),
    ] {
        assert!(
            layered::<X<Text>>(r#"{"x": {}}"#, &[variable], "").is_err(),
            "text takes any: {variable:?}"
        );
        assert!(layered::<X<Text>>("{}", &[variable], "").is_err(), "{variable:?}");
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Required {
        redis: BTreeMap<String, String>,
        jwt: String,
    }
    let env = [("REDIS_PORT", "tcp://10.0.0.1:6379"), ("JWT_ISSUER", "x")];
    let error = layered::<Required>("{}", &env, "").expect_err("missing");
    assert_eq!(
        error.to_string().lines().next(),
        Some("key `redis` is missing (also absent, required or not: `jwt`)"),
        "the first missing field, and what else is absent"
    );
}

#[test]
fn unknown_environment_variables_are_not_errors() {
    let variables = [("X__HOST", "h"), ("X__PORT", "1"), ("X__HUNTER", "2"), ("PATH", "/bin")];
    let layers = crate::Layers::new().environment_from(variables);
    let x: X<Strict> = layers.extract().expect("a struct");
    assert_eq!(x.x.port, 1);
}

#[test]
fn deny_unknown_fields_names_only_keys_of_secrets() {
    let env = [("HOST", "h"), ("HUNTER", "2"), ("PATH", "/bin"), ("PORT", "1")];
    let error = layered::<Strict>(r#"{"proxi": "1", "prt": {"a": 1}}"#, &env, "SPARE=1")
        .expect_err("two keys");
    let keys: Vec<_> = error.errors().iter().filter_map(Error::key).collect();
    // The names may be content.
    assert_eq!(keys, ["*"]);
    assert!(error.to_string().contains("(2 keys)"), "{error}");
    assert!(
        error
            .errors()
            .iter()
            .all(|error| error.to_string().contains("there is no field of this name"))
    );
    assert!(layered::<Strict>("{}", &env, "SPARE=1").is_ok());
}

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

#[test]
fn a_placed_variable_counts_like_one_named_after_its_key() {
    let variables = [("CLERK_SECRET_KEY", "sk"), ("PLAIN", "p")];
    let layers = crate::Layers::new()
        .environment_from(variables)
        .variable("CLERK_SECRET_KEY", "api_keys.clerk.secret_key")
        .variable("PLAIN", "x.a");
    #[derive(Debug, Deserialize)]
    struct Settings {
        api_keys: BTreeMap<String, BTreeMap<String, String>>,
        x: Option<BTreeMap<String, String>>,
    }
    let read: Settings = layers.extract().expect("settings");
    assert_eq!(read.api_keys["clerk"]["secret_key"], "sk");
    assert_eq!(read.x.expect("a table")["a"], "p");
}

#[test]
fn a_variable_is_looked_up_by_the_segments_of_the_path() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Pool {
        max_size: u8,
    }
    for (variable, found) in [
        ("X_MAX_SIZE", true),
        ("x_max_size", true),
        ("X_MAXSIZE", true),
        ("XMAXSIZE", false),
        ("X_MAX_SI_ZE", false),
    ] {
        let read = layered::<X<Pool>>(r#"{"x": {}}"#, &[(variable, "3")], "");
        assert_eq!(read.map(|x| x.x.max_size).ok(), found.then_some(3), "{variable}");
    }
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

#[test]
fn deny_unknown_fields_of_a_tagged_enum_counts_only_keys_of_secrets() {
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "kind", deny_unknown_fields)]
    enum Database {
        Postgres { name: String },
    }
    let env = [("X__EXTRA", "1"), ("X__OTHER", "2")];
    let read: X<Database> =
        layered(r#"{"x": {"kind": "Postgres", "name": "n"}}"#, &env, "").expect("settings");
    assert_eq!(read.x, Database::Postgres { name: "n".into() });
    let secret = r#"{"x": {"kind": "Postgres", "name": "n", "port": 1}}"#;
    let error = layered::<X<Database>>(secret, &env, "").expect_err("an unknown key").to_string();
    assert!(error.contains("it has a key that is not one of its fields"), "{error}");
}

#[test]
fn a_secret_named_after_a_missing_key_fills_it_before_a_variable_does() {
    let read =
        |secret: &str| layered::<Nested>(secret, &[("DATABASE_URL", "stale")], "DATABASE_URL=old");
    for secret in [r#"{"DATABASE_URL": "new"}"#, r#"{"database_url": "new"}"#] {
        assert_eq!(read(secret).expect("settings").database.url, "new");
    }
    let both = r#"{"DATABASE_URL": "other", "database": {"url": "own"}}"#;
    assert_eq!(read(both).expect("settings").database.url, "own");
    assert_eq!(read("{}").expect("settings").database.url, "stale");
    assert_eq!(read(r#"{"DATABASE__URL": "nested"}"#).expect("settings").database.url, "nested");
}

/// Whoever follows `database` must learn of a new value in `database_url`.
#[test]
fn a_new_value_of_such_a_secret_changes_the_key_that_it_fills() {
    let tree = |url: &str| {
        let mapping = Mapping { prefix: Some("app".into()), ..Mapping::default() };
        let secrets = [Fetched::text("app/DATABASE_URL", "v1", url)];
        let mut tree = assemble(&secrets, &mapping).expect("a tree");
        let names = Default::default();
        let (_, implied, _) = extract_with_names::<Nested>(&tree, names).expect("settings");
        implied.iter().for_each(|implied| implied.add_to(&mut tree));
        tree
    };
    assert_eq!(tree("a").changed_keys(&tree("b")), ["database.url", "database_url"]);
}

/// The fields of a variant are those of the tag, which is refused.
#[test]
fn an_unknown_tag_is_one_error() {
    #[derive(Debug, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    #[allow(dead_code, reason = "the error is read")]
    enum Store {
        S3 { bucket: String, port: u16 },
        Disk { path: String },
    }
    let error = read::<Store>(r#"{"type": "hunter2", "bucket": "b"}"#).expect_err("no such tag");
    assert_eq!(error.errors().len(), 1, "{error}");
    assert!(error.to_string().contains("expected one of `s3`, `disk`"), "{error}");
}
