//! The profile that is in use, and what is wrong with it or its file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{CONFIG_FILE, CREDENTIALS_FILE, PROFILE, Setup, read};
use crate::backend::aws::profile::{self, Profile};
use crate::backend::aws::values::is_plain;

impl Setup {
    /// A profile or a profile file that is not there.
    pub(super) fn profile_slip(&self) -> Option<(String, String)> {
        for name in [CONFIG_FILE, CREDENTIALS_FILE] {
            if let Some(path) = self.process(name)
                && let Err(error) = read(Path::new(path))
            {
                if error.kind() == io::ErrorKind::Unsupported {
                    return None;
                }
                let what = format!("the file that `{name}` names cannot be read: {}", error.kind());
                return Some((
                    what,
                    format!("correct `{name}`, or unset it to use the file in `~/.aws`"),
                ));
            }
        }
        let name = self.environment.value(PROFILE)?;
        match self.profiles().get(name) {
            Some(profile) if profile.without_its_word => {
                let shown = if is_plain(name) { name } else { "<name>" };
                return Some((
                    format!("`~/.aws/config` has `[{shown}]` without the word `profile`"),
                    format!("write `[profile {shown}]`: only `[default]` has no such word there"),
                ));
            }
            Some(_) => return None,
            None => {}
        }
        let profile = name;
        let shown = if is_plain(profile) { format!("`{profile}` ") } else { String::new() };
        Some((
            format!("the profile {shown}that `{PROFILE}` names is in no file"),
            format!(
                "correct `{PROFILE}`, or add `[profile <name>]` to `~/.aws/config` or `[<name>]` to \
                 `~/.aws/credentials` ({CONFIG_FILE} and {CREDENTIALS_FILE} name other files)"
            ),
        ))
    }

    /// A profile that says how to get credentials, but not in a way that can work.
    pub(super) fn profile_content_slip(&self) -> Option<(String, String)> {
        let profiles = self.profiles();
        let name = self.environment.value(PROFILE).unwrap_or("default");
        let profile = profiles.get(name)?;
        let has = |key: &str| profile.keys.contains(key);
        let shown =
            if is_plain(name) { format!("the profile `{name}`") } else { "the profile".to_owned() };
        let pair = ["aws_access_key_id", "aws_secret_access_key"];
        if has(pair[0]) != has(pair[1]) {
            let missing = if has(pair[0]) { pair[1] } else { pair[0] };
            return Some((
                format!("{shown} has no `{missing}`"),
                "set both keys of the pair".to_owned(),
            ));
        }
        if has(pair[0]) {
            return None;
        }
        let needs = |feature: &str| {
            (
                format!("the feature `{feature}` is missing, which {shown} needs"),
                format!(
                    "add it in Cargo.toml: `secrets-provider = {{ features = [\"{feature}\"] }}`"
                ),
            )
        };
        if !cfg!(feature = "sso") && (has("sso_start_url") || has("sso_session")) {
            return Some(needs("sso"));
        }
        if !cfg!(feature = "credentials-process") && has("credential_process") {
            return Some(needs("credentials-process"));
        }
        let source = ["source_profile", "credential_source", "web_identity_token_file"];
        if has("role_arn") && !source.iter().any(|key| has(key)) {
            let what = format!("{shown} has `role_arn`, but no source of credentials for it");
            return Some((what, "add `source_profile` or `credential_source` to it".to_owned()));
        }
        let source = profile.source.as_deref().filter(|_| has("role_arn"))?;
        if !profiles.contains_key(source) {
            let what = format!("`source_profile` of {shown} names a profile that is in no file");
            return Some((what, "correct `source_profile`, or add the profile".to_owned()));
        }
        None
    }

    /// The profiles in both files. A file that cannot be read has none.
    pub(super) fn profiles(&self) -> BTreeMap<String, Profile> {
        let mut profiles = BTreeMap::new();
        for (variable, default) in [(CONFIG_FILE, "config"), (CREDENTIALS_FILE, "credentials")] {
            let path = match self.environment.value(variable) {
                Some(path) => PathBuf::from(path),
                None => {
                    let Some(home) = &self.home else { continue };
                    home.join(".aws").join(default)
                }
            };
            if let Ok(text) = read(&path) {
                profile::add(&mut profiles, &text, variable == CREDENTIALS_FILE);
            }
        }
        profiles
    }
}
