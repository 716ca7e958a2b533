//! [`DatabaseRole`]: credentials of Vault's database engine, as a secret of the tree.
//!
//! What the setters describe, and what the engine answers. `leases` reads and keeps them. Pure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::address::slip;
use super::answer::{Answer, payload};
use super::session::Zeroized;
use crate::error::{Error, ErrorKind};
use crate::secret::Payload;
use crate::secret::id::below;

/// How long a replaced credential is kept after its last user has let go of it, unless
/// [`DatabaseRole::grace`] says otherwise.
const DEFAULT_GRACE: Duration = Duration::from_secs(60);

/// Credentials of Vault's database engine as one secret, for
/// [`Vault::database`](super::Vault::database).
///
/// The path below the mount says which: `creds/ROLE` makes a database user for each lease, and
/// `static-creds/ROLE` is one user, whose password Vault rotates.
///
/// ```
/// use secrets_provider::{DatabaseRole, SecretsManager, Vault};
///
/// let role = DatabaseRole::new("creds/readonly").mount("postgres").named("gaara/prod/database");
/// let vault = Vault::new("https://vault:8200").app_role("role-id", "secret-id").database(role);
/// let manager = SecretsManager::prefix("gaara/prod").backend(vault);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct DatabaseRole {
    mount: String,
    path: String,
    name: Option<String>,
    pub(super) grace: Duration,
}

/// What a role gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A user for each lease.
    Dynamic,
    /// One user, whose password is rotated.
    Static,
}

impl DatabaseRole {
    /// The role at this path below the mount: `creds/readonly` or `static-creds/app`. Another path
    /// makes the first fetch fail with `Config`.
    pub fn new(path: impl Into<String>) -> Self {
        let path = path.into().trim_matches('/').to_owned();
        Self { mount: "database".to_owned(), path, name: None, grace: DEFAULT_GRACE }
    }

    /// Where the database engine is mounted; `database` by default.
    pub fn mount(mut self, mount: impl Into<String>) -> Self {
        self.mount = mount.into().trim_matches('/').to_owned();
        self
    }

    /// The secret's whole name, such as `gaara/prod/database`, which must be at or below the
    /// manager's prefix if it has one. By default, the path in Vault: `database/creds/readonly`. A
    /// secret of the key-value engine with this name is not read.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().trim_matches('/').to_owned());
        self
    }

    /// How long a credential that was replaced is kept, before it is revoked. Default 60 s; give
    /// the time of the longest request or transaction. It is counted from when no
    /// [`Live`](crate::Live) serves the credential any more, and ends early if the lease does.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The secret's name.
    pub(super) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.full_path())
    }

    pub(super) fn mounted_at(&self) -> &str {
        &self.mount
    }

    /// The path in Vault.
    pub(super) fn full_path(&self) -> String {
        format!("{}/{}", self.mount, self.path)
    }

    /// The role's own name.
    pub(super) fn role(&self) -> &str {
        self.path.split_once('/').map_or("", |(_, role)| role)
    }

    /// # Errors
    ///
    /// `Config` if the path is not one of credentials, or a name cannot be one.
    pub(super) fn kind(&self) -> Result<Kind, Error> {
        let (full_path, name) = (self.full_path(), self.name());
        if let Some(error) = slip("path", &full_path).or_else(|| slip("secret", &name)) {
            return Err(error);
        }
        match self.path.split_once('/') {
            Some(("creds", role)) if !role.contains('/') => Ok(Kind::Dynamic),
            Some(("static-creds", role)) if !role.contains('/') => Ok(Kind::Static),
            _ => {
                let message =
                    format!("`{}` is no path of credentials of Vault's database engine", self.path);
                Err(Error::new(ErrorKind::Config, message)
                    .with_hint("give `creds/ROLE` or `static-creds/ROLE`, without the mount"))
            }
        }
    }

    /// An error if the secret is not at or below this prefix, because nothing else would notice.
    pub(super) fn outside(&self, prefix: &str) -> Option<Error> {
        let name = self.name();
        if below(prefix, &name).is_some() {
            return None;
        }
        let path = &self.path;
        let message =
            format!("the database role `{path}` is the secret `{name}`, not below `{prefix}`");
        Some(Error::new(ErrorKind::Config, message).with_secret(&name).with_hint(format!(
            "name it: `DatabaseRole::new(\"{path}\").named(\"{prefix}/database\")`"
        )))
    }
}

