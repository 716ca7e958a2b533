//! The store that `systems` runs on: AWS Secrets Manager, as the fake. `tests/vault/store.rs` is the
//! same on OpenBao. The bodies of the tests are in `systems` only.

use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Live, SecretsManager};

/// The backend of a system's program: the default one.
pub(crate) fn over(manager: SecretsManager) -> SecretsManager {
    manager
}

pub(crate) struct Store(FakeSecretsManager);

impl Store {
    /// What a denied read's hint names.
    pub(crate) const READ_PERMISSION: &str = "\"secretsmanager:GetSecretValue\"";

    /// What is said of a secret that is not there.
    pub(crate) const ABSENT: &str = "there is no such secret";

    /// How often in the life of a process the policies of the guides deny a batch.
    pub(crate) const DENIED_BATCHES: usize = 1;

    /// One that programs reach.
    pub(crate) async fn start() -> Self {
        Self(FakeSecretsManager::start().await.unwrap())
    }

    /// One that the test itself reads, by [`of`](Self::of).
    pub(crate) async fn in_process() -> Self {
        Self(FakeSecretsManager::new())
    }

    /// This manager over this store.
    pub(crate) fn of(&self, manager: SecretsManager) -> SecretsManager {
        manager.client(self.0.client())
    }

    /// The variables of a program with a role and an endpoint, as in AWS.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "of-the-role".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "of-the-role".to_owned()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.0.endpoint_url()),
        ]
    }

    /// What only AWS has: rotation by a Lambda function, staging labels.
    pub(crate) fn aws(&self) -> Option<&FakeSecretsManager> {
        Some(&self.0)
    }

    pub(crate) async fn put(&self, name: &str, text: impl Into<String>) {
        self.0.put(name, text.into());
    }

    /// Encrypts a secret with this key.
    pub(crate) fn use_kms_key(&self, name: &str, key: &str) {
        self.0.use_kms_key(name, key);
    }

    pub(crate) async fn remove(&self, name: &str) {
        self.0.remove(name);
    }

    /// Allows what a guide's policy allows, and nothing else.
    pub(crate) async fn enforce(&self, policy: &str) {
        self.0.enforce_policy(policy).unwrap();
    }

    pub(crate) async fn deny(&self, name: &str) {
        self.0.deny_secret(name);
    }

    pub(crate) async fn allow_everything(&self) {
        self.0.allow_everything();
    }

    pub(crate) fn drop_connections(&self) {
        self.0.inject(Fault::drop_connection());
    }

    /// Answers calls with an internal error.
    pub(crate) fn fail(&self) {
        self.0.inject(Fault::internal_error());
    }

    pub(crate) fn mend(&self) {
        self.0.clear_faults();
    }

    pub(crate) async fn stop(&self) {
        self.0.stop().await;
    }

    pub(crate) async fn serve_again(&self) {
        self.0.serve_again().await.unwrap();
    }

    /// Reads of one secret.
    pub(crate) fn reads(&self) -> usize {
        self.0.calls("GetSecretValue")
    }

    pub(crate) fn batches(&self) -> usize {
        self.0.calls("BatchGetSecretValue")
    }

    pub(crate) fn lists(&self) -> usize {
        self.0.calls("ListSecrets")
    }

    /// All calls.
    pub(crate) fn calls(&self) -> usize {
        self.0.total_calls()
    }

    /// All calls that a policy denied.
    pub(crate) fn denied(&self) -> usize {
        self.0.total_denied_calls()
    }

    pub(crate) fn connections(&self) -> usize {
        self.0.connections()
    }

    pub(crate) fn reset_calls(&self) {
        self.0.reset_calls();
    }

    /// Lets twenty refreshes pass.
    pub(crate) async fn twenty_refreshes<T: Send + Sync + 'static>(&self, _: &Live<T>) {
        tokio::time::sleep(Duration::from_secs(300) * 20).await;
    }

    /// Moves the clock.
    pub(crate) async fn advance(&self, by: Duration) {
        tokio::time::advance(by).await;
    }
}
