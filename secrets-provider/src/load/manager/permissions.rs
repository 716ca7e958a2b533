//! The IAM policy that a description needs.
//!
//! The statements and the words of AWS are in `backend/iam`, which the hints of denied calls use
//! too; here the plan says which statements are needed. No call is made.

use super::{Description, SecretsManager};
use crate::backend::iam::{self, Needs, Statement};
use crate::load::mapping::Mapping;
use crate::load::plan::Plan;

impl SecretsManager {
    /// The least IAM policy for this description, as JSON, to attach to the role that the program
    /// runs as.
    ///
    /// - `GetSecretValue` on the named secrets, or on those at and below the prefix;
    /// - `BatchGetSecretValue`, unless one secret is named, [`batch`](Self::batch) is off or
    ///   [`stage`](Self::stage) is set. Without it, each secret costs a call. IAM only accepts it
    ///   on `*`, and each secret still needs `GetSecretValue`;
    /// - `ListSecrets`, only for a prefix without [`only`](Self::only). IAM only accepts it on `*`;
    /// - `DescribeSecret`, only if [`rotation_windows`](Self::rotation_windows) is on and nothing
    ///   is listed;
    /// - `kms:Decrypt` with any key of the account, but only through Secrets Manager
    ///   (`kms:ViaService`) and only for these secrets. It is needed for secrets with customer
    ///   managed keys; which those are, only AWS knows. Otherwise leave it out. A key of another
    ///   account must also allow it in its own policy.
    ///
    /// With [`or_region`](Self::or_region), the same for the secrets and keys of that region.
    ///
    /// What `Push` needs beside that (feature `sqs`) is in the outputs of `push_setup`.
    ///
    /// The region is that of [`client`](Self::client) or [`aws_config`](Self::aws_config), else
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`. The account is `AWS_ACCOUNT_ID`, because nothing else
    /// contains it. An unknown region or account is `*`. With another [`backend`](Self::backend)
    /// that has policies of its own ([`Backend::policy`](crate::Backend::policy)), it is such a
    /// policy: for `Vault`, one in HCL, for `vault policy write`. With any other, this is still the
    /// policy for AWS. Its `Statement` is empty if the switches of
    /// [`from_env`](Self::from_env) turn AWS off or the description is contradictory; then there is
    /// nothing to attach.
    ///
    /// ```
    /// # use secrets_provider::SecretsManager;
    /// let manager = SecretsManager::prefix("gaara/prod").only(["database"]).batch(false);
    /// let policy = manager.iam_policy();
    /// assert!(policy.contains("secret:gaara/prod/database-??????"));
    /// assert!(!policy.contains("ListSecrets"));
    /// ```
    pub fn iam_policy(&self) -> String {
        match self.policy() {
            Policy::Aws(statements) => iam::policy(statements),
            Policy::Own(policy) => policy,
        }
    }

    /// The least policy, in the terms of the store.
    pub(super) fn policy(&self) -> Policy {
        let Description { choice, options, store, .. } = self.description();
        let location = self.location();
        let needs = |needs| {
            let of_store = match needs {
                Needs::Secrets(ids) => store.policy(None, ids),
                Needs::Prefix(prefix) => store.policy(Some(prefix), &[]),
            };
            let (batch, describe) = (options.batches(), options.describe);
            let of_aws = || {
                let mut statements = iam::statements(&location, needs, batch, describe);
                if let Some(region) = &options.replica {
                    statements.append(&mut iam::of_replicas(&location, region, needs, batch));
                }
                Policy::Aws(statements)
            };
            of_store.map_or_else(of_aws, Policy::Own)
        };
        match choice.plan() {
            Ok(Plan { off: true, .. }) => needs(Needs::Secrets(&[])),
            Ok(Plan { ids: Some(ids), .. }) => needs(Needs::Secrets(&ids)),
            Ok(Plan { mapping: Mapping { prefix: Some(prefix), .. }, .. }) => {
                needs(Needs::Prefix(&prefix))
            }
            _ => needs(Needs::Secrets(&[])),
        }
    }
}

/// A policy, in the terms of its store.
pub(super) enum Policy {
    Aws(Vec<Statement>),
    /// A store's own.
    Own(String),
}
