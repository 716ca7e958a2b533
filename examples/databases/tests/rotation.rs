//! Each client of a database through rotations of its login, under load, on real servers: one user
//! whose old password is refused before the secret has the new one, and two users who take turns.
//! No request may fail. Each test prints a line for the table in `docs/followers.md`:
//!
//! `cargo test -p databases --features external -- --test-threads 12 --nocapture`
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judgements;

use std::future::ready;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts as _};
use databases::{Settings, bb8, deadpool, diesel, sqlx_mysql, sqlx_postgres, tokio_postgres};
use deadpool_postgres::{Hook, HookError};
use diesel_async::RunQueryDsl as _;
use rotation_rig::{Answer, Client, Load, PATIENCE, Server, Stage};
use secrets_provider::{Live, LiveBuilder, Retry, SecretsManager};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::{PgPool, PgPoolOptions};

/// How long the database has the new password before AWSCURRENT moves to it.
const WINDOW: Duration = Duration::from_millis(500);

/// How long connections live, as those of a pool do over days: they outlive any password.
const LIFETIME: Duration = Duration::from_secs(1);

const CLIENTS: usize = 6;
const CONNECTIONS: u32 = 4;

fn settings<S: Server>(stage: &Stage<S>) -> LiveBuilder<Settings> {
    Live::builder(SecretsManager::prefix("app").client(end_to_end::client(stage.secrets())))
        .refresh_past_budget(8, Duration::from_secs(30))
}

/// Returns once the settings have reached this generation.
async fn reaches(live: &Live<Settings>, generation: u64) {
    let mut changes = live.changes();
    let reaching = async {
        while live.status().generation() < generation {
            changes.next().await.expect("a change");
        }
    };
    tokio::time::timeout(PATIENCE, reaching).await.expect("the generation comes");
}

/// An operation, under `with_fresh`.
struct Asking<O, R> {
    settings: Live<Settings>,
    operation: O,
    retry: R,
}

impl<O, Fut, E, R> Client for Asking<O, R>
where
    O: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, E>> + Send,
    E: std::fmt::Debug + Send,
    R: Fn(&E) -> Retry + Send + Sync + 'static,
{
    async fn ask(&mut self) -> Result<Answer, String> {
        let attempts = AtomicU32::new(0);
        let operation = |_: Arc<Settings>| {
            attempts.fetch_add(1, Ordering::Relaxed);
            (self.operation)()
        };
        let text = self.settings.with_fresh(operation, &self.retry).await;
        // The passwords of a test are worth nothing.
        let text = text.map_err(|error| format!("{error:?}"))?;
        Ok(Answer { text, attempts: attempts.into_inner() })
    }
}

/// Clients of one pool, each of which runs this operation.
fn clients<O, R>(settings: &Live<Settings>, operation: O, retry: R) -> Vec<Asking<O, R>>
where
    O: Clone,
    R: Copy,
{
    let client = |_| Asking { settings: settings.clone(), operation: operation.clone(), retry };
    (0..CLIENTS).map(client).collect()
}

/// Rotates under the load of these clients, in both ways, and prints the figures.
async fn no_request_fails<S: Server, C: Client>(
    name: &str,
    (single, alternating): (Stage<S>, Stage<S>),
    clients: impl Fn(&Live<Settings>) -> Vec<C>,
) {
    let rotations = std::env::var("ROTATIONS").map_or(50, |number| number.parse().unwrap());
    single.rotate_single_user(WINDOW);
    alternating.rotate_alternating_users();
    for (stage, how) in [(single, "one user"), (alternating, "two users")] {
        let is_single = how == "one user";
        // With one user, refused logins find the new password. With two, the interval must be
        // shorter than the time between two rotations.
        let every = Duration::from_millis(if is_single { 300_000 } else { 200 });
        let settings = settings(&stage).refresh_every(every).start().await.unwrap();
        let load = Load::start(clients(&settings));
        load.round().await;
        for rotation in 1..=rotations {
            stage.rotate().await.unwrap();
            reaches(&settings, u64::from(rotation) + 1).await;
            load.round().await;
        }
        let tally = load.finish().await;
        let row = tally.row(&format!("{name}, {how}"), rotations);
        std::io::stderr().write_all(format!("{row}\n").as_bytes()).unwrap();
        assert!(tally.failures.is_empty(), "{name}, {how}: {tally}");
        if is_single {
            let met = tally.waited(WINDOW / 2);
            assert!(met >= rotations as usize, "{name}: {met} requests waited: {tally}");
        } else if rotations >= 20 {
            // Open connections keep their user for a second.
            assert_eq!(tally.answers.len(), 2, "{name}: {:?}", tally.answers);
        }
    }
}

async fn postgres() -> (Stage, Stage) {
    (Stage::start().await.unwrap(), Stage::start().await.unwrap())
}

