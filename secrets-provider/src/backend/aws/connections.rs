//! Connections of each runtime's own, from a client that the program made.
//!
//! A pooled connection is driven by the runtime that opened it. A request that takes it from the
//! pool in another runtime waits for as long as the first one is blocked, busy or not driven. The
//! SDK's clients keep one pool for each set of timeouts, and rebuilding a client would lose its
//! proxy and certificates; so each runtime asks for timeouts that differ by less than a
//! millisecond, and gets a pool of its own with the same settings.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::runtime::Handle;

use super::https;

/// How many runtimes are distinguished, which bounds the pools of a client. Runtimes are numbered
/// as they are made, so two that live at once share a number only if hundreds were made in between.
const RUNTIMES: u64 = 1_021;

/// A limit that limits nothing, for settings without one.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A client with the settings of this one and with connections of its own. A connector that is not
/// the SDK's own is kept, because its pool, if it has one, is the program's business.
pub(super) fn of_its_own(client: &Client) -> Client {
    let mut config = client.config().to_builder();
    config.set_http_client(per_runtime(client.config().http_client()));
    Client::from_conf(config.build())
}

/// The HTTP client of a configuration with connections of each runtime's own.
pub(super) fn per_runtime(http: Option<SharedHttpClient>) -> Option<SharedHttpClient> {
    let is_pooled = |http: &SharedHttpClient| {
        http.connector_metadata().is_some_and(|metadata| metadata.name() == "hyper")
    };
    match http {
        Some(http) if !is_pooled(&http) => Some(http),
        Some(http) => Some(SharedHttpClient::new(PerRuntime(http))),
        None => https::client(),
    }
}

/// The connector of the runtime that calls.
#[derive(Debug)]
struct PerRuntime(SharedHttpClient);

impl HttpClient for PerRuntime {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(&of_runtime(settings, current()), components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

/// The number of the current runtime, from one on.
fn current() -> u64 {
    let id = Handle::try_current().ok().and_then(|handle| handle.id().to_string().parse().ok());
    1 + id.unwrap_or(0_u64) % RUNTIMES
}

fn of_runtime(settings: &HttpConnectorSettings, runtime: u64) -> HttpConnectorSettings {
    let mark = Duration::from_nanos(runtime);
    let connect = settings.connect_timeout().unwrap_or(NO_LIMIT).saturating_add(mark);
    let mut marked = HttpConnectorSettings::builder().connect_timeout(connect);
    marked.set_read_timeout(settings.read_timeout());
    marked.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_has_a_number_and_limits_of_its_own() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (first, second) = (runtime(), runtime());
        let number = |runtime: &tokio::runtime::Runtime| runtime.block_on(async { current() });
        assert_eq!(number(&first), number(&first));
        assert_ne!(number(&first), number(&second));

        let limit = Duration::from_secs(3);
        let settings = HttpConnectorSettings::builder().connect_timeout(limit).build();
        let limits = [1, 2].map(|n| of_runtime(&settings, n).connect_timeout().expect("a limit"));
        assert!(limits[0] != limits[1] && limits.iter().all(|marked| marked.as_millis() == 3000));
        let none = of_runtime(&HttpConnectorSettings::default(), 1);
        assert!(none.connect_timeout() > Some(NO_LIMIT) && none.read_timeout().is_none());
    }
}
