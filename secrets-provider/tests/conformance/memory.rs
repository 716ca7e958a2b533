//! `Memory` passes the suite, one test per case.

use secrets_provider::backend::conformance::{Capability, Harness, check};
use secrets_provider::{Backend, Memory};

struct InMemory(Memory);

async fn in_memory() -> InMemory {
    InMemory(Memory::new())
}

impl Harness for InMemory {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    async fn put(&self, name: &str, text: &str) {
        self.0.put(name, text);
    }

    async fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.0.put_binary(name, bytes);
    }

    async fn delete(&self, name: &str) {
        self.0.remove(name);
    }

    fn lacks(&self) -> Vec<Capability> {
        use Capability::*;
        vec![Deny, DenyList, Corrupt, Stall, OtherIds, Changes]
    }
}

secrets_provider::backend::conformance::tests!(in_memory());

#[tokio::test(start_paused = true)]
async fn only_what_it_lacks_is_skipped() {
    let report = check(&in_memory().await).await;
    report.assert_passed();
    crate::page::agrees("[`Memory`]", &in_memory().await.lacks());
    let skipped: Vec<String> = report.skipped().map(|(case, _)| case.to_string()).collect();
    assert_eq!(
        skipped,
        [
            "answers_by_the_id_asked",
            "reports_denied",
            "reports_denied_list",
            "reports_malformed",
            "shows_no_value_in_errors",
            "survives_deadline",
            "stalls_only_one_fetch",
            "signals_change",
        ]
    );
}
