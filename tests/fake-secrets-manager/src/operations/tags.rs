//! TagResource and UntagResource.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::check_id;
use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::state::State;

const MAX_TAGS: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

/// Adds tags; one with a key that is there already replaces it.
pub(super) fn merge(tags: &mut Option<Vec<(String, String)>>, new: Vec<Tag>) -> ApiResult<()> {
    if new.is_empty() {
        return Ok(());
    }
    let tags = tags.get_or_insert_default();
    for tag in new {
        if !(1..=128).contains(&tag.key.chars().count()) {
            return Err(ApiError::constraint("tags.1.member.key", "have length between 1 and 128"));
        }
        if tag.value.chars().count() > 256 {
            return Err(ApiError::constraint(
                "tags.1.member.value",
                "have length less than or equal to 256",
            ));
        }
        if tag.key.to_lowercase().starts_with("aws:") {
            return Err(ApiError::invalid_parameter("Tag keys that begin with aws: are reserved."));
        }
        match tags.iter_mut().find(|(key, _)| *key == tag.key) {
            Some((_, value)) => *value = tag.value,
            None => tags.push((tag.key, tag.value)),
        }
    }
    if tags.len() > MAX_TAGS {
        return Err(ApiError::invalid_parameter(format!(
            "A secret can have at most {MAX_TAGS} tags."
        )));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagResource {
    secret_id: String,
    tags: Vec<Tag>,
}

pub(crate) fn tag(state: &mut State, caller: Caller, request: TagResource) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "TagResource", &request.secret_id, &[])?;
    let (name, now) = (state.get_live(&request.secret_id)?.name.clone(), state.now());
    state.change(&name, |secret| {
        secret.changed = now;
        merge(&mut secret.tags, request.tags)
    })?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UntagResource {
    secret_id: String,
    tag_keys: Vec<String>,
}

pub(crate) fn untag(state: &mut State, caller: Caller, request: &UntagResource) -> ApiResult<Json> {
    check_id(&request.secret_id)?;
    state.authorize_secret(caller, "UntagResource", &request.secret_id, &[])?;
    let (name, now) = (state.get_live(&request.secret_id)?.name.clone(), state.now());
    state.change(&name, |secret| {
        secret.changed = now;
        if let Some(tags) = &mut secret.tags {
            tags.retain(|(key, _)| !request.tag_keys.contains(key));
        }
        Ok(())
    })?;
    Ok(json!({}))
}
