//! config-rs's errors in words of ours: its own quote values, files and variables.

use std::error::Error as StdError;
use std::io;

use config::ConfigError;

use crate::error::{Error, ErrorKind};
use crate::tree::redact::without_credentials;

/// Where config-rs knows more, which may be read at a desk but not in a log.
const HINT: &str = "config-rs says more, and may quote values: call `build()` outside of `layers` to see its error";

/// Why a config could not be built: the sort of failure, the file, key or source; never config-rs's own text. An
/// error of ours that came through it is that error.
pub(crate) fn rebuilt(mut error: ConfigError) -> Error {
    let (mut key, mut source) = (None, None);
    // The outermost has the whole key.
    while let ConfigError::At { error: inner, origin, key: at } = error {
        (key, source, error) = (key.or(at), source.or(origin), *inner);
    }
    let (reason, hint) = match error {
        ConfigError::Foreign(cause) => match cause.downcast::<Error>() {
            Ok(ours) => return *ours,
            Err(cause) => foreign(&*cause),
        },
        ConfigError::Type { origin, expected, key: at, .. } => {
            (key, source) = (key.or(at), source.or(origin));
            (format!("a value there is not {expected}"), None)
        }
        ConfigError::FileParse { uri, .. } => {
            let file = uri.map_or_else(
                || "a string".to_owned(),
                |uri| format!("`{}`", without_credentials(&uri)),
            );
            (format!("{file} is not of the format that it is read as"), Some(HINT))
        }
        ConfigError::NotFound(missing) => {
            key = key.or(Some(missing));
            ("a value that is asked for is missing".to_owned(), None)
        }
        ConfigError::PathParse { .. } => {
            ("a key is no path that config-rs understands".to_owned(), Some(HINT))
        }
        ConfigError::Message(text) => message(&text),
        _ => ("config-rs failed".to_owned(), Some(HINT)),
    };
    let place = match (&key, source.as_deref().map(without_credentials)) {
        (Some(key), Some(source)) => format!(" (key `{key}`, {source})"),
        (Some(key), None) => format!(" (key `{key}`)"),
        (None, Some(source)) => format!(" ({source})"),
        (None, None) => String::new(),
    };
    let mut rebuilt =
        Error::new(ErrorKind::Invalid, format!("the config cannot be built: {reason}{place}"));
    if let Some(key) = key {
        rebuilt = rebuilt.with_key(key);
    }
    match hint {
        Some(hint) => rebuilt.with_hint(hint),
        None => rebuilt,
    }
}

