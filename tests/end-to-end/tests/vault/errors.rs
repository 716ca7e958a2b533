//! What is wrong, in Vault's words: each kind of failure, its hint, and no value or token in it.

use end_to_end::external::OpenBao;
use secrets_provider::{Error, ErrorKind, SecretsManager, Vault};
use serde_json::{Value, json};

const READ: &str = r#"path "secret/data/gaara/prod/*" { capabilities = ["read"] }"#;
const LIST: &str = r#"path "secret/metadata/gaara/prod/*" { capabilities = ["list"] }"#;

async fn seeded() -> OpenBao {
    let server = OpenBao::start();
    server.put("gaara/prod/database", json!({ "username": "gaara", "port": 5432 })).await;
    server.put("gaara/prod/api/clerk", json!({ "value": "hunter2" })).await;
    server.put("gaara/production/database", json!({ "value": "a neighbour's" })).await;
    server
}

async fn prefix(vault: Vault) -> Result<Vec<(String, String)>, Error> {
    let snapshot = SecretsManager::prefix("gaara/prod").backend(vault).fetch().await?;
    let pair = |secret: &secrets_provider::SecretVersion| {
        (secret.key_path().to_owned(), secret.version_id().to_owned())
    };
    Ok(snapshot.secrets().iter().map(pair).collect())
}

async fn named(vault: Vault, name: &str) -> Result<(), Error> {
    SecretsManager::names([name]).backend(vault).fetch().await.map(drop)
}

