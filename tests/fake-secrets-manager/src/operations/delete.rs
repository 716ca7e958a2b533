//! DeleteSecret and RestoreSecret.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::check_id;
use super::read::seconds;
use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::state::State;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeleteSecret {
    secret_id: String,
    recovery_window_in_days: Option<i64>,
    force_delete_without_recovery: Option<bool>,
}

pub(crate) fn delete(state: &mut State, caller: Caller, request: &DeleteSecret) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "DeleteSecret", &request.secret_id, &[])?;
    let force = request.force_delete_without_recovery.unwrap_or(false);
    if force && request.recovery_window_in_days.is_some() {
        return Err(ApiError::invalid_parameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ));
    }
    let days = u32::try_from(request.recovery_window_in_days.unwrap_or(30))
        .ok()
        .filter(|days| (7..=30).contains(days))
        .ok_or_else(|| {
            ApiError::invalid_parameter(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            )
        })?;
    let now = state.now();
    if force {
        // One that isn't there is no error: it's gone, as asked.
        let Some(secret) = state.find(&request.secret_id).cloned() else {
            let id = &request.secret_id;
            let arn =
                if id.starts_with("arn:") { id.clone() } else { state.arn_without_suffix(id) };
            return Ok(json!({ "ARN": arn, "Name": id, "DeletionDate": seconds(now) }));
        };
        state.remove(&secret.name);
        return Ok(json!({
            "ARN": secret.arn, "Name": secret.name, "DeletionDate": seconds(now),
        }));
    }
    let name = state.get_live(&request.secret_id)?.name.clone();
    let end = now + DAY * days;
    state.change(&name, |secret| {
        secret.deletion = Some(end);
        secret.changed = now;
        Ok(json!({ "ARN": secret.arn, "Name": secret.name, "DeletionDate": seconds(end) }))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RestoreSecret {
    secret_id: String,
}

pub(crate) fn restore(
    state: &mut State,
    caller: Caller,
    request: &RestoreSecret,
) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "RestoreSecret", &request.secret_id, &[])?;
    let (name, now) = (state.get(&request.secret_id)?.name.clone(), state.now());
    state.change(&name, |secret| {
        if secret.deletion.take().is_some() {
            secret.changed = now;
        }
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    })
}
