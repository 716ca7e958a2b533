//! [`Vault`]: secrets of OpenBao and HashiCorp Vault.
//!
//! `address` checks where the server is, `http` calls it, `session` has the token and `keeper`
//! keeps it alive, `kv` reads and lists the key-value engine, `numbering` makes version ids,
//! `database` describes credentials of databases, `leases` keeps them by their `terms`,
//! `answer` takes answers apart, `policy` writes policies, `variables` reads the environment, and
//! `error` words what failed. Vault's own texts are only matched, never shown, and neither a
//! value nor a token is in an error or a `Debug`. All words about Vault stay in this folder.

mod address;
mod answer;
mod core;
mod database;
mod error;
#[cfg(test)]
mod fake;
mod http;
mod keeper;
mod kv;
mod lease_calls;
mod leases;
mod numbering;
mod policy;
mod session;
mod terms;
#[cfg(test)]
mod tests;
mod tls;
mod variables;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use futures_util::{StreamExt as _, stream};
use zeroize::Zeroizing;

pub use self::database::DatabaseRole;

use self::core::Core;
use self::session::Method;
use super::{Backend, BoxFuture, BoxStream, Outcome};
use crate::error::{Error, ErrorKind};
use crate::observe::status::Calls;
use crate::secret::Fetched;

/// How many calls run at once.
const MAX_CONCURRENT_CALLS: usize = 20;

/// Where Kubernetes mounts the token of a pod's service account.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Secrets of OpenBao or HashiCorp Vault: feature `vault`.
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct Settings;
/// # async fn main_(token: &str) -> Result<(), secrets_provider::Error> {
/// use secrets_provider::{Live, SecretsManager, Vault};
///
/// let vault = Vault::new("https://vault:8200").mount("secret").token(token);
/// let settings: Live<Settings> =
///     SecretsManager::prefix("gaara/prod").backend(vault).live().await?;
/// # Ok(()) }
/// ```
///
/// The secret `gaara/prod/database` is what `vault kv get -mount=secret gaara/prod/database` shows:
/// a JSON object, whose members become settings. An object with the one member `value`, which holds
/// text, is that text: `vault kv put -mount=secret gaara/prod/jwt-secret value=849c4a30`. So one
/// struct reads the same settings from AWS and from Vault.
///
/// - **Versions** are Vault's own numbers. A secret whose metadata was deleted starts again at 1;
///   then the time of creation is part of the id, so that a new value is never taken for an old
///   one.
/// - **Names** below a prefix are listed folder by folder. Vault lists deleted secrets too, so a
///   name that this process has not read yet is read once to see whether it has a value.
/// - **Deleted** is `PendingDeletion`, because `vault kv undelete` brings the value back;
///   **absent** is `NotFound`, **denied** is `AccessDenied`.
/// - **Calls** have no retries of their own; a [`Live`](crate::Live) tries again by its schedule.
///   Redirects are not followed, and no proxy is used.
///
/// Clones share token and connections until one is changed by a setter.
#[derive(Clone)]
#[must_use]
pub struct Vault {
    settings: Settings,
    core: Arc<OnceLock<Result<Arc<Core>, Error>>>,
}

/// What the setters describe.
#[derive(Clone)]
struct Settings {
    address: String,
    mount: String,
    namespace: Option<String>,
    ca_cert: Option<PathBuf>,
    method: Method,
    roles: Vec<DatabaseRole>,
}

impl Vault {
    /// The server at this address, such as `https://vault:8200`, with secrets in the key-value
    /// engine that is mounted at `secret`. A path in the address comes before `/v1`.
    ///
    /// Nothing is called before the first fetch. An address that is no URL of `http` or `https`
    /// makes that fail with `Config`.
    pub fn new(address: impl Into<String>) -> Self {
        let settings = Settings {
            address: address.into(),
            mount: "secret".to_owned(),
            namespace: None,
            ca_cert: None,
            method: Method::Missing,
            roles: Vec::new(),
        };
        Self { settings, core: Arc::default() }
    }

