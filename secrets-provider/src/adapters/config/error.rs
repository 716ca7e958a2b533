//! Rebuilds config-rs's errors, which quote values, lines of files and variables.
//!
//! `tree` calls [`rebuilt`] when a closure of `Live` returns a failed build. Only the kind of
//! failure, the file, the key and the source are kept. Texts of config-rs are only searched for
//! names that it puts at a known place; everything else in them is dropped.

use std::error::Error as StdError;
use std::io;

use config::ConfigError;

use crate::error::{Error, ErrorKind};
use crate::tree::origin::without_credentials;

/// For errors whose text may quote values, so that it must not be logged.
const HINT: &str = "config-rs's own error says more, but it may quote values: \
    call `build()` outside of `layers` to see it";

/// The reason why a config cannot be built, and a hint.
type Reason = (String, Option<&'static str>);

/// Why a config cannot be built, in our words. An error of ours that config-rs passed on is
/// returned as it is.
pub(crate) fn rebuilt(mut error: ConfigError) -> Error {
    let (mut key, mut source) = (None, None);
    // The outermost error has the full key.
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
            (format!("a value is not {expected}"), None)
        }
        ConfigError::FileParse { uri, .. } => {
            let file = uri.map_or_else(
                || "a string".to_owned(),
                |uri| format!("`{}`", without_credentials(&uri)),
            );
            (format!("{file} cannot be parsed"), Some(HINT))
        }
        ConfigError::NotFound(missing) => {
            key = key.or(Some(missing));
            ("a required value is missing".to_owned(), None)
        }
        ConfigError::PathParse { .. } => ("a key is not a valid path".to_owned(), Some(HINT)),
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

/// The error of a source. An I/O error has a kind that is safe to show, and a path if config-rs
/// wrote its text.
fn foreign(cause: &(dyn StdError + Send + Sync + 'static)) -> Reason {
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
                "has a format that config-rs is built without",
            )
        })
    });
    (file.unwrap_or_else(|| format!("a file cannot be read: {}", error.kind())), None)
}

/// A message, which may hold anything. Only config-rs's own message about a variable that is not
/// UTF-8 is used.
fn message(text: &str) -> Reason {
    let variable = text
        .strip_prefix("env variable \"")
        .and_then(|rest| rest.split_once("\" contains non-Unicode data"));
    match variable {
        Some((variable, _)) => (
            format!("environment variable `{variable}` (in any case) is not UTF-8"),
            Some("set a UTF-8 value, or give `Environment` a prefix that excludes this variable"),
        ),
        None => ("one of its sources failed".to_owned(), Some(HINT)),
    }
}

#[cfg(test)]
mod tests {
    use config::{Config, Environment, Map, Source, Value};

    use super::*;

    /// A source that fails with the error of this function.
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
    fn no_error_shows_the_text_of_config_rs() {
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
                "`conf/app.toml` cannot be parsed",
                None,
            ),
            (
                || ConfigError::FileParse { uri: None, cause: "hunter2".into() },
                "a string cannot be parsed",
                None,
            ),
            (|| ConfigError::PathParse { cause: "hunter2".into() }, "not a valid path", None),
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
    fn a_value_of_the_wrong_type_is_reported_with_its_full_key_and_source() {
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
    fn a_missing_file_and_a_file_of_an_unknown_format_are_reported_by_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("settings.what");
        for what in ["does not exist", "has a format that config-rs is built without"] {
            let source = config::File::from(file.clone());
            let error =
                rebuilt(Config::builder().add_source(source).build().expect_err("no config"));
            assert!(error.to_string().contains(&format!("settings.what` {what}")), "{error}");
            std::fs::write(&file, "hunter2").expect("a file");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_unicode_is_reported_by_name() {
        use std::os::unix::ffi::OsStringExt as _;

        let value = std::ffi::OsString::from_vec(b"hunter2\xff".to_vec());
        // The message of `Environment`. A test must not change the process environment to get it.
        let text = format!("env variable {:?} contains non-Unicode data: {value:?}", "app_token");
        let error = rebuilt(ConfigError::Message(text));
        assert!(error.to_string().contains("environment variable `app_token`"), "{error}");
        assert!(!format!("{error}{error:?}").contains("hunter2"));
    }

    #[test]
    fn an_error_of_ours_is_returned_unchanged() {
        let ours = Error::new(ErrorKind::Throttled, "later").with_secret("app/db");
        let error = rebuilt(ConfigError::Foreign(Box::new(ours)));
        assert_eq!((error.kind(), error.secret()), (ErrorKind::Throttled, Some("app/db")));
    }
}
