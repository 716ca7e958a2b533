//! What a replica's own queue is called, and what it says about itself. Pure.
//!
//! Queues of a topic have one beginning of their names, by which IAM allows them and a sweep finds
//! them, and a random ending. The tags say whose a queue is and until when it is in use. Nothing in
//! here comes from a secret.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::Push;
use crate::error::{Error, ErrorKind, escape};

/// How the names of all own queues begin.
pub(super) const PREFIX: &str = "secrets-provider-";

/// How many hexadecimal digits end a name.
const RANDOM: usize = 20;

/// How long a tag's value may be
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html>).
const MAX_TAG: usize = 256;

/// Until when a queue is in use, in seconds since 1970.
pub(super) const EXPIRES: &str = "secrets-provider:expires-at";
/// The subscription that sends to the queue, so that a sweep can delete that too.
pub(super) const SUBSCRIPTION: &str = "secrets-provider:subscription";
const HOST: &str = "secrets-provider:host";
const PROGRAM: &str = "secrets-provider:program";

/// How long a queue is in use without its tag being renewed.
pub(super) const LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// How long a queue is left alone after that: clocks differ.
const GRACE: Duration = Duration::from_secs(600);

/// A topic of SNS, by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicArn {
    arn: String,
    partition: String,
    region: String,
    name: String,
}

impl TopicArn {
    /// # Errors
    ///
    /// `Config` if this is no ARN of a topic, or one of a FIFO topic.
    pub(super) fn parse(arn: &str) -> Result<Self, Error> {
        let bad = |what: &str, hint: &str| {
            let message = format!("`{}` {what}", escape(arn));
            Err(Error::new(ErrorKind::Config, message).with_hint(hint))
        };
        let parts: Vec<&str> = arn.split(':').collect();
        let plain = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            !text.is_empty() && text.chars().all(plain)
        };
        match parts[..] {
            ["arn", partition, "sns", region, account, name]
                if [partition, region, account, name].into_iter().all(plain) =>
            {
                Ok(Self {
                    arn: arn.to_owned(),
                    partition: partition.to_owned(),
                    region: region.to_owned(),
                    name: name.to_owned(),
                })
            }
            ["arn", _, "sns", _, _, name] if name.ends_with(".fifo") => bad(
                "is a FIFO topic, which EventBridge does not send these events to",
                "make a standard topic",
            ),
            _ => bad(
                "is not the ARN of an SNS topic",
                "give the topic's ARN, such as \
                 `arn:aws:sns:eu-west-1:111122223333:secret-changes`; that of a subscription has \
                 one part more",
            ),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.arn
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// How the names of this topic's queues begin.
    pub(super) fn queue_prefix(&self) -> String {
        let of_topic = self.name.get(..Push::MAX_OF_TOPIC).unwrap_or(&self.name);
        format!("{PREFIX}{of_topic}-")
    }

    /// A name for a queue, of these random bits.
    pub(super) fn queue_name(&self, random: u128) -> String {
        let digits = format!("{random:032x}");
        format!("{}{}", self.queue_prefix(), &digits[..RANDOM])
    }

    /// Whether a queue of this topic may have this name. Another topic's name may begin like this
    /// one's.
    pub(super) fn may_own(&self, queue: &str) -> bool {
        queue.strip_prefix(&self.queue_prefix()).is_some_and(|ending| {
            ending.len() == RANDOM && ending.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }

    /// This topic's queues as a resource in IAM, of any account: the caller's is not known.
    pub(super) fn queues(&self) -> String {
        let Self { partition, region, .. } = self;
        format!("arn:{partition}:sqs:{region}:*:{}*", self.queue_prefix())
    }

    /// The ARN of a queue, by the account and the name in its URL.
    pub(super) fn queue_arn(&self, account: &str, name: &str) -> String {
        let Self { partition, region, .. } = self;
        format!("arn:{partition}:sqs:{region}:{account}:{name}")
    }

    /// Whether this is a subscription to the topic.
    pub(super) fn has(&self, subscription: &str) -> bool {
        subscription.strip_prefix(&self.arn).is_some_and(|rest| rest.starts_with(':'))
    }

    /// The policy of the queue of this name. It lets this topic send to it, and nothing else. The
    /// account is only known when the queue has been made.
    pub(super) fn queue_policy(&self, name: &str) -> String {
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": self.queue_arn("*", name),
                "Condition": {"ArnEquals": {"aws:SourceArn": self.arn}},
            }],
        })
        .to_string()
    }
}

