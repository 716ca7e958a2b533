//! A database with a login, and the secret that holds the login.

use std::io;

use fake_secrets_manager::{FakeSecretsManager, RotationStep};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::rotation::{Login, run, said};

/// A database server with the role `app`, and a fake Secrets Manager whose secret `app/database`
/// holds its login. Both end when this is dropped.
#[derive(Debug)]
pub struct Stage {
    fake: FakeSecretsManager,
    admin: PgConnectOptions,
    /// It is dropped last.
    cluster: Option<Cluster>,
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
    /// As [`Cluster::start`].
    pub async fn start() -> io::Result<Self> {
        let cluster = Cluster::start()?;
        let admin = cluster.admin();
        Self::prepared(admin, Some(cluster)).await
    }

    /// Uses a running server, through a login that may create roles.
    ///
    /// # Errors
    /// If the server cannot be reached, or already has the role.
    pub async fn on(admin: PgConnectOptions) -> io::Result<Self> {
        Self::prepared(admin, None).await
    }

    async fn prepared(admin: PgConnectOptions, cluster: Option<Cluster>) -> io::Result<Self> {
        let fake = FakeSecretsManager::start().await?;
        let stage = Self { fake, admin, cluster };
        let password = Uuid::new_v4().to_string();
        let mut connection = stage.connect().await?;
        run(&mut connection, "CREATE ROLE %I LOGIN PASSWORD %L", [Self::ROLE, &password])
            .await
            .map_err(io::Error::other)?;
        connection.close().await.map_err(failed)?;
        let login = Login::new(&stage.admin, Self::ROLE, &password);
        stage.fake.put(Self::SECRET, login.to_json());
        Ok(stage)
    }

    /// The fake Secrets Manager, on a socket.
    pub fn secrets(&self) -> &FakeSecretsManager {
        &self.fake
    }

    /// The login of an administrator.
    pub fn admin(&self) -> &PgConnectOptions {
        &self.admin
    }

    /// The private server, if there is one.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Sets the function that rotates the secret, step by step.
    pub fn rotate_by<F, Fut>(&self, function: F)
    where
        F: Fn(RotationStep) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.fake.on_rotation(Self::SECRET, function);
    }

    /// Rotates once. Returns after the four steps.
    ///
    /// # Errors
    /// If a step fails, with its name and the reason.
    pub async fn rotate(&self) -> io::Result<()> {
        let rotation = self.fake.client().rotate_secret().secret_id(Self::SECRET).send().await;
        rotation.map_err(|_| io::Error::other("RotateSecret failed"))?;
        match self.fake.rotation_error(Self::SECRET) {
            Some(error) => Err(io::Error::other(error)),
            None => Ok(()),
        }
    }

    /// Ends all connections of the role, as an administrator does to enforce a new password at
    /// once. Returns how many there were.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub async fn disconnect_role(admin: &PgConnectOptions) -> Result<i64, String> {
        let mut connection = PgConnection::connect_with(admin).await.map_err(said)?;
        let ended = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1",
        );
        let ended = ended.bind(Self::ROLE).fetch_one(&mut connection).await.map_err(said)?;
        connection.close().await.map_err(said)?;
        Ok(ended)
    }

    /// Removes the roles from a server that goes on running.
    ///
    /// # Errors
    /// If the server cannot be reached, or the roles own objects.
    pub async fn remove_roles(&self) -> io::Result<()> {
        let mut connection = self.connect().await?;
        connection.execute("DROP ROLE IF EXISTS app, app_clone").await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    async fn connect(&self) -> io::Result<PgConnection> {
        PgConnection::connect_with(&self.admin).await.map_err(failed)
    }
}

fn failed(error: sqlx::Error) -> io::Error {
    io::Error::other(said(error))
}
