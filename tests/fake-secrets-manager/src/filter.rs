//! The filters of ListSecrets and BatchGetSecretValue.

use serde::Deserialize;

use crate::error::{ApiError, ApiResult};
use crate::secret::Secret;
use crate::state::REGION;

#[derive(Deserialize, Hash)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Filter {
    #[serde(default)]
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

const KEYS: &str = "[all, description, name, owning-service, primary-region, tag-key, tag-value]";

impl Filter {
    fn check(&self) -> ApiResult<()> {
        if !KEYS.trim_matches(['[', ']']).split(", ").any(|key| key == self.key) {
            return Err(ApiError::constraint(
                "filters.1.member.key",
                format!("satisfy enum value set: {KEYS}"),
            ));
        }
        if self.values.is_empty() {
            return Err(ApiError::invalid_parameter(format!(
                "Invalid filter values for key: {}",
                self.key
            )));
        }
        if self.values.len() > 10 {
            return Err(ApiError::constraint(
                "filters.1.member.values",
                "have length less than or equal to 10",
            ));
        }
        if self.values.iter().any(|value| value.chars().count() > 512) {
            return Err(ApiError::constraint(
                "filters.1.member.values",
                "have length less than or equal to 512",
            ));
        }
        Ok(())
    }

    /// Several values are alternatives.
    fn matches(&self, secret: &Secret) -> bool {
        self.values.iter().any(|value| match value.strip_prefix('!') {
            Some(value) => !self.matches_value(secret, value),
            None => self.matches_value(secret, value),
        })
    }

    fn matches_value(&self, secret: &Secret, value: &str) -> bool {
        let tag = |text: &String| text.starts_with(value);
        match self.key.as_str() {
            "name" => secret.name.starts_with(value),
            "description" => secret
                .description
                .as_deref()
                .is_some_and(|text| text.to_lowercase().starts_with(&value.to_lowercase())),
            "tag-key" => secret.tags.iter().flatten().any(|(key, _)| tag(key)),
            "tag-value" => secret.tags.iter().flatten().any(|(_, text)| tag(text)),
            "primary-region" => REGION.starts_with(value),
            "owning-service" => {
                secret.owning_service.as_ref().is_some_and(|service| service.starts_with(value))
            }
            "all" => matches_words(secret, value),
            _ => false,
        }
    }
}

/// Each word of the value has to begin a word of some attribute.
fn matches_words(secret: &Secret, value: &str) -> bool {
    let mut attributes: Vec<&str> = vec![&secret.name, REGION];
    attributes.extend(secret.description.as_deref());
    attributes.extend(secret.owning_service.as_deref());
    for (key, text) in secret.tags.iter().flatten() {
        attributes.extend([key.as_str(), text.as_str()]);
    }
    let known: Vec<String> = attributes.into_iter().flat_map(words).collect();
    words(value).all(|word| known.iter().any(|known| known.starts_with(&word)))
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

pub(crate) fn check(filters: &[Filter]) -> ApiResult<()> {
    if filters.len() > 10 {
        return Err(ApiError::constraint("filters", "have length less than or equal to 10"));
    }
    filters.iter().try_for_each(Filter::check)
}

/// Several filters have to match, all of them.
pub(crate) fn matches(filters: &[Filter], secret: &Secret) -> bool {
    filters.iter().all(|filter| filter.matches(secret))
}
