//! Cases about versions: only the id says whether a value is new.
//!
//! Two values never share an id, and an unchanged value keeps its id.

use std::collections::BTreeMap;

use super::report::Mismatch;
use super::trial::{Trial, holds_text};
use super::{Capability, Harness};
use crate::backend::Fetched;
use crate::error::ErrorKind;

pub(super) async fn gives_new_value_new_version<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let name = trial.put("a", "first").await;
    let first = trial.read(&name).await?;
    holds_text(&first, "first")?;
    trial.put("a", "second").await;
    let second = trial.read(&name).await?;
    holds_text(&second, "second")?;
    differ(&first, &second, "its second value")
}

pub(super) async fn shares_no_version<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for n in 1..=6_usize {
        // Of one length: a version may not be made of the length.
        let name = trial.put("a", &format!("value {n}")).await;
        let version = trial.read(&name).await?.version_id().to_owned();
        if let Some(earlier) = seen.insert(version, n) {
            return Err(Mismatch::new(
                format!("value {n} of `{name}` has a version id of its own"),
                format!("the version id of value {earlier}"),
            ));
        }
    }
    Ok(())
}

pub(super) async fn gives_recreated_secret_new_version<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let name = trial.put("a", "before").await;
    let before = trial.read(&name).await?;
    trial.harness().delete(&name).await;
    trial.put("a", "since").await;
    let since = trial.read(&name).await?;
    holds_text(&since, "since")?;
    differ(&before, &since, "its value since it was created again")
}

pub(super) async fn keeps_version_of_unchanged<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let name = trial.put("a", "unchanged").await;
    let other = trial.put("b", "first").await;
    let first = trial.read(&name).await?;
    unchanged(&first, &trial.read(&name).await?, "it is read again")?;
    if trial.has(Capability::List) {
        trial.listed(trial.prefix()).await?;
        unchanged(&first, &trial.read(&name).await?, "names are listed")?;
    }
    trial.put("b", "second").await;
    let ids = [other, name.clone()];
    if let Some(Ok(again)) = trial.fetch(&ids).await?.get(&name) {
        unchanged(&first, again, "another secret changes")?;
    }
    unchanged(&first, &trial.read(&name).await?, "it was read together with another")
}

pub(super) async fn returns_previous<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let name = trial.put("a", "first").await;
    let single = trial.put("single", "only").await;
    let mut replaced = trial.read(&name).await?;
    for (text, before) in [("second", "first"), ("third", "second")] {
        trial.put("a", text).await;
        let previous = previous(trial, &name).await?;
        holds_text(&previous, before)?;
        if previous.version_id() != replaced.version_id() {
            return Err(Mismatch::new(
                format!("the previous value of `{name}` keeps its version id"),
                "another version id",
            ));
        }
        replaced = trial.read(&name).await?;
    }
    match trial.previous(&[single]).await?.first() {
        None => Ok(()),
        Some((_, Err(error))) if error.kind() == ErrorKind::NotFound => Ok(()),
        // The current value under another label is dropped above.
        Some((id, Ok(found))) if found.version_id() == trial.read(id).await?.version_id() => Ok(()),
        Some((id, outcome)) => Err(Mismatch::new(
            format!(
                "`fetch_previous` of `{id}`, which had one value, yields nothing or `not_found`"
            ),
            match outcome {
                Ok(_) => "a value".to_owned(),
                Err(error) => format!("an error of the kind `{}`", error.kind()),
            },
        )),
    }
}

async fn previous<H: Harness>(trial: &Trial<'_, H>, name: &str) -> Result<Fetched, Mismatch> {
    let outcomes = trial.previous(&[name.to_owned()]).await?;
    match outcomes.into_iter().find(|(id, _)| id == name) {
        Some((_, Ok(secret))) => Ok(secret),
        found => Err(Mismatch::new(
            format!("`fetch_previous` returns the value before the current one of `{name}`"),
            match found {
                Some((_, Err(error))) => format!("an error of the kind `{}`", error.kind()),
                _ => "no outcome for it".to_owned(),
            },
        )),
    }
}

fn differ(one: &Fetched, other: &Fetched, what: &str) -> Result<(), Mismatch> {
    match one.version_id() == other.version_id() {
        false => Ok(()),
        true => Err(Mismatch::new(
            format!("{what} gives `{}` a new version id", other.name()),
            "the version id that it had before",
        )),
    }
}

fn unchanged(first: &Fetched, again: &Fetched, when: &str) -> Result<(), Mismatch> {
    holds_text(again, "unchanged")?;
    match first.version_id() == again.version_id() {
        true => Ok(()),
        false => Err(Mismatch::new(
            format!("`{}` keeps its version id when {when}", first.name()),
            "another version id",
        )),
    }
}
