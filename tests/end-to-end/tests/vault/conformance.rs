//! The conformance suite on OpenBao, with a token that has the least policy.

use std::sync::Mutex;

use end_to_end::external::OpenBao;
use secrets_provider::backend::conformance::{Capability, Harness, check};
use secrets_provider::{Backend, Vault};
use serde_json::{Value, json};

use crate::proxy::Proxy;

struct OverOpenBao {
    server: OpenBao,
    proxy: Proxy,
    vault: Vault,
    denied: Mutex<Vec<String>>,
    mount: &'static str,
}

impl OverOpenBao {
    async fn new(mount: &'static str) -> Self {
        let server = OpenBao::start();
        if mount == "kv" {
            let body = json!({ "type": "kv", "options": { "version": "1" } });
            server.must("POST", "sys/mounts/kv", body).await;
        }
        let token = server.token(&["app"]).await;
        let proxy = Proxy::default();
        let url = proxy.before(server.address()).await;
        let vault = Vault::new(url).mount(mount).token(token);
        let harness = Self { server, proxy, vault, denied: Mutex::default(), mount };
        harness.write_policy(true).await;
        harness
    }

    fn is_v2(&self) -> bool {
        self.mount == "secret"
    }

    fn path(&self, name: &str) -> String {
        match self.is_v2() {
            true => format!("secret/data/{name}"),
            false => format!("kv/{name}"),
        }
    }

    async fn write_policy(&self, lists: bool) {
        let mut policy = match (self.is_v2(), lists) {
            (true, true) => {
                r#"path "secret/data/*" { capabilities = ["read"] }
                   path "secret/metadata/*" { capabilities = ["list"] }"#
            }
            (true, false) => r#"path "secret/data/*" { capabilities = ["read"] }"#,
            (false, true) => r#"path "kv/*" { capabilities = ["read", "list"] }"#,
            (false, false) => r#"path "kv/*" { capabilities = ["read"] }"#,
        }
        .to_owned();
        for name in self.denied.lock().unwrap().iter() {
            let path = self.path(name);
            policy.push_str(&format!("\npath \"{path}\" {{ capabilities = [\"deny\"] }}"));
        }
        self.server.policy("app", &policy).await;
    }
}

impl Harness for OverOpenBao {
    fn backend(&self) -> &dyn Backend {
        &self.vault
    }

    async fn put(&self, name: &str, text: &str) {
        let value = json!({ "value": text });
        let body = if self.is_v2() { json!({ "data": value }) } else { value };
        self.server.must("POST", &self.path(name), body).await;
    }

    async fn delete(&self, name: &str) {
        self.server.must("DELETE", &self.path(name), Value::Null).await;
    }

    async fn deny(&self, name: &str) {
        self.denied.lock().unwrap().push(name.to_owned());
        self.write_policy(true).await;
    }

    async fn deny_list(&self) {
        self.write_policy(false).await;
    }

    async fn allow_list(&self) {
        self.write_policy(true).await;
    }

    async fn corrupt(&self, name: &str) {
        self.proxy.corrupt(&self.path(name));
    }

    async fn stall(&self, name: &str) {
        self.proxy.stall(&self.path(name));
    }

    async fn resume(&self, name: &str) {
        self.proxy.resume(&self.path(name));
    }

    fn lacks(&self) -> Vec<Capability> {
        use Capability::*;
        let mut lacks = vec![Binary, OtherIds, Changes];
        if !self.is_v2() {
            lacks.push(Previous);
        }
        lacks
    }
}

#[tokio::test]
async fn version_2_conforms() {
    let harness = OverOpenBao::new("secret").await;
    crate::page::agrees("`Vault`, key-value engine 2", &harness.lacks());
    let report = check(&harness).await;
    report.assert_passed();
    assert_eq!(report.skipped().count(), 3, "{report}");
}

#[tokio::test]
async fn version_1_conforms() {
    let harness = OverOpenBao::new("kv").await;
    crate::page::agrees("`Vault`, key-value engine 1", &harness.lacks());
    let report = check(&harness).await;
    report.assert_passed();
    assert_eq!(report.skipped().count(), 4, "{report}");
}
