//! What a listing must return: every name at or below the prefix, however many there are.
//!
//! Called by `run`, one function per case. Callers of a store drop names outside the prefix and
//! repeated names, so the suite does too: a store may return too much, but never too little.

use std::collections::BTreeSet;

use super::Harness;
use super::report::Mismatch;
use super::trial::{Trial, is_of};
use crate::error::ErrorKind;

/// More names than a page of any store in use: AWS lists 100 at once.
pub(super) const MANY: usize = 250;

async fn put_all<H: Harness>(trial: &Trial<'_, H>, rests: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in rests {
        names.insert(trial.put(rest, "text").await);
    }
    names
}

pub(super) async fn lists_exact_names<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let names =
        put_all(trial, &["a", "token-2", "key.pem", "under_score", "UpperCase", "007"]).await;
    trial.lists(trial.prefix(), &names).await
}

pub(super) async fn lists_nested_names<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let names = put_all(trial, &["a", "b/c", "d/e/f"]).await;
    trial.lists(trial.prefix(), &names).await
}

pub(super) async fn lists_secret_named_as_prefix<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let names = put_all(trial, &["prod/a", "prod"]).await;
    trial.lists(&trial.name("prod"), &names).await
}

pub(super) async fn keeps_prefix_boundary<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    put_all(trial, &["production/b", "production", "prod-eu/c", "prod.d"]).await;
    let names = put_all(trial, &["prod/a"]).await;
    trial.lists(&trial.name("prod"), &names).await
}

pub(super) async fn lists_nothing_below_unused_prefix<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    trial.put("used/a", "text").await;
    let unused = trial.name("unused");
    match trial.within("list", trial.store().list(&unused)).await? {
        Ok(_) => trial.lists(&unused, &BTreeSet::new()).await,
        Err(error) => {
            is_of(&error, &[ErrorKind::NotFound], "`list` of a prefix without secrets, if at all,")
        }
    }
}

pub(super) async fn lists_many<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let names = trial.put_many(MANY).await.into_keys().collect();
    trial.lists(trial.prefix(), &names).await
}

pub(super) async fn lists_some_existing_names<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let names = put_all(trial, &["a", "b"]).await;
    let expected = format!("`list_some` of `{}` returns names that exist", trial.prefix());
    let some = trial.within("list_some", trial.store().list_some(trial.prefix())).await?;
    let some = some.map_err(|error| {
        Mismatch::new(&expected, format!("it failed with the kind `{}`", error.kind()))
    })?;
    let below = format!("{}/", trial.prefix());
    let some: Vec<&String> = some.iter().filter(|name| name.starts_with(&below)).collect();
    match some.iter().find(|name| !names.contains(**name)) {
        _ if some.is_empty() => Err(Mismatch::new(expected, "no name")),
        Some(name) => Err(Mismatch::new(expected, format!("`{name}`, which was not put"))),
        None => Ok(()),
    }
}
