//! PostgreSQL, as rotations see it.

use std::fmt;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::rotation::{Login, Server};

/// A PostgreSQL server, with the login of an administrator if there is one.
#[derive(Clone)]
pub struct Postgres {
    pub(crate) admin: Option<PgConnectOptions>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("admin", &self.admin.is_some()).finish()
    }
}

impl Login {
    /// The login of a user, on the server and database of these options.
    pub fn new(server: &PgConnectOptions, username: &str, password: &str) -> Self {
        let socket = server.get_socket().map(|folder| folder.display().to_string());
        Self {
            engine: "postgres".to_owned(),
            host: socket.unwrap_or_else(|| server.get_host().to_owned()),
            port: server.get_port(),
            username: username.to_owned(),
            password: password.to_owned(),
            dbname: server.get_database().unwrap_or("postgres").to_owned(),
            url: None,
        }
    }

    fn postgres(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.username)
            .password(&self.password)
            .database(&self.dbname)
    }
}

impl Server for Postgres {
    async fn log_in(&self, login: &Login) -> Result<(), String> {
        connect(&login.postgres()).await?.close().await.map_err(said)
    }

    async fn set_password(
        &self,
        by: Option<&Login>,
        new: &Login,
        like: &Login,
    ) -> Result<(), String> {
        let mut connection = match (by, &self.admin) {
            (Some(login), _) => connect(&login.postgres()).await?,
            (None, Some(admin)) => connect(admin).await?,
            (None, None) => return Err("there is no administrator".to_owned()),
        };
        let exists = sqlx::query_scalar("SELECT count(*) = 1 FROM pg_roles WHERE rolname = $1");
        let exists: bool =
            exists.bind(&new.username).fetch_one(&mut connection).await.map_err(said)?;
        if !exists {
            let statement = "CREATE ROLE %I LOGIN IN ROLE %I";
            run(&mut connection, statement, [&new.username, &like.username]).await?;
        }
        run(&mut connection, "ALTER ROLE %I PASSWORD %L", [&new.username, &new.password]).await?;
        connection.close().await.map_err(said)
    }

    async fn disconnect(&self, user: &str) -> Result<i64, String> {
        let admin = self.admin.as_ref().ok_or("there is no administrator")?;
        let mut connection = PgConnection::connect_with(admin).await.map_err(said)?;
        let ended = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1",
        );
        let ended = ended.bind(user).fetch_one(&mut connection).await.map_err(said)?;
        connection.close().await.map_err(said)?;
        Ok(ended)
    }
}

/// A connection that does not log its statements, because they set passwords.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, String> {
    options.clone().disable_statement_logging().connect().await.map_err(said)
}

/// Runs a statement that cannot have parameters: PostgreSQL quotes them into its text.
pub(crate) async fn run(
    connection: &mut PgConnection,
    statement: &str,
    parameters: [&str; 2],
) -> Result<(), String> {
    let [first, second] = parameters;
    let quoted =
        sqlx::query_scalar("SELECT format($1, $2, $3)").bind(statement).bind(first).bind(second);
    let quoted: String = quoted.fetch_one(&mut *connection).await.map_err(said)?;
    connection.execute(quoted.as_str()).await.map(drop).map_err(said)
}

/// The message and SQLSTATE of the database, or the kind of the failure.
#[allow(clippy::needless_pass_by_value, reason = "`map_err` passes it by value")]
pub(crate) fn said(error: sqlx::Error) -> String {
    match &error {
        sqlx::Error::Database(error) => {
            format!("{} (SQLSTATE {})", error.message(), error.code().unwrap_or_default())
        }
        sqlx::Error::Io(error) => error.to_string(),
        _ => "the database driver failed".to_owned(),
    }
}
