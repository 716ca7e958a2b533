//! Which secrets, where they go, and what it means if one cannot be read.

use super::SecretsManager;
use crate::load::plan::Selection;

impl SecretsManager {
    /// With a prefix: these secrets below it and no others, by their names below the prefix (`""` is the one named
    /// as the prefix). Each must exist. Nothing is listed, so `GetSecretValue` is all the permission it takes.
    pub fn only<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        match &mut self.choice.selection {
            Selection::Prefix { only, .. } => {
                only.get_or_insert_default().extend(names.into_iter().map(Into::into));
            }
            Selection::Names { only, .. } => *only = true,
            Selection::Nothing => {}
        }
        self.anew()
    }

    /// Places a secret at a dotted key path of your choice; `""` is the root, where only a JSON object has a place.
    /// The name is meant below the prefix, where there is one. One capture may stand in both, and stands for a part
    /// of a name that has no `/`; exact names are tried before patterns. One that matches no selected secret is no
    /// error, but warned of once (`rename_matches_nothing`).
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
    pub fn rename(mut self, name: impl Into<String>, key_path: impl Into<String>) -> Self {
        self.choice.renames.push((name.into(), key_path.into()));
        self.anew()
    }

    /// These secrets may be missing: if one does not exist, is scheduled for deletion, or may not be read (by IAM or
    /// its KMS key), that is no error, and the layers below give its keys, if they have them. By name below the
    /// prefix, or by name or ARN with [`names`](Self::names).
    ///
    /// Where nothing is listed, they are read like those of [`only`](Self::only) and `names`, and need not be named
    /// there too. Below a whole prefix, one that is not listed is nothing.
    ///
    /// In a [`Live`](crate::Live) one is picked up when it appears. One that is denied is asked for more and more
    /// rarely, as each time is a denied call in the account's trail: after two refresh intervals, doubling up to an
    /// hour, and at once by [`Live::refresh`](crate::Live::refresh) or when the backend signals a change. One that was
    /// read and is gone later keeps its last good value, as all secrets do; that it is gone is no error.
    /// [`SecretStatus`](crate::SecretStatus) tells how each one stands.
    ///
    /// An outage or throttling says nothing about a secret, so that is an error for optional ones too; and so is a
    /// value that is malformed.
    ///
    /// ```
    /// # use secrets_provider::{Memory, SecretsManager};
    /// # let memory = Memory::new();
    /// # memory.put("gaara/prod/jwt-secret", "s");
    /// let manager = SecretsManager::prefix("gaara/prod").only(["jwt-secret"]).optional(["sentry-dsn"]);
    /// let snapshot = manager.backend(memory).fetch_blocking()?;
    /// assert_eq!(snapshot.secrets().len(), 1);
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn optional<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.choice.optional.extend(names.into_iter().map(Into::into));
        self.anew()
    }

    /// Starts without the secrets that cannot be read: the layers below give their keys, the others are used. Counts
    /// for what is unreachable, throttled, denied, or not there (or nothing is there below the prefix, or it cannot
    /// be listed); never for a malformed secret, two that give one key, or a description that makes no sense.
    ///
    /// That is logged once at WARN, as `aws_unavailable_using_env_fallback` with the secrets concerned.
    ///
    /// - In a [`Live`](crate::Live), the settings must be complete from the layers below, or the start fails, and says both what is
    ///   missing and why secrets could not be read. [`Status::health`](crate::Status::health) is
    ///   [`Fallback`](crate::Health::Fallback), the secrets are tried for as after any failed refresh, and when they
    ///   come, they take over in one new generation (`refresh_recovered`). A later outage is none of this: the last
    ///   good values stay.
    /// - By [`fetch`](Self::fetch) or a merge into a `Figment`, the [`Snapshot`](crate::Snapshot) lacks those secrets.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use secrets_provider::{Health, Layers, Live, Memory, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { jwt_secret: String }
    ///
    /// let secrets = Memory::new();
    /// let manager = SecretsManager::prefix("gaara/prod").backend(secrets.clone()).fallback_to_env();
    /// let settings: Live<Settings> = Live::builder(manager)
    ///     .layers(|secrets| Layers::new().environment_from([("JWT_SECRET", "local")]).secrets(secrets))
    ///     .start()
    ///     .await?;
    /// assert_eq!(settings.load().jwt_secret, "local");
    /// assert_eq!(settings.status().health(), Health::Fallback);
    ///
    /// secrets.put("gaara/prod/jwt-secret", "from the store");
    /// settings.refresh().await?;
    /// assert_eq!(settings.load().jwt_secret, "from the store");
    /// assert_eq!(settings.status().health(), Health::Fresh);
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    pub fn fallback_to_env(mut self) -> Self {
        self.choice.fallback = true;
        self.anew()
    }

    /// For these secrets, also reads the version labelled AWSPREVIOUS, for [`Rotating`](crate::Rotating) fields: by name
    /// below the prefix, or by name or ARN as given to [`names`](Self::names). Costs a `GetSecretValue` call each,
    /// whenever the secrets are read.
    ///
    /// ```
    /// # use secrets_provider::{Memory, Rotating, SecretsManager};
    /// #[derive(serde::Deserialize)]
    /// struct Secrets { jwt_secret: Rotating<String> }
    ///
    /// let memory = Memory::new();
    /// memory.put("app/jwt-secret", "old");
    /// memory.put("app/jwt-secret", "new");
    /// let snapshot =
    ///     SecretsManager::prefix("app").with_previous(["jwt-secret"]).backend(memory).fetch_blocking()?;
    /// let secrets: Secrets = snapshot.extract()?;
    /// assert_eq!(secrets.jwt_secret.current, "new");
    /// assert_eq!(secrets.jwt_secret.previous.as_deref(), Some("old"));
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn with_previous<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.choice.previous.extend(names.into_iter().map(Into::into));
        self.anew()
    }
}
