//! IAM: the resources that secrets are, statements, and the least policy for a selection of
//! secrets. Pure, except for [`Location::of_process`], which reads three variables.
//!
//! It is used for the hints of denied calls (`aws/denied`) and for
//! [`iam_policy`](crate::SecretsManager::iam_policy), which also works without the feature `aws`.
//! Only a well-formed region or account becomes part of an ARN, because IAM refuses any other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::secret::id::{Arn, in_region, is_arn};

/// An unknown region or account, which IAM matches with any.
const ANY: &str = "*";

/// Where calls go: partition, region and account, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    partition: String,
    region: String,
    account: String,
    /// As endpoints are named after it.
    #[cfg(feature = "aws")]
    service: &'static str,
}

impl Location {
    /// `None` means unknown. Text that cannot be a region or an account counts as unknown, because
    /// IAM would refuse its ARN.
    pub(crate) fn new(region: Option<&str>, account: Option<&str>) -> Self {
        let region = region.filter(|region| is_region(region)).unwrap_or(ANY);
        let account = account.filter(|account| is_account(account)).unwrap_or(ANY);
        Self {
            partition: partition(region).to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            #[cfg(feature = "aws")]
            service: "secretsmanager",
        }
    }

    /// The same location, for calls of another service, as endpoints are named after it: `sqs`.
    #[cfg(feature = "sqs")]
    pub(crate) fn of_service(self, service: &'static str) -> Self {
        Self { service, ..self }
    }

    /// The service that calls go to, as endpoints are named after it.
    #[cfg(feature = "aws")]
    pub(crate) fn service(&self) -> &'static str {
        self.service
    }

    /// This region or that of the process, in the account of the process, as its variables say.
    pub(crate) fn of_process(region: Option<&str>) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let region = region.map(str::to_owned);
        let region =
            region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        Self::new(region.as_deref(), variable("AWS_ACCOUNT_ID").as_deref())
    }

    /// The same location in the caller's account, if this message of AWS contains the caller's ARN.
    /// Nothing else is read from the message.
    #[cfg(feature = "aws")]
    pub(crate) fn in_account_of(&self, text: &str) -> Self {
        Self { account: account_of(text).unwrap_or(&self.account).to_owned(), ..self.clone() }
    }

    /// The region, if it is known.
    #[cfg(feature = "aws")]
    pub(crate) fn region(&self) -> Option<&str> {
        (self.region != ANY).then_some(self.region.as_str())
    }

    #[cfg(feature = "aws")]
    pub(crate) fn partition(&self) -> &str {
        &self.partition
    }

    /// The service name for an interface endpoint in a VPC.
    #[cfg(feature = "aws")]
    pub(crate) fn endpoint_service(&self) -> String {
        let reversed =
            if self.partition == "aws-cn" { "cn.com.amazonaws" } else { "com.amazonaws" };
        format!("{reversed}.{}.{}", self.region().unwrap_or("<region>"), self.service)
    }

    /// The URL of the service's own endpoint.
    #[cfg(feature = "aws")]
    pub(crate) fn endpoint_url(&self) -> String {
        let suffix = if self.partition == "aws-cn" { ".cn" } else { "" };
        let region = self.region().unwrap_or("region");
        format!("https://{}.{region}.amazonaws.com{suffix}", self.service)
    }

    /// The ARN of a secret as a resource in IAM. Its six random characters are unknown for a name,
    /// and for an ARN that was given without them.
    pub(crate) fn secret(&self, id: &str) -> String {
        match Arn::parse(id) {
            Some(arn) if arn.has_ending() => id.to_owned(),
            _ if is_arn(id) => format!("{id}-??????"),
            _ => format!("{}-??????", self.secret_arn(id)),
        }
    }

    /// The ARN of a parameter as a resource in IAM, from its name without the slash at its start.
    #[cfg(feature = "ssm")]
    pub(crate) fn parameter(&self, name: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:ssm:{region}:{account}:parameter/{name}")
    }

    /// All KMS keys of the account and region.
    #[cfg(feature = "ssm")]
    pub(crate) fn key(&self) -> String {
        self.keys("")
    }

    /// How KMS names a service through which a key is used.
    #[cfg(feature = "ssm")]
    pub(crate) fn via(&self, service: &str) -> String {
        let suffix = if self.partition == "aws-cn" { "*" } else { "" };
        format!("{service}.{}.amazonaws.com{suffix}", self.region)
    }

    fn secret_arn(&self, name: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}")
    }

    /// All KMS keys of the account and region of a secret.
    fn keys(&self, id: &str) -> String {
        let (partition, region, account) = match Arn::parse(id) {
            Some(Arn { partition, region, account, .. }) => (partition, region, account),
            None => (self.partition.as_str(), self.region.as_str(), self.account.as_str()),
        };
        format!("arn:{partition}:kms:{region}:{account}:key/*")
    }
}

