//! BatchGetSecretValue.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::read::{GetSecretValue, get_value};
use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::filter::{self, Filter};
use crate::paging;
use crate::state::State;

const MAX: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BatchGetSecretValue {
    secret_id_list: Option<Vec<String>>,
    filters: Option<Vec<Filter>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

pub(crate) fn batch_get(
    state: &mut State,
    caller: Caller,
    request: &BatchGetSecretValue,
) -> ApiResult<Json> {
    const OPERATION: &str = "BatchGetSecretValue";
    state.authorize_any(caller, OPERATION)?;
    let filters = request.filters.as_deref().filter(|list| !list.is_empty());
    let (ids, next) = match (&request.secret_id_list, filters) {
        (Some(ids), None) => {
            check_ids(ids)?;
            if request.max_results.is_some() {
                return Err(ApiError::invalid_parameter(
                    "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' \
                     is provided.",
                ));
            }
            if request.next_token.is_some() {
                return Err(ApiError::invalid_parameter(
                    "'Filters' not specified. 'Filters' must also be specified when 'NextToken' \
                     is provided.",
                ));
            }
            (ids.clone(), None)
        }
        (None, Some(filters)) => {
            state.authorize_any(caller, "ListSecrets")?;
            filter::check(filters)?;
            let size = paging::size(request.max_results, MAX)?;
            let found: Vec<String> = state
                .listed()
                .iter()
                .filter(|secret| secret.deletion.is_none() && filter::matches(filters, secret))
                .map(|secret| secret.arn.clone())
                .collect();
            let token = request.next_token.as_deref();
            paging::page(found, size, token, (OPERATION, filters))?
        }
        _ => {
            return Err(ApiError::invalid_parameter(
                "Either 'SecretIdList' or 'Filters' must be provided, but not both.",
            ));
        }
    };
    state.authorize_batch_at_endpoint(caller, &ids)?;
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for id in ids {
        let one = GetSecretValue { secret_id: id, version_id: None, version_stage: None };
        match get_value(state, caller, &one) {
            Ok(value) => values.push(value),
            Err(error) => errors.push(json!({
                "SecretId": one.secret_id, "ErrorCode": error.code, "Message": error.message,
            })),
        }
    }
    let mut answer = json!({ "SecretValues": values, "Errors": errors });
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

fn check_ids(ids: &[String]) -> ApiResult<()> {
    match ids.len() {
        1..=MAX => Ok(()),
        0 => Err(ApiError::constraint("secretIdList", "have length greater than or equal to 1")),
        _ => Err(ApiError::constraint(
            "secretIdList",
            format!("have length less than or equal to {MAX}"),
        )),
    }
}
