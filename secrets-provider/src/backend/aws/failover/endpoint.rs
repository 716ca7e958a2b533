//! The endpoint that was set by hand, which counts for both regions.
//!
//! An emulator or a proxy serves both. A host of AWS serves the region in its name only: requests
//! for the other region, signed for that one, are refused there. Without this check, that would
//! come to light in an outage.

use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::Client;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::endpoint_config::EndpointUrl;
use http::Uri;

use crate::error::{Error, ErrorKind};
use crate::unwind::lock;

/// How the hosts of AWS end, by partition
/// (<https://docs.aws.amazon.com/general/latest/gr/rande.html>).
const SUFFIXES: [&str; 8] = [
    ".amazonaws.com",
    ".api.aws",
    ".amazonaws.com.cn",
    ".api.amazonwebservices.com.cn",
    ".amazonaws.eu",
    ".api.amazonwebservices.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
];

/// What is before the region.
const SERVICES: [&str; 2] = ["secretsmanager", "secretsmanager-fips"];

/// The endpoint that the client was given, by whatever set it. The client has no method for it, so
/// a call is begun, and ended before anything is sent.
pub(super) async fn set_by_hand(client: &Client) -> Option<String> {
    let found = Found::default();
    let call = client.list_secrets().customize().interceptor(found.clone());
    let _ = call.send().await;
    lock(&found.0).take()
}

/// Refuses an endpoint that only serves one of two regions.
///
/// # Errors
///
/// `Config` for a host of AWS.
pub(super) fn check(url: &str, first: &str, replica: &str) -> Result<(), Error> {
    let Some((host, region)) = of_aws(url) else { return Ok(()) };
    let message = format!(
        "the endpoint `{host}` only serves {region}, and secrets are read in {first} or, by \
         `.or_region(..)`, in {replica}"
    );
    Err(Error::new(ErrorKind::Config, message).with_hint(
        "unset the endpoint (`AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL`, the profile's \
         `endpoint_url`, or that of the client), so that each region is asked at its own: in a VPC, \
         turn on private DNS for the interface endpoints of both; or remove `.or_region(..)`",
    ))
}

/// The host and its region, of an endpoint of Secrets Manager that is AWS's own.
fn of_aws(url: &str) -> Option<(String, String)> {
    let url = url.parse::<Uri>().ok()?;
    let host = url.host()?.trim_end_matches('.').to_ascii_lowercase();
    let name = SUFFIXES.iter().find_map(|suffix| host.strip_suffix(suffix))?;
    let name = name.strip_suffix(".vpce").unwrap_or(name);
    let (before, region) = name.rsplit_once('.')?;
    let service = before.rsplit('.').next()?;
    let region = SERVICES.contains(&service).then(|| region.to_owned())?;
    Some((host, region))
}

/// Takes the endpoint from the configuration of a call, and ends the call.
#[derive(Debug, Clone, Default)]
struct Found(Arc<Mutex<Option<String>>>);

impl Intercept for Found {
    fn name(&self) -> &'static str {
        "FindEndpoint"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *lock(&self.0) = config.load::<EndpointUrl>().map(|url| url.0.clone());
        Err("nothing is sent".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_aws_serves_one_region_and_any_other_both() {
        for (case, url, region) in [
            ("the public one", "https://secretsmanager.us-east-1.amazonaws.com", "us-east-1"),
            ("that of the replica", "https://secretsmanager.eu-west-1.amazonaws.com", "eu-west-1"),
            ("a third region", "https://secretsmanager.eu-south-2.amazonaws.com/", "eu-south-2"),
            ("FIPS", "https://secretsmanager-fips.us-west-2.amazonaws.com", "us-west-2"),
            ("dual stack", "https://secretsmanager.us-east-1.api.aws", "us-east-1"),
            ("China", "https://secretsmanager.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            (
                "a VPC endpoint",
                "https://vpce-0a1b2c3d4e5f-0a1b2c3d.secretsmanager.us-east-1.vpce.amazonaws.com",
                "us-east-1",
            ),
            (
                "one of a zone",
                "https://vpce-0a1b-0a1b-us-east-1a.secretsmanager.us-east-1.vpce.amazonaws.com:443",
                "us-east-1",
            ),
            ("capitals", "HTTPS://SecretsManager.US-EAST-1.AmazonAWS.com.", "us-east-1"),
            ("a user", "https://u:hunter2@secretsmanager.us-east-1.api.aws/x?y=z", "us-east-1"),
        ] {
            let error = check(url, "us-east-1", "eu-west-1").expect_err(case);
            assert_eq!(error.kind(), ErrorKind::Config, "{case}");
            let said = format!("{error} {}", error.hint().unwrap_or_default());
            for part in
                [&format!("only serves {region}"), "in us-east-1", "in eu-west-1", "unset the"]
            {
                assert!(said.contains(part), "{case}: {said}");
            }
            assert!(!said.contains("hunter2") && !said.contains("y=z"), "{case}: {said}");
        }
        for (case, url) in [
            ("an emulator", "http://localhost:4566"),
            ("an emulator with a name", "http://secretsmanager.us-east-1.localhost.test:4566"),
            ("an address", "http://127.0.0.1:5000"),
            ("IPv6", "http://[::1]:5000"),
            ("a proxy with a name of one's own", "https://secretsmanager.us-east-1.example.com"),
            ("a gateway", "https://a1b2c3.execute-api.us-east-1.amazonaws.com/prod"),
            ("another end", "https://secretsmanager.us-east-1.amazonaws.com.example.com"),
            ("no region", "https://secretsmanager.amazonaws.com"),
            ("no URL", "not a url"),
            ("nothing", ""),
        ] {
            assert!(check(url, "us-east-1", "eu-west-1").is_ok(), "{case}");
        }
    }
}
