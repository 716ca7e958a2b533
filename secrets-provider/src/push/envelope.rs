//! What the body of a queue's message says: the secret that changed, and its version. Pure.
//!
//! AWS sends `Secret Label Updated` through EventBridge when a label moves, and that event may come
//! inside SNS's own envelope. The events of CloudTrail are taken as hints too, without a version:
//! some come before there is anything new to read. Nothing in a body is trusted; what a forged one
//! can do is one read of a selected secret.

use std::time::SystemTime;

use serde_json::Value;

use crate::engine::hints::Hint;

/// The event that EventBridge has of Secrets Manager itself
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-eventbridge.html>).
const LABEL_UPDATED: &str = "Secret Label Updated";

/// The calls after which another value may be current, as CloudTrail names them. Not those that read:
/// our own would announce themselves.
const CALLS: [&str; 6] = [
    "PutSecretValue",
    "UpdateSecret",
    "UpdateSecretVersionStage",
    "CreateSecret",
    "RestoreSecret",
    "RotateSecret",
];

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A secret changed.
    Changed(Hint),
    /// It is about a secret, and nothing new can be read because of it: another label moved, or
    /// someone only read.
    Unrelated,
    /// It is no event about a secret.
    Unknown,
}

/// What a body says to someone who reads the versions with this label.
pub(super) fn read(body: &str, label: &str) -> Said {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return Said::Unknown };
    match (body.get("Type").and_then(Value::as_str), body.get("Message").and_then(Value::as_str)) {
        // SNS without raw delivery: the event is a string inside.
        (Some("Notification"), Some(message)) => {
            serde_json::from_str(message).map_or(Said::Unknown, |event| of_event(&event, label))
        }
        _ => of_event(&body, label),
    }
}

fn of_event(event: &Value, label: &str) -> Said {
    let text =
        |path: &str| event.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(kind) = text("/detail-type") else { return Said::Unknown };
    if text("/source").is_some_and(|source| source != "aws.secretsmanager") {
        return Said::Unknown;
    }
    let name = text("/detail/eventName").unwrap_or_default();
    let is_news = match kind {
        LABEL_UPDATED => text("/detail/labelUpdated").is_none_or(|updated| updated == label),
        "AWS API Call via CloudTrail" => CALLS.contains(&name),
        "AWS Service Event via CloudTrail" => name == "RotationSucceeded",
        _ => return Said::Unknown,
    };
    let secret = [
        "/detail/name",
        "/resources/0",
        "/detail/requestParameters/secretId",
        "/detail/additionalEventData/SecretId",
        "/detail/serviceEventDetails/secretId",
        "/detail/responseElements/arn",
        "/detail/responseElements/aRN",
    ];
    let Some(secret) = secret.into_iter().find_map(text) else { return Said::Unknown };
    if !is_news {
        return Said::Unrelated;
    }
    let version = text("/detail/versionId").filter(|_| kind == LABEL_UPDATED);
    let changed_at = text("/time").and_then(time);
    Said::Changed(Hint {
        secret: secret.to_owned(),
        version: version.map(str::to_owned),
        changed_at,
    })
}

/// An event's time, by the SDK's parser; fuzzing is without the SDK.
#[cfg(not(fuzzing))]
fn time(text: &str) -> Option<SystemTime> {
    use aws_smithy_types::DateTime;
    use aws_smithy_types::date_time::Format;

    SystemTime::try_from(DateTime::from_str(text, Format::DateTime).ok()?).ok()
}

