//! AWS Secrets Manager over the fake passes the suite, by batches and by single calls.
//!
//! Inside the crate, because the AWS backend has no public name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault, FaultId};

use super::{Capability, Harness, check};
use crate::backend::Backend;
use crate::backend::aws::Access;
use crate::backend::store::{Options, Store as _};
use crate::unwind::lock;

#[path = "../../../tests/conformance/page.rs"]
mod page;

struct OverFake {
    fake: FakeSecretsManager,
    backend: Arc<dyn Backend>,
    stalled: Mutex<BTreeMap<String, FaultId>>,
}

impl OverFake {
    fn new(batch: bool) -> Self {
        let fake = FakeSecretsManager::new();
        let timeout = Duration::from_secs(30);
        let options = Options {
            batch,
            describe: true,
            timeout,
            awaits_quota: true,
            stage: None,
            replica: None,
        };
        let access = Access::Client(fake.client());
        let backend = access.connect(options).expect("a backend");
        Self { fake, backend, stalled: Mutex::default() }
    }

    fn stalled(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, FaultId>> {
        lock(&self.stalled)
    }
}

impl Harness for OverFake {
    fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    async fn put(&self, name: &str, text: &str) {
        self.fake.put(name, text);
    }

    async fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.fake.put_binary(name, bytes);
    }

    async fn delete(&self, name: &str) {
        self.fake.remove(name);
    }

    async fn deny(&self, name: &str) {
        self.fake.deny_secret(name);
    }

    async fn deny_list(&self) {
        self.fake.deny_action("ListSecrets");
    }

    async fn allow_list(&self) {
        self.fake.allow_action("ListSecrets");
    }

    async fn corrupt(&self, name: &str) {
        self.fake.inject(Fault::malformed_body().for_secret(name));
    }

    async fn stall(&self, name: &str) {
        let fault = self.fake.inject(Fault::hang().for_secret(name));
        self.stalled().insert(name.to_owned(), fault);
    }

    async fn resume(&self, name: &str) {
        if let Some(fault) = self.stalled().remove(name) {
            self.fake.remove_fault(fault);
        }
    }

    async fn other_id(&self, name: &str) -> String {
        self.fake.arn(name)
    }

    fn lacks(&self) -> Vec<Capability> {
        vec![Capability::Changes]
    }
}

#[tokio::test(start_paused = true)]
async fn batches_conform() {
    let report = check(&OverFake::new(true)).await;
    report.assert_passed();
    assert_eq!(report.skipped().count(), 1, "{report}");
}

#[tokio::test(start_paused = true)]
async fn single_calls_conform() {
    let harness = OverFake::new(false);
    page::agrees("AWS Secrets Manager", &harness.lacks());
    let report = check(&harness).await;
    report.assert_passed();
    assert_eq!(report.skipped().count(), 1, "{report}");
}
