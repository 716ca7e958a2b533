//! RotateSecret: what happens before the rotation function is called, and after it.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Done, check_id, token};
use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::secret::{CURRENT, PENDING, Rotation};
use crate::state::{ACCOUNT, REGION, State};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Which steps the rotation function is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    All,
    /// Only `testSecret`, on a pending version that is taken away afterwards.
    Test,
}

/// A rotation to be run.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) token: String,
    pub(crate) steps: Steps,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RotateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<Rules>,
    rotate_immediately: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rules {
    automatically_after_days: Option<i64>,
    duration: Option<String>,
    schedule_expression: Option<String>,
}

pub(crate) fn rotate(state: &mut State, caller: Caller, request: RotateSecret) -> Done {
    let mut job = None;
    let answer = start(state, caller, request, &mut job);
    Done { answer, job }
}

fn start(
    state: &mut State,
    caller: Caller,
    request: RotateSecret,
    job: &mut Option<Job>,
) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "RotateSecret", &request.secret_id, &[])?;
    let token = token(request.client_request_token, ApiError::invalid_parameter)?;
    let secret = state.get_live(&request.secret_id)?.clone();
    let name = secret.name.clone();

    let mut rotation = secret.rotation.clone().unwrap_or_default();
    if let Some(arn) = request.rotation_lambda_arn.filter(|arn| !arn.is_empty()) {
        rotation.function_arn = Some(arn);
    }
    let has_closure = state.rotatable.contains(&name);
    if rotation.function_arn.is_none() {
        if !has_closure {
            return Err(ApiError::invalid_request(
                "You tried to enable rotation on a secret that doesn't already have a Lambda \
                 function ARN configured and you didn't include such an ARN as a parameter in \
                 this call.",
            ));
        }
        rotation.function_arn =
            Some(format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:fake-rotation"));
    }
    if !has_closure {
        return Err(ApiError::access_denied(
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the \
             function policy grants access to the principal secretsmanager.amazonaws.com.",
        ));
    }
    if let Some(rules) = request.rotation_rules {
        apply(rules, &mut rotation)?;
    }
    rotation.enabled = true;
    let now = state.now();
    if rotation.next.is_none() {
        rotation.next = next_rotation(&rotation, now);
    }

    // A label left over from a rotation that didn't end: that one is tried again.
    let unfinished = secret
        .labelled(PENDING)
        .filter(|version| !version.labels.contains(CURRENT))
        .map(|version| version.id.clone());
    if let Some(pending) = unfinished {
        *job =
            Some(Job { name, arn: secret.arn.clone(), token: pending.clone(), steps: Steps::All });
        if pending != token {
            return Err(ApiError::invalid_request(
                "A previous rotation isn't complete. That rotation will be reattempted.",
            ));
        }
    } else {
        let steps = match request.rotate_immediately {
            Some(false) => Steps::Test,
            _ => Steps::All,
        };
        // The same token again: that rotation is over.
        let repeated = secret.version(&token).is_some();
        state.change(&name, |secret| {
            secret.rotation = Some(rotation);
            secret.changed = now;
            if repeated {
                return Ok(());
            }
            secret.start_pending(&token, now)
        })?;
        if !repeated {
            *job = Some(Job { name, arn: secret.arn.clone(), token: token.clone(), steps });
        }
    }
    Ok(json!({ "ARN": secret.arn, "Name": secret.name, "VersionId": token }))
}

fn apply(rules: Rules, rotation: &mut Rotation) -> ApiResult<()> {
    if rules.automatically_after_days.is_some() && rules.schedule_expression.is_some() {
        return Err(ApiError::invalid_parameter(
            "You can't specify both AutomaticallyAfterDays and ScheduleExpression.",
        ));
    }
    if let Some(days) = rules.automatically_after_days {
        if !(1..=1000).contains(&days) {
            return Err(ApiError::invalid_parameter(
                "RotationRules.AutomaticallyAfterDays must be within 1-1000.",
            ));
        }
        rotation.automatically_after_days = Some(days);
        rotation.schedule_expression = None;
    }
    if let Some(schedule) = rules.schedule_expression {
        if !(schedule.starts_with("rate(") || schedule.starts_with("cron("))
            || !schedule.ends_with(')')
        {
            return Err(ApiError::invalid_parameter(
                "The ScheduleExpression isn't a rate() or cron() expression.",
            ));
        }
        rotation.schedule_expression = Some(schedule);
        rotation.automatically_after_days = None;
    }
    if rules.duration.is_some() {
        rotation.duration = rules.duration;
    }
    rotation.next = None;
    Ok(())
}

/// When the next rotation is due. Unknown for `cron()`, which isn't worked out here.
fn next_rotation(rotation: &Rotation, now: SystemTime) -> Option<SystemTime> {
    if let Some(days) = rotation.automatically_after_days {
        return Some(now + HOUR * 24 * u32::try_from(days).ok()?);
    }
    let rate = rotation.schedule_expression.as_deref()?.strip_prefix("rate(")?.strip_suffix(')')?;
    let (count, unit) = rate.split_once(' ')?;
    let count: u32 = count.parse().ok()?;
    match unit.trim_end_matches('s') {
        "hour" => Some(now + HOUR * count),
        "day" => Some(now + HOUR * 24 * count),
        _ => None,
    }
}

/// Notes how a rotation ended.
pub(crate) fn finish(state: &mut State, job: &Job, outcome: Result<(), String>) {
    let now = state.now();
    if job.steps == Steps::Test {
        // The secret may be gone by now, and then there's nothing to tidy.
        let _ = state.change(&job.name, |secret| {
            secret.remove_version(&job.token);
            Ok(())
        });
    }
    let outcome = outcome.and_then(|()| {
        if job.steps == Steps::Test {
            return Ok(());
        }
        state
            .change(&job.name, |secret| {
                let current = secret.labelled(CURRENT).map(|version| version.id.as_str());
                if current != Some(job.token.as_str()) {
                    return Ok(false);
                }
                if let Some(rotation) = &mut secret.rotation {
                    rotation.last = Some(now);
                    rotation.next = next_rotation(rotation, now);
                }
                Ok(true)
            })
            .map_err(|error| error.message)?
            .then_some(())
            .ok_or_else(|| {
                "finishSecret returned, but AWSCURRENT isn't on the pending version".to_owned()
            })
    });
    match outcome {
        Ok(()) => state.rotation_errors.remove(&job.name),
        Err(error) => state.rotation_errors.insert(job.name.clone(), error),
    };
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CancelRotateSecret {
    secret_id: String,
}

pub(crate) fn cancel(
    state: &mut State,
    caller: Caller,
    request: CancelRotateSecret,
) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "CancelRotateSecret", &request.secret_id, &[])?;
    let name = state.get_live(&request.secret_id)?.name.clone();
    state.change(&name, |secret| {
        let pending = secret.labelled(PENDING).map(|version| version.id.clone());
        if let Some(rotation) = &mut secret.rotation {
            rotation.enabled = false;
            rotation.next = None;
        }
        let mut answer = json!({ "ARN": secret.arn, "Name": secret.name });
        if let Some(id) = pending {
            answer["VersionId"] = id.into();
        }
        Ok(answer)
    })
}
