//! T3: a missing nested field is looked for as a variable, in the secrets first.

use super::*;

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
