//! Slips in the SDK's set-up: which variable or file keeps it from a region, an endpoint or
//! credentials.
//!
//! The SDK tries one source after the other and reports only that none worked. The rules here look
//! at the same variables and profile files, and name what is wrong with them. `connect` calls them
//! before it makes a client, `error` when credentials fail. A slip is `Config`, never an outage.
//! Of all values, only a profile's name is shown.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::profile::{self, Profile};
use super::values::{is_http, is_plain, key_slip, region_slip};
use super::variables::{
    CONFIG_FILE, CREDENTIALS_FILE, ENDPOINTS, KEY_ID, MAX_ATTEMPTS, REGIONS, RETRY_MODE,
    SECRET_KEY, TOKEN,
};
use crate::env::{Environment, dotenv};
use crate::error::{Error, ErrorKind};

const PROFILE: &str = "AWS_PROFILE";
const ROLE: &str = "AWS_ROLE_ARN";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const CONTAINER_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// The process environment, `.env` and the profile files.
pub(super) struct Setup {
    environment: Environment,
    home: Option<PathBuf>,
}

impl Setup {
    /// The variables of this process, enough to make a client.
    pub(super) fn of_process() -> Self {
        Self::over(Vec::new())
    }

    /// The variables of this process and those of `.env`, to find out why something is missing.
    pub(super) fn with_dotenv() -> Self {
        // The layers report a file that cannot be read.
        Self::over(dotenv::read_if_file(Path::new(".env")).unwrap_or_default())
    }

