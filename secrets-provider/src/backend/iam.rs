//! IAM in our words: ARNs, statements, and the least policy that a selection of secrets needs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use crate::secret::id::is_arn;

/// What stands for a region or an account that is not known: IAM matches any.
const ANY: &str = "*";

/// Where calls go and on whose behalf, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    partition: String,
    region: String,
    account: String,
}

impl Scope {
    /// `None` for what is not known; so too for what cannot be a region or an account, which would make an ARN that
    /// IAM refuses.
    pub(crate) fn new(region: Option<&str>, account: Option<&str>) -> Self {
        let region = region.filter(|region| is_region(region)).unwrap_or(ANY);
        let account = account.filter(|account| is_account(account)).unwrap_or(ANY);
        Self {
            partition: partition(region).to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
        }
    }

    /// The same, in the account that a principal's ARN in this text of AWS's is of. Nothing else is read from it.
    #[cfg(feature = "aws")]
    pub(crate) fn in_account_of(&self, text: &str) -> Self {
        Self { account: account_of(text).unwrap_or(&self.account).to_owned(), ..self.clone() }
    }

    /// The region, if it is known.
    #[cfg(feature = "aws")]
    pub(crate) fn region(&self) -> Option<&str> {
        (self.region != ANY).then_some(self.region.as_str())
    }

    /// The name of the service that an interface endpoint in a VPC is created for.
    #[cfg(feature = "aws")]
    pub(crate) fn endpoint_service(&self) -> String {
        let reversed =
            if self.partition == "aws-cn" { "cn.com.amazonaws" } else { "com.amazonaws" };
        format!("{reversed}.{}.secretsmanager", self.region().unwrap_or("<region>"))
    }

    /// The resource that a secret is to IAM. A name's ARN ends in six characters that nobody knows beforehand, and so
    /// does an ARN that was given without them.
    pub(crate) fn secret(&self, id: &str) -> String {
        match is_arn(id) {
            true if has_ending(id) => id.to_owned(),
            true => format!("{id}-??????"),
            false => format!("{}-??????", self.secret_arn(id)),
        }
    }

