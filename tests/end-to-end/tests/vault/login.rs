//! Logins and renewals: how often each call is made, and what is said when one is refused.

use std::time::Duration;

use end_to_end::external::OpenBao;
use futures_util::future::join_all;
use secrets_provider::{Backend as _, ErrorKind, SecretsManager, Vault};
use serde_json::{Value, json};

use crate::proxy::Proxy;

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Role {
    server: OpenBao,
    role_id: String,
}

impl Role {
    /// A role with these settings, which may read what is below `gaara/prod`.
    async fn new(settings: Value) -> Self {
        let server = OpenBao::start();
        server.put("gaara/prod/token", json!({ "value": "hunter2" })).await;
        server.put("other", json!({ "value": "hunter2" })).await;
        server
            .policy("app", r#"path "secret/data/gaara/prod/*" { capabilities = ["read"] }"#)
            .await;
        server.must("POST", "sys/auth/approle", json!({ "type": "approle" })).await;
        server.must("POST", "auth/approle/role/app", settings).await;
        let answer = server.must("GET", "auth/approle/role/app/role-id", Value::Null).await;
        let role_id = answer["data"]["role_id"].as_str().unwrap().to_owned();
        Self { server, role_id }
    }

    async fn secret_id(&self) -> String {
        let path = "auth/approle/role/app/secret-id";
        let answer = self.server.must("POST", path, Value::Null).await;
        answer["data"]["secret_id"].as_str().unwrap().to_owned()
    }

    async fn vault(&self) -> Vault {
        Vault::new(self.server.url()).app_role(&self.role_id, self.secret_id().await)
    }

    /// Ends every token of the role.
    async fn revoke_tokens(&self) {
        let path = "sys/leases/revoke-prefix/auth/approle/login";
        self.server.must("PUT", path, Value::Null).await;
    }
}

async fn read(vault: &Vault, name: &str) -> Result<(), secrets_provider::Error> {
    SecretsManager::names([name]).backend(vault.clone()).fetch().await.map(drop)
}

fn calls(vault: &Vault, operation: &str) -> u64 {
    vault.calls().get(operation).copied().unwrap_or_default()
}

/// Waits until a call was made so often.
async fn until(vault: &Vault, operation: &str, times: u64) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let reached = async {
        while calls(vault, operation) < times {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect(operation);
}

#[tokio::test]
async fn reads_at_the_same_time_share_one_login() {
    let role = Role::new(json!({ "token_policies": "app" })).await;
    let vault = role.vault().await;
    let reads = join_all((0..20).map(|_| read(&vault, "gaara/prod/token"))).await;
    assert!(reads.iter().all(Result::is_ok), "{reads:?}");
    assert_eq!(calls(&vault, "VaultLogin"), 1);
}

/// The secret id is used up by the first login, and nothing is read between the renewals.
#[tokio::test]
async fn a_token_of_a_secret_id_for_one_use_is_kept_alive() {
    let settings = json!({ "token_policies": "app", "secret_id_num_uses": 1, "token_ttl": "2s" });
    let role = Role::new(settings).await;
    let vault = role.vault().await;
    read(&vault, "gaara/prod/token").await.unwrap();
    until(&vault, "VaultRenew", 3).await;
    read(&vault, "gaara/prod/token").await.unwrap();
    assert_eq!(calls(&vault, "VaultLogin"), 1);
}

#[tokio::test]
async fn at_the_end_of_a_tokens_life_comes_another_login() {
    let settings = json!({ "token_policies": "app", "token_ttl": "2s", "token_max_ttl": "3s" });
    let role = Role::new(settings).await;
    let vault = role.vault().await;
    let read_all_along = async {
        loop {
            read(&vault, "gaara/prod/token").await.unwrap();
        }
    };
    tokio::select! {
        () = until(&vault, "VaultLogin", 3) => {}
        () = read_all_along => {}
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_and_a_missing_right_needs_no_login() {
    let role = Role::new(json!({ "token_policies": "app" })).await;
    let vault = role.vault().await;
    read(&vault, "gaara/prod/token").await.unwrap();
    role.revoke_tokens().await;
    let reads = join_all((0..20).map(|_| read(&vault, "gaara/prod/token"))).await;
    assert!(reads.iter().all(Result::is_ok), "{reads:?}");
    assert_eq!(calls(&vault, "VaultLogin"), 2);
    for _ in 0..3 {
        let error = read(&vault, "other").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied);
        assert!(error.to_string().contains("`read` on `secret/data/other`"), "{error}");
    }
    assert_eq!(calls(&vault, "VaultLogin"), 2);
}

/// Such a token may not even be looked up, so the login is what decides, once.
#[tokio::test]
async fn without_the_policy_default_a_missing_right_costs_one_login() {
    let role = Role::new(json!({ "token_policies": "app", "token_no_default_policy": true })).await;
    let vault = role.vault().await;
    for _ in 0..3 {
        let error = read(&vault, "other").await.unwrap_err();
        assert!(error.to_string().contains("`read` on `secret/data/other`"), "{error}");
    }
    assert_eq!(calls(&vault, "VaultLogin"), 2);
}

#[tokio::test]
async fn a_refused_login_says_why_and_shows_neither_id() {
    let role = Role::new(json!({ "token_policies": "app", "secret_id_ttl": "1s" })).await;
    let vault = role.vault().await;
    let path = "auth/approle/role/app/secret-id/lookup";
    read(&vault, "gaara/prod/token").await.unwrap();
    role.revoke_tokens().await;
    // Until the secret id has expired, too.
    let expired = async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        let accessors = "auth/approle/role/app/secret-id";
        while role.server.call("LIST", accessors, Value::Null).await.0 == 200
            && read(&vault, "gaara/prod/token").await.is_ok()
        {
            role.revoke_tokens().await;
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, expired).await.expect(path);
    let error = read(&vault, "gaara/prod/token").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    let shown = format!("{error} {error:#?} {vault:?}");
    assert!(shown.contains("refuses the login at `auth/approle/login`"), "{shown}");
    assert!(shown.contains("secret id may have expired"), "{shown}");
    assert!(!shown.contains(&role.role_id) && !shown.contains("hunter2"), "{shown}");

    let vault = Vault::new(role.server.url()).app_role("a", "b").login_mount("auth/elsewhere");
    let error = read(&vault, "gaara/prod/token").await.unwrap_err();
    assert!(error.to_string().contains("`auth/elsewhere/login`"), "{error}");
    assert!(error.to_string().contains("vault auth list"), "{error}");
}

#[tokio::test]
async fn kubernetes_replaces_the_file_and_each_login_reads_it() {
    let server = OpenBao::start();
    server.put("gaara/prod/token", json!({ "value": "hunter2" })).await;
    let proxy = Proxy::default();
    let url = proxy.before(server.address()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first.jwt.x\n").unwrap();
    let vault = Vault::new(&url).kubernetes("gaara").service_account_token(&file);
    read(&vault, "gaara/prod/token").await.unwrap();
    std::fs::write(&file, "second.jwt.x\n").unwrap();
    until(&vault, "VaultLogin", 2).await;
    read(&vault, "gaara/prod/token").await.unwrap();
    let logins = proxy.logins();
    let of = |jwt: &str| json!({ "role": "gaara", "jwt": jwt }).to_string();
    assert_eq!(logins[..2], [of("first.jwt.x"), of("second.jwt.x")]);

    let vault = Vault::new(&url).kubernetes("gaara").service_account_token("/nowhere/token");
    let error = read(&vault, "gaara/prod/token").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`/nowhere/token`"), "{error}");
}