    /// The server that the variables of Vault's and OpenBao's own tools describe: those of the
    /// environment, over those of the `.env` file in the working directory (or the nearest parent).
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `VAULT_ADDR` | as [`new`](Self::new) |
    /// | `VAULT_NAMESPACE` | as [`namespace`](Self::namespace) |
    /// | `VAULT_CACERT` | as [`ca_cert`](Self::ca_cert) |
    /// | `VAULT_TOKEN` | as [`token`](Self::token) |
    /// | `VAULT_ROLE_ID`, `VAULT_SECRET_ID` | as [`app_role`](Self::app_role), without a token |
    ///
    /// `BAO_ADDR` and so on are used before `VAULT_ADDR` and so on. An empty variable counts as not
    /// set. Without a login among them, call [`kubernetes`](Self::kubernetes) on the result.
    ///
    /// ```no_run
    /// use secrets_provider::{SecretsManager, Vault};
    ///
    /// let manager = SecretsManager::prefix("gaara/prod").backend(Vault::from_env()?);
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Config` without an address, or with one half of an AppRole; `Invalid` if `.env` cannot be
    /// read.
    pub fn from_env() -> Result<Self, Error> {
        variables::process(Path::new(".env"))
    }

    /// Like [`from_env`](Self::from_env), with the variables of this file in place of those of
    /// `.env`. A relative path is searched for in the working directory and then in its parents; a
    /// file that does not exist has no variables.
    ///
    /// ```no_run
    /// use secrets_provider::{SecretsManager, Vault};
    ///
    /// let vault = Vault::from_env_file("deploy/production.env")?;
    /// let manager = SecretsManager::prefix("gaara/prod").backend(vault);
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`from_env`](Self::from_env), which call the file `.env`.
    pub fn from_env_file(file: impl AsRef<Path>) -> Result<Self, Error> {
        variables::process(file.as_ref())
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self.core = Arc::default();
        self
    }

    /// Where the key-value engine is mounted; `secret` by default.
    pub fn mount(self, mount: impl Into<String>) -> Self {
        let mount = mount.into().trim_matches('/').to_owned();
        self.change(|settings| settings.mount = mount)
    }

    /// The namespace of the mount and of the login, such as `team1`; by default, the root
    /// namespace.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into().trim_matches('/').to_owned();
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        self.change(|settings| settings.namespace = namespace)
    }

    /// Trusts the certificates in this PEM file, besides those that the system trusts. The file is
    /// read at the first call.
    pub fn ca_cert(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.change(|settings| settings.ca_cert = Some(path))
    }

    /// Uses this token. It is renewed if it can be; when it expires, reads fail with
    /// `AccessDenied`.
    pub fn token(self, token: impl Into<String>) -> Self {
        let token = Zeroizing::new(token.into());
        self.change(|settings| settings.method = Method::Token(token.into()))
    }

    /// Logs in by AppRole, with a role id and a secret id, at `auth/approle`. The token is renewed
    /// at two thirds of its life; at its last renewal, or when Vault refuses it, one login follows.
    /// A secret id that may be used once is enough as long as the token can be renewed.
    ///
    /// ```
    /// # let (role_id, secret_id) = ("", "");
    /// use secrets_provider::{SecretsManager, Vault};
    ///
    /// let vault = Vault::new("https://vault:8200").mount("secret").app_role(role_id, secret_id);
    /// let manager = SecretsManager::prefix("gaara/prod").backend(vault);
    /// ```
    pub fn app_role(self, role_id: impl Into<String>, secret_id: impl Into<String>) -> Self {
        let (role_id, secret_id) = (role_id.into(), Zeroizing::new(secret_id.into()).into());
        self.change(|settings| {
            settings.method = Method::AppRole { mount: "approle".to_owned(), role_id, secret_id };
        })
    }

    /// Logs in by the service account of a Kubernetes pod, as this role, at `auth/kubernetes`. The
    /// account's token is read at each login, because Kubernetes replaces it: from
    /// `/var/run/secrets/kubernetes.io/serviceaccount/token`, or what
    /// [`service_account_token`](Self::service_account_token) says.
    pub fn kubernetes(self, role: impl Into<String>) -> Self {
        let (role, file) = (role.into(), PathBuf::from(SERVICE_ACCOUNT_TOKEN));
        self.change(|settings| {
            settings.method = Method::Kubernetes { mount: "kubernetes".to_owned(), role, file };
        })
    }

    /// The file of the service account's token, for [`kubernetes`](Self::kubernetes), which is
    /// called first: for a projected token with an audience of its own.
    pub fn service_account_token(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.change(|settings| {
            if let Method::Kubernetes { file, .. } = &mut settings.method {
                *file = path;
            }
        })
    }

    /// Where the login method is mounted below `auth/`, if not at its usual place: for
    /// [`app_role`](Self::app_role) or [`kubernetes`](Self::kubernetes), which is called first.
    pub fn login_mount(self, path: impl Into<String>) -> Self {
        let path = path.into();
        let path = path.trim_matches('/');
        let path = path.strip_prefix("auth/").unwrap_or(path).to_owned();
        self.change(|settings| match &mut settings.method {
            Method::AppRole { mount, .. } | Method::Kubernetes { mount, .. } => *mount = path,
            Method::Missing | Method::Token(_) => {}
        })
    }

    /// Adds credentials of the database engine as one secret; may be called for several roles. Give
    /// the path below the mount, or a [`DatabaseRole`] with another mount and a name in the tree.
    ///
    /// ```
    /// use secrets_provider::{DatabaseRole, SecretsManager, Vault};
    ///
    /// // `names`: the secret has the name that `vault read` takes.
    /// let vault = Vault::new("https://vault:8200").app_role("role-id", "secret-id");
    /// let manager = SecretsManager::names(["database/creds/readonly"])
    ///     .rename("database/creds/readonly", "database")
    ///     .backend(vault.clone().database("creds/readonly"));
    ///
    /// // A prefix: the secret needs a name below it.
    /// let role = DatabaseRole::new("creds/readonly").named("gaara/prod/database");
    /// let manager = SecretsManager::prefix("gaara/prod").backend(vault.database(role));
    /// ```
    ///
    /// The secret is a JSON object with `username` and `password`.
    ///
    /// - **`creds/ROLE`**: each lease is a version. Reading makes a database user, so it is read
    ///   once, and again from two thirds of its maximal life on; until then it is renewed in the
    ///   background, and every other fetch, of any `Live` or `Lookup` with this `Vault` or a clone
    ///   of it, gets the same credential.
    ///   [`Live::refresh_past`](crate::Live::refresh_past) replaces it early, at once and then
    ///   less and less often, once a minute at most. If Vault refuses the renewal or cannot be
    ///   reached, another credential is read in time, and the last good one stays until it comes.
    /// - **A replaced credential** is kept until no `Live` serves it and a
    ///   [grace](DatabaseRole::grace) is over; then it is revoked.
    ///   [`Live::shutdown`](crate::Live::shutdown) revokes the credentials that no other `Live`
    ///   uses, within five seconds. A program that ends without it, or only uses
    ///   [`fetch`](crate::SecretsManager::fetch), leaves them to end by themselves.
    /// - **`static-creds/ROLE`**: a version is the time of a rotation. It is read right after the
    ///   next one, besides at the interval.
    ///
    /// [`iam_policy`](crate::SecretsManager::iam_policy) has the paths that this needs.
    pub fn database(self, role: impl Into<DatabaseRole>) -> Self {
        let role = role.into();
        self.change(|settings| settings.roles.push(role))
    }

    fn role(&self, id: &str) -> Option<&DatabaseRole> {
        self.settings.roles.iter().find(|role| role.name() == id)
    }

    async fn read(&self, id: &str) -> Result<Fetched, Error> {
        match self.role(id) {
            Some(role) => self.core()?.credential(role).await,
            None => self.core()?.read(id).await,
        }
    }

    /// The secrets' names of all roles.
    fn names_of_roles(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let roles = &self.settings.roles;
        match Error::all(roles.iter().filter_map(|role| role.outside(prefix))) {
            Some(error) => Err(error),
            None => Ok(roles.iter().map(DatabaseRole::name).collect()),
        }
    }

    fn core(&self) -> Result<&Arc<Core>, Error> {
        let made = || Core::new(self.settings.clone());
        self.core.get_or_init(made).as_ref().map_err(Error::clone)
    }
}

