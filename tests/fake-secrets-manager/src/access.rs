//! Who may do what: the enforced policy, single denials, and the KMS keys.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{ApiError, ApiResult};
use crate::policy::{Decision, Policy, Request};
use crate::secret::Secret;
use crate::state::{ACCOUNT, REGION, State};

const PRINCIPAL: &str = "arn:aws:sts::123456789012:assumed-role/test/test";

/// Reads of one secret, which `deny_secret` refuses.
const READS: [&str; 3] = ["GetSecretValue", "DescribeSecret", "ListSecretVersionIds"];

#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) policy: Option<Policy>,
    pub(crate) denied_actions: BTreeSet<String>,
    pub(crate) denied_secrets: BTreeSet<String>,
    pub(crate) endpoint_denied_secrets: BTreeSet<String>,
    pub(crate) disabled_keys: BTreeSet<String>,
}

/// On whose behalf an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The one whom faults and IAM controls meet.
    Client,
    /// A rotation function, or the test itself.
    Trusted,
}

/// The action without the service's prefix, if it has it.
pub(crate) fn action_name(action: &str) -> &str {
    action.strip_prefix("secretsmanager:").unwrap_or(action)
}

enum Refusal {
    Identity(Decision),
    Endpoint,
}

impl State {
    /// Whether the caller may do `operation`, which isn't about one secret.
    pub(crate) fn authorize_any(&self, caller: Caller, operation: &str) -> ApiResult<()> {
        self.authorize(caller, operation, None, &[])
    }

    /// Whether the caller may do `operation` on the secret that it calls `secret_id`.
    pub(crate) fn authorize_secret(
        &self,
        caller: Caller,
        operation: &str,
        secret_id: &str,
        context: &[(&str, Option<&str>)],
    ) -> ApiResult<()> {
        self.authorize(caller, operation, Some(secret_id), context)
    }

    fn authorize(
        &self,
        caller: Caller,
        operation: &str,
        secret_id: Option<&str>,
        context: &[(&str, Option<&str>)],
    ) -> ApiResult<()> {
        if caller == Caller::Trusted {
            return Ok(());
        }
        let refused = |refusal: Refusal| {
            let on = secret_id.map_or(String::new(), |id| format!(" on resource: {id}"));
            let why = match refusal {
                Refusal::Identity(Decision::ExplicitDeny) => {
                    "with an explicit deny in an identity-based policy".to_owned()
                }
                Refusal::Identity(_) => {
                    format!(
                        "because no identity-based policy allows the secretsmanager:{operation} action"
                    )
                }
                Refusal::Endpoint => "with an explicit deny in a VPC endpoint policy".to_owned(),
            };
            ApiError::access_denied(format!(
                "User: {PRINCIPAL} is not authorized to perform: \
                 secretsmanager:{operation}{on} {why}"
            ))
        };
        if self.access.denied_actions.contains(operation) {
            return Err(refused(Refusal::Identity(Decision::ImplicitDeny)));
        }
        let secret = secret_id.and_then(|id| self.find(id));
        let name = secret.map(|secret| secret.name.as_str()).or(secret_id);
        if let Some(name) = name
            && READS.contains(&operation)
        {
            if self.access.denied_secrets.contains(name) {
                return Err(refused(Refusal::Identity(Decision::ImplicitDeny)));
            }
            if self.access.endpoint_denied_secrets.contains(name) {
                return Err(refused(Refusal::Endpoint));
            }
        }
        let Some(policy) = &self.access.policy else {
            return Ok(());
        };
        let resource = match (secret, secret_id) {
            (Some(secret), _) => secret.arn.clone(),
            (None, Some(id)) if id.starts_with("arn:") => id.to_owned(),
            // Its ARN isn't known: the six characters are there, but which?
            (None, Some(id)) => format!("{}-??????", self.arn_without_suffix(id)),
            (None, None) => "*".to_owned(),
        };
        let mut keys = common_context(self.region());
        for (key, value) in context {
            if let Some(value) = value {
                keys.insert(format!("secretsmanager:{}", key.to_lowercase()), (*value).to_owned());
            }
        }
        if let Some(id) = secret_id {
            keys.insert("secretsmanager:secretid".to_owned(), id.to_owned());
        }
        for (key, value) in secret.iter().flat_map(|secret| secret.tags.iter().flatten()) {
            for prefix in ["aws:resourcetag/", "secretsmanager:resourcetag/"] {
                keys.insert(format!("{prefix}{}", key.to_lowercase()), value.clone());
            }
        }
        match policy.decide(&Request {
            action: &format!("secretsmanager:{operation}"),
            resource: &resource,
            context: keys,
        }) {
            Decision::Allowed => Ok(()),
            decision => Err(refused(Refusal::Identity(decision))),
        }
    }