fn partition(region: &str) -> &'static str {
    let starts = |prefix: &str| region.starts_with(prefix);
    match () {
        () if starts("cn-") => "aws-cn",
        () if starts("us-gov-") => "aws-us-gov",
        () if starts("us-isob-") => "aws-iso-b",
        () if starts("us-isof-") => "aws-iso-f",
        () if starts("us-iso-") => "aws-iso",
        () if starts("eu-isoe-") => "aws-iso-e",
        () if starts("eusc-") => "aws-eusc",
        () => "aws",
    }
}

fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|c| c.is_ascii_digit())
}

/// The account of the first principal's ARN in a text: `arn:aws:sts::123456789012:…`, or with `iam`
/// for a user.
#[cfg(feature = "aws")]
fn account_of(text: &str) -> Option<&str> {
    text.match_indices("arn:aws").find_map(|(at, _)| {
        let mut parts = text[at..].splitn(6, ':').skip(1);
        let partition = parts.next()?;
        let principal = matches!(parts.next()?, "sts" | "iam") && parts.next()?.is_empty();
        let account = parts.next()?;
        // More must follow, or the digits may be cut off.
        let whole = parts.next().is_some() && is_account(account);
        let named = partition.bytes().all(|c| matches!(c, b'a'..=b'z' | b'-'));
        (principal && whole && named).then_some(account)
    })
}

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
    fn the_partition_follows_from_the_region() {
        for (region, arn) in [
            (Some("eu-central-1"), "arn:aws:secretsmanager:eu-central-1:*:secret:a/b-??????"),
            (Some("cn-north-1"), "arn:aws-cn:secretsmanager:cn-north-1:*:secret:a/b-??????"),
            (
                Some("us-gov-west-1"),
                "arn:aws-us-gov:secretsmanager:us-gov-west-1:*:secret:a/b-??????",
            ),
            (
                Some("us-isob-east-1"),
                "arn:aws-iso-b:secretsmanager:us-isob-east-1:*:secret:a/b-??????",
            ),
            (Some("Frankfurt, or so"), "arn:aws:secretsmanager:*:*:secret:a/b-??????"),
            (None, "arn:aws:secretsmanager:*:*:secret:a/b-??????"),
        ] {
            assert_eq!(Location::new(region, None).secret("a/b"), arn, "{region:?}");
        }
    }

    #[test]
    fn an_arn_without_its_ending_gets_a_pattern_for_it() {
        let location = Location::new(Some("eu-central-1"), Some("123456789012"));
        let arn = "arn:aws:secretsmanager:us-east-1:210987654321:secret:a/b";
        assert_eq!(location.secret(arn), format!("{arn}-??????"));
        assert_eq!(location.secret(&format!("{arn}-AbCd1f")), format!("{arn}-AbCd1f"));
        assert_eq!(location.keys(arn), "arn:aws:kms:us-east-1:210987654321:key/*");
        assert_eq!(location.keys("a/b"), "arn:aws:kms:eu-central-1:123456789012:key/*");
    }

    /// A server may send anything. Only the twelve digits of a well-formed principal are read.
    #[cfg(feature = "aws")]
    #[test]
    fn an_account_is_only_read_from_the_arn_of_a_principal() {
        for (text, account) in [
            ("User: arn:aws:sts::123456789012:assumed-role/a/b is not", Some("123456789012")),
            ("User: arn:aws-us-gov:iam::123456789012:user/a is not", Some("123456789012")),
            ("arn:aws:s3:::bucket arn:aws:sts::123456789012:x", Some("123456789012")),
            ("arn:aws:secretsmanager:us-east-1:123456789012:secret:a", None),
            ("arn:aws:sts::hunter2hunt:x", None),
            ("arn:aws:sts::1234567890123:x", None),
            ("arn:aws:sts::123456789012", None),
            ("arn:aws{}:sts::123456789012:x", None),
            ("arn:aws:sts:us-east-1:123456789012:x", None),
            ("arn:aws", None),
            ("", None),
        ] {
            assert_eq!(account_of(text), account, "{text}");
        }
    }

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
