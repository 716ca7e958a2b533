//! A private server that ends with its handle.

use std::fmt;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use uuid::Uuid;

use crate::programs::Programs;

/// Far more than a start takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const SUPERUSER: &str = "postgres";

/// Runs the server until standard input ends. It also ends when the process that holds its other
/// end is killed. (A parent-death signal would come when the thread that started the server ends.)
const SUPERVISOR: &str = r#"
folder=$1
shift
"$@" &
server=$!
exec 2>/dev/null
read -r _
kill -QUIT "$server"
wait "$server"
cd /
rm -rf "$folder"
"#;

/// A running private server, in a temporary folder. It listens only on a Unix socket in that
/// folder, so it needs no port. It asks for passwords (`scram-sha-256`), and skips fsync to be
/// fast. The server ends, and its folder is removed, when this is dropped or when the process is
/// killed.
pub struct Cluster {
    supervisor: Child,
    /// The supervisor runs until this is closed.
    stdin: Option<ChildStdin>,
    folder: TempDir,
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
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir()?;
        let owner = unprivileged(folder.path())?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let command = |program: &Path| {
            let mut command = Command::new(program);
            // No `PGDATA` and the like, and messages in English.
            command
                .env_clear()
                .env("LC_ALL", "C")
                .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            command
        };

        let password = Uuid::new_v4().to_string();
        let (data, password_file) = (folder.path().join("data"), folder.path().join("password"));
        fs::write(&password_file, &password)?;
        if let Some((user, group)) = owner {
            chown(&password_file, Some(user), Some(group))?;
        }
        let made = command(&programs.initdb)
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

        let mut supervisor = command(Path::new("sh"))
            .args(["-c", SUPERVISOR, "sh"])
            .arg(folder.path())
            .arg(&programs.postgres)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"])
            // Ctrl-C in a terminal ends the process that started this, and with it the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()?;
        let stdin = supervisor.stdin.take();
        let started = supervisor.stderr.take().map(started);
        let cluster = Self { supervisor, stdin, folder, password };
        match started.map(|started| started.recv_timeout(PATIENCE)) {
            Some(Ok(Ok(()))) => Ok(cluster),
            Some(Ok(Err(log))) => Err(io::Error::other(format!("postgres did not start: {log}"))),
            _ => Err(io::Error::other(format!("postgres did not start within {PATIENCE:?}"))),
        }
    }

    /// The login of the superuser. Its statements are not logged, because they set passwords.
    pub fn admin(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.folder.path())
            .username(SUPERUSER)
            .password(&self.password)
            .database("postgres")
            .disable_statement_logging()
    }

    /// The folder of the server, with its data and its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // The process may have ended already.
        let _ = self.supervisor.wait();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}

/// The user and group for the server if we are root, as which it refuses to run. The owner of the
/// folder, which we have just made, shows who we are.
fn unprivileged(folder: &Path) -> io::Result<Option<(u32, u32)>> {
    if fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = ids("postgres").or_else(|| ids("nobody"));
    found
        .map(Some)
        .ok_or_else(|| io::Error::other("neither `postgres` nor `nobody` is a user of this system"))
}

/// Sends `Ok` when the server is ready, or its log if it ends before. Reads on afterwards, because
/// a full pipe would stop the server.
fn started(stderr: impl Read + Send + 'static) -> Receiver<Result<(), String>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut log = String::new();
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let ready = lines.by_ref().any(|line| {
            log += &line;
            log.push('\n');
            line.ends_with("database system is ready to accept connections")
        });
        // The receiver is gone if the start took too long.
        let _ = sender.send(if ready { Ok(()) } else { Err(log) });
        lines.for_each(drop);
    });
    receiver
}
