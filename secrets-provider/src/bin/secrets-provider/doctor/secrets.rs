//! Each secret: whether it is read, and what AWS knows about it; then what is made of all of them.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::StatusType;
use secrets_provider::{Layer, SecretVersion, SecretsManager, Snapshot};

use super::account::is_denied;
use super::{Line, Mark};
use crate::output::printable;
use crate::select::Selection;
use crate::settings::Tree;
use crate::store;

/// The most lines of one kind.
const MAX_LINES: usize = 20;

/// Reads the secrets as a service would. Returns how many there are.
pub(super) async fn look(
    manager: &SecretsManager,
    selection: &Selection,
    max_age: Option<u64>,
    lines: &mut Vec<Line>,
) -> usize {
    let secrets = match manager.fetch().await {
        Ok(secrets) => {
            lines.push(Line::good("GetSecretValue", format!("{} read", count(secrets.secrets()))));
            Some(secrets)
        }
        Err(error) => {
            let found = Line::of_error("secrets", &error);
            // The library says more about a call that was tried already.
            lines.retain(|line| {
                let call = format!("{}: ", line.topic);
                line.mark != Mark::Bad || !found.iter().any(|found| found.text.starts_with(&call))
            });
            lines.extend(found);
            // The others are looked at, too.
            manager.clone().fallback_to_env().fetch().await.ok()
        }
    };
    let Some(secrets) = secrets else { return 0 };
    if selection.is_aws() {
        facts(selection, secrets.secrets(), max_age, lines).await;
    }
    if !secrets.secrets().is_empty() {
        made(selection, &secrets, lines);
    }
    secrets.secrets().len()
}

fn count(secrets: &[SecretVersion]) -> String {
    match secrets.len() {
        1 => "1 secret".to_owned(),
        number => format!("{number} secrets"),
    }
}

async fn facts(
    selection: &Selection,
    secrets: &[SecretVersion],
    max_age: Option<u64>,
    lines: &mut Vec<Line>,
) {
    for secret in secrets {
        match store::describe(selection, secret.name()).await {
            Ok(described) => {
                let found =
                    described.0.map(|facts| of_facts(secret, &facts, max_age, SystemTime::now()));
                lines.extend(found.into_iter().flatten());
            }
            // Only this command needs it, so one line is enough.
            Err(error) if is_denied(error.kind()) => {
                let text = "not allowed; the facts about secrets are not looked at";
                lines.push(
                    Line::new(Mark::Warn, "DescribeSecret", text)
                        .todo("a service does not need it; allow it to who runs this command"),
                );
                return;
            }
            Err(error) => lines.extend(Line::of_error(secret.name(), &error)),
        }
    }
}

/// What the facts about one secret say. Pure.
fn of_facts(
    secret: &SecretVersion,
    facts: &DescribeSecretOutput,
    max_age: Option<u64>,
    now: SystemTime,
) -> Vec<Line> {
    let name = secret.name();
    let warn = |text: String, todo: &str| Line::new(Mark::Warn, name, text).todo(todo);
    let mut lines = Vec::new();
    let mut parts = vec![format!("version {}", secret.version_id())];
    if let Some(changed) = facts.last_changed_date() {
        let days = age(changed, now).as_secs() / (24 * 3600);
        parts.push(format!("changed {} days ago", days));
        if max_age.is_some_and(|max| days > max) {
            lines.push(warn(
                format!("its value is {days} days old"),
                "rotate it: `secrets-provider rotate`, or a rotation in AWS",
            ));
        }
    }
    parts.push(match facts.kms_key_id() {
        Some(key) => format!("KMS key {key}"),
        None => "KMS key aws/secretsmanager".to_owned(),
    });
    if let Some(service) = facts.owning_service() {
        parts.push(format!("owned by {service}"));
    }
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
            format!("a rotation is not finished: version {pending} is AWSPENDING"),
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
    if let Some(deleted) = facts.deleted_date() {
        lines.push(
            Line::new(Mark::Bad, name, format!("is deleted since {}", store::date(deleted)))
                .todo("restore it: `aws secretsmanager restore-secret`"),
        );
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

/// What is made of the secrets: keys, and what they hide.
fn made(selection: &Selection, secrets: &Snapshot, lines: &mut Vec<Line>) {
    let layers = selection.layers(secrets);
    match layers.explain() {
        Err(error) => lines.extend(Line::of_error("layers", &error)),
        Ok(explanation) => {
            let hiding = explanation
                .keys()
                .iter()
                .filter(|key| key.source().layer() == Layer::Secret && !key.hides().is_empty());
            let hidden: Vec<Line> = hiding
                .flat_map(|key| {
                    key.hides().iter().map(|hidden| {
                        let text =
                            format!("secret {} hides {hidden}", printable(key.source().name()));
                        Line::new(Mark::Warn, key.key(), text)
                            .todo("remove the variable, which has no effect")
                    })
                })
                .collect();
            if hidden.is_empty() {
                lines.push(Line::good("layers", "no secret hides a variable"));
            }
            let more = hidden.len().saturating_sub(MAX_LINES);
            lines.extend(hidden.into_iter().take(MAX_LINES));
            if more > 0 {
                lines.push(Line::new(
                    Mark::Warn,
                    "layers",
                    format!("{more} more variables are hidden"),
                ));
            }
        }
    }
    if let Err(error) = Tree::of(&layers) {
        lines.extend(Line::of_error("mapping", &error));
    }
    for (name, path) in selection.renames() {
        let ends = |secret: &SecretVersion| {
            secret.name() == name || secret.name().ends_with(&format!("/{name}"))
        };
        // A pattern is the library's to match: it logs one that matches nothing.
        if !name.contains('{') && !secrets.secrets().iter().any(ends) {
            let text = format!("--rename {name}={path} matches no secret");
            lines
                .push(Line::new(Mark::Warn, "rename", text).todo("give the name below the prefix"));
        }
    }
}
