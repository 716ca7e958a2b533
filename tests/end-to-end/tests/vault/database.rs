//! Database credentials on real servers: OpenBao's database engine makes users of a private
//! PostgreSQL, and pools follow their leases under load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use examples::postgres::{Settings, connect, log_in, retry};
use rotation_rig::{Answer, Client, Load, Tally};
use secrets_provider::{
    Backend as _, DatabaseRole, ErrorKind, Live, Lookup, Retry, SecretsManager, Trigger, Vault,
};
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::rig::{NAME, Rig, credentials, role, until};

async fn settings(manager: SecretsManager) -> Live<Settings> {
    Live::builder(manager)
        .probe(log_in)
        .refresh_past_budget(8, Duration::from_secs(30))
        .start()
        .await
        .unwrap()
}

fn answer(user: Result<String, sqlx::Error>) -> Result<Answer, String> {
    match user {
        Ok(text) => Ok(Answer { text, attempts: 1 }),
        Err(sqlx::Error::Database(error)) => {
            Err(format!("{} {}", error.code().unwrap_or_default(), error.message()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Requests, and those that failed.
fn figures(tally: &Tally) -> String {
    let failed: u64 = tally.failures.values().sum();
    format!("{} requests, {failed} failed", tally.requests())
}

/// What to do about an error. A session may outlive its user for a moment: then it says so
/// (`invalid role OID`).
fn judge(error: &sqlx::Error) -> Retry {
    match error {
        sqlx::Error::Database(error) if error.code().as_deref() == Some("42704") => Retry::Fresh,
        error => retry(error),
    }
}

const WHO: &str = "SELECT current_user::text";

/// A request over the pool, which may run twice.
struct Pooled(Live<PgPool>);

impl Client for Pooled {
    async fn ask(&mut self) -> Result<Answer, String> {
        let ask =
            |pool: Arc<PgPool>| async move { sqlx::query_scalar(WHO).fetch_one(&*pool).await };
        answer(self.0.with_fresh(ask, judge).await)
    }
}

/// A request that logs in by itself.
struct LoggingIn(Live<Settings>);

impl Client for LoggingIn {
    async fn ask(&mut self) -> Result<Answer, String> {
        let ask = |settings: Arc<Settings>| async move {
            let mut connection = settings.database.login().connect().await?;
            let user = sqlx::query_scalar(WHO).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(user)
        };
        answer(self.0.with_fresh(ask, judge).await)
    }
}

/// Ten replicas, each with pools that follow ten leases of some seconds. No request fails, and in
/// the end there are only the users of live leases, then none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_through_a_hundred_leases_and_no_user_is_left() {
    const REPLICAS: usize = 10;
    const LEASES: u64 = 100;
    let rig = Rig::start().await;
    rig.role("readonly", 4, 6).await;
    let role = role().grace(Duration::from_secs(1));
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        let (manager, vault) = rig.manager(&role).await;
        let settings = settings(manager).await;
        let pool = settings.derive("database", connect).await.unwrap();
        replicas.push((settings, pool, vault));
    }
    let load = Load::start(replicas.iter().map(|(_, pool, _)| Pooled(pool.clone())));
    let read = || replicas.iter().map(|(_, _, vault)| credentials(vault)).sum::<u64>();
    until("a hundred leases", async || read() >= LEASES).await;
    load.round().await;
    let tally = load.finish().await;
    let read = read();
    show(&format!("{read} leases of {REPLICAS} replicas: {}", figures(&tally)));
    assert!(tally.failures.is_empty(), "{tally}");
    assert!(tally.answers.len() >= 90, "{} users answered", tally.answers.len());

    // Each replica has one lease, and perhaps the one before for its grace.
    let (users, leases) = (rig.users().await.len(), rig.leases("readonly").await);
    assert!((REPLICAS..=2 * REPLICAS + 2).contains(&users), "{users} users, {leases} leases");
    for (settings, _, _) in &replicas {
        let status = settings.status();
        let secret = status.secrets().iter().find(|secret| secret.name() == NAME).unwrap();
        assert!(secret.expires_at().is_some() && secret.error().is_none(), "{secret:?}");
        settings.shutdown().await;
    }
    assert_eq!(rig.users().await, BTreeSet::new());
    assert_eq!(rig.leases("readonly").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_again_and_again_makes_no_second_user() {
    let rig = Rig::start().await;
    rig.role("readonly", 3600, 7200).await;
    let (manager, vault) = rig.manager(&role()).await;
    manager.fetch().await.unwrap();
    let hints = futures_util::stream::iter((0..5).map(|_| Trigger::secret(NAME)));
    let live: Live<Settings> =
        Live::builder(manager.clone()).refresh_on(hints).start().await.unwrap();
    let lookup: Lookup = manager.lookup();
    for _ in 0..10 {
        live.refresh().await.unwrap();
        drop(live.explain());
        lookup.get::<String>("database").key("username").refresh().await.unwrap();
        let other: Live<Settings> = manager.clone().live().await.unwrap();
        other.shutdown().await;
    }
    assert_eq!((credentials(&vault), rig.users().await.len()), (1, 1));

    // Refused credentials are replaced once, however many ask and however often.
    let seen = live.current();
    let asked = futures_util::future::join_all((0..20).map(|_| live.refresh_past(&seen))).await;
    assert!(asked.iter().all(Result::is_ok));
    let newer = live.current();
    assert!(live.refresh_past(&seen).await.is_ok_and(|now| Arc::ptr_eq(&now, &newer)));
    assert_eq!((credentials(&vault), rig.users().await.len()), (2, 2));
    live.shutdown().await;
    drop(lookup);
    assert_eq!(credentials(&vault), 2);
}

/// An operator revokes every lease while requests run; then Vault is sealed for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_when_leases_are_revoked_or_vault_is_sealed() {
    let rig = Rig::start().await;
    rig.role("readonly", 6, 60).await;
    let (manager, vault) = rig.manager(&role().grace(Duration::ZERO)).await;
    let settings = settings(manager).await;
    let pool = settings.derive("database", connect).await.unwrap();
    let load = Load::start((0..4).map(|_| Pooled(pool.clone())));
    load.round().await;
    for _ in 0..2 {
        let generation = pool.status().generation();
        let path = "sys/leases/revoke-prefix/database/creds/readonly";
        rig.server.must("PUT", path, Value::Null).await;
        until("another pool", async || pool.status().generation() > generation).await;
        load.round().await;
        // The second refusal in a minute is not answered by another user at once: but the renewal
        // finds that the lease is gone.
    }

    rig.server.seal().await;
    load.round().await;
    let renewals = || vault.calls().get("VaultRenewLease").copied().unwrap_or_default();
    let before = renewals();
    until("a renewal that fails", async || renewals() > before + 1).await;
    load.round().await;
    rig.server.unseal().await;
    let before = renewals();
    until("a renewal", async || renewals() > before).await;
    load.round().await;
    let tally = load.finish().await;
    show(&format!("revoked twice, sealed once: {}", figures(&tally)));
    assert!(tally.failures.is_empty(), "{tally}");
    settings.shutdown().await;
    until("no user", async || rig.users().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_role_is_followed_through_its_rotations() {
    const ROTATIONS: u64 = 4;
    let rig = Rig::start().await;
    let mut admin = rig.cluster.admin().connect().await.unwrap();
    admin.execute("CREATE ROLE app LOGIN PASSWORD 'before'").await.unwrap();
    let fixed = json!({ "db_name": "pg", "username": "app", "rotation_period": 5 });
    rig.server.must("POST", "database/static-roles/app", fixed).await;
    let (manager, vault) = rig.manager(&DatabaseRole::new("static-creds/app").named(NAME)).await;
    // The interval is five minutes.
    let settings = settings(manager).await;
    let load = Load::start((0..4).map(|_| LoggingIn(settings.clone())));
    until("rotations", async || settings.status().generation() > ROTATIONS).await;
    load.round().await;
    let tally = load.finish().await;
    let reads = credentials(&vault);
    show(&format!("static role, {ROTATIONS} rotations, {reads} reads: {}", figures(&tally)));
    assert!(tally.failures.is_empty(), "{tally}");
    assert!(reads <= 15 * ROTATIONS, "{reads} reads");
    let status = settings.status();
    let secret = status.secrets().iter().find(|secret| secret.name() == NAME).unwrap();
    assert!(secret.version_id().starts_with("20") && secret.expires_at().is_none(), "{secret:?}");
    settings.shutdown().await;
}

/// The policy of the manager has all that is used. Without a rule of it, the error or the log says
/// which, or more users are made than needed, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_capability_is_named_or_done_without() {
    let rig = Rig::start().await;
    rig.role("readonly", 3, 60).await;
    let role = role().grace(Duration::ZERO);
    let whole = {
        let (manager, _) = rig.manager(&role).await;
        manager.iam_policy()
    };
    for (path, named) in [
        ("database/creds/readonly", Some("denies `read` on `database/creds/readonly`")),
        ("sys/leases/renew", None),
        ("sys/leases/revoke", None),
    ] {
        // The policy `default` permits renewals, so leaving the rule out is not enough.
        let rule = |line: &str| match line.contains(&format!("\"{path}\"")) {
            true => format!("path \"{path}\" {{ capabilities = [\"deny\"] }}"),
            false => line.to_owned(),
        };
        let rules: Vec<String> = whole.lines().map(rule).collect();
        assert_ne!(rules.join("\n"), whole.trim_end(), "{path} is in the policy");
        rig.server.policy("less", &rules.join("\n")).await;
        let token = rig.server.token(&["less"]).await;
        let vault = Vault::new(rig.server.url()).database(role.clone()).token(token);
        let manager = SecretsManager::prefix("gaara/prod").backend(vault.clone());
        let started = manager.live::<Settings>().await;
        let settings = match (started, named) {
            (Err(error), Some(named)) => {
                assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
                assert!(format!("{error:#?}").contains(named), "{error:#?}");
                continue;
            }
            (Ok(settings), None) => settings,
            (started, _) => panic!("without {path}: {:?}", started.err()),
        };
        if path == "sys/leases/renew" {
            until("another credential", async || credentials(&vault) > 1).await;
            until("its generation", async || settings.status().generation() > 1).await;
        }
        settings.shutdown().await;
        // What may not be revoked ends by itself.
        until("no user", async || rig.users().await.is_empty()).await;
    }
}

#[tokio::test]
async fn errors_say_what_is_wrong_in_vaults_words() {
    let rig = Rig::start().await;
    rig.role("readonly", 60, 60).await;
    let broken = json!({
        "db_name": "pg",
        "creation_statements": "CREATE ROLE \"{{name}}\" hunter2",
    });
    rig.server.must("POST", "database/roles/broken", broken).await;
    for (role, kind, problem, hint) in [
        (
            DatabaseRole::new("creds/nope"),
            ErrorKind::NotFound,
            "no role `nope` at `database/roles`",
            "vault list database/roles",
        ),
        (
            DatabaseRole::new("static-creds/nope"),
            ErrorKind::NotFound,
            "no role `nope` at `database/static-roles`",
            "vault list database/static-roles",
        ),
        (
            DatabaseRole::new("creds/readonly").mount("nowhere"),
            ErrorKind::Config,
            "nothing mounted at `nowhere`",
            "vault secrets list",
        ),
        (
            DatabaseRole::new("creds/broken"),
            ErrorKind::Unavailable,
            "could not make credentials in the database",
            "vault read database/roles/broken",
        ),
        (
            DatabaseRole::new("roles/readonly"),
            ErrorKind::Config,
            "no path of credentials",
            "creds/ROLE",
        ),
    ] {
        let vault = Vault::new(rig.server.url()).token(rig.server.root_token());
        let vault = vault.database(role.named("login"));
        let fetched = SecretsManager::names(["login"]).backend(vault).fetch().await;
        let error = fetched.expect_err(problem);
        assert_eq!(error.kind(), kind, "{error}");
        let shown = format!("{error:#?}");
        assert!(
            shown.contains(problem) && error.hint().is_some_and(|it| it.contains(hint)),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    // A role that is named outside the prefix would never be read.
    let vault = Vault::new(rig.server.url()).token(rig.server.root_token());
    let manager = SecretsManager::prefix("gaara/prod").backend(vault.database("creds/readonly"));
    let error = manager.fetch().await.expect_err("a name outside the prefix");
    assert!(error.hint().is_some_and(|hint| hint.contains("gaara/prod/database")), "{error:?}");
}

/// Prints figures, which the test harness would keep to itself.
fn show(figures: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("{figures}\n").as_bytes()).unwrap();
}
