//! `SecretsManager` and `Snapshot` as figment providers: a manager fetches on every merge, a
//! snapshot only converts what it holds. Both name secrets and versions in figment's errors,
//! through `side_channel`.

use std::sync::{Arc, OnceLock};

use figment::value::{Dict, Map};
use figment::{Metadata, Profile, Provider};

use super::{side_channel, values};
use crate::load::manager::SecretsManager;
use crate::load::snapshot::Snapshot;

impl SecretsManager {
    /// Sets the figment profile of the secrets, `default` if not set. In figment, a selected
    /// profile overrides `default`, and `global` overrides both, in whichever order they are
    /// merged.
    ///
    /// ```
    /// # use figment::Figment;
    /// # use figment::providers::{Format, Toml};
    /// # use secrets_provider::{Memory, SecretsManager};
    /// # let memory = Memory::new();
    /// # memory.put("app/port", "2");
    /// let file = Toml::string("[prod]\nport = 1").nested();
    /// let secrets = SecretsManager::prefix("app").backend(memory);
    ///
    /// // The selected profile of the file overrides the secrets in `default`.
    /// let figment = Figment::new().merge(&file).merge(&secrets).select("prod");
    /// assert_eq!(figment.extract_inner::<u16>("port")?, 1);
    ///
    /// let figment = Figment::new().merge(&file).merge(secrets.profile("prod")).select("prod");
    /// assert_eq!(figment.extract_inner_lossy::<u16>("port")?, 2);
    /// # Ok::<(), figment::Error>(())
    /// ```
    pub fn profile(self, profile: impl Into<Profile>) -> Self {
        self.change(|what| what.choice.profile = profile.into())
    }
}

impl Provider for SecretsManager {
    fn metadata(&self) -> Metadata {
        let fetch = side_channel::announce(self.warn_once());
        side_channel::metadata(self.store_name(), fetch)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let fetch = self.fetch_blocking();
        side_channel::deliver(self.warn_once(), &fetch);
        fetch.map_err(|error| figment::Error::from(error.to_string()))?.data()
    }
}

impl Provider for Snapshot {
    fn metadata(&self) -> Metadata {
        let fetch = Arc::new(OnceLock::from(Ok(self.clone())));
        side_channel::metadata(self.store_name(), fetch)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(self.figment_profile().collect(values::dict(self.tree())))
    }
}
