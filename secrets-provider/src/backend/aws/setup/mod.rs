//! Slips in the SDK's set-up: which variable or file keeps it from a region, an endpoint or
//! credentials.
//!
//! The SDK tries one source after the other and reports only that none worked. The rules here look
//! at the same variables and profile files, and name what is wrong with them. `connect` calls them
//! before it makes a client, `error` when credentials fail. A slip is `Config`, never an outage. Of
//! all values, only a profile's name is shown. `credentials`, `profiles`, `sources` and
//! `certificates` are what their names say, `misnamed` knows the names that people take for the
//! SDK's; the rest is here.

mod certificates;
mod credentials;
mod misnamed;
mod profiles;
mod sources;

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::route::{self, Route};
use super::values::{
    self, is_attempts, is_flag, is_http, is_key_id, is_retry_mode, key_slip, region_slip,
};
use super::variables::{
    CONFIG_FILE, CREDENTIALS_FILE, ENDPOINTS, KEY_ID, MAX_ATTEMPTS, REGIONS, RETRY_MODE,
    SECRET_KEY, TOKEN, endpoints,
};
use crate::backend::iam::Location;
use crate::env::{Environment, dotenv};
use crate::error::{Error, ErrorKind};

const PROFILE: &str = "AWS_PROFILE";
const ROLE: &str = "AWS_ROLE_ARN";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const CONTAINER_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const CONTAINER_PATH: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

const IGNORE_ENDPOINTS: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
const FLAGS: [&str; 3] = ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", IGNORE_ENDPOINTS];

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
            let name = name.into_string().ok().filter(|name| is_read(name))?;
            // What is not UTF-8 is set, and has no value that the SDK could read.
            Some((name, Zeroizing::new(value.into_string().unwrap_or_default())))
        });
        let dotenv = dotenv.filter(|(name, _)| is_read(name));
        Self { environment: Environment::new(process, dotenv), home: std::env::home_dir() }
    }

    /// Refuses variables of the process environment on which the SDK would panic, or which it
    /// would take for an endpoint that cannot be reached.
    pub(super) fn check(&self) -> Result<(), Error> {
        let process = |name: &str| self.process(name);
        let bad = |name: &str, expected: &str| Err(self.environment.bad(name, expected));
        for name in ENDPOINTS {
            if process(name).is_some_and(|url| !is_http(url)) && !self.ignores_endpoints() {
                return bad(name, values::URL);
            }
        }
        if process(RETRY_MODE).is_some_and(|text| !is_retry_mode(text)) {
            return bad(RETRY_MODE, values::RETRY_MODES);
        }
        if process(MAX_ATTEMPTS).is_some_and(|text| !is_attempts(text)) {
            return bad(MAX_ATTEMPTS, values::ATTEMPTS);
        }
        for name in FLAGS {
            // The SDK takes any other text for `false`.
            if process(name).is_some_and(|text| !is_flag(text)) {
                return bad(name, values::FLAG);
            }
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
        if process(SECRET_KEY).is_some_and(is_key_id) {
            return bad(SECRET_KEY, values::SECRET_KEY);
        }
        for name in REGIONS.into_iter().chain(ENDPOINTS).chain([PROFILE]).chain(FLAGS) {
            let padded = |value: &&str| self.environment.raw(name).is_some_and(|raw| raw != *value);
            if process(name).filter(padded).is_some() {
                return bad(name, "no white space around the value, which the SDK does not remove");
            }
        }
        Ok(())
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
        let misnamed = self
            .misnamed(&REGIONS)
            .or_else(|| self.misnamed_setting(&["region"]))
            .or_else(|| self.misnamed(&[CONFIG_FILE]));
        if let Some((what, hint)) = misnamed {
            return error(&format!(": {what}")).with_hint(hint);
        }
        let set = REGIONS.into_iter().find(|name| self.environment.is_in_process(name));
        let what = match set {
            Some(name) => format!(": variable `{name}` is empty or not UTF-8"),
            None if self.has_empty_region() => ": `region` of the AWS profile is empty".to_owned(),
            None => String::new(),
        };
        error(&what).with_hint(
            "set AWS_REGION; the SDK also reads AWS_DEFAULT_REGION, `region` of the AWS profile, \
             and the instance's metadata",
        )
    }

    /// The value in the process environment, unless it is empty.
    fn process(&self, name: &str) -> Option<&str> {
        self.environment.value(name).filter(|_| self.environment.is_in_process(name))
    }

    /// How calls to Secrets Manager go.
    pub(super) fn route_to(&self, location: &Location) -> Route {
        self.route(&self.endpoint_url(location))
    }

    /// How calls to a URL go.
    pub(super) fn route(&self, url: &str) -> Route {
        route::route(url, &self.environment)
    }

    /// The variable of the proxy for calls by HTTPS.
    pub(super) fn https_proxy(&self) -> Option<&'static str> {
        route::https_proxy(&self.environment)
    }

    /// Where calls go, as far as variables say it.
    pub(super) fn endpoint_url(&self, location: &Location) -> String {
        let names = endpoints(location.service());
        let set = || names.iter().find_map(|name| self.environment.value(name));
        let url = if self.ignores_endpoints() { None } else { set() };
        url.map_or_else(|| location.endpoint_url(), str::to_owned)
    }

    /// An endpoint that only `.env` sets, which the SDK does not read by itself.
    pub(super) fn endpoint_of_dotenv(&self, location: &Location) -> Option<String> {
        let names = endpoints(location.service());
        let name = names.iter().find(|name| self.environment.of_dotenv(name).is_some())?;
        Some(format!("`{name}` is set only in `.env`: {}", only_in_dotenv(name)))
    }

    fn ignores_endpoints(&self) -> bool {
        self.process(IGNORE_ENDPOINTS).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Whether this is a variable of the SDK or its client.
fn is_read(name: &str) -> bool {
    // What is misnamed is looked for, too.
    let begins =
        |start: &str| name.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start));
    begins("AWS")
        || begins("AMAZON_")
        || name == "REGION"
        || certificates::VARIABLES.contains(&name)
        || route::is_variable(name)
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