const USER: &str = "SELECT current_user::text";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_postgres_follows() {
    #[derive(Clone)]
    struct State(Live<Settings>, PgPool);

    impl FromRef<State> for Live<Settings> {
        fn from_ref(state: &State) -> Self {
            state.0.clone()
        }
    }

    impl FromRef<State> for PgPool {
        fn from_ref(state: &State) -> Self {
            state.1.clone()
        }
    }

    no_request_fails("sqlx PgPool", postgres().await, |settings| {
        // A connection's age is looked at before its use, and not by `max_lifetime`: the task that
        // sqlx 0.8 and 0.9 run for that can spin for ever (launchbadge/sqlx issue 3645).
        let options = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .max_lifetime(None)
            .idle_timeout(None)
            .before_acquire(|_, connection| Box::pin(ready(Ok(connection.age < LIFETIME))));
        let state = State(settings.clone(), sqlx_postgres::pool(settings, options));
        let operation = move || {
            let state = state.clone();
            async move {
                let (mut parts, ()) = axum::http::Request::new(()).into_parts();
                let db = sqlx_postgres::Db::from_request_parts(&mut parts, &state).await;
                let Ok(sqlx_postgres::Db(mut connection)) = db else {
                    return Err(sqlx::Error::WorkerCrashed);
                };
                sqlx::query_scalar(USER).fetch_one(&mut *connection).await
            }
        };
        clients(settings, operation, sqlx_postgres::retry)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_mysql_follows_on_mariadb() {
    let stage = async || Stage::start_mariadb().await.unwrap();
    no_request_fails("sqlx MySqlPool", (stage().await, stage().await), |settings| {
        let options = MySqlPoolOptions::new()
            .max_connections(CONNECTIONS)
            .max_lifetime(None)
            .idle_timeout(None)
            .before_acquire(|_, connection| Box::pin(ready(Ok(connection.age < LIFETIME))));
        let (pool, of) = (sqlx_mysql::pool(settings, options), settings.clone());
        let operation = move || {
            let (pool, of) = (pool.clone(), of.clone());
            async move {
                let mut connection = sqlx_mysql::acquire(&of, &pool).await?;
                let user = sqlx::query_scalar("SELECT CAST(CURRENT_USER() AS CHAR)");
                user.fetch_one(&mut *connection).await
            }
        };
        clients(settings, operation, sqlx_mysql::retry)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadpool_follows() {
    no_request_fails("deadpool-postgres", postgres().await, |settings| {
        let age = Hook::sync_fn(|_, metrics| match metrics.age() < LIFETIME {
            true => Ok(()),
            false => Err(HookError::message("too old")),
        });
        let pool = deadpool::pool(settings).max_size(CONNECTIONS as usize).pre_recycle(age);
        let pool = pool.build().unwrap();
        let operation = move || {
            let pool = pool.clone();
            async move {
                let client = pool.get().await?;
                Ok(client.query_one(USER, &[]).await?.get(0))
            }
        };
        clients(settings, operation, deadpool::retry)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bb8_follows() {
    no_request_fails("bb8", postgres().await, |settings| {
        let pool = ::bb8::Pool::builder()
            .max_size(CONNECTIONS)
            .max_lifetime(LIFETIME)
            .reaper_rate(LIFETIME / 5)
            .build_unchecked(bb8::Newest(settings.clone()));
        let operation = move || {
            let pool = pool.clone();
            async move {
                let client = pool.get().await?;
                let row = client.query_one(USER, &[]).await;
                Ok(row.map_err(::bb8::RunError::User)?.get(0))
            }
        };
        clients(settings, operation, bb8::retry)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diesel_async_follows() {
    no_request_fails("diesel-async with bb8", postgres().await, |settings| {
        let pool = ::bb8::Pool::builder()
            .max_size(CONNECTIONS)
            .max_lifetime(LIFETIME)
            .reaper_rate(LIFETIME / 5)
            .build_unchecked(diesel::manager(settings));
        let operation = move || {
            let pool = pool.clone();
            async move {
                let mut connection =
                    pool.get().await.map_err(|_| ::diesel::result::Error::NotFound)?;
                let user = ::diesel::dsl::sql::<::diesel::sql_types::Text>("current_user::text");
                ::diesel::select(user).get_result::<String>(&mut *connection).await
            }
        };
        clients(settings, operation, diesel::retry)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_connection_follows() {
    let stage = Stage::start().await.unwrap();
    stage.rotate_single_user(Duration::ZERO);
    let settings = settings(&stage).start().await.unwrap();
    stage.rotate().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&settings).await.unwrap();
    tokio::spawn(connection);
    let user: String = client.query_one(USER, &[]).await.unwrap().get(0);
    assert_eq!(user, Stage::ROLE);
}
