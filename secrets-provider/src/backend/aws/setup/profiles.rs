//! The profile that is in use, the files that hold it, and settings that the SDK would not take. How
//! a profile gets credentials is in `sources`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::{
    CONFIG_FILE, CREDENTIALS_FILE, ENDPOINTS, KEY_ID, MAX_ATTEMPTS, PROFILE, REGIONS, RETRY_MODE,
    SECRET_KEY, Setup, read,
};
use crate::backend::aws::profile::{self, Ignored, Profile, SettingSlip};
use crate::backend::aws::values::{is_plain, looks_like_region};
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
            let shown = file.shown();
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
                     comment that begins with `#`, and is not indented"
                        .to_owned(),
                ));
            }
        }
        let chosen = self.environment.value(PROFILE);
        let name = chosen.unwrap_or("default");
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
                    Ignored::Quoted => (
                        format!("the profile `{shown}` has quotes around its name"),
                        "write the heading without quotes".to_owned(),
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
        let profile = chosen?;
        let shown = if is_plain(profile) { format!("`{profile}` ") } else { String::new() };
        let near = self
            .near_profile(profile)
            .map_or_else(String::new, |near| format!("set it to `{near}`, if that is meant; "));
        Some((
            format!("the profile {shown}that `{PROFILE}` names is in no file"),
            format!(
                "{near}correct `{PROFILE}`, or add `[profile <name>]` to `~/.aws/config` or \
                 `[<name>]` to `~/.aws/credentials` ({CONFIG_FILE} and {CREDENTIALS_FILE} name other files)"
            ),
        ))
    }

    /// The profile in a file whose name is most like this one.
    fn near_profile(&self, name: &str) -> Option<String> {
        let name = name.trim_matches(['"', '\'']);
        let name = name.strip_prefix("profile ").unwrap_or(name).to_lowercase();
        let profiles = self.profiles();
        let names = profiles.keys().filter(|other| is_plain(other));
        let distance = |other: &String| strsim::osa_distance(&other.to_lowercase(), &name);
        let near = names.map(|other| (distance(other), other)).min()?;
        let most = if name.chars().count() < 5 { 1 } else { 2 };
        (near.0 <= most).then(|| near.1.clone())
    }

    /// Whether the profile has a region without a value.
    pub(super) fn has_empty_region(&self) -> bool {
        let profiles = self.profiles();
        let name = self.environment.value(PROFILE).unwrap_or("default");
        // What is not empty would have been found.
        profiles.get(name).is_some_and(|profile| profile.keys.contains("region"))
    }

    /// Refuses a region of which AWS has none, if nothing sets an endpoint for it.
    pub(in crate::backend::aws) fn check_region(&self, region: &str) -> Result<(), Error> {
        let is_set = |name: &&str| self.environment.value(name).is_some();
        if looks_like_region(region) || ENDPOINTS.iter().any(is_set) {
            return Ok(());
        }
        let profiles = self.profiles();
        let services = |profile: &Profile| profile.services.is_some();
        let name = self.environment.value(PROFILE).unwrap_or("default");
        if profiles.get(name).is_some_and(services) {
            return Ok(());
        }
        let expected = "a region of AWS, such as `us-east-1`, because no endpoint is set";
        Err(match REGIONS.into_iter().find(|name| self.process(name).is_some()) {
            Some(name) => self.environment.bad(name, expected),
            None => bad("`region` of the AWS profile", expected),
        })
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
            "region" => !is_set(&REGIONS),
            key if AFTER_LOADING.contains(&key) => false,
            key => !is_set(&[&format!("AWS_{}", key.to_ascii_uppercase())]),
        };
        match slips.into_iter().find(|slip| is_read(&slip.key)) {
            None => Ok(()),
            Some(slip) => {
                let place = self.place(slip);
                let of_profile = match slip.key.as_str() {
                    "region" => "`region` of the AWS profile".to_owned(),
                    key => of_profile(key),
                };
                let hint = format!(
                    "correct or remove it, in {place}; its value is not shown because it may be \
                     secret"
                );
                Err(bad(&of_profile, slip.expected).with_hint(hint))
            }
        }
    }

    /// The profiles in both files. A file that cannot be read has none, and because of a line that
    /// the SDK refuses, it reads none of either.
    pub(super) fn profiles(&self) -> BTreeMap<String, Profile> {
        let mut profiles = BTreeMap::new();
        for file in self.files() {
            if let Ok(text) = read(&file.path)
                && profile::add(&mut profiles, &text, file.is_of_credentials()).is_some()
            {
                return BTreeMap::new();
            }
        }
        profiles
    }

    /// Where a setting is.
    pub(super) fn place(&self, slip: &SettingSlip) -> String {
        let files = self.files();
        let file = files.iter().find(|file| file.is_of_credentials() == slip.of_credentials);
        let shown = file.map_or_else(|| "the AWS profile".to_owned(), File::shown);
        format!("line {} of {shown}", slip.line)
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
    fn shown(&self) -> String {
        match self.variable {
            Some(name) => format!("the file that `{name}` names"),
            None => format!("`~/.aws/{}`", self.default),
        }
    }

    fn is_of_credentials(&self) -> bool {
        self.default == "credentials"
    }
}
