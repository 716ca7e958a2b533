//! The conformance suite, through an agent that caches nothing: the suite changes secrets and reads
//! them at once.

use std::time::Duration;

use secrets_provider::backend::conformance::{Capability, Harness, check};
use secrets_provider::{Agent, Backend};

use crate::stand_in::{StandIn, TOKEN, arn};

pub(crate) const LACKS: [Capability; 3] =
    [Capability::List, Capability::DenyList, Capability::Changes];

struct ByAgent {
    server: StandIn,
    agent: Agent,
}

impl ByAgent {
    async fn new(closes: bool) -> Self {
        let server = StandIn::start().await;
        server.known().caches = false;
        server.known().closes = closes;
        let agent = Agent::local().address(server.url()).token(TOKEN).cache_ttl(Duration::ZERO);
        Self { server, agent }
    }
}

impl Harness for ByAgent {
    fn backend(&self) -> &dyn Backend {
        &self.agent
    }

    async fn put(&self, name: &str, text: &str) {
        self.server.put(name, text);
    }

    async fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.server.put_binary(name, bytes);
    }

    async fn delete(&self, name: &str) {
        self.server.known().deleted.insert(name.to_owned());
    }

    async fn deny(&self, name: &str) {
        self.server.known().denied.insert(name.to_owned());
    }

    async fn corrupt(&self, name: &str) {
        self.server.known().corrupt.insert(name.to_owned());
    }

    async fn stall(&self, name: &str) {
        self.server.known().stalled.insert(name.to_owned());
    }

    async fn resume(&self, name: &str) {
        self.server.resume(name);
    }

    async fn other_id(&self, name: &str) -> String {
        arn(name)
    }

    fn lacks(&self) -> Vec<Capability> {
        LACKS.to_vec()
    }
}

#[tokio::test]
async fn it_conforms() {
    let report = check(&ByAgent::new(false).await).await;
    report.assert_passed();
    let skipped = report.skipped().map(|(_, capability)| capability);
    assert!(skipped.into_iter().all(|lacking| LACKS.contains(&lacking)), "{report}");
    crate::page::agrees("`Agent`", &LACKS);
}

/// The agent closes each connection 61 s after it was accepted, without a word.
#[tokio::test]
async fn it_conforms_while_every_connection_closes() {
    check(&ByAgent::new(true).await).await.assert_passed();
}
