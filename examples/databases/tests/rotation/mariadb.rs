//! MariaDB.

use std::future::ready;

use databases::{Settings, sqlx_mysql};
use rotation_rig::{MariaDb, Stage};
use secrets_provider::Live;
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};

use crate::{CONNECTIONS, LIFETIME, Name, plainly, under_fresh};

const USER: &str = "SELECT CAST(CURRENT_USER() AS CHAR)";

const SQLX: Name = Name { client: "sqlx `MySqlPool` on MariaDB", key: "database" };

async fn stage() -> Stage<MariaDb> {
    Stage::start_mariadb().await.unwrap()
}

fn pool(settings: &Live<Settings>) -> MySqlPool {
    let options = MySqlPoolOptions::new()
        .max_connections(CONNECTIONS)
        .max_lifetime(None)
        .idle_timeout(None)
        .before_acquire(|_, connection| Box::pin(ready(Ok(connection.age < LIFETIME))));
    sqlx_mysql::pool(settings, options)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_follows_one_user() {
    SQLX.follows_one_user(stage().await, async |settings| {
        let (pool, of) = (pool(&settings), settings.clone());
        let operation = move |_| {
            let (pool, of) = (pool.clone(), of.clone());
            async move {
                let mut connection = sqlx_mysql::acquire(&of, &pool).await?;
                sqlx::query_scalar(USER).fetch_one(&mut *connection).await
            }
        };
        // For the query whose connection is ended.
        under_fresh(settings, operation, sqlx_mysql::retry)
    })
    .await;
}

/// By the plain pool: nothing of the program changes, and nothing is tried twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_follows_two_users() {
    SQLX.follows_two_users(stage().await, false, async |settings| {
        let pool = pool(&settings);
        plainly(move || {
            let pool = pool.clone();
            async move { sqlx::query_scalar::<_, String>(USER).fetch_one(&pool).await }
        })
    })
    .await;
}
