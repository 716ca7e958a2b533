//! The variables of `from_env`: the set-ups of the guides, what wins, and what is refused.
//!
//! Variables and file are arguments here, so no test touches the process environment. An error
//! names the variable, never its value.

use super::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn switches(
    default: Option<&str>,
    environment: Pairs<'_>,
    dotenv: Pairs<'_>,
) -> Result<Switches, Error> {
    let sought = Sought { default_prefix: default, program: None, dotenv: None };
    sought_switches(sought, environment, dotenv)
}

fn sought_switches(
    sought: Sought<'_>,
    environment: Pairs<'_>,
    dotenv: Pairs<'_>,
) -> Result<Switches, Error> {
    let owned = |pairs: Pairs<'_>| -> Vec<(String, Zeroizing<String>)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())))
            .collect()
    };
    read(sought, owned(environment), owned(dotenv))
}

/// The selection of a set of switches, in a short form.
fn selected(switches: &Switches) -> String {
    match &switches.selection {
        Selection::Prefix { prefix, .. } => format!("{prefix}/*"),
        Selection::Names { names, .. } => {
            let placed = |name: &String| {
                let path = switches.placed.get(crate::secret::id::names_of(name)[0]);
                path.map_or_else(|| name.clone(), |path| format!("{}={name}", path.join(".")))
            };
            names.iter().map(placed).collect::<Vec<_>>().join(",")
        }
        Selection::Nothing => String::new(),
    }
}

#[test]
fn the_environments_of_the_guides_work() {
    let local = "rT8x9kp3QwE7yLmN2oA5vK1uG4hJ6fD9cB8sZ0tX3iY=";
    struct Case<'a> {
        /// The prefix that the program gives.
        default: Option<&'a str>,
        variables: Pairs<'a>,
        /// The variable that switches AWS off.
        off: Option<&'a str>,
        selection: &'a str,
        seconds: Option<u64>,
    }
    let cases = [
        Case {
            default: Some("gaara-store/{env}"),
            variables: &[
                ("ENVIRONMENT", "production"),
                ("AWS_REGION", "us-east-1"),
                ("KMS_KEY_ID", "alias/gaara-store-production"),
                ("SECRET_CACHE_TTL", "300"),
            ],
            off: None,
            selection: "gaara-store/production/*",
            seconds: Some(300),
        },
        Case {
            default: Some("gaara-store/{env}"),
            variables: &[
                ("ENVIRONMENT", "development"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "AKIA..."),
                ("AWS_SECRET_ACCESS_KEY", "..."),
                ("SECRET_CACHE_TTL", "300"),
            ],
            off: Some("ENVIRONMENT"),
            selection: "gaara-store/development/*",
            seconds: Some(300),
        },
        Case {
            default: None,
            variables: &[
                ("ENVIRONMENT", "production"),
                ("AWS_REGION", "us-east-1"),
                ("SECRETS_MANAGER_PREFIX", "gaara/prod"),
            ],
            off: None,
            selection: "gaara/prod/*",
            seconds: None,
        },
        Case {
            default: Some("{env}"),
            variables: &[
                ("USE_SECRETS_MANAGER", "True"),
                ("ENVIRONMENT", "production"),
                ("AWS_REGION", "us-east-1"),
                ("SECRETS_CACHE_TTL", "300"),
            ],
            off: None,
            selection: "production/*",
            seconds: Some(300),
        },
        Case {
            default: Some("{env}"),
            variables: &[("USE_SECRETS_MANAGER", "False"), ("ENVIRONMENT", "development")],
            off: Some("USE_SECRETS_MANAGER"),
            selection: "development/*",
            seconds: None,
        },
        Case {
            default: None,
            variables: &[
                ("ENVIRONMENT", "staging"),
                ("AWS_REGION", "us-east-1"),
                ("SECRETS_MANAGER_KEY_NAME", "pazpaz/encryption-key-v1"),
                ("ENCRYPTION_MASTER_KEY", "your-fallback-key-here"),
            ],
            off: None,
            selection: "pazpaz/encryption-key-v1",
            seconds: None,
        },
        Case {
            default: None,
            variables: &[("ENVIRONMENT", "local"), ("ENCRYPTION_MASTER_KEY", local)],
            off: Some("ENVIRONMENT"),
            selection: "",
            seconds: None,
        },
        Case {
            default: None,
            variables: &[
                ("ENVIRONMENT", "local"),
                ("AWS_REGION", "us-east-1"),
                ("SECRETS_MANAGER_KEY_NAME", "pazpaz/encryption-key-v1"),
            ],
            off: Some("ENVIRONMENT"),
            selection: "pazpaz/encryption-key-v1",
            seconds: None,
        },
    ];
    for Case { default, variables, off, selection, seconds } in cases {
        // The variables are in the file, or in the environment.
        for switches in [switches(default, &[], variables), switches(default, variables, &[])] {
            let switches = switches.expect("good switches");
            assert_eq!(switches.off.as_deref(), off, "{variables:?}");
            assert_eq!(selected(&switches), selection, "{variables:?}");
            assert_eq!(switches.interval, seconds.map(Duration::from_secs), "{variables:?}");
        }
    }
}

