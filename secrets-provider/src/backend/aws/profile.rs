//! The profiles of the SDK's two files, as far as slips in them need it.
//!
//! `setup` reads the files and judges; here is what their lines mean, by the
//! [reference](https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html) of the format. Of
//! the values, only names of profiles, sections and files are kept.

use std::collections::{BTreeMap, BTreeSet};

use super::values::{is_key_id, is_temporary, setting_slip};

/// What is known of a profile.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) keys: BTreeSet<String>,
    /// The profile that `source_profile` names.
    pub(super) source: Option<String>,
    /// What `credential_source` says.
    pub(super) credential_source: Option<String>,
    /// Whether `aws_access_key_id` is a temporary key, if it is one that AWS made.
    pub(super) has_temporary_key: Option<bool>,
    /// The file that `web_identity_token_file` names.
    pub(super) token_file: Option<String>,
    /// The section that `services` names, as a profile's name.
    pub(super) services: Option<String>,
    /// Settings that cannot be right, with what is expected.
    pub(super) slips: Vec<(String, &'static str)>,
    /// Where its only heading is one that the SDK ignores.
    pub(super) ignored: Option<Ignored>,
}

/// A heading that the SDK ignores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignored {
    /// In the configuration file, not as `[profile <name>]`.
    WithoutItsWord,
    /// In the file of credentials, as `[profile <name>]`.
    WithAWord,
}

/// Adds the profiles of a file: the one of credentials, or the one of configuration, where each name
/// but `default` follows the word `profile`. Returns the number of the first line that the SDK
/// refuses, because of which it reads no profile at all.
pub(super) fn add(
    profiles: &mut BTreeMap<String, Profile>,
    text: &str,
    of_credentials: bool,
) -> Option<usize> {
    let mut current: Option<String> = None;
    let mut setting = String::new();
    let mut refused = None;
    for (number, line) in text.lines().enumerate() {
        let is_right = if line.trim().is_empty() || line.trim().starts_with(['#', ';']) {
            true
        } else if let Some(section) = line.strip_prefix('[') {
            let Some((section, _)) = section.split_once(']') else {
                refused = refused.or(Some(number + 1));
                current = None;
                continue;
            };
            let section = section.trim();
            let with_word = section.strip_prefix("profile ").map(str::trim);
            let name = with_word.unwrap_or(section);
            let ignored = match (with_word.is_some(), of_credentials) {
                (true, true) => Some(Ignored::WithAWord),
                (false, false) if name != "default" => Some(Ignored::WithoutItsWord),
                _ => None,
            };
            let known = profiles.get(name).is_some_and(|known| known.ignored.is_none());
            profiles.entry(name.to_owned()).or_default().ignored = ignored.filter(|_| !known);
            current = Some(name.to_owned());
            setting.clear();
            true
        } else if let (Some(current), Some((key, value))) = (&current, line.split_once('=')) {
            let profile = profiles.entry(current.clone()).or_default();
            let key = key.trim().to_ascii_lowercase();
            match line.starts_with([' ', '\t']) {
                // An indented line belongs to the setting above, the name of a service.
                true if setting == "secrets_manager" => profile.note(&key, value),
                true => {}
                false => {
                    profile.set(&key, value);
                    setting.clone_from(&key);
                }
            }
            !key.is_empty()
        } else {
            current.is_some() && line.starts_with([' ', '\t'])
        };
        if !is_right {
            refused = refused.or(Some(number + 1));
        }
    }
    refused
}

impl Profile {
    fn set(&mut self, key: &str, value: &str) {
        let text = || Some(without_comment(value).to_owned());
        match key {
            "source_profile" => self.source = text(),
            "web_identity_token_file" => self.token_file = text(),
            "credential_source" => self.credential_source = text(),
            "aws_access_key_id" => {
                let id = without_comment(value);
                self.has_temporary_key = is_key_id(id).then(|| is_temporary(id));
            }
            "services" => self.services = text().map(|name| format!("services {name}")),
            _ => {}
        }
        self.note(key, value);
        self.keys.insert(key.to_owned());
    }

    fn note(&mut self, key: &str, value: &str) {
        self.slips.retain(|(other, _)| other != key);
        let slip = setting_slip(key, without_comment(value));
        self.slips.extend(slip.map(|expected| (key.to_owned(), expected)));
    }
}

/// A comment after a value follows white space.
fn without_comment(value: &str) -> &str {
    let comments = value.match_indices(['#', ';']);
    let mut starts = comments.map(|(at, _)| &value[..at]).filter(|v| v.ends_with([' ', '\t']));
    starts.next().unwrap_or(value).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_configuration_follows_the_word_profile() {
        let mut profiles = BTreeMap::new();
        let config =
            "[default]\n[profile a]\nsource_profile = b\n  region = x\n[b]\n[c]\n[sso-session s]";
        assert_eq!(add(&mut profiles, config, false), None);
        assert_eq!(add(&mut profiles, "[ c ]\naws_access_key_id=1", true), None);
        let without: Vec<_> = profiles.iter().filter(|(_, p)| p.ignored.is_some()).collect();
        let without: Vec<_> = without.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(without, ["b", "sso-session s"]);
        assert_eq!(profiles["a"].source.as_deref(), Some("b"));
        assert!(profiles["a"].keys.iter().eq(["source_profile"]));
        assert!(profiles["c"].keys.contains("aws_access_key_id"));
    }

    #[test]
    fn the_first_line_that_the_sdk_refuses_is_known_and_settings_that_cannot_be_right() {
        for (text, line) in [
            ("# a\n\n[a]\n; b\nk = v # c\n  s = t\n  u\n", None),
            ("k = v\n[a]", Some(1)),
            ("\u{feff}[a]\nk = v", Some(1)),
            ("[a]\nk = v\n[b\nk = v", Some(3)),
            ("[a]\nk v", Some(2)),
            ("[a]\n= v", Some(2)),
        ] {
            assert_eq!(add(&mut BTreeMap::new(), text, true), line, "{text}");
        }
        let mut profiles = BTreeMap::new();
        let text = "[default]\nmax_attempts = 3 # tries\nendpoint_url = a:1\nservices = s\n\
                    [services s]\nsts =\n  endpoint_url = b\nsecrets_manager =\n  endpoint_url = c";
        assert_eq!(add(&mut profiles, text, false), None);
        let slips = |name: &str| {
            profiles[name].slips.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(slips("default"), ["endpoint_url"]);
        assert_eq!(slips("services s"), ["endpoint_url"]);
        assert_eq!(profiles["default"].services.as_deref(), Some("services s"));
    }
}