fn no_previous(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("secret `{id}`: it has no previous version"))
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { address, mount, namespace, ca_cert, method, roles } = &self.settings;
        f.debug_struct("Vault")
            .field("address", &address::shown(address))
            .field("mount", mount)
            .field("namespace", namespace)
            .field("ca_cert", ca_cert)
            .field("login", &method.as_str())
            .field("roles", roles)
            .finish_non_exhaustive()
    }
}

impl Backend for Vault {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let roles = self.names_of_roles(prefix)?;
            let mut names = self.core()?.list(prefix).await?;
            names.retain(|name| !roles.contains(name));
            names.extend(roles);
            Ok(names)
        })
    }

    /// The names of one folder, of which some may be deleted.
    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move { self.core()?.list_folder(prefix).await })
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let reads = stream::iter(ids).map(move |id| async move {
            let read = async { self.read(id).await };
            (id.clone(), read.await.map_err(|error: Error| error.with_secret(id)))
        });
        Box::pin(reads.buffer_unordered(MAX_CONCURRENT_CALLS))
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let reads = stream::iter(ids).map(move |id| async move {
            let read = async {
                match self.role(id) {
                    // A replaced one is revoked.
                    Some(_) => Err(no_previous(id)),
                    None => self.core()?.read_previous(id).await,
                }
            };
            (id.clone(), read.await.map_err(|error: Error| error.with_secret(id)))
        });
        Box::pin(reads.buffer_unordered(MAX_CONCURRENT_CALLS))
    }

    fn calls(&self) -> Calls {
        match self.core.get() {
            Some(Ok(core)) => core.calls(),
            _ => Calls::new(),
        }
    }

    /// Revokes the leases of these credentials that are not in use.
    fn release<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(Ok(core)) = self.core.get() {
                core.release(ids).await;
            }
        })
    }

    fn policy(&self, prefix: Option<&str>, ids: &[String]) -> Option<String> {
        Some(policy::hcl(&self.settings.mount, &self.settings.roles, prefix, ids))
    }

    fn store_name(&self) -> &str {
        "Vault"
    }

    fn timeout_hint(&self) -> &str {
        "check that Vault can be reached and is unsealed: `vault status`"
    }

    fn nothing_listed_hint(&self) -> &str {
        "check the prefix, the mount and the namespace: `vault kv list -mount=MOUNT PREFIX`; \
         deleted secrets do not count"
    }
}