#[test]
fn the_environment_goes_over_the_file_and_case_does_not_matter() {
    const P: (&str, &str) = (PREFIX, "p");
    for (environment, dotenv, off) in [
        (&[P][..], &[][..], None),
        (&[P, (ENVIRONMENT, "LOCAL")], &[], Some(ENVIRONMENT)),
        (&[P, (ENVIRONMENT, " Test ")], &[], Some(ENVIRONMENT)),
        (&[P, (ENVIRONMENT, "testing")], &[], None),
        (&[P, (ENVIRONMENT, "local"), (USE, "TRUE")], &[], None),
        (&[P, (ENVIRONMENT, "production"), (USE, "fAlSe")], &[], Some(USE)),
        (&[P, (ENVIRONMENT, "production")], &[(ENVIRONMENT, "local")], None),
        (&[P], &[(ENVIRONMENT, "local")], Some(ENVIRONMENT)),
        // An empty variable hides that of the file, and has no effect of its own.
        (&[P, (ENVIRONMENT, ""), (USE, " ")], &[(ENVIRONMENT, "local"), (USE, "false")], None),
        // If AWS is off, the selection may be missing or given twice.
        (&[(USE, "false")], &[], Some(USE)),
        (&[P, (KEY_NAME, "a"), (USE, "false")], &[], Some(USE)),
        (&[(PREFIX, "p/{env}"), (USE, "false")], &[], Some(USE)),
    ] {
        let switches = switches(None, environment, dotenv).expect("good switches");
        assert_eq!(switches.off.as_deref(), off, "{environment:?} {dotenv:?}");
    }
}

#[test]
fn prefix_and_names_are_read() {
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a/b-AbCdEf";
    for (default, environment, selection) in [
        (None, &[(PREFIX, "gaara/{env}"), (ENVIRONMENT, "Prod")][..], "gaara/Prod/*"),
        (None, &[(PREFIX, " {env}/{env} "), (ENVIRONMENT, "x")], "x/x/*"),
        (Some("q"), &[(PREFIX, "p")], "p/*"),
        (Some("q"), &[(KEY_NAME, "a")], "a"),
        (Some("q"), &[], "q/*"),
        (None, &[(KEY_NAME, "b, a ,b")], "a,b"),
        (
            None,
            &[(KEY_NAME, "api_keys.clerk=prod/clerk,db = prod/a=b")],
            "db=prod/a=b,api_keys.clerk=prod/clerk",
        ),
        (None, &[(KEY_NAME, &format!("k={arn}"))], &format!("k={arn}")),
    ] {
        let switches = switches(default, environment, &[]).expect("good switches");
        assert_eq!(selected(&switches), selection, "{environment:?}");
    }
}

