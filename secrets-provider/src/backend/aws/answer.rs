//! AWS's answers as outcomes: which id each value or error is about, and which ids the answer
//! leaves out. Pure.
//!
//! Every answer is compared with what was asked, whichever call it is from. A proxy, a cache or an
//! emulator may mix them up, and a value under a wrong name would replace a good one.

use std::time::SystemTime;

use aws_sdk_secretsmanager::operation::batch_get_secret_value::BatchGetSecretValueOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::SecretValueEntry;

use super::error::{Call, NOT_AWS};
use crate::backend::Outcome;
use crate::backend::iam::Location;
use crate::error::{Error, ErrorKind};
use crate::secret::id::{asks_for, is_arn, names_of};
use crate::secret::{Fetched, Payload};

/// How long a value may be
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>).
const MAX_VALUE_BYTES: usize = 65_536;

/// Splits an answer into outcomes, and removes the ids that it covers from `missing`.
pub(super) fn sort_out(
    output: BatchGetSecretValueOutput,
    location: &Location,
    missing: &mut Vec<String>,
    outcomes: &mut Vec<Outcome>,
) {
    for entry in output.secret_values.unwrap_or_default() {
        let made = time(entry.created_date());
        let SecretValueEntry { arn, name, version_id, secret_binary, secret_string, .. } = entry;
        let is_asked = |id: &String| answers(id, name.as_deref(), arn.as_deref());
        // A secret that was asked for by name and by ARN is answered once.
        let ids: Vec<String> = missing.extract_if(.., |id| is_asked(id)).collect();
        let payload = payload(secret_string, secret_binary);
        for id in ids {
            let secret =
                fetched(&id, name.clone(), arn.clone(), version_id.clone(), payload.clone());
            let secret = secret.map(|secret| secret.made_at(made));
            outcomes.push((id, secret));
        }
    }
    for error in output.errors.unwrap_or_default() {
        let Some(about) = error.secret_id() else { continue };
        for id in missing
            .extract_if(.., |id| id == about || is_arn(id) && asks_for(id, None, Some(about)))
        {
            let call = Call { action: "GetSecretValue", id: Some(&id), stage: None, location };
            let why = call.refused(error.error_code(), error.message(), None);
            outcomes.push((id, Err(why)));
        }
    }
}

pub(super) fn payload(
    text: Option<String>,
    binary: Option<aws_sdk_secretsmanager::primitives::Blob>,
) -> Option<Payload> {
    text.map(Payload::text).or_else(|| binary.map(|blob| Payload::binary(blob.into_inner())))
}

/// A time of AWS's.
pub(super) fn time(date: Option<&DateTime>) -> Option<SystemTime> {
    SystemTime::try_from(*date?).ok()
}

/// Whether an answer with this name and ARN is one to this id, and the two agree.
fn answers(id: &str, name: Option<&str>, arn: Option<&str>) -> bool {
    let agree = arn.zip(name).is_none_or(|(arn, name)| names_of(arn).contains(&name));
    // The name of an ARN's answer says little: secrets of two accounts may have one name.
    agree && asks_for(id, name.filter(|_| !is_arn(id)), arn)
}

