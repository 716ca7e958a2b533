//! Secrets that cannot be placed, and settings that do not fit.

use secrets_provider::{Error, Layers, Memory, SecretsManager};
use serde::Deserialize;

use super::message;
use crate::fixtures::Endpoint;

fn assembled(secrets: &[(&str, String)]) -> Result<secrets_provider::Snapshot, Error> {
    let memory = Memory::new();
    for (name, text) in secrets {
        memory.put(name, text);
    }
    SecretsManager::prefix("app").backend(memory).fetch_blocking()
}

#[test]
fn secrets_that_cannot_be_placed_say_why() {
    let root = "a secret whose name is the prefix (or that is renamed to the root) has no key of its own: store a JSON object, \
                or give it a key with `.rename(..)`";
    let deep = format!(
        "{}{}",
        r#"{"hunter2": "#.repeat(65).replace("hunter2", "k"),
        "1".to_owned() + &"}".repeat(65)
    );
    for (secrets, expected) in [
        (
            vec![("app", "hunter2".to_owned())],
            format!("secret `app`: expected a JSON object, found text\nhint: {root}"),
        ),
        (
            vec![("app", "{\n  \"password\": hunter2\n}".to_owned())],
            format!(
                "secret `app`: expected a JSON object, found invalid JSON at line 2, column 15\nhint: {root}"
            ),
        ),
        (
            vec![("app/db", r#"{"a": {"B__PORT": "hunter2", "b": {"port": 2}}}"#.to_owned())],
            "secret `app/db`: the JSON object has a key twice\nhint: a key in SCREAMING_CASE is read as its name in \
             lower case, nested at `__`: keep one of the two"
                .to_owned(),
        ),
        (
            vec![("app/db", deep)],
            "secret `app/db`: the JSON object nests deeper than 64 levels".to_owned(),
        ),
        (
            vec![
                ("app/db", r#"{"url": "hunter2"}"#.to_owned()),
                ("app/db/url", "hunter2".to_owned()),
            ],
            "secrets `app/db` and `app/db/url` both define the key `db.url`\n\
             hint: remove one of them, or move one to another key with `.rename(..)`"
                .to_owned(),
        ),
    ] {
        assert_eq!(message(&assembled(&secrets).unwrap_err()), expected);
    }
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the tests read the error, not the settings")]
struct Settings {
    database: Endpoint,
    token: String,
}

#[test]
fn settings_that_do_not_fit_name_the_key_and_its_layer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    struct Case {
        about: &'static str,
        /// The secret `app/database`.
        secret: &'static str,
        dotenv: &'static str,
        expected: &'static str,
    }
    for Case { about, secret, dotenv, expected } in [
        Case {
            about: "invalid JSON for a table",
            secret: "{\"host\": \"h\",\n \"port\": hunter2}",
            dotenv: "TOKEN=t",
            expected: "invalid value for key `database`: expected a table, but the text is not valid JSON at line 2, \
             column 10 (secret `app/database`, version `v1`)",
        },
        Case {
            about: "plain text for a table",
            secret: "hunter2",
            dotenv: "TOKEN=t",
            expected: "invalid value for key `database`: expected a table, found text that does not fit (secret `app/database`, \
             version `v1`)",
        },
        Case {
            about: "a missing key",
            secret: r#"{"host": "h", "port": 1}"#,
            dotenv: "",
            expected: "key `token` is missing\n\
             hint: add it to a secret, or set the variable `TOKEN` in the environment or the \
             `.env` file",
        },
        Case {
            about: "a wrong value in `.env`",
            secret: r#"{"host": "h"}"#,
            dotenv: "TOKEN=t\nDATABASE__PORT=hunter2",
            expected: "invalid value for key `database.port`: expected u16, found text that does not fit (variable `DATABASE__PORT` \
             of `FILE`)",
        },
        Case {
            about: "an invalid line in `.env`",
            secret: r#"{"host": "h"}"#,
            dotenv: "TOKEN=t\nhunter2",
            expected: "`FILE`, line 2: expected `NAME=value`\n\
             hint: put single quotes around a value that contains spaces, `#`, `$`, quotes or a backslash",
        },
    ] {
        std::fs::write(&file, dotenv).unwrap();
        let secrets = assembled(&[("app/database", secret.to_owned())]).unwrap();
        let error =
            Layers::new().dotenv(&file).secrets(&secrets).extract::<Settings>().unwrap_err();
        assert_eq!(
            message(&error).replace(&file.display().to_string(), "FILE"),
            expected,
            "{about}"
        );
    }
}
