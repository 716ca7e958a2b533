//! What the servers really answer, and what is made of it.

use databases::{sqlx_mysql, sqlx_postgres, tokio_postgres};
use rotation_rig::{Server as _, Stage};
use secrets_provider::Retry;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

#[tokio::test]
async fn answers_of_postgresql_through_sqlx() {
    let stage = Stage::start().await.unwrap();
    let admin = stage.admin().clone();
    let judge = async |options: PgConnectOptions| {
        sqlx_postgres::retry(&PgConnection::connect_with(&options).await.unwrap_err())
    };
    assert_eq!(judge(admin.clone().password("another")).await, Retry::Fresh, "wrong password");
    assert_eq!(judge(admin.clone().username("missing")).await, Retry::Fresh, "no such role");
    assert_eq!(judge(admin.clone().database("missing")).await, Retry::No, "no such database");

    let mut by = PgConnection::connect_with(&admin).await.unwrap();
    by.execute("CREATE ROLE locked NOLOGIN PASSWORD 'p'").await.unwrap();
    let locked = admin.clone().username("locked").password("p");
    assert_eq!(judge(locked).await, Retry::Fresh, "a role that may not log in");

    let mut killed = PgConnection::connect_with(&admin).await.unwrap();
    by.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    )
    .await
    .unwrap();
    let error = killed.execute("SELECT 1").await.unwrap_err();
    assert_eq!(sqlx_postgres::retry(&error), Retry::Now, "{error:?}");
    let error = by.execute("SELECT 1 / 0").await.unwrap_err();
    assert_eq!(sqlx_postgres::retry(&error), Retry::No, "{error:?}");
}

#[tokio::test]
async fn answers_of_postgresql_through_tokio_postgres() {
    let stage = Stage::start().await.unwrap();
    let folder = stage.cluster().unwrap().folder();
    let mut wrong = ::tokio_postgres::Config::new();
    wrong.host_path(folder).user(Stage::ROLE).password("another").dbname("postgres");
    let error = wrong.connect(::tokio_postgres::NoTls).await.err().unwrap();
    assert_eq!(tokio_postgres::retry(&error), Retry::Fresh, "{error:?}");
    wrong.host_path(folder.join("missing"));
    let mut missing = ::tokio_postgres::Config::new();
    missing.host_path(folder.join("missing")).user(Stage::ROLE);
    let error = missing.connect(::tokio_postgres::NoTls).await.err().unwrap();
    assert_eq!(tokio_postgres::retry(&error), Retry::Now, "{error:?}");

    let every = std::time::Duration::from_secs(300);
    let name = super::Name { client: "tokio-postgres", key: "database" };
    let settings = name.settings(&stage, every).await;
    let (client, connection) = tokio_postgres::connect(&settings).await.unwrap();
    let running = tokio::spawn(connection);
    Stage::disconnect_role(stage.admin()).await.unwrap();
    let _ = running.await;
    let error = client.simple_query("SELECT 1").await.err().unwrap();
    assert_eq!(tokio_postgres::retry(&error), Retry::Now, "{error:?}");
}

#[tokio::test]
async fn answers_of_mariadb_through_sqlx() {
    let stage = Stage::start_mariadb().await.unwrap();
    let admin = stage.server().admin().clone();
    let judge = async |options: MySqlConnectOptions| {
        sqlx_mysql::retry(&MySqlConnection::connect_with(&options).await.unwrap_err())
    };
    assert_eq!(judge(admin.clone().password("another")).await, Retry::Fresh, "wrong password");
    assert_eq!(judge(admin.clone().username("missing")).await, Retry::Fresh, "no such user");
    assert_eq!(judge(admin.clone().database("missing")).await, Retry::No, "no such database");

    let mut by: MySqlConnection = admin.connect().await.unwrap();
    by.execute("CREATE USER locked@localhost IDENTIFIED BY 'p' ACCOUNT LOCK").await.unwrap();
    let locked = admin.clone().username("locked").password("p");
    assert_eq!(judge(locked).await, Retry::Fresh, "a locked account");
    by.execute("CREATE USER expired@localhost IDENTIFIED BY 'p' PASSWORD EXPIRE").await.unwrap();
    by.execute("SET GLOBAL disconnect_on_expired_password = 1").await.unwrap();
    let expired = admin.clone().username("expired").password("p");
    assert_eq!(judge(expired).await, Retry::Fresh, "an expired password");

    by.execute("CREATE USER killed@localhost IDENTIFIED BY 'p'").await.unwrap();
    let options = admin.clone().username("killed").password("p");
    let mut killed = MySqlConnection::connect_with(&options).await.unwrap();
    assert_eq!(stage.server().disconnect("killed").await.unwrap(), 1);
    let error = killed.execute("SELECT 1").await.unwrap_err();
    assert_eq!(sqlx_mysql::retry(&error), Retry::Now, "{error:?}");
    let error = by.execute("SELECT nothing").await.unwrap_err();
    assert_eq!(sqlx_mysql::retry(&error), Retry::No, "{error:?}");
}
