//! The agent's answers, taken apart: values stay in buffers that are wiped.
//!
//! A value comes as GetSecretValue's JSON, of which only the five members below are read: the agent
//! and the extension write the others in their own ways (`CreatedDate` is text in one, and `null`
//! may stand for what is absent). A failure is JSON if it is AWS's own, and plain text if it is the
//! agent's. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::secret::id::{asks_for, is_arn, names_of};
use crate::secret::{Fetched, Payload, Text};
use crate::tree::json;

/// How long a value may be
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>).
pub(super) const MAX_VALUE_BYTES: usize = 65_536;

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// What an answer that is no value says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The extension does not serve yet.
    NotReady,
    /// The agent does not accept the token, or says no to this caller for another reason.
    Token,
    /// The agent could not assume the role.
    Role,
    /// What was given is no role's ARN.
    NoRole,
    /// The agent has too many roles.
    TooManyRoles,
    /// The agent has too many connections.
    Busy,
    /// It does not know one of the query's parameters.
    UnknownParameter,
    /// The request came through a proxy.
    Forwarded,
    /// AWS's own, with its code and message in lower case.
    OfAws { code: String, message: Zeroizing<String> },
    /// Nothing that the agent says.
    Other,
}

/// Why there is no secret in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is not GetSecretValue's JSON, or lacks a part.
    Incomplete,
    /// It is about another secret.
    Another,
    /// Its value is longer than one can be.
    TooLong,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value<'a> {
    name: Option<String>,
    #[serde(rename = "ARN")]
    arn: Option<String>,
    version_id: Option<String>,
    #[serde(borrow, default)]
    secret_string: Option<&'a RawValue>,
    #[serde(borrow, default)]
    secret_binary: Option<&'a RawValue>,
}

impl Answer {
    /// The secret of an answer to this id.
    pub(super) fn secret(&self, id: &str) -> Result<Fetched, Unfit> {
        let value: Value<'_> = serde_json::from_slice(&self.body).map_err(|_| Unfit::Incomplete)?;
        let payload = match (text(value.secret_string)?, text(value.secret_binary)?) {
            (Some(text), _) => Payload::Text(Text::wiped(text)),
            (None, Some(encoded)) => {
                Payload::binary(STANDARD.decode(&*encoded).map_err(|_| Unfit::Incomplete)?)
            }
            (None, None) => return Err(Unfit::Incomplete),
        };
        let (Some(name), Some(version)) = (value.name, value.version_id) else {
            return Err(Unfit::Incomplete);
        };
        let arn = value.arn.as_deref();
        let agree = arn.is_none_or(|arn| names_of(arn).contains(&name.as_str()));
        // The name says little of an ARN's secret: two accounts may have one name.
        if !agree || !asks_for(id, Some(name.as_str()).filter(|_| !is_arn(id)), arn) {
            return Err(Unfit::Another);
        }
        if payload.len() > MAX_VALUE_BYTES {
            return Err(Unfit::TooLong);
        }
        let secret = Fetched::new(name, version, payload);
        Ok(match value.arn {
            Some(arn) => secret.with_arn(arn),
            None => secret,
        })
    }

    /// What an answer that is no value says.
    pub(super) fn refusal(&self) -> Refusal {
        #[derive(Deserialize)]
        struct OfAws {
            #[serde(rename = "__type")]
            code: String,
            #[serde(default, alias = "Message")]
            message: Option<String>,
        }
        if let Ok(OfAws { code, message }) = serde_json::from_slice(&self.body) {
            let code = code.rsplit('#').next().unwrap_or_default().to_owned();
            let message = Zeroizing::new(message.unwrap_or_default());
            let message = Zeroizing::new(message.to_ascii_lowercase());
            // The agent's own, in the form of AWS's.
            if code == "MaxRolesExceeded" {
                return Refusal::TooManyRoles;
            }
            // Of the call that gives out the role's keys: Secrets Manager denies with 400. The
            // second is the SDK's own error, which the agent quotes.
            let of_role = ["caching client from role", "connectorerror"];
            if self.status == 403 && of_role.iter().any(|part| message.contains(part)) {
                return Refusal::Role;
            }
            return Refusal::OfAws { code, message };
        }
        let says = |text: &str| contains(&self.body, text);
        match self.status {
            400 if says("not ready to serve traffic") => Refusal::NotReady,
            400 if says("invalid rolearn") => Refusal::NoRole,
            400 if says("unknown parameter") => Refusal::UnknownParameter,
            400 if says("forwarded") => Refusal::Forwarded,
            401 | 403 => Refusal::Token,
            429 => Refusal::Busy,
            _ => Refusal::Other,
        }
    }
}

