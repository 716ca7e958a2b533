//! The errors of a fetch that failed: what is missing, and which existing names are like it.
//!
//! Only a start asks for similar names, within the time that it has left; a running service lists
//! nothing for a hint.

use tokio::time::{Duration, Instant, timeout_at};

use super::Fetcher;
use crate::error::{Error, ErrorKind};
use crate::load::suggest;
use crate::secret::id::is_arn;
use crate::unwind;

/// How long names like a missing one are looked for: the error matters more.
const SUGGESTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How many failures get similar names, as many as an error's text shows. Each is compared with
/// all names, so without a bound the time grows with the square.
const MAX_FAILURES: usize = 100;

impl Fetcher {
    /// The error of a failed start, with existing names that are like the missing ones, where names
    /// may be listed. Only for a start, within the time that it has since `start`: a running
    /// service lists nothing for this.
    pub(crate) async fn with_suggestions(&self, error: Error, start: Instant) -> Error {
        let Some(wanted) = error.errors().iter().find_map(|error| self.missing_name(error)) else {
            return error;
        };
        let deadline = (start + self.timeout).min(Instant::now() + SUGGESTION_TIMEOUT);
        if deadline <= Instant::now() {
            return error;
        }
        // Inside of the future, because the call itself may panic too.
        let listing = async { self.backend.list_some(suggest::first_part(wanted)).await };
        let listing = timeout_at(deadline, unwind::catch_future(listing));
        let Ok(Ok(Ok(names))) = listing.await else { return error };
        let parts = error.errors().iter().enumerate().map(|(index, error)| {
            let like = match (self.missing_name(error), error.secret()) {
                _ if index >= MAX_FAILURES => Vec::new(),
                (None, _) => Vec::new(),
                (Some(wanted), Some(_)) => suggest::nearest(wanted, &names),
                (Some(prefix), None) => suggest::nearest_prefixes(prefix, &names),
            };
            if like.is_empty() {
                return error.clone();
            }
            let like = like.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
            error.clone().with_hint(format!("there is {like}{hint}"))
        });
        Error::all(parts).unwrap_or(error.clone())
    }

    /// The name or prefix that an error says does not exist. Not for ARNs, which name an account of
    /// their own.
    fn missing_name<'a>(&'a self, error: &'a Error) -> Option<&'a str> {
        match error.secret() {
            _ if error.kind() != ErrorKind::NotFound => None,
            Some(id) => (!is_arn(id)).then_some(id),
            None => self.plan.mapping.prefix.as_deref(),
        }
    }

    pub(super) fn nothing_selected(&self) -> Error {
        match &self.plan.mapping.prefix {
            Some(prefix) if self.plan.ids.is_none() => Error::new(
                ErrorKind::NotFound,
                format!("there is no secret at or below `{prefix}`"),
            )
            .with_hint(self.backend.nothing_listed_hint()),
            _ => Error::new(ErrorKind::Config, "no secret is named")
                .with_hint("give at least one name or ARN"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MAX_FAILURES;
    use crate::SecretsManager;
    use crate::backend::Memory;

    #[test]
    fn only_the_failures_that_are_shown_get_similar_names() {
        let memory = Memory::new();
        memory.put("app/database", "x");
        let names = (0..MAX_FAILURES + 50).map(|name| format!("app/databse{name}"));
        let error = SecretsManager::names(names)
            .backend(memory)
            .fetch_blocking()
            .expect_err("no such secrets");
        let hints = error.errors().iter().filter_map(|error| error.hint());
        let similar = hints.filter(|hint| hint.starts_with("there is `app/database`")).count();
        assert_eq!((error.errors().len(), similar), (MAX_FAILURES + 50, MAX_FAILURES));
    }
}