/// The tags of a queue that is in use from now on.
pub(super) fn tags(now: SystemTime, subscription: Option<&str>) -> Vec<(&'static str, String)> {
    let until = now.duration_since(UNIX_EPOCH).unwrap_or_default() + LIFETIME;
    let mut tags = vec![(EXPIRES, until.as_secs().to_string())];
    tags.extend(host().map(|host| (HOST, tag_value(&host))));
    tags.extend(program().map(|program| (PROGRAM, tag_value(&program))));
    // One that is too long for a tag is left behind when the replica dies, and does no harm.
    let subscription = subscription.filter(|arn| arn.len() <= MAX_TAG);
    tags.extend(subscription.map(|arn| (SUBSCRIPTION, arn.to_owned())));
    tags
}

/// Whether the time in the tag has passed. What is no time is of someone else, and is left alone.
pub(super) fn has_expired(expires: Option<&str>, now: SystemTime) -> bool {
    let Some(seconds) = expires.and_then(|text| text.parse::<u64>().ok()) else { return false };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() > seconds.saturating_add(GRACE.as_secs())
}

/// The machine or the container, as the system calls it.
fn host() -> Option<String> {
    let variable = std::env::var("HOSTNAME").ok();
    let file = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    variable.or_else(file).map(|host| host.trim().to_owned()).filter(|host| !host.is_empty())
}

/// The name of the program's file.
fn program() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// Text that SQS takes as the value of a tag.
fn tag_value(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-=._:/@".contains(c);
    text.chars().map(|c| if fits(c) { c } else { '_' }).take(MAX_TAG).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sns:eu-west-1:111122223333:secret-changes";

    #[test]
    fn a_topic_is_named_by_its_arn() {
        let topic = TopicArn::parse(ARN).expect("an ARN");
        assert_eq!((topic.as_str(), topic.region()), (ARN, "eu-west-1"));
        for (arn, part) in [
            ("secret-changes", "not the ARN"),
            ("", "not the ARN"),
            ("arn:aws:sns:eu-west-1:111122223333:", "not the ARN"),
            ("arn:aws:sns:eu-west-1:111122223333:a b", "not the ARN"),
            ("arn:aws:sqs:eu-west-1:111122223333:secret-changes", "not the ARN"),
            ("arn:aws:sns:eu-west-1:111122223333:secret-changes:1a2b", "not the ARN"),
            ("arn:aws:sns:eu-west-1:111122223333:secret-changes.fifo", "FIFO"),
        ] {
            let error = TopicArn::parse(arn).expect_err(arn);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part) && error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn the_names_of_queues_tell_topics_apart_and_fit() {
        let long = format!("{ARN}-{}", "x".repeat(200));
        for arn in [ARN, &long] {
            let topic = TopicArn::parse(arn).expect("an ARN");
            let (name, other) = (topic.queue_name(u128::MAX), topic.queue_name(1 << 100));
            assert!(name.len() <= 80 && name != other, "{name}");
            assert!(topic.may_own(&name) && topic.may_own(&other));
        }
        let topic = TopicArn::parse(ARN).expect("an ARN");
        let longer = TopicArn::parse(&format!("{ARN}-2")).expect("an ARN");
        let of_longer = longer.queue_name(7);
        assert!(of_longer.starts_with(&topic.queue_prefix()) && !topic.may_own(&of_longer));
        assert!(!topic.may_own("secrets-provider-secret-changes-by-hand-1234567890"));
        assert!(topic.has(&format!("{ARN}:1a2b")) && !topic.has(&format!("{ARN}-2:1a2b")));
    }

    #[test]
    fn a_queue_has_expired_some_time_after_its_tag_says_so() {
        let now = SystemTime::now();
        let tags = tags(now, Some(ARN));
        let expires = &tags.iter().find(|(key, _)| *key == EXPIRES).expect("a tag").1;
        for (after, expired) in
            [(Duration::ZERO, false), (LIFETIME, false), (LIFETIME + GRACE * 2, true)]
        {
            assert_eq!(has_expired(Some(expires), now + after), expired, "{after:?}");
        }
        for other in [None, Some(""), Some("soon"), Some("-1"), Some("99999999999999999999")] {
            assert!(!has_expired(other, now), "{other:?}");
        }
        assert!(tags.contains(&(SUBSCRIPTION, ARN.to_owned())));
        let long = format!("{ARN}{}", "x".repeat(256));
        assert!(super::tags(now, Some(&long)).iter().all(|(key, _)| *key != SUBSCRIPTION));
        assert_eq!(tag_value("web 3\n<é>"), "web_3____");
    }
}
