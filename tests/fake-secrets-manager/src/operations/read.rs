//! GetSecretValue and DescribeSecret, and how a secret is shown.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::check_id;
use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::secret::{CURRENT, Rotation, Secret, Value, Version};
use crate::state::State;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetSecretValue {
    pub(super) secret_id: String,
    pub(super) version_id: Option<String>,
    pub(super) version_stage: Option<String>,
}

pub(crate) fn get_value(
    state: &mut State,
    caller: Caller,
    request: &GetSecretValue,
) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    let (version_id, label) = (request.version_id.as_deref(), request.version_stage.as_deref());
    state.authorize_secret(
        caller,
        "GetSecretValue",
        &request.secret_id,
        &[
            ("VersionId", version_id),
            ("VersionStage", label.or(version_id.is_none().then_some(CURRENT))),
        ],
    )?;
    let secret = state.get_live(&request.secret_id)?;
    let version = choose(secret, version_id, label)?;
    let Some(value) = &version.value else {
        return Err(match version_id {
            Some(id) => ApiError::no_value_for_version(id),
            None => ApiError::no_value_for_label(label.unwrap_or(CURRENT)),
        });
    };
    state.decrypt(caller, secret)?;
    let answer = entry(secret, version, value);
    let (name, id) = (secret.name.clone(), version.id.clone());
    state.touch(&name, &id);
    Ok(answer)
}

fn choose<'a>(
    secret: &'a Secret,
    version_id: Option<&str>,
    label: Option<&str>,
) -> ApiResult<&'a Version> {
    let Some(id) = version_id else {
        let label = label.unwrap_or(CURRENT);
        return secret.labelled(label).ok_or_else(|| ApiError::no_value_for_label(label));
    };
    let version = secret.version(id).ok_or_else(|| ApiError::no_value_for_version(id))?;
    match label {
        Some(label) if !version.labels.contains(label) => Err(ApiError::invalid_request(
            "You provided a VersionStage that is not associated to the provided VersionId.",
        )),
        _ => Ok(version),
    }
}

/// The value with what GetSecretValue says about it.
fn entry(secret: &Secret, version: &Version, value: &Value) -> Json {
    let mut entry = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "VersionStages": version.labels,
        "CreatedDate": seconds(version.created),
    });
    match value {
        Value::Text(text) => entry["SecretString"] = (**text).into(),
        Value::Binary(bytes) => entry["SecretBinary"] = STANDARD.encode(bytes).into(),
    }
    entry
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DescribeSecret {
    secret_id: String,
}

pub(crate) fn describe(
    state: &mut State,
    caller: Caller,
    request: &DescribeSecret,
) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "DescribeSecret", &request.secret_id, &[])?;
    Ok(description(state.get(&request.secret_id)?, "VersionIdsToStages"))
}

/// A secret without its values. The service leaves out what has no value.
pub(super) fn description(secret: &Secret, labels_member: &str) -> Json {
    let mut members = Map::new();
    let mut set = |member: &str, value: Option<Json>| {
        if let Some(value) = value {
            members.insert(member.to_owned(), value);
        }
    };
    set("ARN", Some(secret.arn.clone().into()));
    set("Name", Some(secret.name.clone().into()));
    set("Description", secret.description.clone().map(Json::from));
    set("KmsKeyId", secret.kms_key_id.clone().map(Json::from));
    set("CreatedDate", Some(seconds(secret.created)));
    set("LastChangedDate", Some(seconds(secret.changed)));
    set("LastAccessedDate", secret.accessed.map(seconds));
    set("DeletedDate", secret.deletion.map(seconds));
    set("OwningService", secret.owning_service.clone().map(Json::from));
    let tags = secret.tags.as_ref().map(|tags| {
        tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
    });
    set("Tags", tags);
    let labels: Map<String, Json> = secret
        .versions
        .iter()
        .filter(|version| !version.labels.is_empty())
        .map(|version| (version.id.clone(), json!(version.labels)))
        .collect();
    set(labels_member, (!labels.is_empty()).then_some(labels.into()));
    if let Some(rotation) = &secret.rotation {
        set("RotationEnabled", Some(rotation.enabled.into()));
        set("RotationLambdaARN", rotation.function_arn.clone().map(Json::from));
        set("RotationRules", rules(rotation));
        set("LastRotatedDate", rotation.last.map(seconds));
        set("NextRotationDate", rotation.next.map(seconds));
    }
    members.into()
}

fn rules(rotation: &Rotation) -> Option<Json> {
    let mut rules = Map::new();
    if let Some(days) = rotation.automatically_after_days {
        rules.insert("AutomaticallyAfterDays".to_owned(), days.into());
    }
    if let Some(duration) = &rotation.duration {
        rules.insert("Duration".to_owned(), duration.clone().into());
    }
    if let Some(schedule) = &rotation.schedule_expression {
        rules.insert("ScheduleExpression".to_owned(), schedule.clone().into());
    }
    (!rules.is_empty()).then_some(rules.into())
}

/// A date as awsJson1.1 writes it: seconds since the epoch, with milliseconds as the fraction.
pub(super) fn seconds(at: SystemTime) -> Json {
    let milliseconds =
        at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    #[allow(clippy::cast_precision_loss)]
    let seconds = milliseconds as f64 / 1000.0;
    json!(seconds)
}
