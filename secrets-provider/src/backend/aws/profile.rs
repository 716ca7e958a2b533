//! Parses the SDK's profile files as the SDK does, for what a person may have set wrongly there.
//!
//! `setup` reads the files and judges; here is what their lines mean, by the
//! [reference](https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html) of the format, and
//! which line the SDK refuses. Of the values, only names of profiles, sections and files are kept.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

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
    /// The section that `sso_session` names, in the same way.
    pub(super) sso_session: Option<String>,
    pub(super) slips: Vec<SettingSlip>,
    /// Where its only heading is one that the SDK ignores.
    pub(super) ignored: Option<Ignored>,
}

/// A setting that cannot be right, with what is expected and where it is.
#[derive(Debug)]
pub(super) struct SettingSlip {
    pub(super) key: String,
    pub(super) expected: &'static str,
    pub(super) of_credentials: bool,
    pub(super) line: usize,
}

/// A heading that the SDK ignores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignored {
    /// In the configuration file, not as `[profile <name>]`.
    WithoutItsWord,
    /// In the file of credentials, as `[profile <name>]`.
    WithAWord,
    /// With quotes around the name.
    Quoted,
}

/// Adds the profiles of a file: the one of credentials, or the one of configuration, where each name
/// but `default` follows the word `profile`. If the SDK refuses a line, it reads no profile at all:
/// then none is added, and the line's number is returned.
pub(super) fn add(
    profiles: &mut BTreeMap<String, Profile>,
    text: &str,
    of_credentials: bool,
) -> Option<usize> {
    let sections = match sections(text) {
        Ok(sections) => sections,
        Err(line) => return Some(line),
    };
    for section in sections {
        let words = section.name.split_once(SPACES).map(|(word, name)| (word, name.trim()));
        let is_service = words.is_some_and(|(word, _)| word == "services");
        let (with_word, name) = match words {
            Some(("profile", name)) => (true, name),
            _ => (false, section.name),
        };
        let plain = name.trim_matches(['"', '\'']);
        let ignored = match (with_word, of_credentials) {
            _ if plain != name => Some(Ignored::Quoted),
            (true, true) => Some(Ignored::WithAWord),
            (false, false) if words.is_none() && name != "default" => Some(Ignored::WithoutItsWord),
            _ => None,
        };
        let known = profiles.get(plain).is_some_and(|known| known.ignored.is_none());
        if ignored.is_some() && known {
            continue;
        }
        let profile = profiles.entry(plain.to_owned()).or_default();
        profile.ignored = ignored;
        for (key, value, line) in &section.settings {
            profile.set(key, value, (of_credentials, *line), is_service);
        }
    }
    None
}

/// What the SDK takes for white space.
const SPACES: [char; 2] = [' ', '\t'];

struct Section<'a> {
    name: &'a str,
    /// Name, value and line of each.
    settings: Vec<(String, Zeroizing<String>, usize)>,
}

/// The sections of a file, or the number of the first line that the SDK refuses.
fn sections(text: &str) -> Result<Vec<Section<'_>>, usize> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim_matches(SPACES).is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            let line = line.split(['#', ';']).next().unwrap_or_default().trim_end_matches(SPACES);
            let name = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
            let name = name.ok_or(number)?.trim_matches(SPACES);
            sections.push(Section { name, settings: Vec::new() });
            continue;
        }
        let settings = &mut sections.last_mut().ok_or(number)?.settings;
        if line.starts_with(SPACES) {
            // An indented line belongs to the setting above. Below an empty one, it is a setting.
            let (_, value, _) = settings.last_mut().ok_or(number)?;
            if value.is_empty() || value.starts_with('\n') {
                setting(line).ok_or(number)?;
            }
            value.push('\n');
            value.push_str(line.trim_matches(SPACES));
        } else {
            let (key, value) = setting(line).ok_or(number)?;
            settings.push((key.to_ascii_lowercase(), Zeroizing::new(value.to_owned()), number));
        }
    }
    Ok(sections)
}

/// Name and value of a setting. A comment after a value follows white space.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_matches(SPACES);
    let comments = line.match_indices(['#', ';']).map(|(at, _)| &line[..at]);
    let mut before = comments.filter(|before| before.ends_with(char::is_whitespace));
    let (key, value) = before.next().unwrap_or(line).split_once('=')?;
    let (key, value) = (key.trim_matches(SPACES), value.trim_matches(SPACES));
    (!key.is_empty()).then_some((key, value))
}

