//! What AWS knows about each secret, apart from its value: `DescribeSecret`.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::StatusType;
use secrets_provider::{Error, ErrorKind};

use super::{Line, Mark};
use crate::output::printable;
use crate::select::Selection;
use crate::store;

/// A secret that was read.
pub(super) struct Read<'a> {
    pub(super) name: &'a str,
    pub(super) version_id: &'a str,
    /// What its value is, without anything of it.
    pub(super) shape: Option<String>,
}

/// The facts about these secrets, each with a call.
pub(super) async fn look(
    selection: &Selection,
    secrets: &[Read<'_>],
    max_age: Option<u64>,
    lines: &mut Vec<Line>,
) {
    for secret in secrets {
        match store::describe(selection, secret.name).await {
            Ok(described) => {
                let found = described.0.map(|facts| of(secret, &facts, max_age, SystemTime::now()));
                lines.extend(found.into_iter().flatten());
            }
            // Only this command needs it, so one line is enough.
            Err(error) if error.is_denied() => {
                let text = "not allowed; the facts about secrets are not looked at";
                lines.push(
                    Line::new(Mark::Warn, "DescribeSecret", text)
                        .todo("a service does not need it; allow it to who runs this command"),
                );
                return;
            }
            // No answer, or an error of the server: it is not about one secret, so one line is enough.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let text = "gave no usable answer; the facts about secrets are not looked at";
                lines.push(Line::new(Mark::Warn, "DescribeSecret", text).todo(
                    "a service does not need it; run doctor again, or ignore it with an emulator \
                     that lacks it",
                ));
                return;
            }
            Err(error) => lines.extend(Line::of_error(secret.name, &error)),
        }
    }
}

/// Adds to the line of a secret that is not read what helps to find the reason, if this caller may
/// know it: until when it can be restored, or which key it has.
pub(super) async fn add(selection: &Selection, error: &Error, line: &mut Line) {
    let Some(id) = error.secret() else { return };
    if !matches!(error.kind(), ErrorKind::PendingDeletion | ErrorKind::Kms) {
        return;
    }
    let Ok(store::Described(Some(facts))) = store::describe(selection, id).await else { return };
    match error.kind() {
        ErrorKind::PendingDeletion => line.text += &deleted(&facts).unwrap_or_default(),
        _ => line.text += &format!("; {}", key(&facts)),
    }
}

fn key(facts: &DescribeSecretOutput) -> String {
    format!("KMS key {}", printable(facts.kms_key_id().unwrap_or("aws/secretsmanager")))
}

fn deleted(facts: &DescribeSecretOutput) -> Option<String> {
    facts.deleted_date().map(|date| format!("; its DeletedDate is {}", store::date(date)))
}

