//! The functions of the guides' own clients (`get_secret` with a default and with a forced refresh,
//! `get_secret_value`, `clear_cache`, `get_cache_stats`) by [`Lookup`], on the guides' secrets and
//! under their policies.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrets_provider::{ErrorKind, Key, Lookup, SecretsManager};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::store::Store;

use super::{gaara, muejam, pazpaz};

/// `get_secret(name)`.
async fn get(secrets: &Lookup, name: &str) -> String {
    secrets.get(name).await.unwrap()
}

/// `get_cache_stats()`, without the counts that the guides do not have.
fn cache_stats(secrets: &Lookup) -> Value {
    let stats = json!(secrets.stats());
    json!({
        "cached_secrets": stats["cached"], "secrets": stats["secrets"], "cache_ttl": stats["ttl"],
    })
}

#[tokio::test(start_paused = true)]
async fn gaara_looks_up_what_its_usage_guide_does() {
    let by_console = |value: &str| json!({"value": value}).to_string();
    for stored in [str::to_owned, by_console] {
        let store = Store::in_process().await;
        gaara::fill(&store, "production", stored).await;
        let manager = store.of(SecretsManager::prefix("gaara-store/production"));
        let secrets = manager.lookup();
        let url = "postgresql://user:pass@host:5432/gaara_store";
        assert_eq!(get(&secrets, "database-url").await, url);
        // get_secret('smtp-password', default='')
        let default = secrets.get::<String>("smtp-password").optional().await.unwrap();
        assert_eq!(default.unwrap_or_default(), "");
        // except SecretNotFoundError, except SecretsManagerError
        let error = secrets.get::<String>("api-key").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        store.fail();
        let error = secrets.get::<String>("jwt-secret").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        store.mend();

        // get_secret('jwt-secret', force_refresh=True)
        let before = get(&secrets, "jwt-secret").await;
        store.put("gaara-store/production/jwt-secret", stored("rotated")).await;
        assert_eq!(get(&secrets, "jwt-secret").await, before, "it is cached");
        let forced: String = secrets.get("jwt-secret").refresh().await.unwrap();
        assert_eq!((&*forced, &*get(&secrets, "jwt-secret").await), ("rotated", "rotated"));

        get(&secrets, "secret-key").await;
        let expected = json!({
            "cached_secrets": 3, "secrets": ["database-url", "jwt-secret", "secret-key"],
            "cache_ttl": 300.0,
        });
        assert_eq!(cache_stats(&secrets), expected);
        store.reset_calls();
        // clear_cache('database-url')
        secrets.forget("database-url");
        assert_eq!(cache_stats(&secrets)["secrets"], json!(["jwt-secret", "secret-key"]));
        get(&secrets, "database-url").await;
        get(&secrets, "jwt-secret").await;
        assert_eq!(store.calls(), 1);
        // clear_cache()
        secrets.clear();
        assert_eq!(cache_stats(&secrets)["cached_secrets"], 0);
        get(&secrets, "database-url").await;
        assert_eq!((store.calls(), store.denied()), (2, 0));

        // CACHE_TTL is over.
        store.advance(Duration::from_secs(301)).await;
        get(&secrets, "database-url").await;
        assert_eq!(store.calls(), 3);
    }
}

/// The adapter of the older design: `get_secret` of a whole secret, `get_secret_value` with a key.
#[tokio::test(start_paused = true)]
async fn gaara_looks_up_what_its_design_does() {
    let store = Store::in_process().await;
    gaara::fill_by_the_design(&store).await;
    let secrets = store.of(SecretsManager::prefix("gaara/prod")).lookup();
    #[derive(Deserialize)]
    struct Database {
        url: String,
    }
    let database: Database = secrets.get("database").await.unwrap();
    let url: String = secrets.get("database").key("url").await.unwrap();
    assert_eq!((&*database.url, &*url), ("postgresql://...", "postgresql://..."));
    assert_eq!(get(&secrets, "jwt-secret").await, "jwt");
    // secret.get(key, '')
    let missing = secrets.get::<String>("database").key("missing").optional().await.unwrap();
    assert_eq!(missing.unwrap_or_default(), "");
    assert_eq!((store.calls(), store.denied()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn muejam_looks_up_its_categories() {
    let store = Store::in_process().await;
    muejam::fill(&store).await;
    let manager = store.of(SecretsManager::prefix("production"));
    let secrets = manager.lookup();
    let primary = |key| secrets.get::<String>("database/primary").key(key);
    assert_eq!(primary("username").await.unwrap(), "muejam_user");
    assert_eq!(primary("password").await.unwrap(), "your-secure-password");
    let port: u16 = secrets.get("database/primary").key("port").await.unwrap();
    assert_eq!(port, 5432);
    let resend = || secrets.get::<String>("api-keys/resend").key("api_key");
    assert_eq!(resend().await.unwrap(), "re_xxxxxxxxxxxxx");
    let expected = json!({
        "cached_secrets": 2, "secrets": ["api-keys/resend", "database/primary"], "cache_ttl": 300.0,
    });
    assert_eq!(cache_stats(&secrets), expected);
    assert_eq!((store.calls(), store.denied()), (2, 0));

    // Its rotation of an API key, by hand.
    let rotated = json!({"api_key": "re_rotated", "rotated_at": "2024-04-01T00:00:00Z"});
    store.put("production/api-keys/resend", rotated.to_string()).await;
    assert_eq!(resend().await.unwrap(), "re_xxxxxxxxxxxxx");
    assert_eq!(resend().refresh().await.unwrap(), "re_rotated");

    // The policy has two categories: an unauthorized access is one denied call in five seconds.
    store.put("production/payments/stripe", "sk").await;
    for _ in 0..10 {
        let denied = secrets.get::<String>("payments/stripe").await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::AccessDenied);
        assert!(denied.hint().is_some_and(|hint| hint.contains(Store::READ_PERMISSION)));
    }
    assert_eq!(store.denied(), 1);
    assert_eq!(secrets.get::<String>("payments/stripe").optional().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn pazpaz_looks_up_its_key_and_falls_back_to_the_variable() {
    let store = Store::in_process().await;
    pazpaz::fill(&store, pazpaz::NAME, pazpaz::OF_AWS).await;
    let manager = store.of(SecretsManager::names([pazpaz::NAME])).fallback_to_env();
    let lookup = || {
        let variable = [("ENCRYPTION_MASTER_KEY", pazpaz::MASTER)];
        let lookup = manager.lookup().environment_from(variable);
        lookup.variable("ENCRYPTION_MASTER_KEY", pazpaz::NAME)
    };
    let key = async |secrets: &Lookup| {
        let key: Key<32> = secrets.get(pazpaz::NAME).await.unwrap();
        STANDARD.encode(key.as_ref())
    };
    let (of_aws, master) = (pazpaz::OF_AWS, pazpaz::MASTER);
    let secrets = lookup();
    assert!(key(&secrets).await == of_aws);
    assert_eq!(store.denied(), 0);
    assert_eq!(cache_stats(&secrets)["secrets"], json!([pazpaz::NAME]));

    // AWS is unavailable: what was read stays, and a program that starts now has the variable.
    store.drop_connections();
    store.advance(Duration::from_secs(301)).await;
    assert!(key(&secrets).await == of_aws);
    let started = lookup();
    assert!(key(&started).await == master);
    store.mend();
    store.advance(Duration::from_secs(6)).await;
    assert!(key(&started).await == of_aws);
}