#[cfg(fuzzing)]
fn time(_: &str) -> Option<SystemTime> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const ARN: &str =
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:gaara/prod/database-a1b2c3";

    fn native() -> Value {
        json!({
            "version": "0",
            "id": "5e9c7d0e-4f3b-4b0e-9d53-1d4f7d4a3f11",
            "detail-type": LABEL_UPDATED,
            "source": "aws.secretsmanager",
            "account": "111122223333",
            "time": "2026-11-25T04:08:04Z",
            "region": "eu-west-1",
            "resources": [ARN],
            "detail": {"name": "gaara/prod/database", "labelUpdated": "AWSCURRENT", "versionId": "v2"},
        })
    }

    fn hint(secret: &str, version: Option<&str>, at: Option<u64>) -> Said {
        let changed_at = at.map(|at| SystemTime::UNIX_EPOCH + Duration::from_secs(at));
        Said::Changed(Hint {
            secret: secret.to_owned(),
            version: version.map(str::to_owned),
            changed_at,
        })
    }

    #[test]
    fn events_of_aws_are_hints_in_every_envelope() {
        const AT: Option<u64> = Some(1_795_579_684);
        let said = hint("gaara/prod/database", Some("v2"), AT);
        let wrapped = json!({
            "Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:secrets",
            "Message": native().to_string(),
        });
        for body in [native(), wrapped] {
            assert_eq!(read(&body.to_string(), "AWSCURRENT"), said);
        }
        let mut other = native();
        other["detail"]["labelUpdated"] = "blue".into();
        assert_eq!(read(&other.to_string(), "AWSCURRENT"), Said::Unrelated);
        assert_eq!(read(&other.to_string(), "blue"), said);

        for (mut detail, resources, expected) in [
            (json!({"requestParameters": {"secretId": "a"}}), json!([]), "a"),
            (json!({"requestParameters": {"secretId": ARN}}), json!([]), ARN),
            (json!({"additionalEventData": {"SecretId": ARN}}), json!([]), ARN),
            (json!({"serviceEventDetails": {"secretId": ARN}}), json!([]), ARN),
            (json!({"responseElements": {"arn": ARN}}), json!([]), ARN),
            (json!({"responseElements": {"aRN": ARN}, "requestParameters": null}), json!([]), ARN),
            (json!({}), json!([ARN]), ARN),
        ] {
            for (kind, name, is_news) in [
                ("AWS API Call via CloudTrail", "PutSecretValue", true),
                ("AWS API Call via CloudTrail", "UpdateSecretVersionStage", true),
                // Our own reads must not announce themselves.
                ("AWS API Call via CloudTrail", "GetSecretValue", false),
                ("AWS API Call via CloudTrail", "DescribeSecret", false),
                ("AWS Service Event via CloudTrail", "RotationSucceeded", true),
                ("AWS Service Event via CloudTrail", "RotationFailed", false),
            ] {
                detail["eventName"] = name.into();
                let event = json!({"detail-type": kind, "detail": detail, "resources": resources});
                let said = if is_news { hint(expected, None, None) } else { Said::Unrelated };
                assert_eq!(read(&event.to_string(), "AWSCURRENT"), said, "{name}");
            }
        }
    }

    #[test]
    fn anything_else_is_unknown() {
        let mut nested = json!({"Type": "Notification", "Message": native().to_string()});
        nested = json!({"Type": "Notification", "Message": nested.to_string()});
        for body in [
            "",
            "gaara/prod/database",
            "[]",
            "null",
            "{}",
            r#"{"detail-type": 1}"#,
            r#"{"detail-type": "Secret Label Updated"}"#,
            r#"{"detail-type": "EC2 Instance State-change Notification", "resources": ["i"]}"#,
            r#"{"detail-type": "Secret Label Updated", "source": "x", "resources": ["a"]}"#,
            r#"{"detail-type": "Secret Label Updated", "detail": {"name": ""}, "resources": [1]}"#,
            r#"{"Type": "Notification", "Message": {"detail-type": "x"}}"#,
            r#"{"Type": "SubscriptionConfirmation", "Message": "confirm"}"#,
            &nested.to_string(),
            &"[".repeat(100_000),
        ] {
            assert_eq!(read(body, "AWSCURRENT"), Said::Unknown, "{:.60}", body);
        }
    }
}