#[track_caller]
fn is(error: &Error, kind: ErrorKind, words: &[&str]) {
    let shown = format!("{error}\n{error:#?}");
    assert_eq!(error.kind(), kind, "{shown}");
    for word in words {
        assert!(shown.contains(word), "`{word}` is not in: {shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// The policy of the guide, minus each of its capabilities.
#[tokio::test]
async fn the_least_policy_reads_a_prefix_and_each_missing_capability_is_named() {
    let server = seeded().await;
    for (name, policy, expected) in [
        ("both", format!("{READ}\n{LIST}"), None),
        (
            "no-list",
            READ.to_owned(),
            Some(["`list` on `secret/metadata/gaara/prod/`", "[\"list\"]"]),
        ),
        ("no-read", LIST.to_owned(), Some(["`read` on `secret/data/gaara/prod/", "[\"read\"]"])),
    ] {
        server.policy(name, &policy).await;
        let vault = Vault::new(server.url()).token(server.token(&[name]).await);
        match (prefix(vault).await, expected) {
            (Ok(secrets), None) => assert_eq!(
                secrets,
                [("api.clerk".into(), "1".into()), ("database".into(), "1".into())]
            ),
            (Err(error), Some(words)) => is(&error, ErrorKind::AccessDenied, &words),
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
    let vault = Vault::new(server.url()).token(server.token(&["default"]).await);
    is(&prefix(vault).await.unwrap_err(), ErrorKind::AccessDenied, &["no mount `secret`"]);
}

#[tokio::test]
async fn deleted_is_not_absent_and_undeleted_comes_back() {
    let server = seeded().await;
    let vault = || Vault::new(server.url()).token(server.root_token());
    server.put("gaara/prod/database", json!({ "username": "again" })).await;
    server.must("DELETE", "secret/data/gaara/prod/database", Value::Null).await;

    let error = named(vault(), "gaara/prod/database").await.unwrap_err();
    is(&error, ErrorKind::PendingDeletion, &["version 2", "undelete -mount=secret -versions=2"]);
    let error = named(vault(), "gaara/prod/missing").await.unwrap_err();
    is(&error, ErrorKind::NotFound, &["nothing at `secret/data/gaara/prod/missing`"]);
    // A prefix selects what has a value, as in AWS.
    assert_eq!(prefix(vault()).await.unwrap(), [("api.clerk".into(), "1".into())]);

    let versions = json!({ "versions": [2] });
    server.must("POST", "secret/undelete/gaara/prod/database", versions.clone()).await;
    assert_eq!(prefix(vault()).await.unwrap()[1], ("database".into(), "2".into()));
    server.must("PUT", "secret/destroy/gaara/prod/database", versions).await;
    let error = named(vault(), "gaara/prod/database").await.unwrap_err();
    is(&error, ErrorKind::NotFound, &["version 2", "destroyed"]);
}

#[tokio::test]
async fn numbers_that_start_again_are_no_old_versions() {
    let server = seeded().await;
    let vault = Vault::new(server.url()).token(server.root_token());
    let first = prefix(vault.clone()).await.unwrap();
    server.must("DELETE", "secret/metadata/gaara/prod/database", Value::Null).await;
    server.put("gaara/prod/database", json!({ "username": "another" })).await;
    let second = prefix(vault).await.unwrap();
    assert_eq!(first[1].1, "1");
    assert!(second[1].1.starts_with("1-20"), "{second:?}");
}

#[tokio::test]
async fn each_failure_of_the_server_or_the_setup_is_worded() {
    let server = seeded().await;
    let (url, root) = (server.url(), server.root_token());
    let https = url.replace("http:", "https:");
    let refused = Vault::new(&url).token("hunter2hunter2");
    for (what, vault, kind, words) in [
        ("no login", Vault::new(&url), ErrorKind::Config, ["needs a token", "token(..)"]),
        ("bad token", refused, ErrorKind::AccessDenied, ["refuses the token", "valid"]),
        (
            "no mount",
            Vault::new(&url).mount("nope").token(root),
            ErrorKind::AccessDenied,
            ["no mount `nope`", "mount(..)"],
        ),
        (
            "below a mount",
            Vault::new(&url).mount("secret/gaara").token(root),
            ErrorKind::Config,
            ["below `secret`", "mount(\"secret\")"],
        ),
        (
            "another engine",
            Vault::new(&url).mount("cubbyhole").token(root),
            ErrorKind::Config,
            ["`cubbyhole` is not a key-value one", "`kv`"],
        ),
        (
            "no namespace",
            Vault::new(&url).namespace("nope").token(root),
            ErrorKind::Config,
            ["no namespace `nope`", "namespace list"],
        ),
        ("no TLS", Vault::new(https).token(root), ErrorKind::Unavailable, ["TLS", "`http://`"]),
        (
            "nothing there",
            Vault::new("http://127.0.0.1:1").token(root),
            ErrorKind::Unavailable,
            ["127.0.0.1:1", "refused"],
        ),
        ("no URL", Vault::new("vault:8200").token(root), ErrorKind::Config, ["URL", "https://"]),
    ] {
        let debug = format!("{vault:?}");
        assert!(!debug.contains("hunter2") && !debug.contains("root"), "{what}: {debug}");
        is(&named(vault, "gaara/prod/database").await.expect_err(what), kind, &words);
    }
    server.seal().await;
    let sealed = Vault::new(&url).token(root);
    let error = prefix(sealed.clone()).await.unwrap_err();
    is(&error, ErrorKind::Unavailable, &["Vault is sealed", "operator unseal"]);
    server.unseal().await;
    assert_eq!(prefix(sealed).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_namespace_has_secrets_and_tokens_of_its_own() {
    let server = seeded().await;
    server.must("POST", "sys/namespaces/team1", json!({})).await;
    let mount = json!({ "type": "kv", "options": { "version": "2" } });
    let (status, _) = server.call_in("team1", "POST", "sys/mounts/secret", mount).await;
    assert_eq!(status, 204);
    let data = json!({ "data": { "value": "of the team" } });
    let path = "secret/data/gaara/prod/token";
    assert_eq!(server.call_in("team1", "POST", path, data).await.0, 200);
    let vault = Vault::new(server.url()).namespace("team1").token(server.root_token());
    assert_eq!(prefix(vault.clone()).await.unwrap(), [("token".into(), "1".into())]);
    let error = named(vault, "gaara/prod/database").await.unwrap_err();
    is(&error, ErrorKind::NotFound, &["in the namespace `team1`"]);
}

/// The policy that `iam_policy` writes is enough for a prefix, and for names, in both versions.
#[tokio::test]
async fn the_policy_of_a_manager_is_enough_for_it() {
    let server = seeded().await;
    server.put("gaara/prod", json!({ "at_the_root": "yes" })).await;
    let kv = json!({ "type": "kv", "options": { "version": "1" } });
    server.must("POST", "sys/mounts/kv", kv).await;
    server.must("POST", "kv/gaara/prod/database", json!({ "username": "gaara" })).await;
    server.must("POST", "kv/gaara/prod", json!({ "at_the_root": "yes" })).await;
    for (mount, keys) in [("secret", 3), ("kv", 2)] {
        let policies =
            [SecretsManager::prefix("gaara/prod"), SecretsManager::names(["gaara/prod/database"])]
                .map(|manager| manager.backend(Vault::new(server.url()).mount(mount)).iam_policy());
        let token = async |policy: &str| {
            server.policy("app", policy).await;
            Vault::new(server.url()).mount(mount).token(server.token(&["app"]).await)
        };
        assert_eq!(prefix(token(&policies[0]).await).await.unwrap().len(), keys, "{mount}");
        let vault = token(&policies[1]).await;
        named(vault.clone(), "gaara/prod/database").await.unwrap();
        let error = named(vault, "gaara/prod").await.unwrap_err();
        is(&error, ErrorKind::AccessDenied, &["`read` on"]);
    }
}

/// Version 1 of the engine, and `value` members, through the whole way to settings.
#[tokio::test]
async fn one_struct_reads_both_versions_of_the_engine() {
    #[derive(serde::Deserialize)]
    struct Settings {
        database: Database,
        api: Api,
        workers: u16,
    }
    #[derive(serde::Deserialize)]
    struct Database {
        username: String,
        port: u16,
    }
    #[derive(serde::Deserialize)]
    struct Api {
        clerk: String,
    }
    let server = seeded().await;
    server.put("gaara/prod/workers", json!({ "value": 4 })).await;
    let kv = json!({ "type": "kv", "options": { "version": "1" } });
    server.must("POST", "sys/mounts/kv", kv).await;
    for (path, data) in [
        ("database", json!({ "username": "gaara", "port": "5432" })),
        ("api/clerk", json!({ "value": "hunter2" })),
        ("workers", json!({ "value": "4" })),
    ] {
        server.must("POST", &format!("kv/gaara/prod/{path}"), data).await;
    }
    for mount in ["secret", "kv"] {
        let vault = Vault::new(server.url()).mount(mount).token(server.root_token());
        let manager = SecretsManager::prefix("gaara/prod").backend(vault);
        let settings: Settings = manager.fetch().await.unwrap().extract().unwrap();
        assert_eq!((&*settings.database.username, settings.database.port), ("gaara", 5432));
        assert_eq!((&*settings.api.clerk, settings.workers), ("hunter2", 4));
    }
}

#[tokio::test]
async fn five_hundred_secrets_are_one_snapshot() {
    let server = OpenBao::start();
    for n in 0..500 {
        server.put(&format!("gaara/prod/s{}/t{n}", n % 25), json!({ "value": "text" })).await;
    }
    let vault = Vault::new(server.url()).token(server.root_token());
    assert_eq!(prefix(vault).await.unwrap().len(), 500);
}

/// A service whose Vault is sealed while it runs serves what it has, and what is new afterwards.
#[tokio::test]
async fn a_live_outlives_a_seal() {
    use secrets_provider::Live;
    #[derive(serde::Deserialize)]
    struct Settings {
        api: Api,
    }
    #[derive(serde::Deserialize)]
    struct Api {
        clerk: String,
    }
    let server = seeded().await;
    let vault = Vault::new(server.url()).token(server.root_token());
    let manager = SecretsManager::prefix("gaara/prod").backend(vault);
    let settings: Live<Settings> = manager.live().await.unwrap();
    server.seal().await;
    let error = settings.refresh().await.unwrap_err();
    is(&error, ErrorKind::Unavailable, &["Vault is sealed"]);
    assert_eq!(settings.load().api.clerk, "hunter2");
    server.unseal().await;
    server.put("gaara/prod/api/clerk", json!({ "value": "new" })).await;
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().api.clerk, "new");
    settings.shutdown().await;
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_authoritys_file() {
    let server = OpenBao::start_tls();
    let vault = || Vault::new(server.url()).token(server.root_token());
    let error = named(vault(), "gaara/prod/database").await.unwrap_err();
    is(&error, ErrorKind::Unavailable, &["certificate is not trusted", "VAULT_CACERT"]);
    let error = named(vault().ca_cert(server.ca_cert()), "gaara/prod/database").await.unwrap_err();
    is(&error, ErrorKind::NotFound, &["nothing at `secret/data/gaara/prod/database`"]);
    let plain = server.url().replace("https:", "http:");
    let error = named(Vault::new(plain).token("root"), "gaara/prod/database").await.unwrap_err();
    is(&error, ErrorKind::Config, &["speaks HTTPS", "`https://`"]);
    let error = named(vault().ca_cert("/nowhere.pem"), "gaara/prod/database").await.unwrap_err();
    is(&error, ErrorKind::Config, &["`/nowhere.pem`", "ca_cert"]);
}
