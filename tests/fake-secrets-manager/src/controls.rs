//! What a test controls: who may do what, what goes wrong, and how secrets rotate.
//!
//! These are methods of the handle, for the test that holds it. Each takes effect with the next
//! request, and stays until it is taken back.

use std::future::Future;
use std::time::Duration;

use crate::access::{Access, action_name, key_arn};
use crate::fake::FakeSecretsManager;
use crate::fault::{Fault, FaultId};
use crate::policy::{Policy, PolicyError};
use crate::rotation::RotationStep;
use crate::shared::lock;

/// Who may do what.
impl FakeSecretsManager {
    /// Allows only what this IAM policy document allows, from now on.
    ///
    /// Actions and resources may have wildcards; `Deny` goes over `Allow`. Conditions are the
    /// string, ARN, `Bool` and `Null` operators, with `IfExists` and the set prefixes.
    ///
    /// # Errors
    ///
    /// When the document can't be read, or has an operator that isn't known here.
    pub fn enforce_policy(&self, policy_json: &str) -> Result<(), PolicyError> {
        let policy = Policy::parse(policy_json)?;
        self.shared.state().access.policy = Some(policy);
        Ok(())
    }

    /// Takes back the policy and every denial.
    pub fn allow_everything(&self) {
        let mut state = self.shared.state();
        let disabled_keys = std::mem::take(&mut state.access.disabled_keys);
        state.access = Access { disabled_keys, ..Default::default() };
    }

    /// Denies an action, with or without its prefix: `secretsmanager:BatchGetSecretValue`.
    pub fn deny_action(&self, action: &str) {
        let action = action_name(action).to_owned();
        self.shared.state().access.denied_actions.insert(action);
    }

    /// Takes back [`deny_action`](Self::deny_action).
    pub fn allow_action(&self, action: &str) {
        let mut state = self.shared.state();
        state.access.denied_actions.remove(action_name(action));
    }

    /// Denies reads of one secret: `GetSecretValue`, also as part of a batch, `DescribeSecret`
    /// and `ListSecretVersionIds`. It need not exist yet.
    pub fn deny_secret(&self, name: &str) {
        let name = self.name_of(name);
        self.shared.state().access.denied_secrets.insert(name);
    }

    /// Denies reads of one secret as a VPC endpoint's policy does: a batch that holds it fails
    /// as a whole.
    pub fn deny_secret_at_endpoint(&self, name: &str) {
        let name = self.name_of(name);
        let mut state = self.shared.state();
        state.access.endpoint_denied_secrets.insert(name);
    }

    /// Takes back [`deny_secret`](Self::deny_secret) and
    /// [`deny_secret_at_endpoint`](Self::deny_secret_at_endpoint).
    pub fn allow_secret(&self, name: &str) {
        let name = self.name_of(name);
        let mut state = self.shared.state();
        state.access.denied_secrets.remove(&name);
        state.access.endpoint_denied_secrets.remove(&name);
    }

    /// The name of what may be named by its ARN, or be still to come.
    fn name_of(&self, id: &str) -> String {
        let state = self.shared.state();
        state.find(id).map_or_else(|| id.to_owned(), |secret| secret.name.clone())
    }

    /// Encrypts the secret with a customer key: under an enforced policy, reading it needs
    /// `kms:Decrypt` on the key, asked for with `kms:ViaService`.
    ///
    /// # Panics
    ///
    /// When there is no such secret.
    pub fn use_kms_key(&self, name: &str, key_arn: &str) {
        self.change(name, |secret| secret.kms_key_id = Some(key_arn.to_owned()));
    }

    /// Disables a key: reads of what it encrypts fail with `DecryptionFailure`, writes with
    /// `EncryptionFailure`.
    pub fn disable_kms_key(&self, key: &str) {
        let key = key_arn(key);
        self.shared.state().access.disabled_keys.insert(key);
    }

    /// Enables a key again.
    pub fn enable_kms_key(&self, key: &str) {
        self.shared.state().access.disabled_keys.remove(&key_arn(key));
    }
}

/// What goes wrong.
impl FakeSecretsManager {
    /// Lets a fault meet requests from now on.
    pub fn inject(&self, fault: Fault) -> FaultId {
        let secret = fault.secret().map(|id| self.name_of(id));
        self.shared.faults().inject(fault, secret)
    }

    /// Removes a fault. One that is over already may be removed as well.
    pub fn remove_fault(&self, id: FaultId) {
        self.shared.faults().remove(id);
    }

    /// Removes every fault and quota.
    pub fn clear_faults(&self) {
        self.shared.faults().clear();
    }

    /// Lets `ListSecrets`, and the filters of `BatchGetSecretValue`, show the secrets as they were
    /// `by` ago on tokio's clock. Zero shows them as they are.
    ///
    /// This holds for what was stored before, too: right after seeding nothing is listed until
    /// the clock has moved on by as much.
    pub fn delay_listing(&self, by: Duration) {
        self.shared.state().delay_listing(by);
    }

    /// Throttles an operation over so many requests a second, on tokio's clock. As many may come
    /// at once.
    pub fn throttle_quota(&self, operation: &str, per_second: u32) {
        self.shared.faults().set_quota(&[operation], per_second);
    }

    /// As [`throttle_quota`](Self::throttle_quota), for operations that share one quota: AWS counts
    /// `GetSecretValue` and `DescribeSecret` together.
    pub fn throttle_quota_together(&self, operations: &[&str], per_second: u32) {
        self.shared.faults().set_quota(operations, per_second);
    }
}

/// Rotation.
impl FakeSecretsManager {
    /// Puts a closure in place of the rotation function of a secret.
    ///
    /// `RotateSecret` calls it with the four steps in order and answers when they are over, so
    /// that a test has nothing to wait for; AWS answers before. As with AWS, the answer is a
    /// success even if a step fails: see [`rotation_error`](Self::rotation_error).
    ///
    /// A closure that holds a handle keeps the server running; the client of the
    /// [`RotationStep`] does not.
    pub fn on_rotation<F, Fut>(&self, name: &str, function: F)
    where
        F: Fn(RotationStep) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        lock(&self.shared.rotators).set(name, function);
        self.shared.state().rotatable.insert(name.to_owned());
    }

    /// Why the last rotation of a secret failed, if it did.
    #[must_use]
    pub fn rotation_error(&self, name: &str) -> Option<String> {
        self.shared.state().rotation_errors.get(name).cloned()
    }
}
