//! The SDK's own variables, if a `.env` file sets them and the environment does not.
//!
//! They are handed over through the SDK's builder, because the process environment is not changed.
//! Variables that the builder has no counterpart for are named in a warning.

#[cfg(feature = "sqs")]
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use aws_config::retry::RetryConfig;
use aws_config::{ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;

use super::setup::Setup;
use super::values::{is_http, key_slip, region_slip};
use crate::env::Environment;
use crate::error::{Error, ErrorKind};
use crate::observe::events;

/// The region's variables. The SDK prefers the first.
pub(super) const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
pub(super) const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(super) const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
pub(super) const TOKEN: &str = "AWS_SESSION_TOKEN";
pub(super) const CONFIG_FILE: &str = "AWS_CONFIG_FILE";
pub(super) const CREDENTIALS_FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
pub(super) const MAX_ATTEMPTS: &str = "AWS_MAX_ATTEMPTS";
pub(super) const RETRY_MODE: &str = "AWS_RETRY_MODE";
/// The endpoint's variables. The SDK prefers the first.
pub(super) const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"];
#[cfg(feature = "sqs")]
const ENDPOINTS_OF_SQS: [&str; 2] = ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"];
#[cfg(feature = "sqs")]
const ENDPOINTS_OF_SNS: [&str; 2] = ["AWS_ENDPOINT_URL_SNS", "AWS_ENDPOINT_URL"];

/// The variables of the endpoint of a service, as endpoints are named after it.
pub(super) fn endpoints(service: &str) -> [&'static str; 2] {
    match service {
        #[cfg(feature = "sqs")]
        "sqs" => ENDPOINTS_OF_SQS,
        #[cfg(feature = "sqs")]
        "sns" => ENDPOINTS_OF_SNS,
        _ => ENDPOINTS,
    }
}

/// The services that are called, as endpoints are named after them.
#[cfg(not(feature = "sqs"))]
const SERVICES: [&str; 1] = ["secretsmanager"];
#[cfg(feature = "sqs")]
const SERVICES: [&str; 3] = ["secretsmanager", "sqs", "sns"];

/// Variables that the SDK only reads from the environment: its builder has no counterpart, or one
/// that does more.
const NOT_HANDED_OVER: [&str; 12] = [
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_SDK_UA_APP_ID",
];

/// What only `.env` sets for the SDK. `Debug` shows no credentials.
#[derive(Clone, Default)]
pub(crate) struct Variables {
    region: Option<String>,
    endpoint: Option<String>,
    /// The endpoints of other services, by their names.
    #[cfg(feature = "sqs")]
    other_endpoints: BTreeMap<&'static str, String>,
    credentials: Option<Credentials>,
    profile: Option<String>,
    config_file: Option<PathBuf>,
    credentials_file: Option<PathBuf>,
    fips: Option<bool>,
    dual_stack: Option<bool>,
    retry: Option<RetryConfig>,
}

impl Variables {
    /// What `.env` sets and the environment does not. Of two variables for one thing, the one that
    /// the SDK prefers counts.
    pub(crate) fn only_of_dotenv(environment: &Environment) -> Result<Self, Error> {
        let ignored: Vec<_> = NOT_HANDED_OVER
            .into_iter()
            .filter(|name| environment.of_dotenv(name).is_some())
            .collect();
        if !ignored.is_empty() {
            events::dotenv_variables_ignored(&ignored);
        }
        let text = |name: &str| environment.of_dotenv(name).map(str::to_owned);
        let first = |names: [&str; 2]| {
            let set = names.into_iter().find(|name| environment.value(name).is_some());
            set.and_then(text)
        };
        let flag = |name: &str| match environment.of_dotenv(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(environment.bad(name, "`true` or `false`")),
        };
        let slip = |name: &&&str| environment.of_dotenv(name).is_some_and(|url| !is_http(url));
        let of_services = SERVICES.map(endpoints);
        if let Some(name) = of_services.as_flattened().iter().find(slip) {
            let expected = "a URL that starts with the scheme `https://` or `http://`";
            return Err(environment.bad(name, expected));
        }
        let region = |name: &&str| environment.of_dotenv(name).and_then(region_slip);
        let key = |name: &&str| environment.of_dotenv(name).and_then(key_slip);
        let regions = REGIONS.iter().map(|name| (*name, region(name)));
        let keys = [KEY_ID, SECRET_KEY, TOKEN].into_iter().map(|name| (name, key(&name)));
        if let Some((name, Some(expected))) =
            regions.chain(keys).find(|(_, expected)| expected.is_some())
        {
            return Err(environment.bad(name, expected));
        }
        let ignores_endpoints = environment
            .value("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = |service: &str| first(endpoints(service)).filter(|_| !ignores_endpoints);
        Ok(Self {
            region: first(REGIONS),
            endpoint: endpoint(SERVICES[0]),
            #[cfg(feature = "sqs")]
            other_endpoints: SERVICES[1..]
                .iter()
                .filter_map(|service| Some((*service, endpoint(service)?)))
                .collect(),
            credentials: credentials(environment)?,
            profile: text("AWS_PROFILE"),
            config_file: text(CONFIG_FILE).map(PathBuf::from),
            credentials_file: text(CREDENTIALS_FILE).map(PathBuf::from),
            fips: flag("AWS_USE_FIPS_ENDPOINT")?,
            dual_stack: flag("AWS_USE_DUALSTACK_ENDPOINT")?,
            retry: retry(environment)?,
        })
    }

    /// The same, with another region.
    pub(super) fn in_region(&self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self.clone() }
    }

    /// The region, if only `.env` sets one.
    pub(super) fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The endpoint of another service, if only `.env` sets one.
    #[cfg(feature = "sqs")]
    pub(super) fn endpoint_of(&self, service: &str) -> Option<&str> {
        self.other_endpoints.get(service).map(String::as_str)
    }

    /// Whether only `.env` sets an endpoint.
    pub(super) fn has_endpoint(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Whether `.env` has a say in where credentials come from.
    pub(super) fn choose_credentials(&self) -> bool {
        self.credentials.is_some()
            || self.profile.is_some()
            || self.config_file.is_some()
            || self.credentials_file.is_some()
    }

    /// The loader with these settings.
    pub(super) fn hand_over(&self, mut loader: ConfigLoader) -> ConfigLoader {
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(fips) = self.fips {
            loader = loader.use_fips(fips);
        }
        if let Some(dual_stack) = self.dual_stack {
            loader = loader.use_dual_stack(dual_stack);
        }
        if let Some(retry) = &self.retry {
            loader = loader.retry_config(retry.clone());
        }
        self.hand_over_files(loader)
    }

    /// Hands over the profile files. A file that `.env` does not name is looked for where the SDK
    /// does.
    #[allow(deprecated, reason = "its new name is in another crate of the SDK")]
    fn hand_over_files(&self, loader: ConfigLoader) -> ConfigLoader {
        use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
        if self.config_file.is_none() && self.credentials_file.is_none() {
            return loader;
        }
        let mut files = ProfileFiles::builder()
            .include_default_config_file(self.config_file.is_none())
            .include_default_credentials_file(self.credentials_file.is_none());
        if let Some(path) = &self.config_file {
            files = files.with_file(ProfileFileKind::Config, path);
        }
        if let Some(path) = &self.credentials_file {
            files = files.with_file(ProfileFileKind::Credentials, path);
        }
        loader.profile_files(files.build())
    }

    /// The client for a configuration that was loaded with these settings.
    pub(super) fn client(&self, config: &SdkConfig, setup: &Setup) -> Client {
        let mut builder = aws_sdk_secretsmanager::config::Builder::from(config);
        if let Some(url) = &self.endpoint {
            builder = builder.endpoint_url(url);
        } else if let Some(url) = setup.endpoint_for_an_empty_one() {
            builder.set_endpoint_url(url.map(str::to_owned));
        }
        Client::from_conf(builder.build())
    }
}

/// The client for a configuration of the program's own. An endpoint that it took from an empty
/// variable counts as unset.
pub(super) fn client(config: &SdkConfig, setup: &Setup) -> Client {
    match config.endpoint_url() {
        None | Some("") => Variables::default().client(config, setup),
        Some(_) => Client::new(config),
    }
}

/// Key, secret and token belong together: if the environment has a key, none is taken from `.env`.
fn credentials(environment: &Environment) -> Result<Option<Credentials>, Error> {
    if [KEY_ID, SECRET_KEY].into_iter().any(|name| environment.is_in_process(name)) {
        return Ok(None);
    }
    let missing = |name: &str, beside: &str| {
        let message = format!("variable `{name}` is not set, but `{beside}` of `.env` is");
        Err(Error::new(ErrorKind::Config, message)
            .with_hint("set both, or neither to use another source of credentials"))
    };
    match (environment.of_dotenv(KEY_ID), environment.of_dotenv(SECRET_KEY)) {
        (None, None) => Ok(None),
        (Some(_), None) => missing(SECRET_KEY, KEY_ID),
        (None, Some(_)) => missing(KEY_ID, SECRET_KEY),
        (Some(key_id), Some(secret_key)) => {
            let token = environment.of_dotenv(TOKEN).map(str::to_owned);
            Ok(Some(Credentials::new(key_id, secret_key, token, None, ".env")))
        }
    }
}

/// Mode and attempts, which the builder takes as one.
fn retry(environment: &Environment) -> Result<Option<RetryConfig>, Error> {
    if [RETRY_MODE, MAX_ATTEMPTS].into_iter().all(|name| environment.of_dotenv(name).is_none()) {
        return Ok(None);
    }
    let retry = match environment.value(RETRY_MODE) {
        None => RetryConfig::standard(),
        Some(mode) if mode.eq_ignore_ascii_case("standard") => RetryConfig::standard(),
        Some(mode) if mode.eq_ignore_ascii_case("adaptive") => RetryConfig::adaptive(),
        Some(_) => return Err(environment.bad(RETRY_MODE, "`standard` or `adaptive`")),
    };
    match environment.value(MAX_ATTEMPTS).map(str::parse::<u32>) {
        None => Ok(Some(retry)),
        Some(Ok(attempts @ 1..)) => Ok(Some(retry.with_max_attempts(attempts))),
        Some(_) => Err(environment.bad(MAX_ATTEMPTS, "a whole number of at least 1")),
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An endpoint's URL may contain a password.
        f.debug_struct("Variables")
            .field("region", &self.region)
            .field("profile", &self.profile)
            .field("credentials", &self.credentials.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn a_slip_in_dotenv_is_named_as_one_in_the_environment_is() {
        let keys = [(KEY_ID, "hunter2"), (SECRET_KEY, "hunter2")];
        for (name, value, expected) in [
            ("AWS_REGION", "us-east-1a", "availability zone"),
            ("AWS_DEFAULT_REGION", "HUNTER2", "lower case"),
            (KEY_ID, "hunter2\nhunter2", "visible ASCII"),
            (SECRET_KEY, "'hunter2'", "without quotes"),
            (TOKEN, "hunter2 é", "visible ASCII"),
            ("AWS_ENDPOINT_URL", "hunter2:1", "a URL"),
        ] {
            let others = keys.into_iter().filter(|(other, _)| *other != name);
            let dotenv = others.chain([(name, value)]);
            let dotenv = dotenv.map(|(n, value)| (n.to_owned(), Zeroizing::new(value.to_owned())));
            let environment = Environment::new([], dotenv);
            let error = Variables::only_of_dotenv(&environment).expect_err(name).to_string();
            assert!(error.contains(&format!("variable `{name}` in `.env`")), "{error}");
            assert!(
                error.contains(expected) && !error.to_lowercase().contains("hunter2"),
                "{error}"
            );
        }
        let dotenv = keys.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
        assert!(Variables::only_of_dotenv(&Environment::new([], dotenv)).is_ok());
    }

    #[cfg(feature = "sqs")]
    #[test]
    fn the_endpoints_of_queues_and_topics_come_from_dotenv_too() {
        const OF_ALL: &str = "http://all:1";
        let of = |process: &[&str], dotenv: &[(&str, &str)]| {
            let own = |name: &str, value: &str| (name.to_owned(), Zeroizing::new(value.to_owned()));
            let process = process.iter().map(|name| own(name, "http://process:1"));
            let dotenv = dotenv.iter().map(|(name, value)| own(name, value));
            let variables = Variables::only_of_dotenv(&Environment::new(process, dotenv));
            let variables = variables.expect("variables");
            ["sqs", "sns"].map(|service| variables.endpoint_of(service).map(str::to_owned))
        };
        let some = |text: &str| Some(text.to_owned());
        let (all, sqs) = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS");
        for (process, dotenv, expected) in [
            (&[][..], &[][..], [None, None]),
            (&[], &[(all, OF_ALL)], [some(OF_ALL), some(OF_ALL)]),
            (&[], &[(all, OF_ALL), (sqs, "http://sqs:1")], [some("http://sqs:1"), some(OF_ALL)]),
            // The SDK reads these itself.
            (&[all], &[(all, OF_ALL)], [None, None]),
            (&[sqs], &[(all, OF_ALL)], [None, some(OF_ALL)]),
            (&["AWS_ENDPOINT_URL_SECRETS_MANAGER"], &[(all, OF_ALL)], [some(OF_ALL), some(OF_ALL)]),
        ] {
            assert_eq!(of(process, dotenv), expected, "{process:?} {dotenv:?}");
        }
        let slip = [(sqs.to_owned(), Zeroizing::new("sqs:1".to_owned()))];
        let error = Variables::only_of_dotenv(&Environment::new([], slip)).expect_err("no URL");
        assert!(error.to_string().contains(sqs), "{error}");
    }
}
