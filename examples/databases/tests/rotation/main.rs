//! Every client of a database, through rotations of its password under load: one user, whose
//! connections are ended and whose password is ahead of the secret for a while, and two users who
//! take turns. No request may fail, and each test prints a line for the table of `followers.md`:
//! `cargo test -p databases --features external -- --test-threads 16`
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judgements;
mod mariadb;
mod postgres;
mod redis;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rotation_rig::{Answer, Client, Load, PATIENCE, Server, Stage};
use secrets_provider::{Live, Retry, SecretsManager};
use serde::de::DeserializeOwned;

/// How long the database has the new password before AWSCURRENT moves to it.
const WINDOW: Duration = Duration::from_millis(500);

/// How long connections live, as those of a pool do over days: they outlive any password.
const LIFETIME: Duration = Duration::from_secs(1);

const CLIENTS: usize = 6;
const CONNECTIONS: u32 = 4;

fn rotations() -> usize {
    std::env::var("ROTATIONS").map_or(50, |number| number.parse().unwrap())
}

/// What rotates, in the words of the table, and the key at which the settings have its login.
struct Name {
    client: &'static str,
    key: &'static str,
}

impl Name {
    async fn settings<S: Server, T>(&self, stage: &Stage<S>, every: Duration) -> Live<T>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let secrets = SecretsManager::prefix("app")
            .rename("database", self.key)
            .client(end_to_end::client(stage.secrets()));
        Live::builder(secrets)
            .refresh_past_budget(8, Duration::from_secs(30))
            .refresh_every(every)
            .start()
            .await
            .unwrap()
    }

    /// The only user's connections are ended when the database has the new password, and the secret
    /// follows. The interval is so long that refused logins find the new password.
    async fn follows_one_user<S: Server, T, C: Client>(
        &self,
        stage: Stage<S>,
        clients: impl AsyncFnOnce(Live<T>) -> Vec<C>,
    ) where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        stage.rotate_single_user(WINDOW);
        let settings = self.settings(&stage, Duration::from_secs(300)).await;
        let load = Load::start(clients(settings.clone()).await);
        load.round().await;
        for rotation in 1..=rotations() {
            stage.rotate().await.unwrap();
            reaches(&settings, rotation).await;
            load.round().await;
        }
        let (tally, name) = (load.finish().await, format!("{}, one user", self.client));
        tally.report(&name, rotations());
        let met = tally.waited(WINDOW / 2);
        assert!(met >= rotations(), "{name}: {met} requests waited: {tally}");
    }

    /// Two users take turns, so no login is refused; the interval is shorter than the time between
    /// two rotations. `ends` says whether all connections are ended after each of them.
    async fn follows_two_users<S: Server, T, C: Client>(
        &self,
        stage: Stage<S>,
        ends: bool,
        clients: impl AsyncFnOnce(Live<T>) -> Vec<C>,
    ) where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        stage.rotate_alternating_users();
        let settings = self.settings(&stage, Duration::from_millis(200)).await;
        let load = Load::start(clients(settings.clone()).await);
        load.round().await;
        for rotation in 1..=rotations() {
            stage.rotate().await.unwrap();
            reaches(&settings, rotation).await;
            if ends {
                for user in [Stage::ROLE.to_owned(), format!("{}_clone", Stage::ROLE)] {
                    stage.server().disconnect(&user).await.unwrap();
                }
            }
            load.round().await;
        }
        let (tally, name) = (load.finish().await, format!("{}, two users", self.client));
        tally.report(&name, rotations());
        if rotations() >= 20 {
            // Open connections keep their user for a second.
            assert_eq!(tally.answers.len(), 2, "{name}: {:?}", tally.answers);
        }
    }
}

/// Returns once the settings have what this rotation stored.
async fn reaches<T: Send + Sync + 'static>(live: &Live<T>, rotation: usize) {
    let (mut changes, generation) = (live.changes(), rotation as u64 + 1);
    let reaching = async {
        while live.status().generation() < generation {
            changes.next().await.expect("a change");
        }
    };
    tokio::time::timeout(PATIENCE, reaching).await.expect("the generation comes");
}

/// A client that asks by this closure.
#[derive(Clone)]
struct Asking<O>(O);

impl<O, Fut> Client for Asking<O>
where
    O: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, String>> + Send,
{
    async fn ask(&mut self) -> Result<Answer, String> {
        (self.0)().await
    }
}

/// Clients that run this operation as it is.
fn plainly<O, Fut, E>(operation: O) -> Vec<impl Client>
where
    O: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<String, E>> + Send,
    E: std::fmt::Debug + Send,
{
    let asking = Asking(move || {
        let asked = operation();
        // The passwords of a test are worth nothing.
        async move { Ok(Answer { text: asked.await.map_err(|it| format!("{it:?}"))?, attempts: 1 }) }
    });
    vec![asking; CLIENTS]
}

/// Clients that run this operation under `with_fresh` of what it uses.
fn under_fresh<T, O, Fut, E, R>(live: Live<T>, operation: O, retry: R) -> Vec<impl Client>
where
    T: Send + Sync + 'static,
    O: Fn(Arc<T>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<String, E>> + Send,
    E: std::fmt::Debug + Send,
    R: Fn(&E) -> Retry + Copy + Send + Sync + 'static,
{
    let asking = Asking(move || {
        let (live, operation) = (live.clone(), operation.clone());
        async move {
            let attempts = AtomicU32::new(0);
            let counted = |value| {
                attempts.fetch_add(1, Ordering::Relaxed);
                operation(value)
            };
            let text = live.with_fresh(counted, retry).await.map_err(|it| format!("{it:?}"))?;
            Ok(Answer { text, attempts: attempts.into_inner() })
        }
    });
    vec![asking; CLIENTS]
}
