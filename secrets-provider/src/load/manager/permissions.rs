//! What a description needs to be allowed.

use super::SecretsManager;
#[cfg(feature = "aws")]
use super::Store;
use crate::backend::iam::{self, Needs, Scope};
use crate::load::mapping::Mapping;
use crate::load::plan::Plan;

impl SecretsManager {
    /// The least IAM policy that serves this very description, as JSON: to be attached to the role that the program
    /// runs as.
    ///
    /// - `GetSecretValue` on the secrets that are named, or on what is at and below the prefix;
    /// - `BatchGetSecretValue`, unless [`batch`](Self::batch) is off: it may be left out, at the price of one call a
    ///   secret (IAM knows it on `*` alone, and each secret takes `GetSecretValue` all the same);
    /// - `ListSecrets`, only for a prefix without [`only`](Self::only) (IAM knows it on `*` alone);
    /// - `DescribeSecret`, only if [`rotation_windows`](Self::rotation_windows) asks for it and nothing is listed;
    /// - `kms:Decrypt` by any key of the account, but through Secrets Manager alone (`kms:ViaService`), and for these
    ///   secrets alone. It matters where secrets have customer managed keys, which only AWS knows; otherwise leave it
    ///   out. A key of another account must also allow it in its own policy.
    ///
    /// The region is that of [`client`](Self::client) or [`aws_config`](Self::aws_config), else `AWS_REGION` or
    /// `AWS_DEFAULT_REGION`; the account is `AWS_ACCOUNT_ID`, as none of the others tells it. What is not known is `*`.
    /// It is the policy for AWS whatever [`backend`](Self::backend) stands in for it. Its `Statement` is empty where
    /// the switches of [`from_env`](Self::from_env) keep away from AWS, or the description makes no sense: there is
    /// nothing to attach then, and IAM takes no such policy.
    ///
    /// ```
    /// # use secrets_provider::SecretsManager;
    /// let policy = SecretsManager::prefix("gaara/prod").only(["database"]).batch(false).iam_policy();
    /// assert!(policy.contains("secret:gaara/prod/database-??????"));
    /// assert!(!policy.contains("ListSecrets"));
    /// ```
    pub fn iam_policy(&self) -> String {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        #[cfg(feature = "aws")]
        let region = match &self.store {
            Store::Aws(access) => access.region().map(str::to_owned),
            Store::Given(..) => None,
        };
        #[cfg(not(feature = "aws"))]
        let region: Option<String> = None;
        let region =
            region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let scope = Scope::new(region.as_deref(), variable("AWS_ACCOUNT_ID").as_deref());
        let needs = |needs| iam::policy(&scope, needs, self.batch, self.describe);
        match self.choice.plan() {
            Ok(Plan { off: true, .. }) => needs(Needs::Secrets(&[])),
            Ok(Plan { ids: Some(ids), .. }) => needs(Needs::Secrets(&ids)),
            Ok(Plan { mapping: Mapping { prefix: Some(prefix), .. }, .. }) => {
                needs(Needs::Prefix(&prefix))
            }
            _ => needs(Needs::Secrets(&[])),
        }
    }
}
