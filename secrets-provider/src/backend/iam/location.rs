//! Where secrets are, as far as it is known, and their ARNs. Pure, except for
//! [`Location::of_process`], which reads three variables.
//!
//! Only a well-formed region or account becomes part of an ARN, because IAM refuses any other.

use crate::secret::id::{Arn, is_arn};

/// An unknown region or account, which IAM matches with any.
pub(super) const ANY: &str = "*";

/// Where calls go: partition, region and account, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(super) partition: String,
    pub(super) region: String,
    pub(super) account: String,
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

    pub(super) fn secret_arn(&self, name: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}")
    }

    /// All KMS keys of the account and region of a secret.
    pub(super) fn keys(&self, id: &str) -> String {
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
}
