//! The store that `systems` runs on: OpenBao, behind a proxy that counts and breaks.
//! `tests/suite/store.rs` is the same on the fake of AWS. The bodies of the tests are in `systems`
//! only, and a system's program changes by [`over`] and by its variables.
//!
//! What AWS has and Vault does not: batches ([`Store::DENIED_BATCHES`] is 0), keys of KMS
//! ([`Store::use_kms_key`] does nothing: OpenBao encrypts by its own key), rotation by a Lambda
//! function and staging labels ([`Store::aws`] is `None`; those tests check that a rotation is
//! refused with an error that says so), and AWS's words for a missing right
//! ([`Store::READ_PERMISSION`]) and for a missing secret ([`Store::ABSENT`]). A guide's IAM policy
//! is taken by its resources: what it allows to read of Secrets Manager may be read below
//! `secret/data`.

use std::sync::Mutex;
use std::time::Duration;

use end_to_end::external::OpenBao;
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Live, SecretsManager, Vault};
use serde_json::{Value, json};

use crate::proxy::{Call, Fault, Proxy};

/// The backend of a system's program: the one change to its code.
pub(crate) fn over(manager: SecretsManager) -> SecretsManager {
    manager.backend(Vault::from_env().unwrap())
}

pub(crate) struct Store {
    server: OpenBao,
    proxy: Proxy,
    token: String,
    rights: Mutex<Rights>,
    /// Whether the clock of the test is to be paused in the end, as it was before.
    pauses: bool,
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.pauses && !std::thread::panicking() {
            tokio::time::pause();
        }
    }
}

/// Patterns of names that may be read, and names that may not.
#[derive(Default)]
struct Rights {
    allowed: Vec<String>,
    denied: Vec<String>,
}

impl Store {
    pub(crate) const READ_PERMISSION: &str = "capabilities = [\"read\"]";

    pub(crate) const ABSENT: &str = "Vault has nothing at `secret/data/";

    pub(crate) const DENIED_BATCHES: usize = 0;

    pub(crate) async fn start() -> Self {
        let server = OpenBao::start();
        let proxy = Proxy::default();
        proxy.before(server.address()).await;
        let token = server.token(&["app"]).await;
        let store = Self { server, proxy, token, rights: Mutex::default(), pauses: false };
        store.allow_everything().await;
        store
    }

    /// A server's answers take real time, so the clock of the test goes on.
    pub(crate) async fn in_process() -> Self {
        tokio::time::resume();
        let mut store = Self::start().await;
        store.pauses = true;
        store
    }

    pub(crate) fn of(&self, manager: SecretsManager) -> SecretsManager {
        manager.backend(Vault::new(self.proxy.url()).token(self.token.clone()))
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("VAULT_ADDR", self.proxy.url()), ("VAULT_TOKEN", self.token.clone())]
    }

    pub(crate) fn aws(&self) -> Option<&FakeSecretsManager> {
        None
    }

    /// A JSON object is the secret's data, and other text is its one member `value`.
    pub(crate) async fn put(&self, name: &str, text: impl Into<String>) {
        let text = text.into();
        let data = match serde_json::from_str(&text) {
            Ok(object @ Value::Object(_)) => object,
            _ => json!({ "value": text }),
        };
        self.server.put(name, data).await;
    }

    pub(crate) fn use_kms_key(&self, _: &str, _: &str) {}

    pub(crate) async fn remove(&self, name: &str) {
        self.server.must("DELETE", &format!("secret/metadata/{name}"), Value::Null).await;
    }

    pub(crate) async fn enforce(&self, policy: &str) {
        let policy: Value = serde_json::from_str(policy).unwrap();
        let statements = policy["Statement"].as_array().unwrap().iter();
        let reads = statements.filter(|statement| {
            list(&statement["Action"]).contains(&"secretsmanager:GetSecretValue")
        });
        let resources = reads.flat_map(|statement| list(&statement["Resource"]));
        let patterns: Vec<_> = resources
            .map(|arn| arn.split_once(":secret:").expect("an ARN of secrets").1.to_owned())
            .collect();
        // A star within a pattern would be a character of the name to Vault.
        assert!(
            !patterns.is_empty() && patterns.iter().all(|it| it.find('*') == Some(it.len() - 1))
        );
        *self.rights.lock().unwrap() = Rights { allowed: patterns, denied: Vec::new() };
        self.write_policy().await;
    }

    pub(crate) async fn deny(&self, name: &str) {
        self.rights.lock().unwrap().denied.push(name.to_owned());
        self.write_policy().await;
    }

    pub(crate) async fn allow_everything(&self) {
        *self.rights.lock().unwrap() = Rights { allowed: vec!["*".to_owned()], denied: Vec::new() };
        self.write_policy().await;
    }

    async fn write_policy(&self) {
        let rule = |names: &[String], capability| {
            names.iter().fold(String::new(), |rules, name| {
                rules
                    + &format!(
                        "path \"secret/data/{name}\" {{ capabilities = [\"{capability}\"] }}\n"
                    )
            })
        };
        let policy = {
            let rights = self.rights.lock().unwrap();
            rule(&rights.allowed, "read") + &rule(&rights.denied, "deny")
        };
        self.server.policy("app", &policy).await;
    }

    pub(crate) fn drop_connections(&self) {
        self.proxy.fault(Some(Fault::DropsConnections));
    }

    pub(crate) fn fail(&self) {
        self.proxy.fault(Some(Fault::InternalError));
    }

    pub(crate) fn mend(&self) {
        self.proxy.fault(None);
    }

    pub(crate) async fn stop(&self) {
        self.proxy.stop().await;
    }

    pub(crate) async fn serve_again(&self) {
        self.proxy.serve_again().await;
    }

    pub(crate) fn reads(&self) -> usize {
        self.count(|call| call.path.starts_with("/v1/secret/data/"))
    }

    pub(crate) fn batches(&self) -> usize {
        0
    }

    pub(crate) fn lists(&self) -> usize {
        self.count(|call| call.path.starts_with("/v1/secret/metadata"))
    }

    /// All calls about secrets. What a process asks once of its token and of the mount is left out.
    pub(crate) fn calls(&self) -> usize {
        self.count(|call| call.path.starts_with("/v1/secret/"))
    }

    pub(crate) fn denied(&self) -> usize {
        self.count(|call| call.status == 403)
    }

    fn count(&self, of: fn(&Call) -> bool) -> usize {
        self.proxy.calls().iter().filter(|call| of(call)).count()
    }

    pub(crate) fn connections(&self) -> usize {
        self.proxy.connections()
    }

    pub(crate) fn reset_calls(&self) {
        self.proxy.reset_calls();
    }

    /// Makes twenty: the clock of the test goes on, so that the interval is not waited for.
    pub(crate) async fn twenty_refreshes<T: Send + Sync + 'static>(&self, settings: &Live<T>) {
        for _ in 0..20 {
            settings.refresh().await.unwrap();
        }
    }

    pub(crate) async fn advance(&self, by: Duration) {
        tokio::time::pause();
        tokio::time::advance(by).await;
        tokio::time::resume();
    }
}

/// The texts of one or of a list, as in IAM's policies.
fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}
