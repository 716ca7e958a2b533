//! The body of a `POST /refresh`: empty, or a hint that one secret changed. Pure; `refresh_request`
//! calls it. An unknown member is refused, because a misspelt one would read everything.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::MAX_REFRESH_BODY;
use crate::engine::hints::Hint;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    TooLong,
    Malformed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    secret: String,
    version: Option<String>,
}

/// The hint in a body; `None` if it is empty, or `{}`, as some clients send it.
pub(super) fn parse(body: Option<&[u8]>) -> Result<Option<Hint>, Refused> {
    let body = body.filter(|body| body.len() <= MAX_REFRESH_BODY).ok_or(Refused::TooLong)?;
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    // An object: serde would take an array for a struct too.
    let members: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Refused::Malformed)?;
    if members.is_empty() {
        return Ok(None);
    }
    let Body { secret, version } =
        serde_json::from_value(members.into()).map_err(|_| Refused::Malformed)?;
    match secret.is_empty() || version.as_deref() == Some("") {
        true => Err(Refused::Malformed),
        false => Ok(Some(Hint { secret, version, changed_at: None })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_empty_or_a_hint() {
        let hint = |secret: &str, version: Option<&str>| {
            Some(Hint {
                secret: secret.to_owned(),
                version: version.map(str::to_owned),
                changed_at: None,
            })
        };
        let long = format!(r#"{{"secret": "{}"}}"#, "x".repeat(MAX_REFRESH_BODY));
        for (body, expected) in [
            ("", Ok(None)),
            (" \n", Ok(None)),
            ("{}", Ok(None)),
            (r#"{"secret": "a/b"}"#, Ok(hint("a/b", None))),
            (r#"{"version": "v", "secret": "a/b"}"#, Ok(hint("a/b", Some("v")))),
            (r#"{"secret": "a/b", "version": null}"#, Ok(hint("a/b", None))),
            (r#"{"secret": "a/b", "version": ""}"#, Err(Refused::Malformed)),
            (r#"{"secret": ""}"#, Err(Refused::Malformed)),
            (r#"{"secret": 1}"#, Err(Refused::Malformed)),
            (r#"{"secrets": "a/b"}"#, Err(Refused::Malformed)),
            (r#"{"version": "v"}"#, Err(Refused::Malformed)),
            ("a/b", Err(Refused::Malformed)),
            ("[]", Err(Refused::Malformed)),
            (r#"["a/b", "v"]"#, Err(Refused::Malformed)),
            ("null", Err(Refused::Malformed)),
            ("secret=a", Err(Refused::Malformed)),
            (&long, Err(Refused::TooLong)),
        ] {
            assert_eq!(parse(Some(body.as_bytes())), expected, "{body}");
        }
        assert_eq!(parse(Some(b"\xff")), Err(Refused::Malformed));
        assert_eq!(parse(None), Err(Refused::TooLong));
    }
}
