//! A private PostgreSQL that ends with its handle.

use std::path::Path;
use std::{fmt, fs, io};

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use crate::programs::Programs;
use crate::supervised::{Home, Supervised};

const SUPERUSER: &str = "postgres";

/// The end of the line that the server logs when it is ready.
const READY: &str = "database system is ready to accept connections";

/// A running private server, in a temporary folder. It listens only on a Unix socket in that
/// folder, so it needs no port. It asks for passwords (`scram-sha-256`), and skips fsync to be
/// fast. The server ends, and its folder is removed, when this is dropped or when the process is
/// killed.
pub struct Cluster {
    server: Supervised,
    password: String,
}

impl Cluster {
    /// Creates and starts a server. Blocks for about a second.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, with the command that installs it; if it does not start,
    /// with its log.
    pub fn start() -> io::Result<Self> {
        let programs = Programs::find()?;
        let home = Home::new("postgres-", &["postgres"])?;

        let password = Uuid::new_v4().to_string();
        let (data, password_file) = (home.path().join("data"), home.path().join("password"));
        home.write(&password_file, &password)?;
        let made = home
            .command(&programs.initdb)
            .args(["--username", SUPERUSER, "--auth=scram-sha-256", "--no-sync"])
            .args(["--no-locale", "--encoding=UTF8"])
            .arg("--pgdata")
            .arg(&data)
            .arg("--pwfile")
            .arg(&password_file)
            .output()?;
        fs::remove_file(&password_file)?;
        if !made.status.success() {
            return Err(io::Error::other(format!(
                "initdb: {}",
                String::from_utf8_lossy(&made.stderr)
            )));
        }

        let folder = home.path().to_owned();
        let server = home.supervise(&programs.postgres, READY, "QUIT", |postgres| {
            postgres.arg("-D").arg(&data).arg("-k").arg(&folder).args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "shared_buffers=16MB",
            ]);
        })?;
        Ok(Self { server, password })
    }

    /// The login of the superuser. Its statements are not logged, because they set passwords.
    pub fn admin(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.server.folder())
            .username(SUPERUSER)
            .password(&self.password)
            .database("postgres")
            .disable_statement_logging()
    }

    /// The folder of the server, with its data and its socket.
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("folder", &self.server.folder()).finish_non_exhaustive()
    }
}
