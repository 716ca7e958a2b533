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