/// The secret of an answer.
///
/// # Errors
///
/// `Unavailable` if the answer is about another secret or is incomplete: it says nothing about the
/// one that was asked for, not even that it is gone. `Malformed` if the value is longer than one in
/// Secrets Manager can be.
pub(super) fn fetched(
    id: &str,
    name: Option<String>,
    arn: Option<String>,
    version_id: Option<String>,
    payload: Option<Payload>,
) -> Result<Fetched, Error> {
    let wrong = |what: &str| {
        let message = format!("secret `{id}`: {what}");
        Error::new(ErrorKind::Unavailable, message).with_secret(id).with_hint(NOT_AWS)
    };
    let (Some(name), Some(version_id)) = (name, version_id) else {
        return Err(wrong("the answer lacks its name or version id"));
    };
    if !answers(id, Some(&name), arn.as_deref()) {
        return Err(wrong("the answer is about another secret"));
    }
    let payload = payload.ok_or_else(|| wrong("the answer lacks its value"))?;
    if payload.len() > MAX_VALUE_BYTES {
        let message = format!("secret `{id}`: the value is longer than {MAX_VALUE_BYTES} bytes");
        return Err(Error::new(ErrorKind::Malformed, message)
            .with_secret(id)
            .with_hint("Secrets Manager takes no longer ones: check AWS_ENDPOINT_URL"));
    }
    let secret = Fetched::new(name, version_id, payload);
    Ok(match arn {
        Some(arn) => secret.with_arn(arn),
        None => secret,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret that is asked for by name and by ARN gets an outcome for both.
    #[test]
    fn an_answer_gives_outcomes_and_leaves_the_other_ids_missing() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf";
        let value = SecretValueEntry::builder()
            .name("a")
            .arn(arn)
            .version_id("v1")
            .secret_string("x")
            .build();
        let error = aws_sdk_secretsmanager::types::ApiErrorType::builder();
        let error = error.secret_id("b").error_code("ResourceNotFoundException").build();
        let answer =
            BatchGetSecretValueOutput::builder().secret_values(value).errors(error).build();
        let mut missing: Vec<String> = ["a", arn, "b", "left-out"].map(str::to_owned).into();
        let mut outcomes = Vec::new();
        sort_out(answer, &Location::new(None, None), &mut missing, &mut outcomes);
        assert_eq!(missing, ["left-out"]);
        let outcomes: Vec<_> = outcomes
            .iter()
            .map(|(id, outcome)| (id.as_str(), outcome.as_ref().err().map(Error::kind)))
            .collect();
        assert_eq!(outcomes, [("a", None), (arn, None), ("b", Some(ErrorKind::NotFound))]);
    }

    #[test]
    fn an_answer_that_is_wrong_incomplete_or_too_long_is_no_value() {
        let arn = |name: &str| {
            format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf")
        };
        let (arn_a, arn_b) = (&*arn("a"), &*arn("b"));
        let without_ending = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a";
        for (id, name, answered, right) in [
            ("a", Some("a"), Some(arn_a), true),
            ("a", Some("a"), None, true),
            (arn_a, Some("a"), Some(arn_a), true),
            (without_ending, Some("a"), Some(arn_a), true),
            ("a", Some("b"), Some(arn_b), false),
            ("a", Some("b"), None, false),
            ("a", Some("a"), Some(arn_b), false),
            ("a", Some("b"), Some(arn_a), false),
            (arn_a, Some("b"), Some(arn_b), false),
            (arn_a, Some("a"), Some(arn_b), false),
            (arn_a, Some("b"), Some(arn_a), false),
            (arn_a, Some("a"), None, false),
            ("a", None, Some(arn_a), false),
        ] {
            let (name, answered) = (name.map(str::to_owned), answered.map(str::to_owned));
            let case = format!("{id}: {name:?}, {answered:?}");
            let (version, payload) = (Some("v1".to_owned()), Some(Payload::text("x")));
            let outcome = fetched(id, name, answered, version, payload);
            let expected = if right { None } else { Some(ErrorKind::Unavailable) };
            assert_eq!(outcome.err().map(|error| error.kind()), expected, "{case}");
        }
        for (length, expected) in [(65_536, None), (65_537, Some(ErrorKind::Malformed))] {
            for payload in [Payload::text("x".repeat(length)), Payload::binary(vec![0; length])] {
                let version = Some("v1".to_owned());
                let outcome = fetched("a", Some("a".into()), None, version, Some(payload));
                assert_eq!(outcome.err().map(|error| error.kind()), expected, "{length}");
            }
        }
        for (version, payload) in [(None, Some(Payload::text("x"))), (Some("v1"), None)] {
            let outcome = fetched("a", Some("a".into()), None, version.map(str::to_owned), payload);
            assert_eq!(outcome.expect_err("a part is missing").kind(), ErrorKind::Unavailable);
        }
    }
}
