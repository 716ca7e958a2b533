//! The builder: every setter drops the connection that its clones share, and the words of an error
//! are those of the store.
//!
//! A setter that is added needs a line here, or its change would reach a client that was made
//! before it.

use futures_util::stream;

use super::*;
use crate::backend::store::Store;
use crate::backend::{BoxFuture, BoxStream, Memory, Outcome};
use crate::error::ErrorKind;

/// A store that makes a new backend for each connection.
#[derive(Debug)]
struct NewEachTime;

impl Store for NewEachTime {
    fn connect(&self, _: Options) -> Result<Arc<dyn Backend>, Error> {
        Ok(Arc::new(Memory::new()))
    }

    #[cfg(feature = "figment")]
    fn name(&self) -> &str {
        "new each time"
    }

    fn kind(&self) -> &str {
        "new each time"
    }
}

/// A changed clone must not use the connections of the old description, nor share its warnings.
#[tokio::test]
async fn every_setter_drops_what_clones_share() {
    type Setter = fn(SecretsManager) -> SecretsManager;
    let setters: &[(&str, Setter)] = &[
        #[cfg(feature = "aws")]
        ("aws_config", |manager| manager.aws_config(&aws_types::SdkConfig::builder().build())),
        ("backend", |manager| manager.backend(Memory::new())),
        ("batch", |manager| manager.batch(false)),
        #[cfg(feature = "aws")]
        ("client", |manager| {
            let version = aws_sdk_secretsmanager::config::BehaviorVersion::v2026_01_12();
            let config = aws_types::SdkConfig::builder().behavior_version(version).build();
            manager.client(aws_sdk_secretsmanager::Client::new(&config))
        }),
        ("fallback_to_env", SecretsManager::fallback_to_env),
        ("one_line_start", |manager| manager.one_line_start(true)),
        ("only", |manager| manager.only(["a"])),
        ("optional", |manager| manager.optional(["a"])),
        #[cfg(feature = "figment")]
        ("profile", |manager| manager.profile("prod")),
        ("refresh_every", |manager| manager.refresh_every(Duration::from_secs(1))),
        ("rename", |manager| manager.rename("a", "b")),
        ("rotation_windows", |manager| manager.rotation_windows(true)),
        ("source_name", |manager| manager.source_name("a")),
        // What it is set to is no label, so that this store can be used.
        ("stage", |manager| manager.stage("AWSCURRENT")),
        ("timeout", |manager| manager.timeout(Duration::from_secs(1))),
        ("with_previous", |manager| manager.with_previous(["a"])),
    ];
    let manager = SecretsManager::prefix("app").change(|what| what.store = Arc::new(NewEachTime));
    let backend = |manager: &SecretsManager| manager.0.backend().expect("a backend");
    let (first, again) = (backend(&manager), backend(&manager.clone()));
    assert!(Arc::ptr_eq(&first, &again), "clones share their connection");
    assert!(Arc::ptr_eq(manager.warn_once(), manager.clone().warn_once()));
    for (name, setter) in setters {
        let changed = setter(manager.clone());
        assert!(!Arc::ptr_eq(&first, &backend(&changed)), "{name}: connection");
        let is_shared = Arc::ptr_eq(manager.warn_once(), changed.warn_once());
        assert!(!is_shared, "{name}: warnings");
    }
}

/// A store with words of its own. It has no secrets, and never answers.
#[derive(Debug)]
struct Vault;

impl Backend for Vault {
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn fetch<'a>(&'a self, _: &'a [String]) -> BoxStream<'a, Outcome> {
        Box::pin(stream::pending())
    }

    fn store_name(&self) -> &str {
        "a vault"
    }

    fn timeout_hint(&self) -> &str {
        "unseal the vault"
    }

    fn nothing_listed_hint(&self) -> &str {
        "check the vault's mount"
    }
}

#[tokio::test(start_paused = true)]
async fn another_store_speaks_for_itself() {
    struct Case {
        manager: SecretsManager,
        kind: ErrorKind,
        hint: &'static str,
    }
    for Case { manager, kind, hint } in [
        Case {
            manager: SecretsManager::names(["a"]),
            kind: ErrorKind::Unavailable,
            hint: "unseal the vault; `.timeout(..)` sets the limit",
        },
        Case {
            manager: SecretsManager::prefix("a"),
            kind: ErrorKind::NotFound,
            hint: "check the vault's mount",
        },
    ] {
        let manager = manager.backend(Vault);
        let error = manager.fetch().await.expect_err("no secret");
        assert_eq!((error.kind(), error.hint()), (kind, Some(hint)));
        #[cfg(feature = "figment")]
        assert_eq!(figment::Provider::metadata(&manager).name, "a vault");
    }
}