impl From<&str> for DatabaseRole {
    fn from(path: &str) -> Self {
        Self::new(path)
    }
}

impl From<String> for DatabaseRole {
    fn from(path: String) -> Self {
        Self::new(path)
    }
}

/// A credential with a lease, as Vault answers it.
#[derive(Deserialize)]
pub(super) struct Leased<'a> {
    pub(super) lease_id: Zeroized,
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl<'a> Leased<'a> {
    pub(super) fn of(answer: &'a Answer) -> Option<Self> {
        serde_json::from_slice(&answer.body).ok()
    }

    /// What the secret holds.
    pub(super) fn payload(&self) -> Option<Payload> {
        payload(self.data?)
    }
}

/// What is left of a lease after a renewal; the rest of the answer is of no use.
#[derive(Deserialize)]
pub(super) struct Renewed {
    pub(super) lease_duration: u64,
}

/// A static role's credential.
#[derive(Deserialize)]
pub(super) struct Fixed<'a> {
    #[serde(borrow)]
    username: &'a RawValue,
    #[serde(borrow, default)]
    password: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rsa_private_key: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) last_vault_rotation: Option<String>,
    /// Seconds until the next rotation.
    #[serde(default)]
    pub(super) ttl: Option<i64>,
}

impl Fixed<'_> {
    /// What the secret holds: without the times, which differ at each read.
    pub(super) fn payload(&self) -> Payload {
        let members = [
            ("username", Some(self.username)),
            ("password", self.password),
            ("rsa_private_key", self.rsa_private_key),
        ];
        let length: usize = members
            .iter()
            .filter_map(|(name, raw)| Some(name.len() + raw.as_ref()?.get().len() + 4))
            .sum();
        // As long as it gets, so that no shorter copy is left behind.
        let mut text = Zeroizing::new(String::with_capacity(length + 2));
        for (name, raw) in members {
            let Some(raw) = raw else { continue };
            let opening = if text.is_empty() { '{' } else { ',' };
            text.push(opening);
            text.push('"');
            text.push_str(name);
            text.push_str("\":");
            text.push_str(raw.get());
        }
        text.push('}');
        Payload::text(std::mem::take(&mut *text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_a_path_below_the_mount_and_a_name_in_the_tree() {
        for (role, kind, path, name) in [
            ("creds/readonly".into(), Kind::Dynamic, "database/creds/readonly", None),
            (DatabaseRole::new("/creds/r/").mount("/pg/a/"), Kind::Dynamic, "pg/a/creds/r", None),
            (
                DatabaseRole::new("static-creds/app").named("gaara/prod/database"),
                Kind::Static,
                "database/static-creds/app",
                Some("gaara/prod/database"),
            ),
        ] {
            assert_eq!(role.kind().expect(path), kind);
            assert_eq!((&*role.full_path(), &*role.name()), (path, name.unwrap_or(path)));
        }
        for bad in ["", "creds", "creds/", "readonly", "roles/readonly", "creds/a/b", "creds/.."] {
            let error = DatabaseRole::new(bad).kind().expect_err(bad);
            assert!(error.kind() == ErrorKind::Config && error.hint().is_some(), "{error}");
        }
        let role = DatabaseRole::new("creds/r").named("gaara/prod/database");
        assert!(role.outside("gaara/prod").is_none());
        let error = role.outside("gaara/test").expect("an error");
        assert!(error.hint().is_some_and(|hint| hint.contains("gaara/test/database")), "{error}");
    }

    #[test]
    fn a_static_credential_is_its_user_and_password() {
        let json = r#"{"last_vault_rotation":"2026-11-26T13:00:00Z","password":"a\"b","rotation_period":60,"ttl":7,"username":"app"}"#;
        let fixed: Fixed<'_> = serde_json::from_str(json).expect("JSON");
        assert!(fixed.payload() == Payload::text(r#"{"username":"app","password":"a\"b"}"#));
        assert_eq!(
            (fixed.ttl, fixed.last_vault_rotation.as_deref()),
            (Some(7), Some("2026-11-26T13:00:00Z"))
        );
    }
}
