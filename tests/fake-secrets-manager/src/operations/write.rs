//! PutSecretValue, UpdateSecret and UpdateSecretVersionStage.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::create::check_description;
use super::{check_id, token, value};
use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::secret::{Secret, token_in_use};
use crate::state::State;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    version_stages: Option<Vec<String>>,
}

pub(crate) fn put(state: &mut State, caller: Caller, request: PutSecretValue) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "PutSecretValue", &request.secret_id, &[])?;
    let value =
        value(request.secret_string, request.secret_binary.as_deref())?.ok_or_else(|| {
            ApiError::invalid_request("You must provide either SecretString or SecretBinary.")
        })?;
    let token = token(request.client_request_token, ApiError::invalid_request)?;
    if let Some(labels) = &request.version_stages {
        if !(1..=20).contains(&labels.len()) {
            return Err(ApiError::constraint(
                "versionStages",
                if labels.is_empty() {
                    "have length greater than or equal to 1"
                } else {
                    "have length less than or equal to 20"
                },
            ));
        }
        labels.iter().try_for_each(|label| check_label(label))?;
    }
    let secret = state.get_live(&request.secret_id)?;
    state.encrypt(caller, secret)?;
    let (name, now) = (secret.name.clone(), state.now());
    let put = |secret: &mut Secret| secret.put(&token, value, request.version_stages, now);
    // A repeated request changes nothing, not even the view of a listing.
    let mut trial = Secret::clone(secret);
    if put(&mut trial)? {
        state.insert(trial);
    }
    let secret = state.get(&name)?;
    let labels = secret.version(&token).map(|version| &version.labels);
    Ok(json!({
        "ARN": secret.arn, "Name": secret.name, "VersionId": token, "VersionStages": labels,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

pub(crate) fn update(state: &mut State, caller: Caller, request: UpdateSecret) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "UpdateSecret", &request.secret_id, &[])?;
    let value = value(request.secret_string, request.secret_binary.as_deref())?;
    let token = token(request.client_request_token, ApiError::invalid_request)?;
    check_description(request.description.as_deref())?;
    let mut secret = Secret::clone(state.get_live(&request.secret_id)?);
    let now = state.now();
    if let Some(description) = request.description {
        secret.description = Some(description).filter(|text| !text.is_empty());
    }
    if let Some(key) = request.kms_key_id {
        secret.kms_key_id = Some(key).filter(|key| !key.is_empty());
    }
    let mut answer = json!({ "ARN": secret.arn, "Name": secret.name });
    if let Some(value) = value {
        state.encrypt(caller, &secret)?;
        // Unlike PutSecretValue, which takes a repeated token with the same content.
        if secret.version(&token).is_some() {
            return Err(token_in_use(&token, &secret.arn));
        }
        secret.put(&token, value, None, now)?;
        answer["VersionId"] = token.into();
    }
    secret.changed = now;
    state.insert(secret);
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateSecretVersionStage {
    secret_id: String,
    version_stage: String,
    remove_from_version_id: Option<String>,
    move_to_version_id: Option<String>,
}

pub(crate) fn update_stage(
    state: &mut State,
    caller: Caller,
    request: &UpdateSecretVersionStage,
) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(
        caller,
        "UpdateSecretVersionStage",
        &request.secret_id,
        &[("VersionStage", Some(&request.version_stage))],
    )?;
    check_label(&request.version_stage)?;
    let secret = state.get_live(&request.secret_id)?;
    let (name, now) = (secret.name.clone(), state.now());
    let answer = json!({ "ARN": secret.arn, "Name": secret.name });
    state.change(&name, |secret| {
        secret.move_label(
            &request.version_stage,
            request.remove_from_version_id.as_deref(),
            request.move_to_version_id.as_deref(),
            now,
        )
    })?;
    Ok(answer)
}

fn check_label(label: &str) -> ApiResult<()> {
    match label.chars().count() {
        1..=256 => Ok(()),
        0 => Err(ApiError::constraint("versionStage", "have length greater than or equal to 1")),
        _ => Err(ApiError::constraint("versionStage", "have length less than or equal to 256")),
    }
}
