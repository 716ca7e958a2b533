//! A database with a login, and the secret that holds the login.

use std::io;
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, RotationStep, Step};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};
use uuid::Uuid;

use crate::cluster::Cluster as PostgresCluster;
#[cfg(feature = "mariadb")]
use crate::mariadb::{MariaDb, MariaDbCluster};
use crate::postgres::{Postgres, run, said};
#[cfg(feature = "redis")]
use crate::redis::{Redis, RedisCluster};
use crate::rotation::{Login, RotationFunction, Server};

/// A database server with the user `app`, and a fake Secrets Manager whose secret `app/database`
/// holds its login. Both end when this is dropped.
#[derive(Debug)]
pub struct Stage<S = Postgres> {
    fake: FakeSecretsManager,
    server: S,
    /// The private server, of whatever kind. It is dropped last.
    cluster: Cluster,
}

#[derive(Debug)]
enum Cluster {
    Postgres(PostgresCluster),
    #[cfg(feature = "mariadb")]
    MariaDb(#[allow(dead_code, reason = "it is kept until the stage ends")] MariaDbCluster),
    #[cfg(feature = "redis")]
    Redis(#[allow(dead_code, reason = "it is kept until the stage ends")] RedisCluster),
    None,
}

impl Stage {
    /// The name of the secret.
    pub const SECRET: &'static str = "app/database";

    /// The role, which can alternate with its clone.
    pub const ROLE: &'static str = "app";

    /// Starts a private server for the stage.
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`](PostgresCluster::start).
    pub async fn start() -> io::Result<Self> {
        let cluster = PostgresCluster::start()?;
        let admin = cluster.admin();
        Self::prepared(admin, Cluster::Postgres(cluster)).await
    }

    /// Uses a running server, through a login that may create roles.
    ///
    /// # Errors
    /// If the server cannot be reached, or already has the role.
    pub async fn on(admin: PgConnectOptions) -> io::Result<Self> {
        Self::prepared(admin, Cluster::None).await
    }

    async fn prepared(admin: PgConnectOptions, cluster: Cluster) -> io::Result<Self> {
        let password = Uuid::new_v4().to_string();
        let mut connection = PgConnection::connect_with(&admin).await.map_err(failed)?;
        run(&mut connection, "CREATE ROLE %I LOGIN PASSWORD %L", [Self::ROLE, &password])
            .await
            .map_err(io::Error::other)?;
        connection.close().await.map_err(failed)?;
        let login = Login::new(&admin, Self::ROLE, &password);
        Self::with(Postgres { admin: Some(admin) }, cluster, &login).await
    }

    /// The login of an administrator.
    ///
    /// # Panics
    /// Never: a stage has one.
    pub fn admin(&self) -> &PgConnectOptions {
        self.server.admin.as_ref().expect("a stage has an administrator")
    }

    /// The private server, if there is one.
    pub fn cluster(&self) -> Option<&PostgresCluster> {
        match &self.cluster {
            Cluster::Postgres(cluster) => Some(cluster),
            _ => None,
        }
    }

    /// Ends all connections of the role, as an administrator does to enforce a new password at
    /// once. Returns how many there were.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub async fn disconnect_role(admin: &PgConnectOptions) -> Result<i64, String> {
        Postgres { admin: Some(admin.clone()) }.disconnect(Self::ROLE).await
    }

    /// Removes the roles from a server that goes on running.
    ///
    /// # Errors
    /// If the server cannot be reached, or the roles own objects.
    pub async fn remove_roles(&self) -> io::Result<()> {
        let mut connection = PgConnection::connect_with(self.admin()).await.map_err(failed)?;
        connection.execute("DROP ROLE IF EXISTS app, app_clone").await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

#[cfg(feature = "mariadb")]
impl Stage<MariaDb> {
    /// Starts a private MariaDB for the stage.
    ///
    /// # Errors
    ///
    /// As [`MariaDbCluster::start`].
    pub async fn start_mariadb() -> io::Result<Self> {
        let cluster = MariaDbCluster::start()?;
        let server = cluster.server();
        let login = server.prepare(Stage::ROLE).await.map_err(io::Error::other)?;
        Self::with(server, Cluster::MariaDb(cluster), &login).await
    }
}

#[cfg(feature = "redis")]
impl Stage<Redis> {
    /// Starts a private Redis for the stage.
    ///
    /// # Errors
    ///
    /// As [`RedisCluster::start`].
    pub async fn start_redis() -> io::Result<Self> {
        let cluster = RedisCluster::start()?;
        let server = cluster.server();
        let login = server.prepare(Stage::ROLE).await.map_err(io::Error::other)?;
        Self::with(server, Cluster::Redis(cluster), &login).await
    }
}

impl<S: Server> Stage<S> {
    async fn with(server: S, cluster: Cluster, login: &Login) -> io::Result<Self> {
        let fake = FakeSecretsManager::start().await?;
        fake.put(Stage::SECRET, login.to_json());
        Ok(Self { fake, server, cluster })
    }

    /// The server.
    pub fn server(&self) -> &S {
        &self.server
    }

    /// The fake Secrets Manager, on a socket.
    pub fn secrets(&self) -> &FakeSecretsManager {
        &self.fake
    }

    /// Rotates as AWS's functions do. One user sets its own password, and its connections end then;
    /// the secret follows after this time, in which the database refuses the password in it.
    pub fn rotate_single_user(&self, window: Duration) {
        let (function, server) =
            (RotationFunction::on(self.server.clone(), false), self.server.clone());
        self.rotate_by(move |call| {
            let (function, server) = (function.clone(), server.clone());
            async move {
                function.call(&call).await?;
                if call.step() == Step::SetSecret {
                    server.disconnect(Stage::ROLE).await?;
                    tokio::time::sleep(window).await;
                }
                Ok(())
            }
        });
    }

    /// Rotates as AWS's functions do, with two users who take turns.
    pub fn rotate_alternating_users(&self) {
        let function = RotationFunction::on(self.server.clone(), true);
        self.rotate_by(move |call| {
            let function = function.clone();
            async move { function.call(&call).await }
        });
    }

    /// Sets the function that rotates the secret, step by step.
    pub fn rotate_by<F, Fut>(&self, function: F)
    where
        F: Fn(RotationStep) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.fake.on_rotation(Stage::SECRET, function);
    }

    /// Rotates once. Returns after the four steps.
    ///
    /// # Errors
    /// If a step fails, with its name and the reason.
    pub async fn rotate(&self) -> io::Result<()> {
        let rotation = self.fake.client().rotate_secret().secret_id(Stage::SECRET).send().await;
        rotation.map_err(|_| io::Error::other("RotateSecret failed"))?;
        match self.fake.rotation_error(Stage::SECRET) {
            Some(error) => Err(io::Error::other(error)),
            None => Ok(()),
        }
    }
}

fn failed(error: sqlx::Error) -> io::Error {
    io::Error::other(said(error))
}
