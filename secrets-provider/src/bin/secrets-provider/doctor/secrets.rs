//! Each secret: whether it is read, and what AWS knows about it; then what is made of all of them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::StatusType;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, Layer, Layers, SecretVersion, SecretsManager, Snapshot};
use serde_json::Value;

use super::account::is_denied;
use super::{Line, Mark, repeated};
use crate::check::{self, Finding, Schema};
use crate::output::printable;
use crate::select::Selection;
use crate::settings::Tree;
use crate::store;

/// The most lines of one kind.
const MAX_LINES: usize = 20;

/// How to look.
pub(super) struct Look<'a> {
    /// After how many days a value is old.
    pub(super) max_age: Option<u64>,
    /// What a failure is about that is not about one secret.
    pub(super) topic: &'a str,
    /// The file with the schema of the settings type.
    pub(super) schema: Option<&'a Path>,
}

/// Reads the secrets as a service would. Returns how many there are.
///
/// # Errors
///
/// If the file of the schema cannot be read.
pub(super) async fn look(
    manager: &SecretsManager,
    selection: &Selection,
    look: &Look<'_>,
    lines: &mut Vec<Line>,
) -> Result<usize, Error> {
    let schema = look.schema.map(check::read).transpose()?;
    let secrets = match manager.fetch().await {
        Ok(secrets) => {
            lines.push(Line::good("reading", format!("{} read", count(secrets.secrets()))));
            Some(secrets)
        }
        Err(error) => {
            let mut found = Line::of_error(look.topic, &error);
            for line in found.iter_mut().filter(|line| line.text.contains("has a key twice")) {
                point_out(selection, line).await;
            }
            // The library says more about a call that was tried already.
            lines.retain(|line| {
                line.mark != Mark::Bad || !found.iter().any(|found| found.topic == line.topic)
            });
            lines.extend(found);
            // The others are looked at, too.
            manager.clone().fallback_to_env().fetch().await.ok()
        }
    };
    let Some(secrets) = secrets else { return Ok(0) };
    if selection.is_aws() {
        facts(selection, secrets.secrets(), look.max_age, lines).await;
    }
    if !secrets.secrets().is_empty() {
        made(selection, &secrets, lines);
        if let Some(schema) = schema {
            fitting(&schema, selection, &secrets, lines);
        }
    }
    Ok(secrets.secrets().len())
}

/// Says where a key is twice. Its name may be secret, its place is not.
async fn point_out(selection: &Selection, line: &mut Line) {
    let Ok(Some(text)) = text_of(selection, &line.topic).await else { return };
    if let Some([first, second]) = repeated::places(text.expose_secret()) {
        let place = |(line, column): repeated::Place| format!("line {line}, column {column}");
        line.todo = Some(format!(
            "its two values begin at {} and {} of the secret: remove one of the two, with its key; \
             `A__B` counts as the `b` of `a`",
            place(first),
            place(second)
        ));
    }
}

async fn text_of(selection: &Selection, id: &str) -> Result<Option<SecretString>, Error> {
    if !selection.is_aws() {
        return Ok(None);
    }
    let client = selection.one(id).await?.sdk_client().await?;
    Ok(match store::current(&client, id).await? {
        Some((_, store::Payload::Text(text))) => Some(text),
        _ => None,
    })
}

/// What a settings type misses, and would not take.
fn fitting(schema: &Value, selection: &Selection, secrets: &Snapshot, lines: &mut Vec<Line>) {
    let layers = selection.layers(secrets);
    let of_secrets = Tree::of(&Layers::new().secrets(secrets));
    // `made` says what is wrong with a tree that cannot be had.
    let (Ok(settings), Ok(of_secrets)) = (Tree::of(&layers), of_secrets) else { return };
    let schema = Schema::new(schema);
    let findings: Vec<Finding> =
        schema.check(&settings).into_iter().chain(schema.unknown(&of_secrets)).collect();
    if findings.is_empty() {
        lines.push(Line::good("schema", "everything fits"));
    }
    let explanation = layers.explain().ok();
    lines.extend(findings.iter().take(MAX_LINES).map(|finding| {
        let key = finding.key();
        let section = key.rsplit_once('.').map_or(key, |(section, _)| section);
        let source = explanation.iter().flat_map(|explanation| explanation.keys()).find(|other| {
            let other = other.key();
            other == key || other.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
        });
        let text = finding.to_string();
        let text = text.strip_prefix(&format!("{key}: ")).unwrap_or(&text).to_owned();
        let place = source.map(|key| printable(key.source().name()).into_owned());
        let todo = match (finding, place) {
            (Finding::Missing { .. }, Some(place)) => format!(
                "look at its neighbours in {place}: `get NAME --keys` lists the keys of a secret"
            ),
            (Finding::Missing { .. }, None) => {
                "store it: `put NAME --create`, or set its variable".to_owned()
            }
            (Finding::Wrong { .. }, Some(place)) => format!("correct it in {place}"),
            (Finding::Wrong { .. }, None) => "correct it".to_owned(),
            (Finding::Unknown { .. }, _) => {
                "`get NAME --keys` lists the keys of a secret: correct or remove them".to_owned()
            }
        };
        let mark = if finding.is_unknown() { Mark::Warn } else { Mark::Bad };
        Line::new(mark, key, text).todo(todo)
    }));
    if let Some(more) = findings.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
        lines.push(
            Line::new(Mark::Bad, "schema", format!("{more} more do not fit"))
                .todo("`secrets-provider check --schema` lists all of them"),
        );
    }
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