/// The text of a JSON string; `None` for `null`, or if there is nothing.
fn text(raw: Option<&RawValue>) -> Result<Option<Zeroizing<String>>, Unfit> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(raw) => json::text(raw).map(Some).ok_or(Unfit::Incomplete),
    }
}

/// Whether a body contains this lowercase text, in any case.
fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbCdEf";

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    fn version(id: &str, members: &str) -> Result<String, Unfit> {
        let body = format!("{{{members}}}");
        answer(200, &body).secret(id).map(|secret| secret.version_id().to_owned())
    }

    #[test]
    fn values_of_the_agent_and_of_the_extension_are_read() {
        let named = format!(r#""ARN":"{ARN}","Name":"app/db","VersionId":"v1""#);
        for (members, what) in [
            (
                r#","SecretString":"x","VersionStages":["AWSCURRENT"],"CreatedDate":"1569534789.046""#,
                "the agent's",
            ),
            (
                r#","SecretString":"x","SecretBinary":null,"CreatedDate":1569534789.046"#,
                "with a number and `null`",
            ),
            (
                r#","SecretBinary":"AAEC","SecretString":null,"ResultMetadata":{}"#,
                "binary, of the extension",
            ),
        ] {
            for id in ["app/db", ARN, ARN.strip_suffix("-AbCdEf").expect("an ending")] {
                assert_eq!(version(id, &(named.clone() + members)).as_deref(), Ok("v1"), "{what}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_incomplete_or_about_another_secret_is_no_value() {
        let large = format!(
            r#""Name":"app/db","VersionId":"v1","SecretString":"{}""#,
            "x".repeat(MAX_VALUE_BYTES + 1)
        );
        for (id, members, expected) in [
            ("app/db", r#""Name":"app/db","VersionId":"v1""#, Unfit::Incomplete),
            ("app/db", r#""Name":"app/db","SecretString":"x""#, Unfit::Incomplete),
            ("app/db", r#""VersionId":"v1","SecretString":"x""#, Unfit::Incomplete),
            ("app/db", r#""Name":"app/db","VersionId":"v1","SecretString":5"#, Unfit::Incomplete),
            ("app/db", r#""Name":"app/db","VersionId":"v1","SecretBinary":"~""#, Unfit::Incomplete),
            ("app/db", r#""Name":"app/x","VersionId":"v1","SecretString":"x""#, Unfit::Another),
            (ARN, r#""Name":"app/db","VersionId":"v1","SecretString":"x""#, Unfit::Another),
            ("app/db", &large, Unfit::TooLong),
        ] {
            assert_eq!(version(id, members), Err(expected), "{members:.80}");
        }
        assert_eq!(answer(200, "healthy").secret("a").err(), Some(Unfit::Incomplete));
    }

    #[test]
    fn what_an_answer_says_is_known_by_status_and_text() {
        let of_aws = |code: &str, message: &str| Refusal::OfAws {
            code: code.to_owned(),
            message: Zeroizing::new(message.to_owned()),
        };
        for (status, body, expected) in [
            (400, "not ready to serve traffic, please wait", Refusal::NotReady),
            (403, "Bad Token", Refusal::Token),
            (401, "", Refusal::Token),
            (
                403,
                r#"{"__type":"AccessDeniedException","message":"Failed to create caching client from role: arn"}"#,
                Refusal::Role,
            ),
            (
                403,
                r#"{"__type":"AccessDeniedException","message":"DispatchFailure { source: ConnectorError { kind: Other(None), source: ProviderError(AccessDenied) } }"}"#,
                Refusal::Role,
            ),
            (
                400,
                r#"{"__type":"AccessDeniedException","message":"not on secret:connectorerror"}"#,
                of_aws("AccessDeniedException", "not on secret:connectorerror"),
            ),
            (400, "invalid roleArn format, expected arn:...", Refusal::NoRole),
            (429, "Connection limit exceeded", Refusal::Busy),
            (400, "unknown parameter: refreshNow", Refusal::UnknownParameter),
            (400, "Forwarded", Refusal::Forwarded),
            (400, r#"{"__type":"MaxRolesExceeded","message":""}"#, Refusal::TooManyRoles),
            (404, "Not found", Refusal::Other),
            (502, "<html>", Refusal::Other),
            (
                400,
                r#"{"__type":"ResourceNotFoundException","message":"Secrets Manager can't"}"#,
                of_aws("ResourceNotFoundException", "secrets manager can't"),
            ),
            (
                400,
                r#"{"__type":"com.amazonaws#AccessDeniedException","Message":"No"}"#,
                of_aws("AccessDeniedException", "no"),
            ),
            (500, r#"{"__type":"InternalFailure"}"#, of_aws("InternalFailure", "")),
        ] {
            assert_eq!(answer(status, body).refusal(), expected, "{body}");
        }
    }
}
