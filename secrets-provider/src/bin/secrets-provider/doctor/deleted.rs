//! Secrets below the prefix that are scheduled for deletion. AWS leaves them out of a listing, so that
//! a service reads the others as if these had never been.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use secrets_provider::SecretsManager;

use super::{Line, Mark};
use crate::output::printable;
use crate::store;

/// The most lines about them.
const MAX_LINES: usize = 20;

/// A name, to find out what the prefix is.
const ANY: &str = "any";

/// Adds a line for each. What cannot be listed has a line already.
pub(super) async fn look(manager: &SecretsManager, client: &Client, lines: &mut Vec<Line>) {
    let below = manager.secret_id(ANY).ok();
    let below = below.as_deref().and_then(|id| id.strip_suffix(ANY));
    let Some(prefix) = below.and_then(|below| below.strip_suffix('/')) else { return };
    let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
    let list = client.list_secrets().filters(filter).include_planned_deletion(true);
    let mut pages = list.into_paginator().send();
    let mut found = Vec::new();
    while let Some(Ok(page)) = pages.next().await {
        found.extend(page.secret_list.into_iter().flatten());
    }
    let of_deleted: Vec<Line> = found
        .iter()
        .filter_map(|secret| Some((secret.name()?, secret.deleted_date()?)))
        .filter(|(name, _)| is_below(name, prefix))
        // One that is asked for by its name has a line.
        .filter(|(name, _)| !lines.iter().any(|line| line.topic == *name))
        .map(|(name, date)| of(name, date))
        .collect();
    lines.extend(of_deleted.into_iter().take(MAX_LINES));
}

fn is_below(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn of(name: &str, date: &DateTime) -> Line {
    let text = format!(
        "it is scheduled for deletion, so it is not read; its DeletedDate is {}",
        store::date(date)
    );
    let name = printable(name);
    Line::new(Mark::Warn, name.as_ref(), text).todo(format!(
        "restore it, if a service needs it: `aws secretsmanager restore-secret --secret-id {name}`"
    ))
}
