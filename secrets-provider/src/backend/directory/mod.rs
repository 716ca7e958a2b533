//! Secrets in files: a tree for development, and what the Secrets Store CSI driver mounts.

mod error;
mod folder;
mod layout;
mod version;
mod watch;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt as _, stream};
use tokio::task::spawn_blocking;

use self::layout::{Layout, Names};
use self::folder::{Exposed, Reader};
use self::watch::{Asked, Sightings};
use super::{Backend, BoxFuture, BoxStream, Outcome};
use crate::error::{Error, ErrorKind};
use crate::observe::events;

/// Secrets in the files of a folder: for development without AWS, and for secrets that are mounted.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Database { username: String }
/// # #[derive(serde::Deserialize)] struct Settings { database: Database, jwt_secret: String }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let secrets = folder.path().join("secrets");
/// use secrets_provider::{Directory, SecretsManager};
///
/// std::fs::create_dir_all(secrets.join("gaara/prod"))?;
/// std::fs::write(secrets.join("gaara/prod/database"), r#"{"username": "gaara"}"#)?;
/// std::fs::write(secrets.join("gaara/prod/jwt-secret"), "849c4a304f1d\n")?;
///
/// let snapshot = SecretsManager::prefix("gaara/prod").backend(Directory::new(&secrets)).fetch_blocking()?;
/// let settings: Settings = snapshot.extract()?;
/// assert_eq!(settings.database.username, "gaara");
/// assert_eq!(settings.jwt_secret, "849c4a304f1d");
/// # Ok(()) }
/// ```
///
/// # A tree: [`Directory::new`]
///
/// - **Names**: the path of a file below the folder is the name of its secret, verbatim. There are no extensions:
///   `gaara/prod/key.pem` is the secret `gaara/prod/key.pem`, and `gaara/prod/database` is looked for in no
///   `database.json`.
/// - **A secret that is a folder too**, such as the one named as the prefix, is the file `.self` in that folder:
///   `gaara/prod/.self` is the secret `gaara/prod`.
/// - **Never a secret**: any other entry that starts with a dot (`.gitignore`, an editor's swap file), and one with a
///   character that AWS does not allow in names (`A-Z a-z 0-9 _ + = . @ -`), such as the backup `database~`.
/// - **The final newline**, which editors add, is no part of the value: exactly one `\n` or `\r\n` at the end of text
///   is dropped. A value that ends in a newline takes two.
/// - **A file that others than its owner and group may read** (mode `o+r`) is warned of, once: the event
///   `secret_file_readable_by_others` with path and mode. The modes of the folders above it are not considered.
///
/// # A mount: [`Directory::mounted`]
///
/// What the [Secrets Store CSI driver](https://secrets-store-csi-driver.sigs.k8s.io/) mounts with AWS's provider:
///
/// - **Names**: one flat folder, `/` in a name as `_`, so `gaara/prod/database` is the file `gaara_prod_database`.
///   `a/b` and `a_b` are one file. Below a prefix, an underscore in a file's name is taken for itself: the file
///   `gaara_prod_api-keys_clerk` is listed as `gaara/prod/api-keys_clerk`; to have it as `api-keys/clerk`, name it
///   with [`only`](crate::SecretsManager::only) or an [`alias`](Self::alias). Entries that start with a dot, and
///   folders, are never secrets. For mounts with `pathTranslation: "False"`, use [`new`](Self::new).
/// - **Values** are exact, no newline is dropped: the driver writes what AWS holds.
/// - **Modes** are not warned of: such a mount is a memory file system that the containers of one pod see, and
///   the driver's default there is 0644.
///
/// # Both
///
/// - **Sort**: what is UTF-8 is text, all else is binary; a file does not say which it was in AWS. Name those that
///   are [`binary`](Self::binary) whatever they hold. A value may have 65,536 bytes, as in AWS.
/// - **Swaps**: where the folder has the link `..data`, as Kubernetes' volumes do, one fetch reads all files of the
///   one generation that it points to, never a mix of two.
/// - **Version ids** come from the file's modification and change times and its inode (and the generation's folder),
///   never from what it holds: each edit, replacement or swap gives a new one, and so does `touch`. A file that
///   changed in the last 20 ms is first left to settle, so that another change within the same tick of the file
///   system's clock does not go unnoticed. Where that clock ticks in seconds (FAT), such a change can.
/// - **Changes** are live within about a second: [`Live`](crate::Live) looks once a second at the times of the files
///   it uses, and refreshes when any is new. It polls because notifications do not cross container and network
///   mounts.
/// - **Confinement**: a name with an empty part, or one that starts with a dot, is refused, and so is a link that
///   leads out of the folder. ARNs are looked up by the name in them.
///
/// `Debug` shows the path alone.
#[derive(Clone)]
#[must_use]
pub struct Directory {
    reader: Reader,
    memory: Arc<Mutex<Memory>>,
}