    /// Whether the caller may do an action of SQS or SNS, with its prefix.
    pub(crate) fn authorize_messaging(
        &self,
        caller: Caller,
        action: &str,
        resource: &str,
    ) -> ApiResult<()> {
        let allowed = |policy: &Policy| {
            let context = common_context(self.region());
            policy.decide(&Request { action, resource, context }) == Decision::Allowed
        };
        let denied = self.access.denied_actions.contains(action)
            || self.access.policy.as_ref().is_some_and(|policy| !allowed(policy));
        if caller == Caller::Trusted || !denied {
            return Ok(());
        }
        let code = if action.starts_with("sns:") { "AuthorizationError" } else { "AccessDenied" };
        let message = format!(
            "User: {PRINCIPAL} is not authorized to perform: {action} on resource: {resource}"
        );
        Err(ApiError::new(code, 403, message))
    }

    /// Whether the VPC endpoint lets a batch through that names these secrets.
    pub(crate) fn authorize_batch_at_endpoint(
        &self,
        caller: Caller,
        secret_ids: &[String],
    ) -> ApiResult<()> {
        let denied = secret_ids.iter().any(|id| {
            let name = self.find(id).map_or(id.as_str(), |secret| &secret.name);
            self.access.endpoint_denied_secrets.contains(name)
        });
        if denied && caller == Caller::Client {
            return Err(ApiError::access_denied(format!(
                "User: {PRINCIPAL} is not authorized to perform: \
                 secretsmanager:BatchGetSecretValue with an explicit deny in a VPC endpoint policy"
            )));
        }
        Ok(())
    }

    /// Whether the value can be decrypted for the caller.
    pub(crate) fn decrypt(&self, caller: Caller, secret: &Secret) -> ApiResult<()> {
        self.use_key(caller, secret, &["kms:Decrypt"], ApiError::decryption_failure)
    }

    /// Whether a new value can be encrypted for the caller.
    pub(crate) fn encrypt(&self, caller: Caller, secret: &Secret) -> ApiResult<()> {
        self.use_key(
            caller,
            secret,
            &["kms:GenerateDataKey", "kms:Decrypt"],
            ApiError::encryption_failure,
        )
    }

    fn use_key(
        &self,
        caller: Caller,
        secret: &Secret,
        actions: &[&str],
        failure: fn() -> ApiError,
    ) -> ApiResult<()> {
        let Some(key) = customer_key(secret) else {
            return Ok(());
        };
        if caller == Caller::Client
            && let Some(policy) = &self.access.policy
        {
            for action in actions {
                let mut context = common_context(self.region());
                for (name, value) in [
                    ("kms:viaservice", format!("secretsmanager.{}.amazonaws.com", self.region())),
                    ("kms:calleraccount", ACCOUNT.to_owned()),
                    ("kms:encryptioncontext:secretarn", secret.arn.clone()),
                ] {
                    context.insert(name.to_owned(), value);
                }
                let decision = policy.decide(&Request { action, resource: &key, context });
                if decision != Decision::Allowed {
                    return Err(ApiError::access_denied("Access to KMS is not allowed"));
                }
            }
        }
        if self.access.disabled_keys.contains(&key) {
            return Err(failure());
        }
        Ok(())
    }
}

/// The ARN of the customer key that encrypts the secret; AWS's own key needs no permission.
fn customer_key(secret: &Secret) -> Option<String> {
    let key = secret.kms_key_id.as_deref()?;
    if key.is_empty() || key.ends_with("alias/aws/secretsmanager") {
        return None;
    }
    Some(key_arn(key))
}

/// A key's ARN, from its ARN, id or alias.
pub(crate) fn key_arn(key: &str) -> String {
    if key.starts_with("arn:") {
        key.to_owned()
    } else if key.starts_with("alias/") {
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:{key}")
    } else {
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}")
    }
}

fn common_context(region: &str) -> BTreeMap<String, String> {
    [
        ("aws:requestedregion", region),
        ("aws:principalaccount", ACCOUNT),
        ("aws:principalarn", "arn:aws:iam::123456789012:role/test"),
        ("aws:securetransport", "true"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
