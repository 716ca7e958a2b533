//! The operations: each takes a decoded request and gives the members of the answer.

mod batch;
mod create;
mod delete;
mod list;
mod read;
mod rotate;
mod tags;
mod write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::secret::Value;
use crate::state::State;

pub(crate) use rotate::{Job, Steps, finish as finish_rotation};

/// What an operation came to, and the rotation that it started.
pub(crate) struct Done {
    pub(crate) answer: ApiResult<Json>,
    pub(crate) job: Option<Job>,
}

/// Runs the operation that a request names.
pub(crate) fn run(state: &mut State, caller: Caller, operation: &str, body: &[u8]) -> Done {
    if operation == "RotateSecret" {
        return match decode(body) {
            Ok(request) => rotate::rotate(state, caller, request),
            Err(error) => Done { answer: Err(error), job: None },
        };
    }
    Done { answer: run_plain(state, caller, operation, body), job: None }
}

fn run_plain(state: &mut State, caller: Caller, operation: &str, body: &[u8]) -> ApiResult<Json> {
    match operation {
        "BatchGetSecretValue" => batch::batch_get(state, caller, &decode(body)?),
        "CancelRotateSecret" => rotate::cancel(state, caller, decode(body)?),
        "CreateSecret" => create::create(state, caller, decode(body)?),
        "DeleteSecret" => delete::delete(state, caller, &decode(body)?),
        "DescribeSecret" => read::describe(state, caller, &decode(body)?),
        "GetRandomPassword" => {
            state.authorize_any(caller, operation)?;
            let request: crate::password::GetRandomPassword = decode(body)?;
            Ok(serde_json::json!({ "RandomPassword": request.generate()? }))
        }
        "GetSecretValue" => read::get_value(state, caller, &decode(body)?),
        "ListSecretVersionIds" => list::versions(state, caller, &decode(body)?),
        "ListSecrets" => list::secrets(state, caller, &decode(body)?),
        "PutSecretValue" => write::put(state, caller, decode(body)?),
        "RestoreSecret" => delete::restore(state, caller, &decode(body)?),
        "TagResource" => tags::tag(state, caller, decode(body)?),
        "UntagResource" => tags::untag(state, caller, &decode(body)?),
        "UpdateSecret" => write::update(state, caller, decode(body)?),
        "UpdateSecretVersionStage" => write::update_stage(state, caller, &decode(body)?),
        _ => Err(ApiError::new("UnknownOperationException", 400, "")),
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    serde_json::from_slice(body).map_err(|_| ApiError::serialization())
}

const MAX_VALUE_BYTES: usize = 65_536;

/// The value that a request brings, if it brings one.
fn value(text: Option<String>, binary: Option<&str>) -> ApiResult<Option<Value>> {
    let check = |member: &str, length: usize| match length {
        0 => Err(ApiError::constraint(member, "have length greater than or equal to 1")),
        length if length > MAX_VALUE_BYTES => Err(ApiError::constraint(
            member,
            format!("have length less than or equal to {MAX_VALUE_BYTES}"),
        )),
        _ => Ok(()),
    };
    match (text, binary) {
        (Some(_), Some(_)) => Err(ApiError::invalid_parameter(
            "You can't specify both a binary secret value and a string secret value in the same \
             secret.",
        )),
        (Some(text), None) => {
            check("secretString", text.len())?;
            Ok(Some(Value::Text(text.into())))
        }
        (None, Some(base64)) => {
            let bytes = STANDARD.decode(base64).map_err(|_| ApiError::serialization())?;
            check("secretBinary", bytes.len())?;
            Ok(Some(Value::Binary(bytes.into())))
        }
        (None, None) => Ok(None),
    }
}

/// Which error a missing ClientRequestToken is depends on the operation.
fn token(token: Option<String>, missing: fn(String) -> ApiError) -> ApiResult<String> {
    let token = token.ok_or_else(|| {
        missing(
            "You must provide a ClientRequestToken value. We recommend a UUID-type value."
                .to_owned(),
        )
    })?;
    if !(32..=64).contains(&token.chars().count()) {
        return Err(ApiError::invalid_parameter(
            "ClientRequestToken must be 32-64 characters long.",
        ));
    }
    Ok(token)
}

fn is_name(text: &str, also: &[char]) -> bool {
    text.chars().all(|character| {
        character.is_ascii_alphanumeric()
            || "/_+=.@-".contains(character)
            || also.contains(&character)
    })
}

fn invalid_name() -> ApiError {
    ApiError::validation(
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the \
         following: -/_+=.@!",
    )
}

/// Checks how a request names a secret.
fn check_id(secret_id: &str) -> ApiResult<()> {
    match secret_id.chars().count() {
        0 => Err(ApiError::constraint("secretId", "have length greater than or equal to 1")),
        2049.. => Err(ApiError::constraint("secretId", "have length less than or equal to 2048")),
        // A `!` is in the names of secrets that other services manage.
        _ if secret_id.starts_with("arn:") || is_name(secret_id, &['!']) => Ok(()),
        _ => Err(invalid_name()),
    }
}

/// The name of the secret that a request is about, for the faults meant for one secret.
pub(crate) fn named_secrets(state: &State, body: &[u8]) -> Vec<String> {
    let Ok(Json::Object(members)) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    let single = ["SecretId", "Name"].into_iter().filter_map(|member| members.get(member));
    let many = members.get("SecretIdList").and_then(Json::as_array).into_iter().flatten();
    single
        .chain(many)
        .filter_map(Json::as_str)
        .map(|id| state.find(id).map_or_else(|| id.to_owned(), |secret| secret.name.clone()))
        .collect()
}
