//! Names that people take for those of the SDK: another tool's, or one with a slip of the pen.
//!
//! They are looked for only when what they would set is missing. Only a name that is much like the
//! SDK's, or in a list here, is shown.

use super::{
    CONFIG_FILE, CREDENTIALS_FILE, ENDPOINTS, KEY_ID, PROFILE, REGIONS, SECRET_KEY, Setup, TOKEN,
};
use crate::error::escape;

/// Variables that others read, or that come to mind, for what the SDK reads by another name.
const VARIABLES: [(&str, &str); 22] = [
    ("AWS_ACCESS_KEY", KEY_ID),
    ("AWS_KEY_ID", KEY_ID),
    ("AWS_SECRET_KEY", SECRET_KEY),
    ("AWS_SECRET_ACCESS", SECRET_KEY),
    ("AWS_SECRET_ACCESS_KEY_ID", SECRET_KEY),
    ("AWS_ACCESS_KEY_SECRET", SECRET_KEY),
    ("AWS_SECRET", SECRET_KEY),
    ("AWS_SECURITY_TOKEN", TOKEN),
    ("AWS_TOKEN", TOKEN),
    ("AWS_DEFAULT_PROFILE", PROFILE),
    ("AWS_PROFILE_NAME", PROFILE),
    ("AWS_CREDENTIALS", CREDENTIALS_FILE),
    ("AWS_CREDENTIAL_FILE", CREDENTIALS_FILE),
    ("AWS_CREDENTIALS_FILE", CREDENTIALS_FILE),
    ("AWS_CONFIG", CONFIG_FILE),
    ("AWS_CONFIG_PATH", CONFIG_FILE),
    ("AWS_REGION_NAME", REGIONS[0]),
    ("AWS_DEFAULT_REGION_NAME", REGIONS[0]),
    ("AMAZON_REGION", REGIONS[0]),
    ("REGION", REGIONS[0]),
    ("AWS_ENDPOINT", ENDPOINTS[1]),
    ("AWS_SECRETS_MANAGER_ENDPOINT", ENDPOINTS[0]),
];

/// The same for the settings of a profile.
const SETTINGS: [(&str, &str); 14] = [
    ("access_key", "aws_access_key_id"),
    ("access_key_id", "aws_access_key_id"),
    ("aws_access_key", "aws_access_key_id"),
    ("secret_key", "aws_secret_access_key"),
    ("secret_access_key", "aws_secret_access_key"),
    ("aws_secret_key", "aws_secret_access_key"),
    ("session_token", "aws_session_token"),
    ("aws_security_token", "aws_session_token"),
    ("endpoint", "endpoint_url"),
    ("endpoint_uri", "endpoint_url"),
    ("aws_endpoint_url", "endpoint_url"),
    ("default_region", "region"),
    ("aws_region", "region"),
    ("aws_default_region", "region"),
];

impl Setup {
    /// A variable that the SDK does not read, and that almost has one of these names.
    pub(in crate::backend::aws) fn misnamed(
        &self,
        names: &[&'static str],
    ) -> Option<(String, String)> {
        let others = [KEY_ID, SECRET_KEY, TOKEN, PROFILE, CONFIG_FILE, CREDENTIALS_FILE];
        let known = [&REGIONS[..], &ENDPOINTS, &others].concat();
        let set = self.environment.names().filter(|name| !known.contains(name));
        let mut found = set.filter_map(|found| Some((found, meant(found, names, &VARIABLES)?)));
        let (found, meant) = found.next()?;
        Some((
            format!("variable `{}` is set, which the SDK does not read", escape(found)),
            format!("rename it to `{meant}`"),
        ))
    }

    /// A setting of the profile that the SDK does not read, and that almost has one of these names,
    /// which the profile lacks.
    pub(in crate::backend::aws) fn misnamed_setting(
        &self,
        names: &[&'static str],
    ) -> Option<(String, String)> {
        let profiles = self.profiles();
        let profile = profiles.get(self.process(PROFILE).unwrap_or("default"))?;
        let lacks = |name: &&&'static str| !profile.keys.contains(**name);
        let names: Vec<_> = names.iter().filter(lacks).copied().collect();
        let mut found =
            profile.keys.iter().filter_map(|found| Some((found, meant(found, &names, &SETTINGS)?)));
        let (found, meant) = found.next()?;
        Some((
            format!("the AWS profile has `{}`, which the SDK does not read", escape(found)),
            format!("rename it to `{meant}`"),
        ))
    }
}

/// Which of these names was meant, by the list or by likeness.
fn meant(
    found: &str,
    names: &[&'static str],
    list: &[(&str, &'static str)],
) -> Option<&'static str> {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_uppercase()).collect()
    };
    let found = plain(found);
    let listed = list.iter().find(|(other, _)| plain(other) == found).map(|(_, name)| *name);
    let is_like = |name: &&&str| strsim::osa_distance(&plain(name), &found) < 2;
    listed.filter(|name| names.contains(name)).or_else(|| names.iter().find(is_like).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_meant_if_it_is_listed_or_like_it() {
        let all = [KEY_ID, SECRET_KEY, TOKEN, PROFILE, REGIONS[0], ENDPOINTS[0], ENDPOINTS[1]];
        for (found, expected) in [
            ("AWS_SECRET_KEY", Some(SECRET_KEY)),
            ("aws_access_key_id", Some(KEY_ID)),
            ("AWS_PROFLE", Some(PROFILE)),
            ("REGION", Some("AWS_REGION")),
            ("AWS_ENDPOINT_URL_SECRETSMANAGER", Some(ENDPOINTS[0])),
            ("AWS_ENDPOINT", Some(ENDPOINTS[1])),
            ("AWS_ENDPOINT_URL_S3", None),
            ("AWS_ENDPOINT_URL_STS", None),
            ("AWS_ROLE_ARN", None),
            ("AWS_LAMBDA_FUNCTION_NAME", None),
        ] {
            assert_eq!(meant(found, &all, &VARIABLES), expected, "{found}");
        }
        assert_eq!(meant("AWS_SECRET_KEY", &[KEY_ID], &VARIABLES), None);
        let settings = ["region", "aws_access_key_id"];
        for (found, expected) in [
            ("regoin", Some("region")),
            ("default_region", Some("region")),
            ("aws_acces_key_id", Some("aws_access_key_id")),
            ("sso_region", None),
            ("output", None),
        ] {
            assert_eq!(meant(found, &settings, &SETTINGS), expected, "{found}");
        }
    }
}