impl Profile {
    fn set(&mut self, key: &str, value: &str, place: (bool, usize), is_service: bool) {
        let text = || Some(value.to_owned());
        match key {
            "source_profile" => self.source = text(),
            "web_identity_token_file" => self.token_file = text(),
            "credential_source" => self.credential_source = text(),
            "aws_access_key_id" => {
                self.has_temporary_key = is_key_id(value).then(|| is_temporary(value));
            }
            "services" => self.services = Some(format!("services {value}")),
            "sso_session" => self.sso_session = Some(format!("sso-session {value}")),
            _ => {}
        }
        match is_service {
            true => self.note_service(key, value, place),
            false => self.note(key, setting_slip(key, value), place),
        }
        self.keys.insert(key.to_owned());
    }

    /// In a section for services, the settings of each are indented below its name.
    fn note_service(&mut self, key: &str, value: &str, (of_credentials, line): (bool, usize)) {
        match key {
            "secrets_manager" if !value.is_empty() && !value.starts_with('\n') => {
                let expected = "nothing after `=`, and `endpoint_url = ...` indented below";
                self.note(key, Some(expected), (of_credentials, line));
            }
            "secrets_manager" => {
                for (text, line) in value.lines().zip(line..) {
                    if let Some((key, value)) = setting(text) {
                        self.note(key, setting_slip(key, value), (of_credentials, line));
                    }
                }
            }
            "endpoint_url" => {
                let expected = "an indented line, below `secrets_manager =`";
                self.note(key, Some(expected), (of_credentials, line));
            }
            "secretsmanager" | "secrets-manager" | "secretmanager" | "secret_manager" => {
                self.note(
                    key,
                    Some("the service's name `secrets_manager`"),
                    (of_credentials, line),
                );
            }
            _ => {}
        }
    }

    /// Keeps what is wrong with a setting. A later one of the same name counts.
    fn note(&mut self, key: &str, slip: Option<&'static str>, place: (bool, usize)) {
        self.slips.retain(|slip| slip.key != key);
        let (of_credentials, line) = place;
        let key = key.to_owned();
        let slip = slip.map(|expected| SettingSlip { key, expected, of_credentials, line });
        self.slips.extend(slip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_configuration_follows_the_word_profile() {
        let mut profiles = BTreeMap::new();
        let config = "[default]\n[profile a]\nsource_profile = b\nc =\n  region = x\n[b]\n[c]\n[sso-session s]\n\
                      [profile 'd']";
        assert_eq!(add(&mut profiles, config, false), None);
        assert_eq!(add(&mut profiles, "[ c ]\naws_access_key_id=1", true), None);
        let without: Vec<_> = profiles.iter().filter(|(_, p)| p.ignored.is_some()).collect();
        let without: Vec<_> = without.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(without, ["b", "d"]);
        assert_eq!(profiles["a"].source.as_deref(), Some("b"));
        assert!(profiles["a"].keys.iter().eq(["c", "source_profile"]));
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
            ("[a] # b\nk =\n  s = t\n", None),
            ("[a] b\nk = v", Some(1)),
            ("[a]\n  k = v", Some(2)),
            ("[a]\n  # b\nk = v", Some(2)),
            ("[a]\nk =\n  s", Some(3)),
            ("[a]\rk = v\r", Some(1)),
        ] {
            assert_eq!(add(&mut BTreeMap::new(), text, true), line, "{text}");
        }
        let mut profiles = BTreeMap::new();
        let text = "[default]\nmax_attempts = 3 # tries\nendpoint_url = a:1\nservices = s\n\
                    [services s]\nsts =\n  endpoint_url = b\nsecrets_manager =\n  endpoint_url = c\n\
                    [services t]\nendpoint_url = http://a\nsecretsmanager =\n\
                    [profile p]\nregion = us-east-1\n  output = json\n";
        assert_eq!(add(&mut profiles, text, false), None);
        let slips = |name: &str| {
            profiles[name]
                .slips
                .iter()
                .map(|slip| (slip.key.as_str(), slip.line))
                .collect::<Vec<_>>()
        };
        assert_eq!(slips("default"), [("endpoint_url", 3)]);
        assert_eq!(slips("services s"), [("endpoint_url", 9)]);
        assert_eq!(slips("services t"), [("endpoint_url", 11), ("secretsmanager", 12)]);
        assert_eq!(slips("p"), [("region", 14)]);
        assert_eq!(profiles["default"].services.as_deref(), Some("services s"));
    }
}
