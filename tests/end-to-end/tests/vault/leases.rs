//! A lease of database credentials in one of several sources: each source has its own time, and no
//! refresh of another one reads a credential, because each read makes a user.

use std::collections::BTreeSet;
use std::time::Duration;

use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Backend as _, Layers, Live, SecretsManager, Vault};
use serde::Deserialize;

use crate::rig::{NAME, Rig, credentials, role, until};

/// How often the source in AWS refreshes.
const INTERVAL: Duration = Duration::from_millis(50);

/// The interval of the source in Vault, which does not come in this test.
const LONG: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize)]
struct Settings {
    level: u64,
    database: Login,
}

#[derive(Deserialize)]
struct Login {
    username: String,
    host: String,
}

struct Service {
    fake: FakeSecretsManager,
    vault: Vault,
    live: Live<Settings>,
}

impl Service {
    /// AWS, and over it Vault, with a role that is limited by [`Rig::role`].
    async fn start(rig: &Rig) -> Self {
        let fake = FakeSecretsManager::new();
        fake.put("shared/prod/level", "0");
        let (leased, vault) = rig.manager(&role().grace(Duration::ZERO)).await;
        let shared = SecretsManager::prefix("shared/prod").client(fake.client());
        let sources = shared.refresh_every(INTERVAL).and(leased.refresh_every(LONG));
        let live = Live::builder(sources).layers(|secrets| Layers::new().secrets(secrets));
        Self { live: live.start().await.unwrap(), fake, vault }
    }

    /// Rotates the secret in AWS so often, and waits for each.
    async fn rotate(&self, times: u64) {
        let first = self.live.load().level + 1;
        for level in first..first + times {
            self.fake.put("shared/prod/level", level.to_string());
            until("the rotation", async || self.live.load().level == level).await;
        }
    }

    fn calls(&self, operation: &str) -> u64 {
        self.vault.calls().get(operation).copied().unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshes_of_another_source_never_read_a_lease_again() {
    let rig = Rig::start().await;
    rig.role("readonly", 3600, 7200).await;
    let service = Service::start(&rig).await;
    let Service { live, vault, .. } = &service;
    let (user, reads) = (live.load().database.username.clone(), service.calls("VaultRead"));
    service.rotate(20).await;
    assert_eq!((credentials(vault), service.calls("VaultRead")), (1, reads));
    // A refresh of everything reads Vault's other secrets, and the lease stays.
    live.refresh().await.unwrap();
    assert!(service.calls("VaultRead") > reads);
    assert_eq!((credentials(vault), rig.users().await), (1, BTreeSet::from([user.clone()])));
    let settings = live.load();
    assert_eq!(settings.database.username, user);
    assert!(settings.database.host.starts_with('/'), "the folder of PostgreSQL's socket");
    drop(settings);

    live.shutdown().await;
    assert_eq!(rig.users().await, BTreeSet::new());
    assert_eq!(rig.leases("readonly").await, 0);
}

/// A lease of two seconds, which can be renewed up to six.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_and_read_again_at_its_own_time() {
    let rig = Rig::start().await;
    rig.role("readonly", 2, 6).await;
    let service = Service::start(&rig).await;
    let Service { live, vault, .. } = &service;
    let first = live.load().database.username.clone();
    let mut rotations = 0;
    while service.calls("VaultRenewLease") == 0 {
        service.rotate(1).await;
        rotations += 1;
    }
    assert_eq!(live.load().database.username, first, "a renewal changes no user");
    while live.load().database.username == first {
        service.rotate(1).await;
        rotations += 1;
    }
    assert!(rotations >= 10, "{rotations} refreshes of the other source in one life of a lease");
    assert_eq!(credentials(vault), 2, "one for each life");
    let users = rig.users().await;
    assert!(users.contains(&live.load().database.username), "the user in use is there");
    let name = NAME.to_owned();
    assert!(live.status().secrets().iter().any(|secret| {
        secret.name() == name && secret.expires_at().is_some() && secret.error().is_none()
    }));

    live.shutdown().await;
    assert_eq!(rig.users().await, BTreeSet::new());
}
