//! PostgreSQL.

use std::future::ready;

use axum::extract::{FromRef, FromRequestParts as _};
use databases::{Settings, bb8, deadpool, diesel, sqlx_postgres, tokio_postgres};
use deadpool_postgres::{Hook, HookError};
use diesel_async::RunQueryDsl as _;
use rotation_rig::{Client, Stage};
use secrets_provider::Live;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::{CONNECTIONS, LIFETIME, Name, plainly, under_fresh};

const USER: &str = "SELECT current_user::text";

const SQLX: Name = Name { client: "sqlx `PgPool`", key: "database" };
const DEADPOOL: Name = Name { client: "deadpool-postgres", key: "database" };
const BB8: Name = Name { client: "bb8-postgres", key: "database" };
const DIESEL: Name = Name { client: "diesel-async with bb8", key: "database" };

async fn stage() -> Stage {
    Stage::start().await.unwrap()
}

fn sqlx_pool(settings: &Live<Settings>) -> PgPool {
    // A connection's age is looked at before its use, and not by `max_lifetime`: the task that sqlx
    // 0.8 and 0.9 run for that can spin for ever (launchbadge/sqlx issue 3645).
    let options = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .max_lifetime(None)
        .idle_timeout(None)
        .before_acquire(|_, connection| Box::pin(ready(Ok(connection.age < LIFETIME))));
    sqlx_postgres::pool(settings, options)
}

/// By the extractor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_follows_one_user() {
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

    SQLX.follows_one_user(stage().await, async |settings| {
        let state = State(settings.clone(), sqlx_pool(&settings));
        let operation = move |_| {
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
        // For the query whose connection is ended.
        under_fresh(settings, operation, sqlx_postgres::retry)
    })
    .await;
}

/// By the plain pool: nothing of the program changes, and nothing is tried twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_follows_two_users() {
    SQLX.follows_two_users(stage().await, false, async |settings| {
        let pool = sqlx_pool(&settings);
        plainly(move || {
            let pool = pool.clone();
            async move { sqlx::query_scalar::<_, String>(USER).fetch_one(&pool).await }
        })
    })
    .await;
}

async fn by_deadpool(settings: Live<Settings>) -> Vec<impl Client> {
    let age = Hook::sync_fn(|_, metrics| match metrics.age() < LIFETIME {
        true => Ok(()),
        false => Err(HookError::message("too old")),
    });
    let pool = deadpool::pool(&settings).max_size(CONNECTIONS as usize).pre_recycle(age);
    let pool = pool.build().unwrap();
    let operation = move |_| {
        let pool = pool.clone();
        async move {
            let client = pool.get().await?;
            Ok(client.query_one(USER, &[]).await?.get(0))
        }
    };
    under_fresh(settings, operation, deadpool::retry)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadpool_follows_one_user() {
    DEADPOOL.follows_one_user(stage().await, by_deadpool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadpool_follows_two_users() {
    DEADPOOL.follows_two_users(stage().await, false, by_deadpool).await;
}

async fn by_bb8(settings: Live<Settings>) -> Vec<impl Client> {
    let pool = ::bb8::Pool::builder()
        .max_size(CONNECTIONS)
        .max_lifetime(LIFETIME)
        .reaper_rate(LIFETIME / 5)
        .build_unchecked(bb8::Newest::new(settings.clone()));
    let operation = move |_| {
        let pool = pool.clone();
        async move {
            let client = pool.get().await?;
            let row = client.query_one(USER, &[]).await;
            Ok(row.map_err(::bb8::RunError::User)?.get(0))
        }
    };
    under_fresh(settings, operation, bb8::retry)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bb8_follows_one_user() {
    BB8.follows_one_user(stage().await, by_bb8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bb8_follows_two_users() {
    BB8.follows_two_users(stage().await, false, by_bb8).await;
}

async fn by_diesel(settings: Live<Settings>) -> Vec<impl Client> {
    let pool = ::bb8::Pool::builder()
        .max_size(CONNECTIONS)
        .max_lifetime(LIFETIME)
        .reaper_rate(LIFETIME / 5)
        .build_unchecked(diesel::manager(&settings));
    let operation = move |_| {
        let pool = pool.clone();
        async move {
            let mut connection = pool.get().await.map_err(|_| ::diesel::result::Error::NotFound)?;
            let user = ::diesel::dsl::sql::<::diesel::sql_types::Text>("current_user::text");
            ::diesel::select(user).get_result::<String>(&mut *connection).await
        }
    };
    under_fresh(settings, operation, diesel::retry)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diesel_async_follows_one_user() {
    DIESEL.follows_one_user(stage().await, by_diesel).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diesel_async_follows_two_users() {
    DIESEL.follows_two_users(stage().await, false, by_diesel).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_connection_follows() {
    let stage = stage().await;
    stage.rotate_single_user(std::time::Duration::ZERO);
    let settings = SQLX.settings(&stage, std::time::Duration::from_secs(300)).await;
    stage.rotate().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&settings).await.unwrap();
    tokio::spawn(connection);
    let user: String = client.query_one(USER, &[]).await.unwrap().get(0);
    assert_eq!(user, Stage::ROLE);
}
