//! A private server program in a temporary folder, which ends with its handle, or when the process
//! that started it is killed. The clusters of PostgreSQL and MariaDB are made of it.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tempfile::TempDir;

/// Far more than a start takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until standard input ends. It also ends when the process that holds its other
/// end is killed. (A parent-death signal would come when the thread that started the server ends.)
/// Servers log to either output; here all comes by standard error.
const SUPERVISOR: &str = r#"
signal=$1
folder=$2
shift 2
"$@" >&2 &
server=$!
exec 2>/dev/null
read -r _
kill "-$signal" "$server"
wait "$server"
cd /
rm -rf "$folder"
"#;

/// A temporary folder for a server, and the user that it belongs to.
pub(crate) struct Home {
    folder: TempDir,
    /// The user and group that programs run as, if we are root.
    owner: Option<(u32, u32)>,
}

impl Home {
    /// A new folder. If we are root, it belongs to the first of these users that there is, or to
    /// `nobody`.
    pub(crate) fn new(prefix: &str, users: &[&str]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let owner = unprivileged(folder.path(), users)?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        Ok(Self { folder, owner })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file that the programs may read.
    pub(crate) fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        fs::write(path, text)?;
        match self.owner {
            Some((user, group)) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// A program that runs in the folder, as its owner.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // No `PGDATA` and the like, and messages in English.
        command
            .env_clear()
            .env("LC_ALL", "C")
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a server in the folder, and returns when it logs this text. The signal ends it at once.
    pub(crate) fn supervise(
        self,
        program: &Path,
        ready: &'static str,
        signal: &str,
        arguments: impl FnOnce(&mut Command),
    ) -> io::Result<Supervised> {
        let mut command = self.command(Path::new("sh"));
        command.args(["-c", SUPERVISOR, "sh", signal]).arg(self.path()).arg(program);
        arguments(&mut command);
        // Ctrl-C in a terminal ends the process that started this, and with it the server.
        let mut supervisor = command.process_group(0).stdin(Stdio::piped()).spawn()?;
        let stdin = supervisor.stdin.take();
        let started = supervisor.stderr.take().map(|stderr| started(stderr, ready));
        let server = Supervised { supervisor, stdin, folder: self.folder };
        let name = program.display();
        match started.map(|started| started.recv_timeout(PATIENCE)) {
            Some(Ok(Ok(()))) => Ok(server),
            Some(Ok(Err(log))) => Err(io::Error::other(format!("{name} did not start: {log}"))),
            _ => Err(io::Error::other(format!("{name} did not start within {PATIENCE:?}"))),
        }
    }
}

/// A running server. It ends, and its folder is removed, when this is dropped.
pub(crate) struct Supervised {
    supervisor: Child,
    /// The supervisor runs until this is closed.
    stdin: Option<ChildStdin>,
    folder: TempDir,
}

impl Supervised {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // The process may have ended already.
        let _ = self.supervisor.wait();
    }
}

/// The user and group for the server if we are root, as which it refuses to run. The owner of the
/// folder, which we have just made, shows who we are.
fn unprivileged(folder: &Path, users: &[&str]) -> io::Result<Option<(u32, u32)>> {
    if fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    let known = fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| {
        let mut fields = known
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = users.iter().chain(&["nobody"]).find_map(|name| ids(name));
    found.map(Some).ok_or_else(|| {
        io::Error::other(format!("neither {users:?} nor `nobody` is a user of this system"))
    })
}

/// Sends `Ok` when the server is ready, or its log if it ends before. Reads on afterwards, because
/// a full pipe would stop the server.
fn started(
    stderr: impl Read + Send + 'static,
    ready: &'static str,
) -> Receiver<Result<(), String>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut log = String::new();
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let is_ready = lines.by_ref().any(|line| {
            log += &line;
            log.push('\n');
            line.contains(ready)
        });
        // The receiver is gone if the start took too long.
        let _ = sender.send(if is_ready { Ok(()) } else { Err(log) });
        lines.for_each(drop);
    });
    receiver
}
