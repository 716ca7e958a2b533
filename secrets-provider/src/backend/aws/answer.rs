//! AWS's answers as outcomes: which id each value or error is about, and which ids the answer
//! leaves out. Pure.

use aws_sdk_secretsmanager::operation::batch_get_secret_value::BatchGetSecretValueOutput;
use aws_sdk_secretsmanager::types::SecretValueEntry;

use super::error::Call;
use crate::backend::Outcome;
use crate::backend::iam::Location;
use crate::error::{Error, ErrorKind};
use crate::secret::id::{asks_for, is_arn};
use crate::secret::{Fetched, Payload};

/// Splits an answer into outcomes, and removes the ids that it covers from `missing`.
pub(super) fn sort_out(
    output: BatchGetSecretValueOutput,
    location: &Location,
    missing: &mut Vec<String>,
    outcomes: &mut Vec<Outcome>,
) {
    for entry in output.secret_values.unwrap_or_default() {
        let SecretValueEntry { arn, name, version_id, secret_binary, secret_string, .. } = entry;
        let is_asked = |id: &String| asks_for(id, name.as_deref(), arn.as_deref());
        // A secret that was asked for by name and by ARN is answered once.
        let ids: Vec<String> = missing.extract_if(.., |id| is_asked(id)).collect();
        let payload = payload(secret_string, secret_binary);
        for id in ids {
            let secret =
                fetched(&id, name.clone(), arn.clone(), version_id.clone(), payload.clone());
            outcomes.push((id, secret));
        }
    }
    for error in output.errors.unwrap_or_default() {
        let Some(about) = error.secret_id() else { continue };
        for id in missing
            .extract_if(.., |id| id == about || is_arn(id) && asks_for(id, None, Some(about)))
        {
            let call = Call { action: "GetSecretValue", id: Some(&id), location };
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

pub(super) fn fetched(
    id: &str,
    name: Option<String>,
    arn: Option<String>,
    version_id: Option<String>,
    payload: Option<Payload>,
) -> Result<Fetched, Error> {
    let (Some(name), Some(version_id)) = (name, version_id) else {
        let message = format!("the answer for secret `{id}` lacks its name or version id");
        return Err(Error::new(ErrorKind::Unavailable, message).with_secret(id));
    };
    let Some(payload) = payload else {
        return Err(Error::new(ErrorKind::NotFound, format!("secret `{id}` has no value"))
            .with_secret(id)
            .with_hint("put a value into it: `aws secretsmanager put-secret-value`"));
    };
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
}
