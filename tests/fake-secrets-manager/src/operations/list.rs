//! ListSecrets and ListSecretVersionIds.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::check_id;
use super::read::{description, seconds};
use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::filter::{self, Filter};
use crate::paging;
use crate::secret::{Secret, Version};
use crate::state::State;

const MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListSecrets {
    #[serde(default)]
    include_planned_deletion: bool,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default)]
    filters: Vec<Filter>,
    sort_order: Option<String>,
    sort_by: Option<String>,
}

pub(crate) fn secrets(state: &mut State, caller: Caller, request: &ListSecrets) -> ApiResult<Json> {
    const OPERATION: &str = "ListSecrets";
    state.authorize_any(caller, OPERATION)?;
    filter::check(&request.filters)?;
    let size = paging::size(request.max_results, MAX)?;
    let compare: fn(&Secret, &Secret) -> Ordering = match request.sort_by.as_deref() {
        None | Some("created-date") => |a, b| a.serial.cmp(&b.serial),
        Some("name") => |a, b| a.name.cmp(&b.name),
        Some("last-changed-date") => |a, b| a.changed.cmp(&b.changed),
        Some("last-accessed-date") => |a, b| a.accessed.cmp(&b.accessed),
        Some(_) => {
            return Err(ApiError::constraint(
                "sortBy",
                "satisfy enum value set: [created-date, last-accessed-date, last-changed-date, \
                 name]",
            ));
        }
    };
    let descending = match request.sort_order.as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => {
            return Err(ApiError::constraint("sortOrder", "satisfy enum value set: [asc, desc]"));
        }
    };
    let mut found = state.listed();
    found.retain(|secret| {
        (request.include_planned_deletion || secret.deletion.is_none())
            && filter::matches(&request.filters, secret)
    });
    found.sort_by(|a, b| {
        let order = compare(a, b);
        if descending { order.reverse() } else { order }
    });
    let (page, next) = paging::page(
        found,
        size,
        request.next_token.as_deref(),
        (
            OPERATION,
            &request.filters,
            &request.sort_by,
            descending,
            request.include_planned_deletion,
        ),
    )?;
    let list: Vec<Json> =
        page.iter().map(|secret| description(secret, "SecretVersionsToStages")).collect();
    let mut answer = json!({ "SecretList": list });
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListSecretVersionIds {
    secret_id: String,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default)]
    include_deprecated: bool,
}

pub(crate) fn versions(
    state: &mut State,
    caller: Caller,
    request: &ListSecretVersionIds,
) -> ApiResult<Json> {
    const OPERATION: &str = "ListSecretVersionIds";
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, OPERATION, &request.secret_id, &[])?;
    let size = paging::size(request.max_results, MAX)?;
    let secret = state.get(&request.secret_id)?;
    let versions: Vec<&Version> = secret
        .versions
        .iter()
        .filter(|version| request.include_deprecated || !version.labels.is_empty())
        .collect();
    let query = (OPERATION, &secret.arn, request.include_deprecated);
    let (page, next) = paging::page(versions, size, request.next_token.as_deref(), query)?;
    let key = secret.kms_key_id.as_deref().unwrap_or("DefaultEncryptionKey");
    let list: Vec<Json> = page
        .into_iter()
        .map(|version| {
            let mut entry = json!({
                "VersionId": version.id,
                "CreatedDate": seconds(version.created),
                "KmsKeyIds": [key],
            });
            if !version.labels.is_empty() {
                entry["VersionStages"] = json!(version.labels);
            }
            if let Some(accessed) = version.accessed {
                entry["LastAccessedDate"] = seconds(accessed);
            }
            entry
        })
        .collect();
    let mut answer = json!({ "ARN": secret.arn, "Name": secret.name, "Versions": list });
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}
