//! [`Directory`]: secrets in files, for development, and as the Secrets Store CSI driver mounts
//! them.
//!
//! `layout` turns names into paths and back, `root` is the folder as one read sees it, `folder`
//! reads and lists, `version` makes version ids, `watch` polls for changes, and `error` has the
//! messages. File systems block, and a mount may hang, so everything that touches files runs on
//! tokio's threads for blocking work.

mod error;
mod folder;
mod layout;
mod root;
mod version;
mod watch;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, stream};
use tokio::task::spawn_blocking;

use self::folder::{Exposed, Folder};
use self::layout::{Layout, Names};
use self::watch::Seen;
use super::{Backend, BoxFuture, BoxStream, Outcome};
use crate::error::Error;
use crate::observe::events;
use crate::unwind::lock;

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
/// let manager = SecretsManager::prefix("gaara/prod").backend(Directory::new(&secrets));
/// let snapshot = manager.fetch_blocking()?;
/// let settings: Settings = snapshot.extract()?;
/// assert_eq!(settings.database.username, "gaara");
/// assert_eq!(settings.jwt_secret, "849c4a304f1d");
/// # Ok(()) }
/// ```
///
/// # A tree: [`Directory::new`]
///
/// - **Names**: the path of a file below the folder is the name of its secret. Extensions are part
///   of the name: `gaara/prod/key.pem` is the secret `gaara/prod/key.pem`, and the secret
///   `gaara/prod/database` is never the file `database.json`.
/// - **A secret whose name is also a folder**, such as the one named as the prefix, is the file
///   `.self` in that folder: `gaara/prod/.self` is the secret `gaara/prod`.
/// - **Not secrets**: all other entries that start with a dot (`.gitignore`, an editor's swap
///   file), and entries with a character that AWS does not allow in names
///   (`A-Z a-z 0-9 _ + = . @ -`), such as the backup `database~`.
/// - **The final newline**, which editors add, is not part of the value: exactly one `\n` or `\r\n`
///   at the end of text is dropped. A value that ends in a newline needs two.
/// - **A file that others than its owner and group may read** (mode `o+r`) is warned about once, by
///   the event `secret_file_readable_by_others` with path and mode. The modes of the folders above
///   it are not considered.
///
/// # A mount: [`Directory::mounted`]
///
/// The files that the [Secrets Store CSI driver](https://secrets-store-csi-driver.sigs.k8s.io/)
/// mounts with AWS's provider:
///
/// - **Names**: one flat folder, with `_` for `/`, so `gaara/prod/database` is the file
///   `gaara_prod_database`, and `a/b` and `a_b` are the same file. In a listing, an underscore
///   after the prefix is kept: the file `gaara_prod_api-keys_clerk` is listed as
///   `gaara/prod/api-keys_clerk`; to have it as `api-keys/clerk`, name it with
///   [`only`](crate::SecretsManager::only) or give it an [`alias`](Self::alias). Folders, and
///   entries that start with a dot, are never secrets. For mounts with `pathTranslation: "False"`,
///   use [`new`](Self::new).
/// - **Values** are exact: the driver writes the value that AWS has, so no newline is dropped.
/// - **Modes** are not warned about: a mount is a memory file system that only the containers of
///   one pod see, and the driver's default mode is 0644.
///
/// # Both
///
/// - **Text or binary**: bytes that are UTF-8 are text, all others are binary; a file does not show
///   which of the two it was in AWS. Use [`binary`](Self::binary) for secrets that are always
///   binary. A value may have 65,536 bytes, as in AWS.
/// - **An empty file** is not a value, because AWS has none that is empty: a [`Live`](crate::Live)
///   keeps the last value, and a fetch fails with `Unavailable`.
/// - **Write a secret** to another file on the same file system, and rename that file over the
///   secret's: `aws … > .new && mv .new database`. A file that is written in place, such as by
///   `aws … > database`, may be read when it is half-written. A name that starts with a dot is
///   never a secret.
/// - **Swaps**: if the folder has the link `..data`, as volumes of Kubernetes have, one fetch reads
///   all files from the one generation that it points to.
/// - **Version ids** are made of the file's modification time, change time and inode (and the
///   generation's folder), never of its content. So each edit, replacement or swap gives a new id,
///   and `touch` does too. A file that changed within the last 20 ms is read a little later, so
///   that another change within the same tick of the file system's clock is noticed. If that clock
///   ticks in seconds (FAT), such a change can be missed.
/// - **Changes** are used within about a second: a [`Live`](crate::Live) checks the times of its
///   files once a second, and refreshes if one is new. It polls because notifications do not cross
///   container and network mounts.
/// - **Confinement**: a name with an empty part, or with a part that starts with a dot, is refused,
///   and so is a link that leads out of the folder. An ARN is looked up by the name in it.
///
/// `Debug` only shows the path.
#[derive(Clone)]
#[must_use]
pub struct Directory {
    folder: Folder,
    seen: Seen,
    /// The files that were warned about. Clones share it.
    warned: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Directory {
    /// A tree of files that have the names of their secrets. A relative path is relative to the
    /// working directory. Nothing is read yet, so a missing folder is an error of the fetch.
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
        let folder = Folder::new(folder, Names::new(layout));
        Self { folder, seen: Seen::default(), warned: Arc::default() }
    }

