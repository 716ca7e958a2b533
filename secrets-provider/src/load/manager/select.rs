//! The setters that choose secrets: which ones, where they go, and what follows if one cannot be
//! read.
//!
//! They only write the description. A fetch makes a plan of it and reports what doesn't fit
//! together, so that a builder never fails half-way.

use super::SecretsManager;
use crate::load::plan::Selection;

impl SecretsManager {
    /// With a prefix: only these secrets below it, by their names below the prefix (`""` is the
    /// secret whose name is the prefix). Each must exist. Nothing is listed, so the only permission
    /// needed is `GetSecretValue`. With [`names`](Self::names) it is an error of the fetch.
    pub fn only<I, S>(self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.change(|what| match &mut what.choice.selection {
            Selection::Prefix { only, .. } => {
                only.get_or_insert_default().extend(names.into_iter().map(Into::into));
            }
            Selection::Names { only, .. } => *only = true,
            Selection::Nothing => {}
        })
    }

    /// Places a secret at a dotted key path of your choice; `""` is the root, where only a JSON
    /// object has a place. Give the name below the prefix, if there is one. Name and path may
    /// contain one capture such as `{n}`, which matches a part of a name without `/` and keeps its
    /// spelling. Exact names are tried before patterns. A rename that matches no selected secret is
    /// not an error, but is warned about once (`rename_matches_nothing`).
    ///
    /// ```
    /// # use secrets_provider::{Memory, SecretsManager};
    /// # let memory = Memory::new();
    /// # memory.put("pazpaz/db", "{}"); memory.put("pazpaz/encryption-key-v1", "k1");
    /// let snapshot = SecretsManager::prefix("pazpaz")
    ///     .rename("db", "database")
    ///     .rename("encryption-key-v{n}", "encryption_keys.{n}")
    ///     .backend(memory)
    ///     .fetch_blocking()?;
    /// let paths: Vec<_> = snapshot.secrets().iter().map(|secret| secret.key_path()).collect();
    /// assert_eq!(paths, ["database", "encryption_keys.1"]);
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn rename(self, name: impl Into<String>, key_path: impl Into<String>) -> Self {
        self.change(|what| what.choice.renames.push((name.into(), key_path.into())))
    }

    /// These secrets may be missing. If one does not exist, is scheduled for deletion, or may not
    /// be read (by IAM or its KMS key), that is not an error, and lower layers may define its keys.
    /// Give names below the prefix, or names or ARNs with [`names`](Self::names).
    ///
    /// If nothing is listed, they are read in addition to those of [`only`](Self::only) and
    /// `names`. Below a whole prefix, an optional secret that is not listed does not exist.
    ///
    /// A [`Live`](crate::Live) uses an optional secret once it appears. One that is denied is read
    /// less and less often, because each read is a denied call in CloudTrail: after two refresh
    /// intervals, doubling up to an hour, and at once by [`Live::refresh`](crate::Live::refresh) or
    /// when the backend signals a change. One that was read and is deleted later keeps its last
    /// good value, as all secrets do, without an error. [`SecretStatus`](crate::SecretStatus) shows
    /// the state of each.
    ///
    /// An outage or throttling says nothing about a secret, so it is an error for optional secrets
    /// too; so is a malformed value.
    ///
    /// ```
    /// # use secrets_provider::{Memory, SecretsManager};
    /// # let memory = Memory::new();
    /// # memory.put("gaara/prod/jwt-secret", "s");
    /// let snapshot = SecretsManager::prefix("gaara/prod")
    ///     .only(["jwt-secret"])
    ///     .optional(["sentry-dsn"])
    ///     .backend(memory)
    ///     .fetch_blocking()?;
    /// assert_eq!(snapshot.secrets().len(), 1);
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn optional<I, S>(self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.change(|what| what.choice.optional.extend(names.into_iter().map(Into::into)))
    }

    /// Starts without the secrets that cannot be read: lower layers define their keys, and the
    /// other secrets are used. This applies to secrets that are unreachable, throttled, denied or
    /// missing, and to a prefix that cannot be listed or has no secrets. It does not apply to a
    /// malformed secret, two secrets that define one key, or a contradictory description.
    ///
    /// It is logged once at WARN, as `aws_unavailable_using_env_fallback` with the secrets
    /// concerned.
    ///
    /// - In a [`Live`](crate::Live), the settings must be complete from the layers below, or the
    ///   start fails with an error that lists both the missing keys and the unreadable secrets.
    ///   [`Status::health`](crate::Status::health) is [`Fallback`](crate::Health::Fallback). The
    ///   secrets are read again as after any failed refresh, and once they can be read, they apply
    ///   in one new generation (`refresh_recovered`). An outage after the start is different: the
    ///   last good values stay.
    /// - With [`fetch`](Self::fetch) or a merge into a `Figment`, the
    ///   [`Snapshot`](crate::Snapshot) does not contain those secrets.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), secrets_provider::Error> {
    /// use secrets_provider::{Health, Layers, Live, Memory, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { jwt_secret: String }
    ///
    /// let secrets = Memory::new();
    /// let manager =
    ///     SecretsManager::prefix("gaara/prod").backend(secrets.clone()).fallback_to_env();
    /// let variables = [("JWT_SECRET", "local")];
    /// let settings: Live<Settings> = Live::builder(manager)
    ///     .layers(move |secrets| Layers::new().environment_from(variables).secrets(secrets))
    ///     .start()
    ///     .await?;
    /// assert_eq!(settings.load().jwt_secret, "local");
    /// assert_eq!(settings.status().health(), Health::Fallback);
    ///
    /// secrets.put("gaara/prod/jwt-secret", "from the store");
    /// settings.refresh().await?;
    /// assert_eq!(settings.load().jwt_secret, "from the store");
    /// assert_eq!(settings.status().health(), Health::Fresh);
    /// # Ok(()) }
    /// ```
    pub fn fallback_to_env(self) -> Self {
        self.change(|what| what.choice.fallback = true)
    }

    /// For these secrets, also reads the version labelled AWSPREVIOUS, for
    /// [`Rotating`](crate::Rotating) fields. Give names below the prefix, or names or ARNs as given
    /// to [`names`](Self::names). Each costs one `GetSecretValue` call per read.
    ///
    /// ```
    /// # use secrets_provider::{Memory, Rotating, SecretsManager};
    /// #[derive(serde::Deserialize)]
    /// struct Secrets { jwt_secret: Rotating<String> }
    ///
    /// let memory = Memory::new();
    /// memory.put("app/jwt-secret", "old");
    /// memory.put("app/jwt-secret", "new");
    /// let snapshot = SecretsManager::prefix("app")
    ///     .with_previous(["jwt-secret"])
    ///     .backend(memory)
    ///     .fetch_blocking()?;
    /// let secrets: Secrets = snapshot.extract()?;
    /// assert_eq!(secrets.jwt_secret.current, "new");
    /// assert_eq!(secrets.jwt_secret.previous.as_deref(), Some("old"));
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn with_previous<I, S>(self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.change(|what| what.choice.previous.extend(names.into_iter().map(Into::into)))
    }
}
