//! The same secrets in another region.
//!
//! A replica is a service of its own, with faults, denials and calls of its own. It has the secrets
//! as they were when they were last [replicated](FakeSecretsManager::replicate_to), so that a test
//! decides how late it is.

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;

use crate::fake::FakeSecretsManager;
use crate::in_process;
use crate::secret::Secret;

impl FakeSecretsManager {
    /// A replica in this region, with the secrets that there are now: the same names, values and
    /// version ids, and ARNs that differ only in the region.
    #[must_use]
    pub fn replica(&self, region: &str) -> Self {
        let replica = Self::in_region(region);
        self.replicate_to(&replica);
        replica
    }

    /// Brings the secrets, as they are now, to a replica. One that is not there any more is removed
    /// there, too.
    pub fn replicate_to(&self, replica: &Self) {
        let (secrets, region): (Vec<Arc<Secret>>, String) = {
            let state = self.shared.state();
            (state.secrets().cloned().collect(), state.region().to_owned())
        };
        let mut state = replica.shared.state();
        let gone: Vec<String> = state
            .secrets()
            .filter(|known| !secrets.iter().any(|secret| secret.name == known.name))
            .map(|known| known.name.clone())
            .collect();
        gone.iter().for_each(|name| state.remove(name));
        let (from, to) = (format!(":{region}:"), format!(":{}:", state.region()));
        for secret in secrets {
            let mut secret = Secret::clone(&secret);
            secret.arn = secret.arn.replacen(&from, &to, 1);
            state.insert(secret);
        }
    }

    /// A client as [`client`](Self::client), whose requests go to the replica of the region that
    /// they are signed for, if there is one.
    #[must_use]
    pub fn client_with_replicas(&self, replicas: &[&Self]) -> Client {
        let others = replicas.iter().map(|replica| Arc::clone(&replica.shared)).collect();
        let http = in_process::http_client_of_regions(&self.shared, others);
        in_process::client(&self.sdk_config().into_builder().http_client(http).build())
    }
}
