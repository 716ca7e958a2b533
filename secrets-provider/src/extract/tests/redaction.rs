//! T1: the content of an error, and the values that it never shows.
//!
//! The canary suite of `end-to-end` searches every output for values; here are the sentences that
//! are shown in their place.

use super::*;

#[test]
fn an_error_names_the_layer_that_gives_the_value() {
    struct Case {
        secret: &'static str,
        env: &'static [(&'static str, &'static str)],
        dotenv: &'static str,
        /// The part of the message that names the place of the wrong value.
        place: &'static str,
    }
    for Case { secret, env, dotenv, place } in [
        Case {
            secret: r#"{"port": "hunter2"}"#,
            env: &[("PORT", "1")],
            dotenv: "PORT=1",
            place: "(secret `app`, version `",
        },
        Case {
            secret: "{}",
            env: &[("PORT", "hunter2")],
            dotenv: "PORT=1",
            place: "(environment variable `PORT`)",
        },
        Case { secret: "{}", env: &[], dotenv: "PORT=hunter2", place: "(variable `PORT` of `" },
        Case {
            secret: r#"{"value": {"port": "hunter2"}}"#,
            env: &[("VALUE__PORT", "hunter3")],
            dotenv: "",
            place: "key `port` is missing",
        },
    ] {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "only serde uses it")]
        struct Settings {
            port: u16,
        }
        let error = layered::<Settings>(secret, env, dotenv).expect_err("no number");
        assert!(error.to_string().contains(place), "{place}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter"), "{place}");
        assert_eq!(error.key(), Some("port"));
    }
}

#[test]
fn an_error_names_key_type_secret_and_version_and_never_the_value() {
    // The payload of a `Strict`, and the whole message.
    let place = "(secret `app/x`, version `v1`)";
    for (payload, message) in [
        (
            r#"{"host": "h", "port": "hunter2"}"#,
            format!("invalid value for key `x.port`: expected u16, found text that does not fit {place}"),
        ),
        (
            r#"{"host": "h", "port": 70000}"#,
            format!("invalid value for key `x.port`: expected u16, found a number that does not fit {place}"),
        ),
        (
            r#"{"host": "h", "port": ["hunter2"]}"#,
            format!("invalid value for key `x.port`: expected u16, found an array {place}"),
        ),
        (
            r#"{"host": "h", "port": 1, "proxy": "hunter2"}"#,
            format!(
                "invalid value for key `x.proxy`: expected IpAddr, which rejects the value {place}"
            ),
        ),
        (
            r#"{"host": "h", "port": 1, "hunter": 2}"#,
            format!("invalid value for key `x.hunter`: there is no field of this name {place}"),
        ),
        (
            r#"{"host": "h"}"#,
            "key `x.port` is missing (also absent, required or not: `proxy`)\n\
             hint: `x` comes from secret `app/x`, version `v1`, which has no other keys; add it to a secret, or \
             set the variable `X__PORT` in the environment or the `.env` file"
                .to_owned(),
        ),
        (
            "hunter2",
            format!("invalid value for key `x`: expected a table, found text that does not fit {place}"),
        ),
        (
            "{\"host\": \n hunter2}",
            format!(
                "invalid value for key `x`: expected a table, but the text is not valid JSON at line 2, column 2 \
                 {place}"
            ),
        ),
    ] {
        let error = read::<Strict>(payload).expect_err("an error");
        assert_eq!(error.to_string(), message);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    let error = read::<Strict>(r#"{"host": "h", "port": "hunter2"}"#).expect_err("an error");
    assert_eq!((error.key(), error.secret()), (Some("x.port"), Some("app/x")));
}

#[test]
fn the_message_of_a_custom_deserialize_is_not_repeated() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Chatty;
    impl TryFrom<String> for Chatty {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("cannot use {text}"))
        }
    }
    assert_eq!(
        refused::<Chatty>("hunter2"),
        "invalid value for key `x`: expected Chatty, which rejects the value (secret `app/x`, version `v1`)"
    );
}

#[test]
fn a_value_in_place_of_a_field_name_is_not_repeated() {
    #[derive(Debug, Deserialize)]
    #[serde(field_identifier, rename_all = "snake_case")]
    enum Field {
        Known,
    }
    assert!(matches!(ok::<Field>("known"), Field::Known));
    assert_eq!(
        refused::<Field>("hunter2-secret"),
        "invalid value for key `x`: expected Field, which rejects the value (secret `app/x`, version `v1`)"
    );
    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind", deny_unknown_fields)]
    #[allow(dead_code, reason = "only serde uses it")]
    enum Tagged {
        Port { port: u16 },
    }
    let message = refused::<Tagged>(r#"{"kind": "Port", "port": 1, "extra": "hunter2"}"#);
    assert!(message.contains("key `extra` is not one of its fields"), "{message}");
}
