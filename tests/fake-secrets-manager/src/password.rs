//! GetRandomPassword.

use serde::Deserialize;

use crate::error::{ApiError, ApiResult};

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GetRandomPassword {
    password_length: i64,
    exclude_characters: String,
    exclude_numbers: bool,
    exclude_punctuation: bool,
    exclude_uppercase: bool,
    exclude_lowercase: bool,
    include_space: bool,
    require_each_included_type: bool,
}

impl Default for GetRandomPassword {
    fn default() -> Self {
        Self {
            password_length: 32,
            exclude_characters: String::new(),
            exclude_numbers: false,
            exclude_punctuation: false,
            exclude_uppercase: false,
            exclude_lowercase: false,
            include_space: false,
            require_each_included_type: true,
        }
    }
}

impl GetRandomPassword {
    pub(crate) fn generate(&self) -> ApiResult<String> {
        let length = usize::try_from(self.password_length)
            .ok()
            .filter(|length| (1..=4096).contains(length))
            .ok_or_else(|| {
                ApiError::constraint(
                    "passwordLength",
                    if self.password_length > 4096 {
                        "have value less than or equal to 4096"
                    } else {
                        "have value greater than or equal to 1"
                    },
                )
            })?;
        let kept = |characters: &mut dyn Iterator<Item = char>| -> Vec<char> {
            characters
                .filter(|character| !self.exclude_characters.contains(*character))
                .collect()
        };
        let mut kinds: Vec<Vec<char>> = [
            (self.exclude_lowercase, kept(&mut ('a'..='z'))),
            (self.exclude_uppercase, kept(&mut ('A'..='Z'))),
            (self.exclude_numbers, kept(&mut ('0'..='9'))),
            (self.exclude_punctuation, kept(&mut PUNCTUATION.chars())),
        ]
        .into_iter()
        .filter(|(excluded, kind)| !excluded && !kind.is_empty())
        .map(|(_, kind)| kind)
        .collect();
        let required = if self.require_each_included_type {
            kinds.len()
        } else {
            0
        };
        if self.include_space {
            kinds.push(kept(&mut " ".chars()));
        }
        let all: Vec<char> = kinds.concat();
        if all.is_empty() {
            return Err(ApiError::invalid_parameter(
                "The password can't be generated: every character is excluded.",
            ));
        }
        if length < required {
            return Err(ApiError::invalid_parameter(
                "Password length is too short based on the required types.",
            ));
        }
        let mut random = fastrand::Rng::new();
        let mut password: Vec<char> = kinds[..required]
            .iter()
            .filter_map(|kind| random.choice(kind).copied())
            .collect();
        while password.len() < length {
            password.extend(random.choice(&all));
        }
        random.shuffle(&mut password);
        Ok(password.into_iter().collect())
    }
}