/// What the facts about one secret say. Pure.
fn of(
    secret: &Read<'_>,
    facts: &DescribeSecretOutput,
    max_age: Option<u64>,
    now: SystemTime,
) -> Vec<Line> {
    let name = secret.name;
    let warn = |text: String, todo: &str| Line::new(Mark::Warn, name, text).todo(todo);
    let mut lines = Vec::new();
    let mut parts = vec![format!("version {}", secret.version_id)];
    parts.extend(secret.shape.clone());
    if let Some(changed) = facts.last_changed_date() {
        let days = age(changed, now).as_secs() / (24 * 3600);
        parts.push(format!("changed {days} days ago"));
        if max_age.is_some_and(|max| days > max) {
            lines.push(warn(
                format!("its value is {days} days old"),
                "rotate it: `secrets-provider rotate`, or a rotation in AWS",
            ));
        }
    }
    parts.push(key(facts));
    parts.extend(facts.r#type().map(|kind| format!("type {kind}")));
    parts.extend(facts.owning_service().map(|service| format!("owned by {service}")));
    let labelled = |label: &str| {
        let versions = facts.version_ids_to_stages();
        let mut versions = versions.into_iter().flatten();
        versions.find(|(_, labels)| labels.iter().any(|other| other == label)).map(|(id, _)| id)
    };
    if labelled("AWSPREVIOUS").is_some() {
        parts.push("has AWSPREVIOUS".to_owned());
    }
    if let Some(pending) = labelled("AWSPENDING").filter(|id| labelled("AWSCURRENT") != Some(id)) {
        lines.push(warn(
            format!("a rotation is not finished, or has failed: version {pending} is AWSPENDING"),
            "if it stays so, look at the log of the rotation function, or run the rotation again",
        ));
    }
    match (facts.rotation_enabled(), facts.next_rotation_date()) {
        (Some(true), Some(next)) if age(next, now) > Duration::ZERO => lines.push(warn(
            format!("its rotation was due {}, and has not come", store::date(next)),
            "look at the log of the rotation function",
        )),
        (Some(true), Some(next)) => parts.push(format!("rotates before {}", store::date(next))),
        (Some(true), None) => parts.push("rotates".to_owned()),
        _ => parts.push("does not rotate".to_owned()),
    }
    if let Some(last) = facts.last_rotated_date() {
        parts.push(format!("rotated {}", store::date(last)));
    }
    if let Some(date) = deleted(facts) {
        lines.push(
            Line::new(Mark::Bad, name, format!("it is scheduled for deletion{date}"))
                .todo("restore it: `aws secretsmanager restore-secret`"),
        );
    }
    if let Some(region) = facts.primary_region() {
        parts.push(format!("primary in {region}"));
    }
    for replica in facts.replication_status() {
        let region = replica.region().unwrap_or("an unknown region");
        match replica.status() {
            Some(StatusType::Failed) => lines.push(warn(
                format!("its replica in {region} failed"),
                "replicate it again: `aws secretsmanager replicate-secret-to-regions`",
            )),
            _ => parts.push(format!("replica in {region}")),
        }
    }
    lines.insert(0, Line::good(name, parts.join(", ")));
    lines
}

/// How long ago; zero if it is to come.
fn age(moment: &DateTime, now: SystemTime) -> Duration {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Duration::from_secs(now.saturating_sub(u64::try_from(moment.secs()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::operation::describe_secret::builders::DescribeSecretOutputBuilder;
    use aws_sdk_secretsmanager::types::ReplicationStatusType;

    use super::*;

    const DAY: i64 = 24 * 3600;

    fn lines(facts: DescribeSecretOutputBuilder) -> Vec<String> {
        let secret =
            Read { name: "a", version_id: "v", shape: Some("JSON object, 2 keys".to_owned()) };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * 24 * 3600);
        let lines = of(&secret, &facts.build(), Some(30), now);
        lines.into_iter().map(|line| format!("{:?} {}", line.mark, line.text)).collect()
    }

    fn day(day: i64) -> DateTime {
        DateTime::from_secs(day * DAY)
    }

    #[test]
    fn every_fact_is_said() {
        let facts = DescribeSecretOutput::builder;
        let labels = |label: &str| vec![label.to_owned()];
        let replica = |region: &str, status: StatusType| {
            ReplicationStatusType::builder().region(region).status(status).build()
        };
        let start = "Good version v, JSON object, 2 keys, ";
        let key = "KMS key aws/secretsmanager";
        for (facts, expected) in [
            (
                facts().last_changed_date(day(90)).kms_key_id("k").owning_service("rds"),
                vec![format!(
                    "{start}changed 10 days ago, KMS key k, owned by rds, does not rotate"
                )],
            ),
            (
                facts().last_changed_date(day(60)),
                vec![
                    format!("{start}changed 40 days ago, {key}, does not rotate"),
                    "Warn its value is 40 days old".to_owned(),
                ],
            ),
            (
                facts()
                    .rotation_enabled(true)
                    .last_rotated_date(day(90))
                    .next_rotation_date(day(101))
                    .r#type("Partner"),
                vec![format!(
                    "{start}{key}, type Partner, rotates before 1970-04-12T00:00:00Z, rotated \
                     1970-04-01T00:00:00Z"
                )],
            ),
            (
                facts()
                    .rotation_enabled(true)
                    .next_rotation_date(day(99))
                    .version_ids_to_stages("v", labels("AWSCURRENT"))
                    .version_ids_to_stages("p", labels("AWSPENDING"))
                    .version_ids_to_stages("o", labels("AWSPREVIOUS")),
                vec![
                    format!("{start}{key}, has AWSPREVIOUS"),
                    "Warn a rotation is not finished, or has failed: version p is AWSPENDING"
                        .to_owned(),
                    "Warn its rotation was due 1970-04-10T00:00:00Z, and has not come".to_owned(),
                ],
            ),
            (
                facts()
                    .primary_region("eu-west-1")
                    .replication_status(replica("eu-north-1", StatusType::InSync))
                    .replication_status(replica("eu-south-1", StatusType::Failed))
                    .deleted_date(day(101)),
                vec![
                    format!(
                        "{start}{key}, does not rotate, primary in eu-west-1, replica in \
                         eu-north-1"
                    ),
                    "Bad it is scheduled for deletion; its DeletedDate is 1970-04-12T00:00:00Z"
                        .to_owned(),
                    "Warn its replica in eu-south-1 failed".to_owned(),
                ],
            ),
        ] {
            assert_eq!(lines(facts), expected);
        }
    }
}
