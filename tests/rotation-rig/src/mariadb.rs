//! A private MariaDB, and how rotations see it.
//!
//! MariaDB has no second password for a user, as MySQL 8 has (`RETAIN CURRENT PASSWORD`): whoever
//! needs two valid logins alternates between two users.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use uuid::Uuid;

use crate::postgres::said;
use crate::programs::find;
use crate::rotation::{Login, Server};
use crate::supervised::{Home, Supervised};

const DATABASE: &str = "app";

/// The end of the line that the server logs when it is ready.
const READY: &str = "ready for connections";

/// A running private server, in a temporary folder. It listens only on a Unix socket in that
/// folder. The server ends, and its folder is removed, when this is dropped or when the process is
/// killed.
pub struct MariaDbCluster {
    server: Supervised,
    password: String,
}

impl MariaDbCluster {
    /// Creates and starts a server. Blocks for a few seconds.
    ///
    /// # Errors
    /// If MariaDB is not installed, with the command that installs it; if it does not start, with
    /// its log.
    pub fn start() -> io::Result<Self> {
        let install = find("mariadb-install-db", "mariadb-server")?;
        let mariadbd = find("mariadbd", "mariadb-server")?;
        let home = Home::new("mariadb-", &["mysql"])?;
        let (data, setup) = (home.path().join("data"), home.path().join("setup.sql"));
        let datadir = format!("--datadir={}", data.display());
        // A server that starts removes the temporary tables of all others in the same folder.
        let tmpdir = format!("--tmpdir={}", home.path().display());
        let made = home
            .command(&install)
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args([&datadir, &tmpdir])
            .output()?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr);
            return Err(io::Error::other(format!("mariadb-install-db: {said}")));
        }
        let password = Uuid::new_v4().to_string();
        home.write(&setup, &format!("ALTER USER root@localhost IDENTIFIED BY '{password}';\n"))?;
        let socket = format!("--socket={}", home.path().join("socket").display());
        let setup = format!("--init-file={}", setup.display());
        let server = home.supervise(&mariadbd, READY, "QUIT", |mariadbd| {
            mariadbd
                .args(["--no-defaults", "--skip-networking", "--skip-log-bin"])
                .args(["--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0"])
                .args([&datadir, &tmpdir, &socket, &setup]);
        })?;
        Ok(Self { server, password })
    }

    /// The server, with its administrator.
    pub fn server(&self) -> MariaDb {
        let options = MySqlConnectOptions::new()
            .socket(self.server.folder().join("socket"))
            .username("root")
            .password(&self.password);
        MariaDb { admin: options.disable_statement_logging() }
    }
}

impl fmt::Debug for MariaDbCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MariaDbCluster")
            .field("folder", &self.server.folder())
            .finish_non_exhaustive()
    }
}

/// A MariaDB server, with the login of an administrator.
#[derive(Clone)]
pub struct MariaDb {
    admin: MySqlConnectOptions,
}

impl MariaDb {
    /// The login of the administrator.
    pub fn admin(&self) -> &MySqlConnectOptions {
        &self.admin
    }

    /// Makes the database and a user of it.
    pub(crate) async fn prepare(&self, user: &str) -> Result<Login, String> {
        let mut connection = connect(&self.admin).await?;
        let password = Uuid::new_v4().to_string();
        for statement in [
            format!("CREATE DATABASE {DATABASE}"),
            format!("CREATE USER {user}@localhost IDENTIFIED BY '{password}'"),
            format!("GRANT ALL ON {DATABASE}.* TO {user}@localhost"),
        ] {
            connection.execute(statement.as_str()).await.map_err(said)?;
        }
        connection.close().await.map_err(said)?;
        Ok(Login {
            engine: "mariadb".to_owned(),
            // As the clients have it: a path is a socket.
            host: self.socket().display().to_string(),
            port: 3306,
            username: user.to_owned(),
            password,
            dbname: DATABASE.to_owned(),
            url: None,
        })
    }

    fn socket(&self) -> &Path {
        self.admin.get_socket().map_or(Path::new(""), PathBuf::as_path)
    }

    fn login(login: &Login) -> MySqlConnectOptions {
        MySqlConnectOptions::new()
            .socket(&login.host)
            .username(&login.username)
            .password(&login.password)
            .database(&login.dbname)
    }
}

impl fmt::Debug for MariaDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MariaDb").finish_non_exhaustive()
    }
}

impl Server for MariaDb {
    async fn log_in(&self, login: &Login) -> Result<(), String> {
        connect(&Self::login(login)).await?.close().await.map_err(said)
    }

    async fn set_password(&self, by: Option<&Login>, new: &Login, _: &Login) -> Result<(), String> {
        let options = by.map_or_else(|| self.admin.clone(), Self::login);
        let mut connection = connect(&options).await?;
        // The names are ours, and the password is random text without quotes.
        let (user, password) = (&new.username, &new.password);
        if by.is_none() {
            let create = format!("CREATE USER IF NOT EXISTS {user}@localhost");
            connection.execute(create.as_str()).await.map_err(said)?;
            let grant = format!("GRANT ALL ON {DATABASE}.* TO {user}@localhost");
            connection.execute(grant.as_str()).await.map_err(said)?;
        }
        let quoted = password.replace('\\', r"\\").replace('\'', "\'\'");
        let set = format!("SET PASSWORD FOR {user}@localhost = PASSWORD('{quoted}')");
        connection.execute(set.as_str()).await.map_err(said)?;
        connection.close().await.map_err(said)
    }

    async fn disconnect(&self, user: &str) -> Result<i64, String> {
        let mut connection = connect(&self.admin).await?;
        let count = "SELECT count(*) FROM information_schema.processlist WHERE user = ?";
        let count = sqlx::query_scalar(count).bind(user);
        let count: i64 = count.fetch_one(&mut connection).await.map_err(said)?;
        let kill = format!("KILL CONNECTION USER {user}@localhost");
        connection.execute(kill.as_str()).await.map_err(said)?;
        connection.close().await.map_err(said)?;
        Ok(count)
    }
}

async fn connect(options: &MySqlConnectOptions) -> Result<MySqlConnection, String> {
    options.clone().disable_statement_logging().connect().await.map_err(said)
}
