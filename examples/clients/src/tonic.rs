//! tonic: an interceptor that offers the API key of the moment, and one that checks it.
//!
//! An interceptor cannot send a call again. So the caller offers the current key and the one before
//! in one call, as two values of the metadata, and a service that is a rotation behind, or ahead,
//! lets it in. For a service of someone else, which knows one value, offer the current key only.

use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Retry, Rotating};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};

const API_KEY: &str = "x-api-key";

/// The settings of caller and service. Read them with `.with_previous(["api-key"])`.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `api-key`.
    pub api_key: Rotating<SecretString>,
}

/// Offers the keys at each call.
#[derive(Debug, Clone)]
pub struct Offer(pub Live<Settings>);

impl Interceptor for Offer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for key in self.0.load().api_key.iter() {
            let key = MetadataValue::try_from(key.expose_secret());
            let mut key = key.map_err(|_| Status::internal("the API key is no metadata"))?;
            // Not shown by `Debug`, and not in the tables of HTTP 2.
            key.set_sensitive(true);
            request.metadata_mut().append(API_KEY, key);
        }
        Ok(request)
    }
}

/// Lets in calls that offer the current key or the one before.
#[derive(Debug, Clone)]
pub struct Check(pub Live<Settings>);

impl Interceptor for Check {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let settings = self.0.load();
        let accepted = request.metadata().get_all(API_KEY).iter().any(|offered| {
            let mut keys = settings.api_key.iter();
            keys.any(|key| key.expose_secret().as_bytes().ct_eq(offered.as_bytes()).into())
        });
        if accepted { Ok(request) } else { Err(Status::unauthenticated("no valid API key")) }
    }
}

/// A client of a generated service; here, that of the health checks.
pub fn client(
    channel: Channel,
    settings: Live<Settings>,
) -> HealthClient<InterceptedService<Channel, Offer>> {
    HealthClient::with_interceptor(channel, Offer(settings))
}

/// A generated service behind the check.
pub fn service<H: Health>(
    service: H,
    settings: Live<Settings>,
) -> InterceptedService<HealthServer<H>, Check> {
    HealthServer::with_interceptor(service, Check(settings))
}

/// Whether a call of [`Live::with_fresh`] is made again.
pub fn retry(status: &Status) -> Retry {
    match status.code() {
        Code::Unauthenticated => Retry::Fresh,
        // The connection was lost, or there is none: for calls that may be made twice.
        Code::Unavailable => Retry::Now,
        _ => Retry::No,
    }
}
