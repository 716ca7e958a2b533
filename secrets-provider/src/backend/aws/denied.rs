//! Advice for a denied call: which action on which ARN, which policy refused it, and the statement
//! to add to it.
//!
//! `error` asks for it when AWS answers AccessDenied. Of AWS's message, which names the caller,
//! only the account and the name of a policy are taken.

use crate::backend::iam::{Location, Statement};

/// The policies that AWS names when it denies a call
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>), and their
/// names in our hints.
const POLICIES: [(&str, &str); 7] = [
    ("identity-based policy", IDENTITY),
    ("resource-based policy", "the secret's resource policy"),
    ("vpc endpoint policy", ENDPOINT),
    ("service control policy", "a service control policy of the organization"),
    ("resource control policy", "a resource control policy of the organization"),
    ("permissions boundary", "the permissions boundary of the role"),
    ("session policy", "the policy of the session"),
];

const IDENTITY: &str = "the IAM policy of the role";
const ENDPOINT: &str = "the policy of the VPC endpoint";

/// Advice for a denied call of Secrets Manager. Only fixed phrases and the caller's account are
/// taken from AWS's message (in lower case).
pub(super) fn hint(action: &str, id: Option<&str>, location: &Location, message: &str) -> String {
    let location = location.in_account_of(message);
    let resource = id.map_or_else(|| "*".to_owned(), |id| location.secret(id));
    let denied = |article: &str, name: &str| {
        message.contains(&format!("with an explicit deny in {article} {name}"))
    };
    let explicit = POLICIES.iter().find(|(name, _)| denied("a", name) || denied("an", name));
    if let Some((_, policy)) = explicit {
        return format!(
            "{policy} explicitly denies `secretsmanager:{action}` on `{resource}`, which no \
             `Allow` overrides: remove the `Deny` there, or exempt this caller from it"
        );
    }
    let implicit = POLICIES.iter().find(|(name, _)| message.contains(&format!("no {name} allows")));
    let policy = implicit.map_or(IDENTITY, |(_, policy)| policy);
    let statement = Statement::allow(action, vec![resource.clone()]);
    let statement = if policy == ENDPOINT { statement.for_anyone() } else { statement };
    // IAM only accepts this action on `*`, which is more than some want to allow.
    let instead =
        if action == "ListSecrets" { "name the secrets with `.only(..)`, or " } else { "" };
    format!(
        "{instead}allow `secretsmanager:{action}` on `{resource}`: \
         add to {policy} the statement {}",
        statement.json()
    )
}

/// Advice for a secret whose KMS key may not be used.
pub(super) fn kms_hint(id: &str, location: &Location, message: &str) -> String {
    let location = location.in_account_of(message);
    let statement = Statement::decrypt(&location, &[id.to_owned()], vec![location.secret(id)]);
    format!(
        "allow `kms:Decrypt` on the key (`aws secretsmanager describe-secret --secret-id {id}` \
         shows it as KmsKeyId; a key of another account must allow it in its own policy too): \
         add to {IDENTITY} the statement {}",
        statement.json()
    )
}
