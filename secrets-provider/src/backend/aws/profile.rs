//! The profiles of the SDK's two files, as far as slips in them need it.
//!
//! `setup` reads the files and judges; here is what their lines mean, by the
//! [reference](https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html) of the format. Of
//! the values, only the name of another profile is kept.

use std::collections::{BTreeMap, BTreeSet};

/// What is known of a profile.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) keys: BTreeSet<String>,
    /// The profile that `source_profile` names.
    pub(super) source: Option<String>,
    /// It is only in the configuration file, and not as `[profile <name>]`, so that the SDK ignores
    /// it.
    pub(super) without_its_word: bool,
}

/// Adds the profiles of a file: the one of credentials, or the one of configuration, where each name
/// but `default` follows the word `profile`.
pub(super) fn add(profiles: &mut BTreeMap<String, Profile>, text: &str, of_credentials: bool) {
    let mut current: Option<String> = None;
    for line in text.lines() {
        let section = line.trim().strip_prefix('[').and_then(|line| line.split_once(']'));
        if let Some((section, _)) = section {
            let section = section.trim();
            let with_word = section.strip_prefix("profile ").map(str::trim);
            let name = with_word.unwrap_or(section);
            let counts = with_word.is_some() || of_credentials || name == "default";
            let known = profiles.get(name).is_some_and(|known| !known.without_its_word);
            profiles.entry(name.to_owned()).or_default().without_its_word = !counts && !known;
            current = Some(name.to_owned());
        } else if let (Some(current), Some((key, value))) = (&current, line.split_once('=')) {
            // An indented line belongs to the setting above.
            if !line.starts_with([' ', '\t']) {
                let profile = profiles.entry(current.clone()).or_default();
                let key = key.trim().to_ascii_lowercase();
                if key == "source_profile" {
                    profile.source = Some(value.trim().to_owned());
                }
                profile.keys.insert(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_configuration_follows_the_word_profile() {
        let mut profiles = BTreeMap::new();
        let config =
            "[default]\n[profile a]\nsource_profile = b\n  region = x\n[b]\n[c]\n[sso-session s]";
        add(&mut profiles, config, false);
        add(&mut profiles, "[ c ]\naws_access_key_id=1", true);
        let without: Vec<_> = profiles.iter().filter(|(_, p)| p.without_its_word).collect();
        let without: Vec<_> = without.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(without, ["b", "sso-session s"]);
        assert_eq!(profiles["a"].source.as_deref(), Some("b"));
        assert!(profiles["a"].keys.iter().eq(["source_profile"]));
        assert!(profiles["c"].keys.contains("aws_access_key_id"));
    }
}
