//! IAM: statements, and the least policy for a selection of secrets. Pure. [`Location`] has the
//! resources that secrets are.
//!
//! It is used for the hints of denied calls (`aws/denied`) and for
//! [`iam_policy`](crate::SecretsManager::iam_policy), which also works without the feature `aws`.

mod location;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::secret::id::in_region;

use location::ANY;
pub(crate) use location::Location;

/// One statement of an IAM policy, in the form of its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'static str>,
    effect: &'static str,
    /// Only for policies that are not attached to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'static str>,
    action: String,
    #[serde(serialize_with = "one_or_many")]
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

/// Operator → key → values.
type Condition = BTreeMap<&'static str, BTreeMap<&'static str, OneOrMany>>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct OneOrMany(#[serde(serialize_with = "one_or_many")] Vec<String>);

fn one_or_many<S: Serializer>(values: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match values {
        [one] => one.serialize(serializer),
        many => many.serialize(serializer),
    }
}

impl Statement {
    pub(crate) fn allow(action: &str, resource: Vec<String>) -> Self {
        let action = format!("secretsmanager:{action}");
        Self { sid: None, effect: "Allow", principal: None, action, resource, condition: None }
    }

    fn named(mut self, sid: &'static str) -> Self {
        self.sid = Some(sid);
        self
    }

    /// The statement for the policy of a VPC endpoint, which must name a principal.
    #[cfg(feature = "aws")]
    pub(crate) fn for_anyone(mut self) -> Self {
        self.principal = Some("*");
        self
    }

    /// Decrypting these secrets with any key, but only through Secrets Manager. The encryption
    /// context limits the use of a key to these secrets
    /// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html>).
    pub(crate) fn decrypt(location: &Location, ids: &[String], secrets: Vec<String>) -> Self {
        Self::use_key("kms:Decrypt", location, ids, secrets)
    }

    /// One use of these secrets' keys, but only through Secrets Manager.
    fn use_key(action: &str, location: &Location, ids: &[String], secrets: Vec<String>) -> Self {
        let mut keys: BTreeSet<String> = ids.iter().map(|id| location.keys(id)).collect();
        if keys.is_empty() {
            keys.insert(location.keys(""));
        }
        let service = format!("secretsmanager.{}.amazonaws.com", location.region);
        // For the Chinese regions, AWS writes the service both with and without the suffix `.cn`.
        let (operator, service) = match (location.region.as_str(), location.partition.as_str()) {
            (_, "aws-cn") => ("StringLike", format!("{service}*")),
            (ANY, _) => ("StringLike", service),
            _ => ("StringEquals", service),
        };
        let mut condition = Condition::new();
        condition.entry(operator).or_default().insert("kms:ViaService", OneOrMany(vec![service]));
        condition
            .entry("StringLike")
            .or_default()
            .insert("kms:EncryptionContext:SecretARN", OneOrMany(secrets));
        Self {
            sid: None,
            effect: "Allow",
            principal: None,
            action: action.to_owned(),
            resource: keys.into_iter().collect(),
            condition: Some(condition),
        }
    }

    /// The JSON of the statement on one line.
    #[cfg(feature = "aws")]
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The calls that a policy must allow.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs<'a> {
    /// Reading these, by name or ARN.
    Secrets(&'a [String]),
    /// Listing, and reading what is at or below a prefix.
    Prefix(&'a str),
}

/// The statements of the least policy for these needs.
pub(crate) fn statements(
    location: &Location,
    needs: Needs<'_>,
    batch: bool,
    describe: bool,
) -> Vec<Statement> {
    let (ids, resources): (&[String], Vec<String>) = match needs {
        Needs::Secrets(ids) => {
            let resources: BTreeSet<String> = ids.iter().map(|id| location.secret(id)).collect();
            (ids, resources.into_iter().collect())
        }
        Needs::Prefix(prefix) => {
            (&[], vec![location.secret(prefix), location.secret_arn(&format!("{prefix}/*"))])
        }
    };
    let mut statements = Vec::new();
    if !resources.is_empty() {
        statements.push(Statement::allow("GetSecretValue", resources.clone()).named("ReadSecrets"));
        // One secret is read by a single call.
        let is_one =
            matches!(needs, Needs::Secrets(ids) if ids.windows(2).all(|pair| pair[0] == pair[1]));
        if batch && !is_one {
            let any = vec![ANY.to_owned()];
            statements.push(Statement::allow("BatchGetSecretValue", any).named("ReadManyAtOnce"));
        }
        match needs {
            Needs::Secrets(_) if describe => {
                statements.push(
                    Statement::allow("DescribeSecret", resources.clone()).named("KnowRotations"),
                );
            }
            Needs::Secrets(_) => {}
            Needs::Prefix(_) => {
                statements
                    .push(Statement::allow("ListSecrets", vec![ANY.to_owned()]).named("FindNames"));
            }
        }
        let decrypt = Statement::decrypt(location, ids, resources);
        statements.push(decrypt.named("OnlyForCustomerManagedKeys"));
    }
    statements
}

/// The same for the replicas in another region. They are not asked when they rotate.
pub(crate) fn of_replicas(
    location: &Location,
    region: &str,
    needs: Needs<'_>,
    batch: bool,
) -> Vec<Statement> {
    let account = (location.account != ANY).then_some(location.account.as_str());
    let there = Location::new(Some(region), account);
    match needs {
        Needs::Prefix(_) => statements(&there, needs, batch, false),
        Needs::Secrets(ids) => {
            let ids: Vec<String> = ids.iter().map(|id| in_region(id, region)).collect();
            statements(&there, Needs::Secrets(&ids), batch, false)
        }
    }
}

/// One policy of these statements, as indented JSON. Those that differ only in their resources are
/// one, and each id of a statement occurs once.
pub(crate) fn policy(statements: Vec<Statement>) -> String {
    let mut merged: Vec<Statement> = Vec::new();
    for mut statement in statements {
        let same = |known: &&mut Statement| {
            known.action == statement.action && known.condition == statement.condition
        };
        if let Some(known) = merged.iter_mut().find(same) {
            known.resource.append(&mut statement.resource);
            known.resource.sort();
            known.resource.dedup();
            continue;
        }
        if merged.iter().any(|known| known.sid == statement.sid) {
            statement.sid = None;
        }
        merged.push(statement);
    }
    document(&merged)
}

/// The statements of a policy, if it is one of IAM.
pub(crate) fn statements_of(policy: &str) -> Option<Vec<Value>> {
    match serde_json::from_str(policy).ok()? {
        Value::Object(mut policy) => match policy.remove("Statement")? {
            Value::Array(statements) => Some(statements),
            _ => None,
        },
        _ => None,
    }
}

/// A policy with further statements, of which each comes once, and each id once.
pub(crate) fn with_statements(policy: String, more: Vec<Value>) -> String {
    if more.is_empty() {
        return policy;
    }
    let mut statements = statements_of(&policy).unwrap_or_default();
    for mut statement in more {
        // One that is here already has the id.
        let has_its_id = |known: &Value| known.get("Sid") == statement.get("Sid");
        if !statements.contains(&statement)
            && statement.get("Sid").is_some()
            && statements.iter().any(has_its_id)
            && let Value::Object(statement) = &mut statement
        {
            statement.remove("Sid");
        }
        if statements.contains(&statement) {
            continue;
        }
        statements.push(statement);
    }
    document(&statements)
}

/// The least policy for the rotation of one secret, by name or ARN, as indented JSON.
pub(crate) fn rotation_policy(location: &Location, id: Option<&str>) -> String {
    let Some(id) = id else { return document::<Statement>(&[]) };
    let (resource, ids) = (vec![location.secret(id)], [id.to_owned()]);
    let secret = |action, name| Statement::allow(action, resource.clone()).named(name);
    let key =
        |action, name| Statement::use_key(action, location, &ids, resource.clone()).named(name);
    document(&[
        secret("DescribeSecret", "SeeVersions"),
        secret("GetSecretValue", "ReadSecret"),
        secret("PutSecretValue", "StoreNewVersion"),
        secret("UpdateSecretVersionStage", "MakeItCurrent"),
        key("kms:Decrypt", "OnlyForCustomerManagedKeys"),
        key("kms:GenerateDataKey", "EncryptWithCustomerManagedKeys"),
    ])
}

fn document<S: Serialize>(statements: &[S]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document<'a, S> {
        version: &'static str,
        statement: &'a [S],
    }
    // No part of it can fail to serialize.
    serde_json::to_string_pretty(&Document { version: "2012-10-17", statement: statements })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_exactly_what_is_read() {
        let location = Location::new(Some("cn-north-1"), Some("123456789012"));
        let policy = policy(statements(&location, Needs::Prefix("gaara/prod"), true, false));
        let secret = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:gaara/prod";
        let expected = serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "ReadSecrets", "Effect": "Allow",
                "Action": "secretsmanager:GetSecretValue", "Resource": [
                format!("{secret}-??????"),
                format!("{secret}/*")]},
            {"Sid": "ReadManyAtOnce", "Effect": "Allow",
                "Action": "secretsmanager:BatchGetSecretValue", "Resource": "*"},
            {"Sid": "FindNames", "Effect": "Allow",
                "Action": "secretsmanager:ListSecrets", "Resource": "*"},
            {"Sid": "OnlyForCustomerManagedKeys", "Effect": "Allow", "Action": "kms:Decrypt",
                "Resource": "arn:aws-cn:kms:cn-north-1:123456789012:key/*",
                "Condition": {"StringLike": {
                    "kms:EncryptionContext:SecretARN": [
                        format!("{secret}-??????"),
                        format!("{secret}/*")],
                    "kms:ViaService": "secretsmanager.cn-north-1.amazonaws.com*"}}},
        ]});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&policy).expect("JSON"), expected);
    }

    #[test]
    fn no_secrets_need_no_statement() {
        let none = statements(&Location::new(None, None), Needs::Secrets(&[]), true, true);
        let policy = policy(none);
        assert_eq!(policy, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": []\n}");
    }
}
