//! Which failures of secrets are in the log already: each is logged when it begins or changes, not
//! at each read that finds it again.
//!
//! The engine keeps one [`Failures`] for as long as it runs; `fetch` uses a new one for its only
//! read. An outage is the refresh's failure, not the secret's, and neither begins nor ends one. One
//! read logs at most a hundred failures, and the number of the others.

use std::collections::BTreeMap;

use super::result::{FetchResult, Unread};
use crate::error::{Error, ErrorKind};
use crate::load::required::Verdict;
use crate::observe::events;

/// How many failures one read logs one by one.
const MAX_LOGGED: usize = 100;

/// The failures that were logged and have not ended. The listing of names has no id.
#[derive(Debug, Default)]
pub(crate) struct Failures(BTreeMap<Option<String>, u64>);

impl Failures {
    /// Logs what has begun, changed or ended with this read, and which optional secrets are absent.
    /// A read that `is_partial` ends nothing that it did not look at.
    pub(crate) fn log(&mut self, result: &FetchResult, is_partial: bool) {
        let (begun, recovered) = self.update(result, is_partial);
        // One cause may fail many secrets: it is logged once.
        let begun = Error::all(begun);
        let begun = begun.as_ref().map(Error::errors).unwrap_or_default();
        for error in begun.iter().take(MAX_LOGGED) {
            match error.kind() {
                ErrorKind::AccessDenied => events::secret_access_denied(error),
                _ => events::secret_failed(error),
            }
        }
        if let Some(more @ [_, ..]) = begun.get(MAX_LOGGED..) {
            let names: Vec<&str> = more.iter().filter_map(Error::secret).collect();
            events::more_secrets_failed(more.len(), &names);
        }
        if !recovered.is_empty() {
            events::secrets_recovered(&recovered);
        }
        for (id, unread) in result.unread().filter(|(_, unread)| unread.verdict == Verdict::Absent)
        {
            events::optional_secret_absent(id, unread.error.kind());
        }
    }

    /// What has begun or changed, and which secrets are read again.
    fn update(&mut self, result: &FetchResult, is_partial: bool) -> (Vec<Error>, Vec<String>) {
        let listing = result.listing_error.iter().map(|unread| (None, unread));
        let unread = result.unread().map(|(id, unread)| (Some(id.clone()), unread)).chain(listing);
        let mut begun = Vec::new();
        for (id, unread) in unread.filter(|(_, unread)| is_of_secret(unread)) {
            let mark = unread.error.fingerprint();
            if self.0.insert(id, mark) != Some(mark) {
                begun.push(unread.error.clone());
            }
        }
        let mut recovered = Vec::new();
        self.0.retain(|id, _| match id {
            None => is_partial || result.listing_error.is_some(),
            Some(id) => match result.outcomes.get(id) {
                Some(Ok(_)) => {
                    recovered.push(id.clone());
                    false
                }
                Some(Err(unread)) => unread.verdict != Verdict::Absent,
                None => is_partial || result.rested.contains(id),
            },
        });
        (begun, recovered)
    }
}

fn is_of_secret(unread: &Unread) -> bool {
    let outage = matches!(unread.error.kind(), ErrorKind::Unavailable | ErrorKind::Throttled);
    unread.verdict != Verdict::Absent && !outage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Fetched;

    fn read(outcomes: &[(&str, Option<ErrorKind>)]) -> FetchResult {
        let outcome = |(id, kind): &(&str, Option<ErrorKind>)| {
            let failure = |kind| {
                let error = Error::new(kind, format!("secret `{id}`")).with_secret(*id);
                Unread { error, verdict: Verdict::Failure }
            };
            let outcome = kind.map_or(Ok(Fetched::text(*id, "v1", "x")), |kind| Err(failure(kind)));
            ((*id).to_owned(), outcome)
        };
        FetchResult { outcomes: outcomes.iter().map(outcome).collect(), ..FetchResult::default() }
    }

    #[test]
    fn a_failure_is_new_when_it_begins_or_changes_and_recovered_once() {
        use ErrorKind::{AccessDenied, Malformed, Unavailable};
        let mut failures = Failures::default();
        for (case, outcome, is_partial, begins, recovers) in [
            ("begins", Some(AccessDenied), false, true, false),
            ("lasts", Some(AccessDenied), false, false, false),
            ("an outage hides it", Some(Unavailable), false, false, false),
            ("lasts still", Some(AccessDenied), true, false, false),
            ("changes", Some(Malformed), false, true, false),
            ("ends", None, false, false, true),
            ("has ended", None, false, false, false),
            ("an outage", Some(Unavailable), false, false, false),
            ("is over", None, false, false, false),
            ("begins again", Some(Malformed), true, true, false),
        ] {
            let (begun, recovered) = failures.update(&read(&[("a", outcome)]), is_partial);
            assert_eq!((begun.len(), recovered.len()), (begins.into(), recovers.into()), "{case}");
        }
        failures.update(&read(&[]), true);
        assert_eq!(failures.0.len(), 1, "a partial read did not look");
        failures.update(&read(&[]), false);
        assert!(failures.0.is_empty(), "no longer selected");
    }
}