/// A source's own error. Of an I/O error the kind is safe to say, and the path where config-rs itself wrote the text.
fn foreign(cause: &(dyn StdError + Send + Sync + 'static)) -> (String, Option<&'static str>) {
    let Some(error) = cause.downcast_ref::<io::Error>() else {
        return ("one of its sources failed".to_owned(), Some(HINT));
    };
    let text = error.to_string();
    let file = text.strip_prefix("configuration file \"").and_then(|rest| {
        let found =
            |tail, what| rest.strip_suffix(tail).map(|file| format!("the file `{file}` {what}"));
        found("\" not found", "does not exist").or_else(|| {
            found(
                "\" is not of a supported file format",
                "is of no format that config-rs is built with",
            )
        })
    });
    (file.unwrap_or_else(|| format!("a file cannot be read: {}", error.kind())), None)
}

/// A text, which may hold anything. One is config-rs's own, and its author's daily bread: the value of a variable.
fn message(text: &str) -> (String, Option<&'static str>) {
    let variable = text
        .strip_prefix("env variable \"")
        .and_then(|rest| rest.split_once("\" contains non-Unicode data"));
    match variable {
        Some((variable, _)) => (
            format!("environment variable `{variable}` (in any case) is not UTF-8"),
            Some("set it anew, or give `Environment` a prefix that leaves it out"),
        ),
        None => ("one of its sources failed".to_owned(), Some(HINT)),
    }
}

#[cfg(test)]
mod tests {
    use config::{Config, Environment, Map, Source, Value};

    use super::*;

    /// A source that fails as it is told.
    #[derive(Debug, Clone)]
    struct Failing(fn() -> ConfigError);

    impl Source for Failing {
        fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
            Box::new(self.clone())
        }

        fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
            Err((self.0)())
        }
    }

    #[test]
    fn every_error_is_told_without_config_rs_text() {
        type Kind = (fn() -> ConfigError, &'static str, Option<&'static str>);
        let placed = || {
            let (error, origin) =
                (ConfigError::Message("hunter2".into()), Some("db://me:hunter2@host".into()));
            let inner = ConfigError::At { error: Box::new(error), origin, key: Some("b".into()) };
            ConfigError::At { error: Box::new(inner), origin: None, key: Some("a.b".into()) }
        };
        let kinds: [Kind; 11] = [
            (placed, "failed (key `a.b`, db://host)", Some("a.b")),
            (|| ConfigError::Message("hunter2".into()), "one of its sources failed", None),
            (|| ConfigError::Foreign("hunter2".into()), "one of its sources failed", None),
            (
                || ConfigError::Foreign(Box::new(io::Error::other("hunter2"))),
                "a file cannot be read: other error",
                None,
            ),
            (
                || ConfigError::Foreign(Box::new(io::Error::from(io::ErrorKind::PermissionDenied))),
                "a file cannot be read: permission denied",
                None,
            ),
            (|| ConfigError::NotFound("a.b".into()), "missing (key `a.b`)", Some("a.b")),
            (
                || ConfigError::FileParse {
                    uri: Some("conf/app.toml".into()),
                    cause: "hunter2".into(),
                },
                "`conf/app.toml` is not of the format",
                None,
            ),
            (
                || ConfigError::FileParse { uri: None, cause: "hunter2".into() },
                "a string is not of",
                None,
            ),
            (|| ConfigError::PathParse { cause: "hunter2".into() }, "no path", None),
            (|| ConfigError::Frozen, "config-rs failed", None),
            (
                || {
                    Value::new(Some(&"db://me:hunter2@host".into()), "hunter2")
                        .into_int()
                        .expect_err("text")
                },
                "is not an integer (db://host)",
                None,
            ),
        ];
        for (failing, mention, key) in kinds {
            let error = Config::builder()
                .add_source(Failing(failing))
                .build()
                .expect_err("a failing source");
            let error = rebuilt(error);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(mention) && !shown.contains("hunter2"), "{shown}");
            assert_eq!((error.kind(), error.key()), (ErrorKind::Invalid, key), "{shown}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_named_by_its_whole_key_and_source() {
        let variables = Map::from_iter([("APP__PORTS[0]".to_owned(), "hunter2".to_owned())]);
        let environment = Environment::default().separator("__").source(Some(variables));
        let config = Config::builder().add_source(environment).build().expect("a config");
        let error =
            config.try_deserialize::<Map<String, Map<String, Vec<u16>>>>().expect_err("no number");
        assert!(error.to_string().contains("hunter2"), "{error}");
        let error = rebuilt(error);
        assert_eq!(error.key(), Some("app.ports[0]"));
        assert!(
            error.to_string().ends_with("is not an integer (key `app.ports[0]`, the environment)"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_and_a_file_of_an_unknown_format_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("settings.what");
        for what in ["does not exist", "is of no format that config-rs is built with"] {
            let source = config::File::from(file.clone());
            let error =
                rebuilt(Config::builder().add_source(source).build().expect_err("no config"));
            assert!(error.to_string().contains(&format!("settings.what` {what}")), "{error}");
            std::fs::write(&file, "hunter2").expect("a file");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_unicode_is_named() {
        use std::os::unix::ffi::OsStringExt as _;

        let value = std::ffi::OsString::from_vec(b"hunter2\xff".to_vec());
        // What `Environment` says of one; the process environment is not for tests to change.
        let text = format!("env variable {:?} contains non-Unicode data: {value:?}", "app_token");
        let error = rebuilt(ConfigError::Message(text));
        assert!(error.to_string().contains("environment variable `app_token`"), "{error}");
        assert!(!format!("{error}{error:?}").contains("hunter2"));
    }

    #[test]
    fn an_error_of_ours_comes_through_as_it_is() {
        let ours = Error::new(ErrorKind::Throttled, "later").with_secret("app/db");
        let error = rebuilt(ConfigError::Foreign(Box::new(ours)));
        assert_eq!((error.kind(), error.secret()), (ErrorKind::Throttled, Some("app/db")));
    }
}
