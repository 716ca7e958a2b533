//! Each secret: whether it is read; then what is made of all of them. `facts` has what AWS knows about
//! each.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{
    Error, ErrorKind, Layer, Layers, Memory, SecretVersion, SecretsManager, Snapshot,
};
use serde_json::Value;

use super::facts::{self, Read};
use super::{Line, Mark, repeated};
use crate::check::{self, Finding, Schema};
use crate::output::printable;
use crate::select::Selection;
use crate::settings::{Tree, is_within};
use crate::{shapes, store};

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
            // There is a line for each of the failures.
            for (line, error) in found.iter_mut().zip(error.errors()) {
                point_out(selection, error, line).await;
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
    let read = read(selection, &secrets).await;
    if selection.is_aws() {
        facts::look(selection, &read, look.max_age, lines).await;
    } else {
        let shape = |read: Read<'_>| Some(Line::good(read.name, read.shape?));
        lines.extend(read.into_iter().filter_map(shape));
    }
    if !secrets.secrets().is_empty() {
        made(selection, &secrets, lines);
        renamed(selection, &secrets, lines).await;
        if let Some(schema) = schema {
            fitting(&schema, selection, &secrets, lines);
        }
    }
    Ok(secrets.secrets().len())
}

/// Each secret that was read, with what its value is.
async fn read<'a>(selection: &Selection, secrets: &'a Snapshot) -> Vec<Read<'a>> {
    let shapes = shapes::of(selection, secrets).await.unwrap_or_default();
    let secrets = secrets.secrets().iter().enumerate();
    let read = secrets.map(|(at, secret)| Read {
        name: secret.name(),
        version_id: secret.version_id(),
        shape: shapes.get(at).cloned(),
    });
    read.collect()
}

/// Says more about a secret that is not read than the library can. Where a key is twice, its name
/// may be secret, and its place is not.
async fn point_out(selection: &Selection, error: &Error, line: &mut Line) {
    if !selection.is_aws() {
        return;
    }
    facts::add(selection, error, line).await;
    let (ErrorKind::Malformed, Some(id)) = (error.kind(), error.secret()) else { return };
    let Ok(Some(text)) = text_of(selection, id).await else { return };
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
    let client = selection.client().await?;
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
        let within = |place: &str| {
            let mut keys = explanation.iter().flat_map(|explanation| explanation.keys());
            keys.find(|other| is_within(other.key(), place))
        };
        let source = within(key).or_else(|| within(section));
        let place = source.map(|key| printable(key.source().name()).into_owned());
        let secret = source.filter(|key| key.source().layer() == Layer::Secret);
        let keys = secret.map(|key| format!("`get {} --keys`", printable(key.source().name())));
        let keys = keys.unwrap_or_else(|| "`get NAME --keys`".to_owned());
        let todo = match (finding, place) {
            (Finding::Missing { .. }, Some(_)) if secret.is_some() => {
                format!("look for it among its neighbours, which {keys} lists")
            }
            (Finding::Missing { .. }, Some(place)) => {
                format!("set it beside its neighbours in {place}")
            }
            (Finding::Missing { .. }, None) => {
                "store it: `put NAME --create`, or set its variable".to_owned()
            }
            (Finding::Wrong { .. }, Some(place)) => format!("correct it in {place}"),
            (Finding::Wrong { .. }, None) => "correct it".to_owned(),
            (Finding::Unknown { .. }, _) => {
                format!("correct or remove what {keys} lists and nothing reads")
            }
        };
        let mark = if finding.is_unknown() { Mark::Warn } else { Mark::Bad };
        Line::new(mark, key, finding.what()).todo(todo)
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
}

/// Whether each rename matches a secret. The library matches it, on secrets of these names without
/// anything in them.
async fn renamed(selection: &Selection, secrets: &Snapshot, lines: &mut Vec<Line>) {
    let names = Memory::new();
    for secret in secrets.secrets() {
        names.put(secret.name(), "{}");
    }
    for (name, path) in selection.renames() {
        // A place that no secret has by its own name, because it has a capital letter.
        let Ok(manager) = selection.renamed(name, "Renamed") else { continue };
        let Ok(found) = manager.backend(names.clone()).fallback_to_env().fetch().await else {
            continue;
        };
        if !found.secrets().iter().any(|secret| secret.key_path() == "Renamed") {
            let text = format!("--rename {name}={path} matches no secret");
            lines.push(Line::new(Mark::Warn, "rename", text).todo(
                "give the name below the prefix; a capture such as `{n}` is a part of a name \
                 without `/`",
            ));
        }
    }
}
