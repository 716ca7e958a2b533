//! The rules of leases, on the paused clock, against a fake at the wire.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::fake::{FakeVault, Fault};
use super::{DatabaseRole, Vault};
use crate::backend::Backend as _;
use crate::{Live, Lookup, Rejected, SecretState, SecretsManager};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct Settings {
    database: Login,
}

#[derive(Debug, Deserialize)]
struct Login {
    username: String,
    #[allow(dead_code, reason = "it is read from the secret")]
    password: String,
}

fn vault(server: &FakeVault, role: impl Into<DatabaseRole>) -> Vault {
    Vault::new(server.url()).token("given").database(role.into().named("app/database"))
}

fn manager(vault: &Vault) -> SecretsManager {
    SecretsManager::prefix("app").only(["database"]).backend(vault.clone())
}

async fn live(server: &FakeVault) -> Live<Settings> {
    live_of(&vault(server, "creds/app")).await
}

async fn live_of(vault: &Vault) -> Live<Settings> {
    let builder = Live::builder(manager(vault));
    builder.layers(|secrets| crate::Layers::new().secrets(secrets)).start().await.expect("settings")
}

fn user(settings: &Live<Settings>) -> String {
    settings.load().database.username.clone()
}

/// Serves for so many seconds, and returns during how many of them the user could not log in.
async fn serve(server: &FakeVault, settings: &Live<Settings>, seconds: u32) -> u32 {
    let mut refused = 0;
    for _ in 0..seconds {
        sleep(SECOND).await;
        refused += u32::from(!server.accepts(&user(settings)));
    }
    refused
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn within(gaps: &[f64], from: f64, to: f64) {
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| (from..=to).contains(gap)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_at_two_thirds_and_replaced_before_its_maximal_life_ends() {
    let server = FakeVault::start(60, 300);
    let settings = live(&server).await;
    assert_eq!(serve(&server, &settings, 6000).await, 0);
    // From two thirds of the maximal life on, and before less than a part of a term is left.
    within(&gaps(&server.times("creds")), 180.0, 300.0 - 15.0);
    let renewals = server.times("renew");
    within(&gaps(&renewals), 1.0, 2.0 * 44.0 + 1.0);
    assert!(renewals.len() > 100, "{}", renewals.len());
    // Each replaced one was revoked after its grace, or had ended.
    assert!(server.users() <= 2);
    let version = settings.status().secrets()[0].version_id().to_owned();
    assert!(!version.contains("creds"), "a lease's id is not shown: {version}");
    assert!(settings.status().secrets()[0].expires_at().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lease_with_one_life_is_replaced_at_two_thirds_of_it() {
    for renewable in [true, false] {
        let server = FakeVault::start(60, 60);
        server.state().renewable = renewable;
        let settings = live(&server).await;
        assert_eq!(serve(&server, &settings, 1200).await, 0);
        within(&gaps(&server.times("creds")), 36.0, 45.0);
        assert_eq!(server.times("renew").is_empty(), !renewable);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_only_looks_makes_a_user() {
    let server = FakeVault::start(3600, 7200);
    let vault = vault(&server, "creds/app");
    let settings = live_of(&vault).await;
    let lookup = manager(&vault).lookup();
    for _ in 0..50 {
        settings.refresh().await.expect("a refresh");
        settings.refresh_hinted(hint()).await.expect("a hint");
        drop(settings.explain());
        manager(&vault).fetch().await.expect("a fetch");
        lookup.get::<String>("database").key("username").refresh().await.expect("a lookup");
        live_of(&vault).await.shutdown().await;
    }
    assert_eq!(server.state().made, 1);
    assert_eq!(settings.status().generation(), 1);
    assert!(server.times("revoke").is_empty(), "others still use it");
}

fn hint() -> crate::engine::hints::Hint {
    crate::engine::hints::Hint {
        secret: "app/database".to_owned(),
        version: None,
        changed_at: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_replaced_at_once_and_then_less_and_less_often() {
    let server = FakeVault::start(3600, 36_000);
    let settings = live(&server).await;
    let begun = Instant::now();
    let seen = settings.current();
    assert!(settings.refresh_past(&seen).await.is_ok());
    assert_eq!((server.state().made, begun.elapsed().as_secs()), (2, 0));
    // Something else is refused, such as an API key, or the database has no room.
    for _ in 0..600 {
        let seen = settings.current();
        let _ = settings.refresh_past(&seen).await;
        sleep(SECOND).await;
    }
    let made = server.state().made;
    assert!(begun.elapsed() > 600 * SECOND && made <= 12, "{made} users");

    // A path that has nothing to do with it.
    sleep(7200 * SECOND).await;
    let made = server.state().made;
    let other = settings.derive("other", |_| async { Ok::<_, Rejected>(()) }).await.expect("built");
    assert!(other.refresh_past(&other.current()).await.is_err());
    assert_eq!(server.state().made, made);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_lease_is_replaced_when_its_renewal_says_so() {
    let server = FakeVault::start(60, 300);
    let settings = live(&server).await;
    sleep(10 * SECOND).await;
    server.state().leases.clear();
    assert!(serve(&server, &settings, 100).await < 40);
    assert_eq!(server.state().made, 2);
    assert!(server.accepts(&user(&settings)));
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_vault_costs_no_credential_that_lasts() {
    for (fault, from, lasts, made) in [
        (Fault::Sealed, 30, 18, 1),
        (Fault::RenewalsLost, 30, 18, 1),
        // It is not known that it lasts.
        (Fault::RenewalsLost, 30, 40, 2),
        (Fault::RevocationsHang, 0, 100, 1),
        (Fault::CredentialsLost, 0, 100, 1),
    ] {
        let server = FakeVault::start(60, 3600);
        let settings = live(&server).await;
        sleep(from * SECOND).await;
        server.state().fault = fault;
        assert_eq!(serve(&server, &settings, lasts).await, 0, "{fault:?}");
        server.state().fault = Fault::None;
        assert_eq!(serve(&server, &settings, 300).await, 0, "{fault:?}");
        assert_eq!(server.state().made, made, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_good_one_stays_while_vault_is_sealed_for_longer_than_the_lease() {
    let server = FakeVault::start(60, 300);
    let settings = live(&server).await;
    let first = user(&settings);
    server.state().fault = Fault::Sealed;
    serve(&server, &settings, 600).await;
    assert_eq!((user(&settings), server.state().made), (first, 1));
    let status = settings.status();
    assert_eq!(status.secrets()[0].state(), SecretState::LastGood);
    assert!(status.last_error().is_some_and(|error| error.message().contains("sealed")));
    // About one call in half a minute, whatever it was for.
    let calls = server.state().calls.len();
    assert!(calls < 60, "{calls} calls");

    server.state().fault = Fault::None;
    sleep(61 * SECOND).await;
    assert_eq!(server.state().made, 2);
    assert!(server.accepts(&user(&settings)));
    assert_eq!(settings.status().secrets()[0].state(), SecretState::Current);
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_make_few_users() {
    let server = FakeVault::start(60, 60);
    let settings = live(&server).await;
    server.state().fault = Fault::CredentialsLost;
    serve(&server, &settings, 600).await;
    let made = server.state().made;
    assert!((5..=25).contains(&made), "{made} users");
    server.state().fault = Fault::None;
    // A rest of a minute at most, and as much until the next try.
    sleep(121 * SECOND).await;
    assert!(server.accepts(&user(&settings)));
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_renew_leases_are_replaced_earlier() {
    let server = FakeVault::start(60, 3600);
    server.state().fault = Fault::RenewalsDenied;
    let settings = live(&server).await;
    assert_eq!(serve(&server, &settings, 600).await, 0);
    within(&gaps(&server.times("creds")), 36.0, 45.0);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_revokes_within_five_seconds_and_not_what_others_use() {
    let server = FakeVault::start(60, 300);
    let vault = vault(&server, "creds/app");
    let (first, second) = (live_of(&vault).await, live_of(&vault).await);
    first.shutdown().await;
    assert_eq!(server.users(), 1);
    second.shutdown().await;
    assert_eq!((server.users(), server.times("revoke").len()), (0, 1));

    let third = live_of(&vault).await;
    server.state().fault = Fault::RevocationsHang;
    let begun = Instant::now();
    third.shutdown().await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    // What was given up is not kept alive.
    server.state().fault = Fault::None;
    sleep(300 * SECOND).await;
    assert_eq!(server.users(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_credential_is_kept_for_its_grace_and_until_what_was_built_from_it_is_rebuilt() {
    let server = FakeVault::start(600, 600);
    let vault = vault(&server, DatabaseRole::new("creds/app").grace(20 * SECOND));
    let settings = live_of(&vault).await;
    let fails = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let failing = fails.clone();
    let pool = settings.derive("database", move |settings: Arc<Settings>| {
        let fails = failing.load(std::sync::atomic::Ordering::Relaxed);
        async move {
            if fails {
                return Err(Rejected::new("the database is full"));
            }
            Ok(settings.database.username.clone())
        }
    });
    let pool = pool.await.expect("a pool");

    assert!(settings.refresh_past(&settings.current()).await.is_ok());
    sleep(15 * SECOND).await;
    assert!(server.accepts("user-1"), "its grace is not over");
    sleep(10 * SECOND).await;
    assert!(!server.accepts("user-1") && server.accepts("user-2"));
    assert_eq!(**pool.load(), *"user-2");

    fails.store(true, std::sync::atomic::Ordering::Relaxed);
    sleep(120 * SECOND).await;
    assert!(settings.refresh_past(&settings.current()).await.is_ok());
    sleep(120 * SECOND).await;
    assert_eq!((user(&settings), (**pool.load()).to_owned()), ("user-3".into(), "user-2".into()));
    assert!(server.accepts("user-2"), "the pool still uses it");
    fails.store(false, std::sync::atomic::Ordering::Relaxed);
    let _ = pool.refresh().await;
    sleep(25 * SECOND).await;
    assert!(!server.accepts("user-2") && server.accepts(&pool.load()));
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_refused_cost_no_further_user_and_keep_the_one_in_use() {
    let server = FakeVault::start(60, 600);
    let builder = Live::builder(manager(&vault(&server, "creds/app")));
    let settings: Live<Settings> = builder
        .layers(|secrets| crate::Layers::new().secrets(secrets))
        .validate(|settings: &Settings| match &*settings.database.username {
            "user-1" => Ok(()),
            _ => Err(Rejected::new("not that one")),
        })
        .start()
        .await
        .expect("settings");
    assert!(settings.refresh_past(&settings.current()).await.is_err());
    assert_eq!(serve(&server, &settings, 400).await, 0);
    assert_eq!(server.state().made, 2);
}

#[tokio::test(start_paused = true)]
async fn leases_are_replaced_before_the_token_that_they_hang_on_ends() {
    let server = FakeVault::start(3600, 36_000);
    server.state().token_life = 90 * SECOND;
    let vault = Vault::new(server.url()).app_role("role", "secret");
    let vault = vault.database(DatabaseRole::new("creds/app").named("app/database"));
    let settings = live_of(&vault).await;
    assert_eq!(serve(&server, &settings, 900).await, 0);
    within(&gaps(&server.times("login")), 54.0, 67.0);
    within(&gaps(&server.times("creds")), 40.0, 80.0);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_serves_no_credential_that_has_ended() {
    let server = FakeVault::start(60, 60);
    let lookup: Lookup = manager(&vault(&server, "creds/app")).lookup().ttl(3600 * SECOND);
    for _ in 0..300 {
        let user: String = lookup.get("database").key("username").await.expect("a user");
        assert!(server.accepts(&user));
        sleep(SECOND).await;
    }
    let made = server.state().made;
    assert!((7..=9).contains(&made), "{made} users");
}

#[tokio::test(start_paused = true)]
async fn a_static_role_is_read_right_after_its_rotations() {
    let server = FakeVault::start(60, 60);
    server.state().period = 40 * SECOND;
    let vault = vault(&server, "static-creds/app");
    let settings = live_of(&vault).await;
    let begun = Instant::now();
    for rotation in 1..10 {
        let at = begun + rotation * 40 * SECOND;
        sleep_until(at - SECOND / 2).await;
        let version = settings.status().secrets()[0].version_id().to_owned();
        assert_eq!(version, format!("rotated-{}", (rotation - 1) * 40));
        sleep_until(at + 2 * SECOND).await;
        let version = settings.status().secrets()[0].version_id().to_owned();
        assert_eq!(version, format!("rotated-{}", rotation * 40));
    }
    assert!(vault.calls()["VaultCredentials"] <= 25, "{:?}", vault.calls());
    settings.shutdown().await;
    assert!(server.times("revoke").is_empty());
}

#[tokio::test(start_paused = true)]
async fn debug_and_status_show_neither_credential_nor_lease() {
    let server = FakeVault::start(60, 60);
    let vault = vault(&server, "creds/app");
    let settings = live_of(&vault).await;
    let status = serde_json::to_string(&settings.status()).expect("JSON");
    let fetched = manager(&vault).fetch().await.expect("a fetch");
    let shown = format!("{vault:?} {settings:?} {:?} {fetched:?} {status}", settings.status());
    assert!(shown.contains("creds/app") && status.contains("expires_at"), "{shown}");
    for secret in ["hunter2", "user-1", "creds/app/1", "given"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}
