//! The profile that is in use, the files that hold it, and settings that the SDK would not take. How
//! a profile gets credentials is in `sources`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::{
    CONFIG_FILE, CREDENTIALS_FILE, ENDPOINTS, KEY_ID, MAX_ATTEMPTS, PROFILE, RETRY_MODE,
    SECRET_KEY, Setup, read,
};
use crate::backend::aws::profile::{self, Ignored, Profile};
use crate::backend::aws::values::is_plain;
use crate::env::bad;
use crate::error::Error;

/// Settings that are judged when there are no credentials, after what keeps the SDK from reading
/// them.
pub(super) const AFTER_LOADING: [&str; 2] = ["role_arn", "credential_source"];

const SAVE: &str = "save it as UTF-8 without a byte order mark";

impl Setup {
    /// A profile file that the SDK cannot read, or a profile that is in none.
    pub(super) fn profile_slip(&self) -> Option<(String, String)> {
        for file in self.files() {
            let known = file.variable.filter(|name| self.process(name).is_some());
            let shown = match known {
                Some(name) => format!("the file that `{name}` names"),
                None => format!("`~/.aws/{}`", file.default),
            };
            let text = match read(&file.path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::Unsupported => return None,
                Err(error) if error.kind() == io::ErrorKind::NotFound && known.is_none() => {
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Some((format!("{shown} is not UTF-8"), SAVE.to_owned()));
                }
                Err(error) => {
                    let what = format!("{shown} cannot be read: {}", error.kind());
                    let hint = match known {
                        Some(name) => {
                            format!("correct `{name}`, or unset it to use the file in `~/.aws`")
                        }
                        None => "correct its permissions, or remove it".to_owned(),
                    };
                    return Some((what, hint));
                }
            };
            if text.starts_with('\u{feff}') {
                return Some((
                    format!("{shown} begins with a byte order mark, which the SDK refuses"),
                    SAVE.to_owned(),
                ));
            }
            let line = profile::add(&mut BTreeMap::new(), &text, file.is_of_credentials());
            if let Some(line) = line {
                return Some((
                    format!("the SDK refuses line {line} of {shown}"),
                    "a line is a section in `[` and `]`, a setting with `=` below one, or a \
                     comment that begins with `#`"
                        .to_owned(),
                ));
            }
        }
        let name = self.environment.value(PROFILE)?;
        match self.profiles().get(name) {
            Some(Profile { ignored: Some(ignored), .. }) => {
                let shown = if is_plain(name) { name } else { "<name>" };
                return Some(match ignored {
                    Ignored::WithoutItsWord => (
                        format!("`~/.aws/config` has `[{shown}]` without the word `profile`"),
                        format!(
                            "write `[profile {shown}]`: only `[default]` has no such word there"
                        ),
                    ),
                    Ignored::WithAWord => (
                        format!("`~/.aws/credentials` has `[profile {shown}]`"),
                        format!("write `[{shown}]`: only `~/.aws/config` has the word `profile`"),
                    ),
                });
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

    /// Refuses settings of the profile that the SDK would panic on, ignore, or sign with.
    pub(in crate::backend::aws) fn check_profile(&self) -> Result<(), Error> {
        let profiles = self.profiles();
        let name = self.process(PROFILE).unwrap_or("default");
        let Some(profile) = profiles.get(name).filter(|profile| profile.ignored.is_none()) else {
            return Ok(());
        };
        let services = profile.services.as_ref().and_then(|section| profiles.get(section));
        let of_profile = |key: &str| match is_plain(name) {
            true => format!("`{key}` of the AWS profile `{name}`"),
            false => format!("`{key}` of the AWS profile"),
        };
        if profile.services.is_some() && services.is_none() {
            return Err(bad(&of_profile("services"), "the name of a `[services <name>]` section"));
        }
        let slips = profile.slips.iter().chain(services.into_iter().flat_map(|s| &s.slips));
        // What a variable sets is not read from the profile.
        let is_set = |names: &[&str]| names.iter().any(|name| self.process(name).is_some());
        let is_read = |key: &str| match key {
            "retry_mode" => !is_set(&[RETRY_MODE]),
            "max_attempts" => !is_set(&[MAX_ATTEMPTS]),
            "endpoint_url" => !is_set(&ENDPOINTS) && !self.ignores_endpoints(),
            "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token" => {
                !is_set(&[KEY_ID, SECRET_KEY])
            }
            key if AFTER_LOADING.contains(&key) => false,
            key => !is_set(&[&format!("AWS_{}", key.to_ascii_uppercase())]),
        };
        match slips.into_iter().find(|(key, _)| is_read(key)) {
            None => Ok(()),
            Some((key, expected)) => Err(bad(&of_profile(key), expected)),
        }
    }

    /// The profiles in both files. A file that cannot be read has none.
    pub(super) fn profiles(&self) -> BTreeMap<String, Profile> {
        let mut profiles = BTreeMap::new();
        for file in self.files() {
            if let Ok(text) = read(&file.path) {
                profile::add(&mut profiles, &text, file.is_of_credentials());
            }
        }
        profiles
    }

    fn files(&self) -> Vec<File> {
        let files = [(CONFIG_FILE, "config"), (CREDENTIALS_FILE, "credentials")];
        let file = |(variable, default)| {
            let set = self.environment.value(variable);
            let path = match set {
                Some(path) => PathBuf::from(path),
                None => self.home.as_ref()?.join(".aws").join(default),
            };
            Some(File { variable: set.map(|_| variable), default, path })
        };
        files.into_iter().filter_map(file).collect()
    }
}

/// One of the SDK's two files.
struct File {
    /// The variable that names it.
    variable: Option<&'static str>,
    /// Its name in `~/.aws`.
    default: &'static str,
    path: PathBuf,
}

impl File {
    fn is_of_credentials(&self) -> bool {
        self.default == "credentials"
    }
}
