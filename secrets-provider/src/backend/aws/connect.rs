//! The SDK's client: made on first use, on the runtime that will drive its connections.
//!
//! An environment is loaded with pinned defaults and what only `.env` sets. A client or
//! configuration of the program is used with its settings, and with connections of each runtime's
//! own.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;

use super::setup::Setup;
use super::values::region_slip;
use super::variables::{self, Variables};
use super::{Access, Aws, connections, https, quiet};
use crate::backend::store::Store as _;
use crate::env::bad;
use crate::error::{Error, ErrorKind};
use crate::unwind::{self, Panicked};

impl Aws {
    pub(super) async fn client(&self) -> Result<&Client, Error> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Client, Error> {
        match &self.access {
            Access::Client(_) | Access::Config(_) if self.access.region().is_none() => {
                let message = "the given AWS configuration has no region";
                Err(Error::new(ErrorKind::Config, message).with_hint(
                    "set `region` in the `SdkConfig` or client, such as with \
                     `aws_config::from_env().region(..)`",
                ))
            }
            Access::Client(client) => Ok(connections::of_its_own(client)),
            Access::Config(config) => {
                let client = unwind::catch(|| variables::client(config, &Setup::of_process()));
                Ok(connections::of_its_own(&client.map_err(panicked)?))
            }
            Access::Environment(variables) => {
                // One attempt may not use up the whole time: a server that hangs is asked again.
                let config = loaded(variables, Some(self.timeout / 3)).await?;
                let setup = Setup::of_process();
                unwind::catch(|| variables.client(&config, &setup)).map_err(panicked)
            }
        }
    }
}

/// The SDK's own configuration, checked, with what only `.env` sets.
pub(super) async fn loaded(
    variables: &Variables,
    attempt: Option<Duration>,
) -> Result<SdkConfig, Error> {
    if !https::COMPILED_IN {
        let message = "no HTTPS client is compiled in";
        return Err(Error::new(ErrorKind::Config, message).with_hint(
            "turn on the feature `rustls-aws-lc` or `rustls-ring` of secrets-provider, or give a \
             client by `.client(..)` or `.aws_config(..)`",
        ));
    }
    let mut timeouts = TimeoutConfig::builder();
    timeouts.set_operation_attempt_timeout(attempt);
    let timeouts = timeouts.build();
    // Pinned, so that an update of the SDK does not change retries and timeouts.
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts);
    let loader = match https::client() {
        Some(client) => loader.http_client(client),
        None => loader,
    };
    let setup = Setup::of_process();
    setup.check()?;
    if !variables.choose_credentials() {
        setup.check_profile()?;
        setup.check_token_file()?;
    }
    let load = unwind::catch_future(async { variables.hand_over(loader).load().await });
    let config = quiet::without_region_warning(load).await.map_err(panicked)?;
    if config.region().is_none_or(|region| region.as_ref().is_empty()) {
        return Err(Setup::with_dotenv().no_region());
    }
    // Variables have been checked, so it comes from the profile.
    if let Some(expected) = config.region().and_then(|region| region_slip(region.as_ref())) {
        return Err(bad("`region` of the AWS profile", expected));
    }
    let has_endpoint = variables.has_endpoint() || config.endpoint_url().is_some();
    if let Some(region) = config.region().filter(|_| !has_endpoint) {
        setup.check_region(region.as_ref())?;
    }
    Ok(config)
}

/// The SDK panics on a configuration that it cannot use.
pub(super) fn panicked(_: Panicked) -> Error {
    if let Some((what, hint)) = Setup::of_process().certificate_slip() {
        return Error::new(ErrorKind::Config, what).with_hint(hint);
    }
    Error::new(ErrorKind::Config, "the AWS SDK panicked while it was being configured").with_hint(
        "check the variables that start with `AWS_`, the AWS profile and the endpoint's URL; the \
         panic's own message went to the process's panic hook",
    )
}