/// What was asked for, and which files were warned of. Shared by clones.
#[derive(Default)]
struct Memory {
    asked: Sightings,
    warned: BTreeSet<PathBuf>,
}

impl Directory {
    /// A tree of files named as the secrets. A relative path is taken from the working directory. Nothing is read
    /// yet, so a folder that is missing is an error of the fetch.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::with_layout(folder.into(), Layout::Tree)
    }

    /// The flat folder that the Secrets Store CSI driver mounts.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let mount = folder.path();
    /// # std::fs::write(mount.join("gaara_prod_jwt-secret"), "849c4a304f1d")?;
    /// # std::fs::write(mount.join("db"), "{}")?;
    /// use secrets_provider::{Directory, SecretsManager};
    ///
    /// let mounted = Directory::mounted(mount).alias("db", "gaara/prod/database");
    /// let snapshot = SecretsManager::prefix("gaara/prod").backend(mounted).fetch_blocking()?;
    /// let names: Vec<_> = snapshot.secrets().iter().map(|secret| secret.name()).collect();
    /// assert_eq!(names, ["gaara/prod/database", "gaara/prod/jwt-secret"]);
    /// # Ok(()) }
    /// ```
    pub fn mounted(folder: impl Into<PathBuf>) -> Self {
        Self::with_layout(folder.into(), Layout::Mounted)
    }

    fn with_layout(folder: PathBuf, layout: Layout) -> Self {
        Self { reader: Reader::new(folder, Names::new(layout)), memory: Arc::default() }
    }

    /// Says which file a secret is in, where it is not the one that its name translates to: `objectAlias` of the CSI
    /// driver. The secret is given by name or ARN, as it is asked for. A later alias of the same secret replaces an
    /// earlier one. A file that makes no sense is an error of the fetch.
    pub fn alias(mut self, file: impl Into<String>, secret: impl Into<String>) -> Self {
        self.reader.names_mut().alias(file.into(), secret.into());
        self
    }

    /// Says that this secret is SecretBinary even where its bytes are UTF-8: a key of 16 random bytes may be.
    pub fn binary(mut self, secret: impl Into<String>) -> Self {
        self.reader.names_mut().binary(secret.into());
        self
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Warns of those that were not warned of before. On the caller's thread: its subscriber and its span count.
    fn warn(&self, exposed: impl IntoIterator<Item = Exposed>) {
        for Exposed { path, mode } in exposed {
            if self.memory().warned.insert(path.clone()) {
                events::secret_file_readable_by_others(path.display(), mode);
            }
        }
    }

    async fn listed(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let reader = self.reader.clone();
        let asked = prefix.to_owned();
        let listed =
            spawn_blocking(move || reader.list(&asked)).await.unwrap_or_else(|_| Err(cut_short()));
        let sighting = watch::names(&listed);
        self.memory().asked.insert(Asked::Below(prefix.to_owned()), sighting);
        listed
    }

    async fn read(&self, ids: &[String]) -> Vec<Outcome> {
        let reader = self.reader.clone();
        let asked = ids.to_vec();
        let Ok(files) = spawn_blocking(move || reader.read(&asked)).await else {
            return ids.iter().map(|id| (id.clone(), Err(cut_short().with_secret(id)))).collect();
        };
        let mut outcomes = Vec::new();
        for (id, file) in ids.iter().zip(files) {
            self.memory().asked.insert(Asked::Secret(id.clone()), file.version_id);
            self.warn(file.exposed);
            outcomes.push((id.clone(), file.outcome));
        }
        outcomes
    }
}

/// File systems block, and a mount may hang, so all of it happens on threads made for that. The one way for such
/// work not to come to its end is that the runtime is shut down around it.
fn cut_short() -> Error {
    Error::new(ErrorKind::Unavailable, "reading the folder was cut short")
        .with_hint("the runtime that it ran on is shutting down")
}

impl Backend for Directory {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(self.listed(prefix))
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        Box::pin(stream::once(self.read(ids)).flat_map(stream::iter))
    }

    fn changes(&self) -> Option<BoxStream<'static, ()>> {
        Some(watch::changes(self.clone()))
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory").field(&self.reader.folder()).finish()
    }
}
