//! When secrets rotate next: what ListSecrets reports along with names, and DescribeSecret if it is
//! called.
//!
//! The engine refreshes more often around these dates. The dates of the last listing are kept, so
//! that a listed secret costs no further call, and a name that is gone is forgotten.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::types::RotationRulesType;
use aws_smithy_types::DateTime;

use crate::backend::RotationWindow;
use crate::unwind::lock;

const HOUR: Duration = Duration::from_secs(3600);

/// What one listing reported: each name, and when the secret rotates next; `None` for a secret that
/// does not rotate by itself.
pub(super) type Listed = BTreeMap<String, Option<RotationWindow>>;

/// What the last listing reported.
#[derive(Debug, Default)]
pub(super) struct RotationDates(Mutex<Listed>);

impl RotationDates {
    /// Takes the dates of a listing in place of those before, so that names that are gone are
    /// forgotten.
    pub(super) fn replace(&self, listed: Listed) {
        *lock(&self.0) = listed;
    }

    pub(super) fn of(&self, name: &str) -> Option<Option<RotationWindow>> {
        lock(&self.0).get(name).cloned()
    }
}

/// The window in which a secret rotates next. AWS reports its end, "on or before this date". Its
/// length is that of the rules or, without one, an hour for a schedule in hours and a day for one
/// in days
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html>).
pub(super) fn window(
    enabled: Option<bool>,
    next: Option<&DateTime>,
    rules: Option<&RotationRulesType>,
) -> Option<RotationWindow> {
    if enabled != Some(true) {
        return None;
    }
    let end = SystemTime::try_from(*next?).ok()?;
    let length = rules.and_then(RotationRulesType::duration).and_then(hours).unwrap_or_else(|| {
        let expression = rules.and_then(RotationRulesType::schedule_expression).unwrap_or_default();
        // `rate(4 hours)`, or a cron expression whose hours repeat (`0 8/4 * * ? *`).
        let hourly = expression.contains("hour")
            || expression.split(' ').nth(1).is_some_and(|h| h.contains('/'));
        if hourly { HOUR } else { 24 * HOUR }
    });
    Some(end.checked_sub(length)?..end)
}

/// `3h` as three hours.
fn hours(duration: &str) -> Option<Duration> {
    let hours: u32 = duration.strip_suffix('h')?.parse().ok()?;
    Some(hours.min(24) * HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_longer_listed_are_forgotten() {
        let dates = RotationDates::default();
        for (listed, gone) in [("a", "b"), ("b", "a")] {
            dates.replace([(listed.to_owned(), None)].into());
            assert_eq!((dates.of(listed), dates.of(gone)), (Some(None), None));
        }
    }

    #[test]
    fn a_window_is_as_long_as_the_rules_say() {
        let end = DateTime::from_secs(1_000_000);
        for (duration, expression, expected) in [
            (Some("3h"), Some("rate(10 days)"), Some(3)),
            (None, Some("rate(10 days)"), Some(24)),
            (None, Some("rate(4 hours)"), Some(1)),
            (None, Some("cron(0 8/4 * * ? *)"), Some(1)),
            (None, Some("cron(0 8 1 * ? *)"), Some(24)),
            (None, None, Some(24)),
            (Some("nonsense"), None, Some(24)),
        ] {
            let rules = RotationRulesType::builder()
                .set_duration(duration.map(str::to_owned))
                .set_schedule_expression(expression.map(str::to_owned))
                .build();
            let window = window(Some(true), Some(&end), Some(&rules)).expect("a window");
            let hours = window.end.duration_since(window.start).expect("an order").as_secs() / 3600;
            assert_eq!(Some(hours), expected, "{duration:?} {expression:?}");
            assert_eq!(window.end, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        }
        assert_eq!(window(Some(false), Some(&end), None), None);
        assert_eq!(window(None, Some(&end), None), None);
        assert_eq!(window(Some(true), None, None), None);
    }
}
