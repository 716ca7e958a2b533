//! CreateSecret.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::tags::{Tag, merge};
use super::{invalid_name, is_name, token, value};
use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::secret::token_in_use;
use crate::state::State;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateSecret {
    #[serde(default)]
    name: String,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(crate) fn create(state: &mut State, caller: Caller, request: CreateSecret) -> ApiResult<Json> {
    let name = request.name.as_str();
    check_name(name)?;
    state.authorize_secret(caller, "CreateSecret", name, &[("Name", Some(name))])?;
    let value = value(request.secret_string, request.secret_binary.as_deref())?;
    let token = token(request.client_request_token, ApiError::invalid_request)?;
    check_description(request.description.as_deref())?;
    if let Some(existing) = state.find(name) {
        if existing.deletion.is_some() {
            return Err(ApiError::invalid_request(
                "You can't create this secret because a secret with this name is already \
                 scheduled for deletion.",
            ));
        }
        return match existing.version(&token) {
            // A repeated request: the same answer.
            Some(version) if version.value == value => Ok(json!({
                "ARN": existing.arn, "Name": existing.name, "VersionId": token,
            })),
            Some(_) => Err(token_in_use(&token, &existing.arn)),
            None => Err(ApiError::resource_exists(format!(
                "The operation failed because the secret {name} already exists."
            ))),
        };
    }
    let mut secret = state.blank(name);
    secret.description = request.description.filter(|text| !text.is_empty());
    secret.kms_key_id = request.kms_key_id.filter(|key| !key.is_empty());
    merge(&mut secret.tags, request.tags)?;
    let mut answer = json!({ "ARN": secret.arn, "Name": secret.name });
    if let Some(value) = value {
        state.encrypt(caller, &secret)?;
        secret.put(&token, value, None, state.now())?;
        answer["VersionId"] = token.into();
    }
    state.insert(secret);
    Ok(answer)
}

fn check_name(name: &str) -> ApiResult<()> {
    match name.chars().count() {
        0 => Err(ApiError::constraint(
            "name",
            "have length greater than or equal to 1",
        )),
        513.. => Err(ApiError::constraint(
            "name",
            "have length less than or equal to 512",
        )),
        _ if is_name(name, &[]) => Ok(()),
        _ => Err(invalid_name()),
    }
}

pub(crate) fn check_description(description: Option<&str>) -> ApiResult<()> {
    if description.is_some_and(|text| text.chars().count() > 2048) {
        return Err(ApiError::constraint(
            "description",
            "have length less than or equal to 2048",
        ));
    }
    Ok(())
}
