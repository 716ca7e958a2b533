//! Cases about change signals.
//!
//! They wait for the signal itself, never for a time.

use futures_util::StreamExt as _;

use super::report::Mismatch;
use super::trial::Trial;
use super::{Capability, Harness};

pub(super) async fn signals_change<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let name = trial.put("a", "first").await;
    // As a `Live` does: the names are listed and the values read before it asks for signals.
    if trial.has(Capability::List) {
        trial.listed(trial.prefix()).await?;
    }
    let before = trial.read(&name).await?;
    let expected = format!("`changes` yields once a new value of `{name}` is readable");
    let Some(mut changes) = trial.store().changes() else {
        return Err(Mismatch::new(expected, "`changes` returned `None`"));
    };
    trial.put("a", "second").await;
    if trial.within("changes().next()", changes.next()).await?.is_none() {
        return Err(Mismatch::new(expected, "the stream ended"));
    }
    match trial.read(&name).await?.version_id() == before.version_id() {
        false => Ok(()),
        true => Err(Mismatch::new(expected, "a signal, but `fetch` returns the old version")),
    }
}

pub(super) async fn lacks_what_it_declares<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let name = trial.put("a", "first").await;
    trial.put("a", "second").await;
    trial.read(&name).await?;
    if !trial.has(Capability::Changes) && trial.store().changes().is_some() {
        return Err(declared("changes", "`changes` returned a stream"));
    }
    let ids = [name];
    if !trial.has(Capability::Previous) {
        let outcomes = trial.previous(&ids).await?;
        if outcomes.iter().any(|(_, outcome)| outcome.is_ok()) {
            return Err(declared("previous", "`fetch_previous` returned a value"));
        }
    }
    if !trial.has(Capability::List)
        && let Ok(names) = trial.within("list", trial.store().list(trial.prefix())).await?
        && names.contains(&ids[0])
    {
        return Err(declared("list", "`list` returned the name of a secret"));
    }
    Ok(())
}

fn declared(capability: &str, found: &str) -> Mismatch {
    Mismatch::new(format!("the store lacks `{capability}`, as the harness declares"), found)
}
