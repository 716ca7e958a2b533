//! The conformance suite through the SDK.

use secrets_provider::backend::conformance::{Capability, Harness, check};
use secrets_provider::{Backend, ParameterStore};

use crate::stand_in::StandIn;

const LACKS: [Capability; 4] =
    [Capability::LargeValues, Capability::Binary, Capability::OtherIds, Capability::Changes];

struct OverStandIn {
    server: StandIn,
    store: ParameterStore,
}

fn parameter(name: &str) -> String {
    format!("/{name}")
}

impl Harness for OverStandIn {
    fn backend(&self) -> &dyn Backend {
        &self.store
    }

    async fn put(&self, name: &str, text: &str) {
        self.server.put(&parameter(name), text);
    }

    async fn delete(&self, name: &str) {
        self.server.delete(&parameter(name));
    }

    async fn deny(&self, name: &str) {
        self.server.known().denied.insert(parameter(name));
    }

    async fn deny_list(&self) {
        self.server.known().denies_paths = true;
    }

    async fn allow_list(&self) {
        self.server.known().denies_paths = false;
    }

    async fn corrupt(&self, name: &str) {
        self.server.known().corrupt.insert(parameter(name));
    }

    async fn stall(&self, name: &str) {
        self.server.known().stalled.insert(parameter(name));
    }

    async fn resume(&self, name: &str) {
        self.server.resume(&parameter(name));
    }

    fn lacks(&self) -> Vec<Capability> {
        LACKS.to_vec()
    }
}

#[tokio::test]
async fn it_conforms() {
    let server = StandIn::start().await;
    let store = server.store();
    let report = check(&OverStandIn { server, store }).await;
    report.assert_passed();
    let skipped = report.skipped().map(|(_, capability)| capability);
    assert!(skipped.into_iter().all(|lacking| LACKS.contains(&lacking)), "{report}");
    crate::page::agrees("`ParameterStore`", &LACKS);
}