#[test]
fn an_invalid_switch_is_an_error_that_names_the_variable_and_shows_no_value() {
    const P: (&str, &str) = (PREFIX, "p");
    let long = (MAX_SECONDS + 1).to_string();
    let table: [(Pairs<'_>, &[&str]); 25] = [
        (&[], &[PREFIX, KEY_NAME, USE, ENVIRONMENT]),
        (&[(ENVIRONMENT, "production")], &[PREFIX, KEY_NAME]),
        (&[P, (KEY_NAME, "hunter2")], &[PREFIX, KEY_NAME]),
        (&[P, (USE, "hunter2")], &[USE, "`true` or `false`"]),
        (&[P, (USE, "1")], &[USE]),
        (&[P, (TTL[0], "hunter2")], &[TTL[0], "seconds"]),
        (&[P, (TTL[1], "0")], &[TTL[1]]),
        (&[P, (TTL[1], "-300")], &[TTL[1]]),
        (&[P, (TTL[1], "300s")], &[TTL[1]]),
        (&[P, (TTL[1], "1.5")], &[TTL[1]]),
        (&[P, (TTL[0], &long)], &[TTL[0]]),
        (&[P, (TTL[0], "300"), (TTL[1], "600")], &[TTL[0], TTL[1]]),
        (&[(PREFIX, "/"), (ENVIRONMENT, "x")], &[PREFIX]),
        (&[(PREFIX, "hunter2/{env}")], &[PREFIX, ENVIRONMENT]),
        (&[(PREFIX, "hunter2/{environment}"), (ENVIRONMENT, "x")], &[PREFIX, "{env}"]),
        (&[(PREFIX, "hunter2,b")], &[PREFIX, KEY_NAME]),
        (&[(KEY_NAME, "hunter2,")], &[KEY_NAME]),
        (&[(KEY_NAME, "hunter2,,b")], &[KEY_NAME]),
        (&[(KEY_NAME, "hunter2=")], &[KEY_NAME]),
        (&[(KEY_NAME, "=hunter2")], &[KEY_NAME, "key path"]),
        (&[(KEY_NAME, "a..b=hunter2")], &[KEY_NAME, "key path"]),
        (&[(KEY_NAME, "a=hunter2,b=hunter2")], &[KEY_NAME, "one key path"]),
        (&[(KEY_NAME, "a=hunter2,hunter2")], &[KEY_NAME, "one key path"]),
        (&[(KEY_NAME, "hunter2 b")], &[KEY_NAME]),
        (
            &[(USE, "hunter2"), (TTL[0], "hunter2"), (KEY_NAME, "hunter2=")],
            &[USE, TTL[0], KEY_NAME],
        ),
    ];
    for (variables, mentions) in table {
        for (switches, place) in [
            (switches(None, variables, &[]), "environment"),
            (switches(None, &[], variables), "`.env`"),
        ] {
            let error = switches.expect_err("no switches");
            assert_eq!(error.kind(), ErrorKind::Config, "{variables:?}");
            let text = format!("{error} {error:?}");
            assert!(mentions.iter().all(|mention| text.contains(mention)), "{variables:?}: {text}");
            assert!(error.errors().iter().all(|error| error.hint().is_some()), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
            assert!(mentions.len() > 1 || text.contains(place), "{text}");
        }
    }
    // This fails even if AWS is off: otherwise the error would appear only in production.
    let error =
        switches(None, &[(ENVIRONMENT, "local"), (TTL[0], "soon")], &[]).expect_err("no switches");
    assert!(error.to_string().contains(TTL[0]), "{error}");
    let error = switches(Some("p/{env}"), &[], &[]).expect_err("no environment");
    assert!(error.to_string().contains(ENVIRONMENT), "{error}");
}

#[test]
fn debug_shows_no_credentials() {
    let dotenv = [
        (PREFIX, "p"),
        ("AWS_ACCESS_KEY_ID", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_SESSION_TOKEN", "hunter2"),
        ("AWS_ENDPOINT_URL", "http://user:hunter2@localhost"),
    ];
    let switches = switches(None, &[], &dotenv).expect("good switches");
    assert!(!format!("{switches:?}").contains("hunter2"));
}

#[test]
fn a_programs_own_prefix_is_part_of_each_name_and_the_other_names_have_no_effect() {
    let of = |program: &'static str, environment: Pairs<'_>, dotenv: Pairs<'_>| {
        let sought = Sought { program: Some(program), ..Sought::default() };
        sought_switches(sought, environment, dotenv)
    };
    // The platform's own variables would turn the secrets off, or name others.
    let platform = [(ENVIRONMENT, "local"), (PREFIX, "platform"), (TTL[0], "x"), (USE, "false")];
    for program in ["APP", "APP_"] {
        let dotenv = [
            ("APP_SECRETS_MANAGER_PREFIX", "app/{env}"),
            ("APP_ENVIRONMENT", "prod"),
            ("APP_SECRET_CACHE_TTL", "60"),
            ("AWS_REGION", "eu-west-1"),
        ];
        let switches = of(program, &platform, &dotenv).expect("good switches");
        assert_eq!((selected(&switches).as_str(), switches.off.as_deref()), ("app/prod/*", None));
        assert_eq!(switches.interval, Some(Duration::from_secs(60)));
        assert_eq!(switches.store.region(), Some("eu-west-1").filter(|_| cfg!(feature = "aws")));
    }
    let switches = of("APP", &[("APP_ENVIRONMENT", "Test")], &[]).expect("good switches");
    assert_eq!(switches.off.as_deref(), Some("APP_ENVIRONMENT"));
    let off = [("APP_USE_SECRETS_MANAGER", "false")];
    assert_eq!(of("APP", &off, &[]).expect("off").off.as_deref(), Some("APP_USE_SECRETS_MANAGER"));
    let names = [("APP_SECRETS_MANAGER_KEY_NAME", "db=app/db")];
    assert_eq!(selected(&of("APP", &names, &[]).expect("names")), "db=app/db");
    let none = of("", &platform[1..2], &[]).expect("good switches");
    assert_eq!(selected(&none), "platform/*", "an empty prefix is none");

    // Errors and hints give the names that are read.
    for variables in [
        &[][..],
        &[("APP_SECRETS_MANAGER_PREFIX", "p"), ("APP_SECRETS_MANAGER_KEY_NAME", "n")],
        &[("APP_SECRETS_MANAGER_PREFIX", "{env}")],
        &[("APP_SECRETS_MANAGER_PREFIX", "a,b")],
        &[("APP_SECRETS_MANAGER_KEY_NAME", "a b")],
        &[("APP_SECRETS_MANAGER_PREFIX", "p"), ("APP_SECRET_CACHE_TTL", "soon")],
        &[("APP_SECRETS_MANAGER_PREFIX", "p"), ("APP_USE_SECRETS_MANAGER", "x")],
    ] {
        let error = of("APP", variables, &[]).expect_err("no switches");
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        let bare = text.replace("APP_", "#");
        assert!(bare.contains('#'), "{text}");
        for name in [ENVIRONMENT, USE, PREFIX, KEY_NAME, TTL[0], TTL[1]] {
            let all = text.matches(&format!("`{name}")).count();
            assert_eq!(all, 0, "{name} without the prefix: {text}");
        }
    }
}
