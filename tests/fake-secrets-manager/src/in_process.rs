//! Requests without a socket: an HTTP client of the SDK that hands them to the service.
//!
//! The SDK signs, serializes, retries and parses as always, so a test sees what it would see over a
//! socket. Waits are on tokio's clock, which a test may pause.

use std::fmt;
use std::io;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use http_body_util::BodyExt as _;

use crate::access::Caller;
use crate::shared::Shared;

#[derive(Clone)]
struct InProcess {
    shared: Arc<Shared>,
    caller: Caller,
    /// In other regions.
    others: Vec<Arc<Shared>>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { shared, caller, others } = self.clone();
        HttpConnectorFuture::new(async move {
            let signed_for = |other: &&Arc<Shared>| {
                let signature = request.headers().get("authorization").unwrap_or_default();
                signature.contains(&format!("/{}/", other.region()))
            };
            let shared = others.iter().find(signed_for).map_or(shared, Arc::clone);
            let target = request.headers().get("x-amz-target").map(str::to_owned);
            // To its end, as a connection sends it: the SDK watches the upload, and would cut a call
            // that it takes to be stuck, such as a long poll.
            let body = request.into_body().collect().await.map_err(ConnectorError::user)?;
            let body = body.to_bytes();
            let answer = shared
                .answer(caller, target.as_deref(), body)
                .await
                .map_err(|dropped| ConnectorError::io(io::Error::from(dropped).into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

pub(crate) fn http_client(shared: &Arc<Shared>, caller: Caller) -> SharedHttpClient {
    SharedHttpClient::new(InProcess { shared: Arc::clone(shared), caller, others: Vec::new() })
}

/// An HTTP client that hands a request to the service of the region that it is signed for; to the
/// first if there is none.
pub(crate) fn http_client_of_regions(
    shared: &Arc<Shared>,
    others: Vec<Arc<Shared>>,
) -> SharedHttpClient {
    let shared = Arc::clone(shared);
    SharedHttpClient::new(InProcess { shared, caller: Caller::Client, others })
}

/// A client with that configuration, and retries of its own.
pub(crate) fn client(config: &SdkConfig) -> Client {
    let retries =
        RetryPartition::custom("fake-secrets-manager").token_bucket(TokenBucket::default()).build();
    Client::from_conf(
        aws_sdk_secretsmanager::config::Builder::from(config).retry_partition(retries).build(),
    )
}

pub(crate) fn sdk_config(shared: &Arc<Shared>, caller: Caller) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(shared.region().to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test",
            "test",
            None,
            None,
            "fake-secrets-manager",
        )))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(http_client(shared, caller))
        .build()
}