    /// Sets the file of a secret, for one that does not have the name of its secret (`objectAlias`
    /// of the CSI driver). Give the secret's name or ARN as it is asked for. A second alias for the
    /// same secret replaces the first. A file name that is not valid is an error of the fetch.
    pub fn alias(mut self, file: impl Into<String>, secret: impl Into<String>) -> Self {
        self.folder.names_mut().alias(file.into(), secret.into());
        self
    }

    /// Makes this secret a SecretBinary even if its bytes are UTF-8, as those of a random key may
    /// be.
    pub fn binary(mut self, secret: impl Into<String>) -> Self {
        self.folder.names_mut().binary(secret.into());
        self
    }

    /// Warns about files that were not warned about before. Called on the caller's thread, which
    /// has its subscriber and span.
    fn warn(&self, exposed: impl IntoIterator<Item = Exposed>) {
        for Exposed { path, mode } in exposed {
            if lock(&self.warned).insert(path.clone()) {
                events::secret_file_readable_by_others(path.display(), mode);
            }
        }
    }

    async fn listed(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (folder, _stop) = self.folder.until_dropped();
        let asked = prefix.to_owned();
        let listed = spawn_blocking(move || folder.list(&asked))
            .await
            .unwrap_or_else(|_| Err(error::interrupted()));
        self.seen.record_names(prefix, &listed);
        listed
    }

    async fn read(&self, ids: &[String]) -> Vec<Outcome> {
        let (folder, _stop) = self.folder.until_dropped();
        let asked = ids.to_vec();
        let Ok(files) = spawn_blocking(move || folder.read(&asked)).await else {
            let outcome = |id: &String| (id.clone(), Err(error::interrupted().with_secret(id)));
            return ids.iter().map(outcome).collect();
        };
        let mut outcomes = Vec::new();
        for (id, file) in ids.iter().zip(files) {
            self.seen.record_secret(id, file.version_id);
            self.warn(file.exposed);
            outcomes.push((id.clone(), file.outcome));
        }
        outcomes
    }
}

impl Backend for Directory {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(self.listed(prefix))
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        Box::pin(stream::once(self.read(ids)).flat_map(stream::iter))
    }

    fn changes(&self) -> Option<BoxStream<'static, ()>> {
        Some(watch::changes(self.folder.clone(), self.seen.clone()))
    }

    fn store_name(&self) -> &str {
        "secrets in files"
    }

    fn timeout_hint(&self) -> &str {
        "check that the file system of the folder responds"
    }

    fn nothing_listed_hint(&self) -> &str {
        "check the prefix and the names of the files"
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory").field(&self.folder.path()).finish()
    }
}
