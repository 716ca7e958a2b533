//! Secrets below the prefix that are scheduled for deletion. AWS leaves them out of a listing, so that
//! a service reads the others as if these had never been.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry};
use secrets_provider::SecretsManager;
use tokio::time::timeout;

use super::{Line, Mark, PATIENCE, is_allowed};
use crate::output::printable;
use crate::store;

/// The most lines about them.
const MAX_LINES: usize = 20;

/// A name, to find out what the prefix is.
const ANY: &str = "any";

const TOPIC: &str = "deletion";

/// Adds a line for each, if the lines say that the names may be listed.
pub(super) async fn look(manager: &SecretsManager, client: &Client, lines: &mut Vec<Line>) {
    if !is_allowed(lines, "ListSecrets") {
        return;
    }
    let (found, is_whole) = listed(manager, client).await;
    let of_deleted: Vec<Line> = found
        .iter()
        .filter_map(|secret| Some((secret.name()?, secret.arn()?, secret.deleted_date()?)))
        // AWS's filter also finds names that only begin with the prefix.
        .filter(|(_, arn, _)| manager.secret_id(arn).is_ok())
        // One that is asked for by its name has a line.
        .filter(|(name, ..)| !lines.iter().any(|line| line.topic == *name))
        .map(|(name, _, date)| of(name, date))
        .collect();
    let more = of_deleted.len().saturating_sub(MAX_LINES);
    lines.extend(of_deleted.into_iter().take(MAX_LINES));
    if more > 0 {
        lines.push(Line::new(Mark::Warn, TOPIC, format!("and {more} more")).todo(
            "`aws secretsmanager list-secrets --include-planned-deletion` lists all of them",
        ));
    }
    if !is_whole {
        let text = "not all secrets were listed; others may be scheduled for deletion, too";
        lines.push(Line::new(Mark::Warn, TOPIC, text).todo("run doctor again"));
    }
}

/// What is below the prefix, if there is one; and whether that is all.
async fn listed(manager: &SecretsManager, client: &Client) -> (Vec<SecretListEntry>, bool) {
    let mut found = Vec::new();
    let below = manager.secret_id(ANY).ok();
    let below = below.as_deref().and_then(|id| id.strip_suffix(ANY));
    let Some(prefix) = below.and_then(|below| below.strip_suffix('/')) else {
        return (found, true);
    };
    let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
    let list = client.list_secrets().filters(filter).include_planned_deletion(true);
    let mut pages = list.into_paginator().send();
    let whole = timeout(PATIENCE, async {
        while let Some(page) = pages.next().await {
            let Ok(page) = page else { return false };
            found.extend(page.secret_list.into_iter().flatten());
        }
        true
    });
    let is_whole = whole.await.unwrap_or(false);
    (found, is_whole)
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

#[cfg(test)]
mod tests {
    use fake_secrets_manager::{FakeSecretsManager, Fault};

    use super::*;

    async fn with_deleted(names: impl IntoIterator<Item = String>) -> FakeSecretsManager {
        let fake = FakeSecretsManager::new();
        for name in names {
            fake.put(&name, "hunter2");
            let delete = fake.operator_client().delete_secret().secret_id(name);
            delete.recovery_window_in_days(7).send().await.expect("deleted");
        }
        fake
    }

    /// The lines that join one that says whether names may be listed.
    async fn lines(fake: &FakeSecretsManager, permission: Mark) -> Vec<Line> {
        let mut lines = vec![Line::new(permission, "ListSecrets", "")];
        look(&SecretsManager::prefix("gaara/prod"), &fake.client(), &mut lines).await;
        lines.split_off(1)
    }

    #[tokio::test]
    async fn nothing_is_listed_where_that_is_not_allowed() {
        let fake = with_deleted(["gaara/prod/a".to_owned()]).await;
        assert_eq!(lines(&fake, Mark::Bad).await, []);
        assert_eq!(fake.calls("ListSecrets"), 0);
        assert_eq!(lines(&fake, Mark::Good).await.len(), 1);
    }

    #[tokio::test]
    async fn what_is_below_the_prefix_is_named_up_to_a_bound_and_the_others_are_counted() {
        let beside = ["gaara/production/a", "gaara/prod-eu"].map(str::to_owned);
        let below = (0..22).map(|number| format!("gaara/prod/{number}"));
        let fake = with_deleted(below.chain(beside)).await;
        let lines = lines(&fake, Mark::Good).await;
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert!(lines[..MAX_LINES].iter().all(|line| line.topic.starts_with("gaara/prod/")));
        assert_eq!(lines[MAX_LINES].text, "and 2 more");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_not_waited_for() {
        let fake = with_deleted(["gaara/prod/a".to_owned()]).await;
        fake.inject(Fault::hang().on("ListSecrets"));
        let lines = timeout(2 * PATIENCE, lines(&fake, Mark::Good)).await;
        let lines = lines.expect("an end in time");
        assert!(lines.len() == 1 && lines[0].text.starts_with("not all"), "{lines:?}");
    }
}