    fn secret_arn(&self, name: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}")
    }

    /// Every KMS key of the account and region that a secret is in.
    fn keys(&self, id: &str) -> String {
        let mut parts = id.split(':');
        let (partition, region, account) =
            match (parts.next(), parts.next(), parts.nth(1), parts.next()) {
                (Some("arn"), Some(partition), Some(region), Some(account)) => {
                    (partition, region, account)
                }
                _ => (self.partition.as_str(), self.region.as_str(), self.account.as_str()),
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

/// Whether an ARN has the six characters that AWS ends a secret's with. So does one of a name such as `my-secret`
/// without them, to AWS too, which advises against such names.
fn has_ending(arn: &str) -> bool {
    arn.rsplit_once('-')
        .is_some_and(|(_, end)| end.len() == 6 && end.bytes().all(|c| c.is_ascii_alphanumeric()))
}

/// The account of the first principal's ARN in a text: `arn:aws:sts::123456789012:…`, or `iam` for a user.
#[cfg(feature = "aws")]
fn account_of(text: &str) -> Option<&str> {
    text.match_indices("arn:aws").find_map(|(at, _)| {
        let mut parts = text[at..].splitn(6, ':').skip(1);
        let partition = parts.next()?;
        let principal = matches!(parts.next()?, "sts" | "iam") && parts.next()?.is_empty();
        let account = parts.next()?;
        // Something has to follow, or the digits may have been cut.
        let whole = parts.next().is_some() && is_account(account);
        let named = partition.bytes().all(|c| matches!(c, b'a'..=b'z' | b'-'));
        (principal && whole && named).then_some(account)
    })
}

/// One statement of an IAM policy, as it is written in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'static str>,
    effect: &'static str,
    /// For policies that are attached to something other than the caller.
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

    /// As it stands in the policy of a VPC endpoint, which has to say for whom.
    #[cfg(feature = "aws")]
    pub(crate) fn for_anyone(mut self) -> Self {
        self.principal = Some("*");
        self
    }

    /// Decrypting these secrets by whatever keys they have, and through Secrets Manager alone. The encryption context
    /// is what binds a key's use to a secret: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html>.
    pub(crate) fn decrypt(scope: &Scope, ids: &[String], secrets: Vec<String>) -> Self {
        let mut keys: BTreeSet<String> = ids.iter().map(|id| scope.keys(id)).collect();
        if keys.is_empty() {
            keys.insert(scope.keys(""));
        }
        let service = format!("secretsmanager.{}.amazonaws.com", scope.region);
        // The suffix of the Chinese regions' services is written with and without its `.cn`.
        let (operator, service) = match (scope.region.as_str(), scope.partition.as_str()) {
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
            action: "kms:Decrypt".to_owned(),
            resource: keys.into_iter().collect(),
            condition: Some(condition),
        }
    }

    /// On one line.
    #[cfg(feature = "aws")]
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a policy has to allow.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs<'a> {
    /// Reading these, by name or ARN.
    Secrets(&'a [String]),
    /// Listing, and reading what is at or below a prefix.
    Prefix(&'a str),
}

/// The least policy that serves these needs, as indented JSON.
pub(crate) fn policy(scope: &Scope, needs: Needs<'_>, batch: bool, describe: bool) -> String {
    let (ids, resources): (&[String], Vec<String>) = match needs {
        Needs::Secrets(ids) => {
            let resources: BTreeSet<String> = ids.iter().map(|id| scope.secret(id)).collect();
            (ids, resources.into_iter().collect())
        }
        Needs::Prefix(prefix) => {
            (&[], vec![scope.secret(prefix), scope.secret_arn(&format!("{prefix}/*"))])
        }
    };
    let mut statements = Vec::new();
    if !resources.is_empty() {
        statements.push(Statement::allow("GetSecretValue", resources.clone()).named("ReadSecrets"));
        if batch {
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
        let decrypt = Statement::decrypt(scope, ids, resources);
        statements.push(decrypt.named("OnlyForCustomerManagedKeys"));
    }
    document(&statements)
}

fn document(statements: &[Statement]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document<'a> {
        version: &'static str,
        statement: &'a [Statement],
    }
    // Nothing in it can fail to serialize.
    serde_json::to_string_pretty(&Document { version: "2012-10-17", statement: statements })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_tells_the_partition() {
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
            assert_eq!(Scope::new(region, None).secret("a/b"), arn, "{region:?}");
        }
    }

    #[test]
    fn an_arn_is_taken_as_it_is_given_or_gets_the_ending_it_lacks() {
        let scope = Scope::new(Some("eu-central-1"), Some("123456789012"));
        let arn = "arn:aws:secretsmanager:us-east-1:210987654321:secret:a/b";
        assert_eq!(scope.secret(arn), format!("{arn}-??????"));
        assert_eq!(scope.secret(&format!("{arn}-AbCd1f")), format!("{arn}-AbCd1f"));
        assert_eq!(scope.keys(arn), "arn:aws:kms:us-east-1:210987654321:key/*");
        assert_eq!(scope.keys("a/b"), "arn:aws:kms:eu-central-1:123456789012:key/*");
    }

    /// A server may say anything; twelve digits of a well-formed principal are all that is taken from it.
    #[cfg(feature = "aws")]
    #[test]
    fn an_account_is_read_from_a_principal_and_from_nothing_else() {
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
        let scope = Scope::new(Some("cn-north-1"), Some("123456789012"));
        let policy = policy(&scope, Needs::Prefix("gaara/prod"), true, false);
        let expected = serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "ReadSecrets", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": [
                "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:gaara/prod-??????",
                "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:gaara/prod/*"]},
            {"Sid": "ReadManyAtOnce", "Effect": "Allow", "Action": "secretsmanager:BatchGetSecretValue",
                "Resource": "*"},
            {"Sid": "FindNames", "Effect": "Allow", "Action": "secretsmanager:ListSecrets", "Resource": "*"},
            {"Sid": "OnlyForCustomerManagedKeys", "Effect": "Allow", "Action": "kms:Decrypt",
                "Resource": "arn:aws-cn:kms:cn-north-1:123456789012:key/*",
                "Condition": {"StringLike": {
                    "kms:EncryptionContext:SecretARN": [
                        "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:gaara/prod-??????",
                        "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:gaara/prod/*"],
                    "kms:ViaService": "secretsmanager.cn-north-1.amazonaws.com*"}}},
        ]});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&policy).expect("JSON"), expected);
    }

    #[test]
    fn nothing_selected_needs_nothing() {
        let policy = policy(&Scope::new(None, None), Needs::Secrets(&[]), true, true);
        assert_eq!(policy, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": []\n}");
    }
}