    fn over(dotenv: Vec<(String, String)>) -> Self {
        let dotenv = dotenv.into_iter().map(|(name, value)| (name, Zeroizing::new(value)));
        let process = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("AWS_"))?;
            // What is not UTF-8 is set, and has no value that the SDK could read.
            Some((name, Zeroizing::new(value.into_string().unwrap_or_default())))
        });
        let dotenv = dotenv.filter(|(name, _)| name.starts_with("AWS_"));
        Self { environment: Environment::new(process, dotenv), home: std::env::home_dir() }
    }

    /// Refuses variables of the process environment on which the SDK would panic, or which it
    /// would take for an endpoint that cannot be reached.
    pub(super) fn check(&self) -> Result<(), Error> {
        let process = |name: &str| self.process(name);
        let bad = |name: &str, expected: &str| Err(self.environment.bad(name, expected));
        for name in ENDPOINTS {
            if process(name).is_some_and(|url| !is_http(url)) && !self.ignores_endpoints() {
                return bad(name, "a URL that starts with the scheme `https://` or `http://`");
            }
        }
        let mode =
            |mode: &str| ["standard", "adaptive"].iter().any(|m| mode.eq_ignore_ascii_case(m));
        if process(RETRY_MODE).is_some_and(|text| !mode(text)) {
            return bad(RETRY_MODE, "`standard` or `adaptive`");
        }
        if process(MAX_ATTEMPTS).is_some_and(|text| !text.parse::<u32>().is_ok_and(|n| n > 0)) {
            return bad(MAX_ATTEMPTS, "a whole number of at least 1");
        }
        for name in REGIONS {
            if let Some(expected) = process(name).and_then(region_slip) {
                return bad(name, expected);
            }
        }
        for name in [KEY_ID, SECRET_KEY, TOKEN] {
            let raw = process(name).and_then(|_| self.environment.raw(name));
            if let Some(expected) = raw.and_then(key_slip) {
                return bad(name, expected);
            }
        }
        for name in REGIONS.into_iter().chain(ENDPOINTS).chain([PROFILE]) {
            let padded = |value: &&str| self.environment.raw(name).is_some_and(|raw| raw != *value);
            if process(name).filter(padded).is_some() {
                return bad(name, "no white space around the value, which the SDK does not remove");
            }
        }
        Ok(())
    }

    /// Refuses a token file that is sure to be used and holds no token, so that this does not take a
    /// call to STS and its retries to find out.
    pub(super) fn check_token_file(&self) -> Result<(), Error> {
        let (Some(path), Some(_)) = (self.process(TOKEN_FILE), self.process(ROLE)) else {
            return Ok(());
        };
        let has_keys = [KEY_ID, SECRET_KEY].iter().any(|name| self.process(name).is_some());
        // The SDK asks the profile first. Other settings of it give no credentials.
        let profile = self.process(PROFILE).unwrap_or("default");
        let has_profile = self.profiles().get(profile).is_some_and(|profile| {
            let gives =
                ["aws_", "role_", "source_", "credential_", "web_identity_", "sso_", "login_"];
            profile.keys.iter().any(|key| gives.iter().any(|start| key.starts_with(start)))
        });
        match self.file_slip(TOKEN_FILE, path).filter(|_| !has_keys && !has_profile) {
            None => Ok(()),
            Some((what, hint)) => {
                let what = format!("{what} (AWS credentials could not be loaded)");
                Err(Error::new(ErrorKind::Config, what).with_hint(hint))
            }
        }
    }

    /// The endpoint to set instead of the SDK's, if it would take an empty variable for one.
    #[allow(clippy::option_option, reason = "the inner `None` is the service's own endpoint")]
    pub(super) fn endpoint_for_an_empty_one(&self) -> Option<Option<&str>> {
        let empty = |name: &&str| {
            self.environment.is_in_process(name) && self.environment.value(name).is_none()
        };
        ENDPOINTS.iter().any(empty).then(|| {
            if self.ignores_endpoints() {
                return None;
            }
            ENDPOINTS.iter().find_map(|name| self.process(name))
        })
    }

    /// The error of a set-up without a region.
    pub(super) fn no_region(&self) -> Error {
        let error = |what: &str| {
            Error::new(ErrorKind::Config, format!("no AWS region is configured{what}"))
        };
        if let Some((what, hint)) = self.profile_slip() {
            return error(&format!(": {what}")).with_hint(hint);
        }
        for name in REGIONS {
            if self.environment.of_dotenv(name).is_some() {
                return error(&format!(": `{name}` is set only in `.env`"))
                    .with_hint(only_in_dotenv(name));
            }
        }
        let set = REGIONS.into_iter().find(|name| self.environment.is_in_process(name));
        let what = set
            .map_or_else(String::new, |name| format!(": variable `{name}` is empty or not UTF-8"));
        error(&what).with_hint(
            "set AWS_REGION; the SDK also reads AWS_DEFAULT_REGION, `region` of the AWS profile, \
             and the instance's metadata",
        )
    }

    /// What keeps the SDK from credentials, and what to do about it, if it is a slip.
    pub(super) fn no_credentials(&self) -> Option<(String, String)> {
        self.key_slip()
            .or_else(|| self.profile_slip())
            .or_else(|| self.profile_content_slip())
            .or_else(|| self.token_file_slip())
            .or_else(|| self.container_slip())
            .or_else(|| self.dotenv_slip())
    }

    /// Whether only variables and files could give credentials, so that there is no outage.
    pub(super) fn asks_no_server(&self) -> bool {
        let disabled = self.process("AWS_EC2_METADATA_DISABLED");
        disabled.is_some_and(|value| value.eq_ignore_ascii_case("true"))
            && [TOKEN_FILE, PROFILE, CONTAINER_URI, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
                .iter()
                .all(|name| self.process(name).is_none())
    }

    fn key_slip(&self) -> Option<(String, String)> {
        let pair = "set both, or neither to use another source of credentials";
        let slip = |missing: &str, beside: &str| {
            let how = match self.environment.is_in_process(missing) {
                true => "empty",
                false => "not set",
            };
            let what = format!("variable `{missing}` is {how}, but `{beside}` is set");
            Some((what, pair.to_owned()))
        };
        match (self.process(KEY_ID), self.process(SECRET_KEY), self.process(TOKEN)) {
            (Some(_), None, _) => slip(SECRET_KEY, KEY_ID),
            (None, Some(_), _) => slip(KEY_ID, SECRET_KEY),
            (None, None, Some(_)) => slip(KEY_ID, TOKEN),
            _ => None,
        }
    }

    /// A profile or a profile file that is not there.
    fn profile_slip(&self) -> Option<(String, String)> {
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
    fn profile_content_slip(&self) -> Option<(String, String)> {
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

    fn token_file_slip(&self) -> Option<(String, String)> {
        match (self.process(TOKEN_FILE), self.process(ROLE)) {
            (Some(_), None) => Some((
                format!("variable `{ROLE}` is not set, but `{TOKEN_FILE}` is"),
                format!("set `{ROLE}` to the role that the token is for"),
            )),
            (None, Some(_)) => Some((
                format!("variable `{TOKEN_FILE}` is not set, but `{ROLE}` is"),
                format!("set `{TOKEN_FILE}` (on EKS, the service account's annotation sets both)"),
            )),
            (Some(path), Some(_)) => self.file_slip(TOKEN_FILE, path),
            (None, None) => None,
        }
    }

    fn container_slip(&self) -> Option<(String, String)> {
        if self.process(CONTAINER_URI).is_some_and(|uri| !is_http(uri)) {
            let what = format!("`{CONTAINER_URI}` is not a URL with a scheme");
            return Some((what, "it starts with `http://` or `https://`".to_owned()));
        }
        self.process(CONTAINER_URI)?;
        self.file_slip(CONTAINER_TOKEN_FILE, self.process(CONTAINER_TOKEN_FILE)?)
    }

    /// Credentials that only `.env` sets, which the SDK does not read.
    fn dotenv_slip(&self) -> Option<(String, String)> {
        let names = [KEY_ID, SECRET_KEY, PROFILE, TOKEN_FILE, CONTAINER_URI];
        let name = names.into_iter().find(|name| self.environment.of_dotenv(name).is_some())?;
        Some((format!("`{name}` is set only in `.env`"), only_in_dotenv(name)))
    }

    /// A file that a variable names and that cannot be read, or is empty.
    fn file_slip(&self, name: &str, path: &str) -> Option<(String, String)> {
        let what = match read(Path::new(path)) {
            Ok(text) if text.trim().is_empty() => "is empty".to_owned(),
            Ok(_) => return None,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return None,
            Err(error) => format!("cannot be read: {}", error.kind()),
        };
        let hint = format!("correct `{name}`, or mount the token where it points to");
        Some((format!("the file that `{name}` names {what}"), hint))
    }

    /// The profiles in both files. A file that cannot be read has none.
    fn profiles(&self) -> BTreeMap<String, Profile> {
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

    /// The value in the process environment, unless it is empty.
    fn process(&self, name: &str) -> Option<&str> {
        self.environment.value(name).filter(|_| self.environment.is_in_process(name))
    }

    fn ignores_endpoints(&self) -> bool {
        self.process("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// A file's text. A pipe is not read: the SDK may need what is in it, and reading may never end.
fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let kind = std::fs::metadata(path)?;
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    std::fs::read_to_string(path).map(Zeroizing::new)
}

fn only_in_dotenv(name: &str) -> String {
    format!(
        "the SDK reads only the process environment: set `{name}` there, or use \
         `SecretsManager::from_env`, which hands over what `.env` sets"
    )
}
