//! The errors of a fetch that failed: what is missing, and which existing names are like it.
//!
//! Only a start asks for similar names, within the time that it has left; a running service lists
//! nothing for a hint.

use tokio::time::{Duration, Instant, timeout_at};

use super::Fetcher;
use crate::error::{Error, ErrorKind};
use crate::load::{slip, suggest};
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
        // The beginning may be what is wrong, so a second look is for what it may have meant.
        let first = suggest::first_part(wanted);
        let plain = slip::plainly(wanted);
        let second = suggest::first_part(&plain);
        for beginning in [Some(first), (second != first).then_some(second)].into_iter().flatten() {
            // Inside of the future, because the call itself may panic too.
            let listing = async { self.backend.list_some(beginning).await };
            let listing = timeout_at(deadline, unwind::catch_future(listing));
            let Ok(Ok(Ok(names))) = listing.await else { break };
            let parts = error.errors().iter().enumerate();
            let likes: Vec<_> = parts
                .map(|(index, part)| {
                    (index < MAX_FAILURES).then(|| self.existing_like(part, &names)).flatten()
                })
                .collect();
            if likes.iter().any(Option::is_some) {
                let parts = error.errors().iter().zip(likes).map(|(error, like)| match like {
                    Some(like) => {
                        let hint =
                            error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
                        error.clone().with_hint(format!("there is {like}{hint}"))
                    }
                    None => error.clone(),
                });
                return Error::all(parts).unwrap_or(error.clone());
            }
        }
        error.clone()
    }

    /// The existing names that are like the missing one, and in what the first of them differs.
    fn existing_like(&self, error: &Error, names: &[String]) -> Option<String> {
        let wanted = self.missing_name(error)?;
        let like = match error.secret() {
            Some(_) => suggest::nearest(wanted, names),
            None => suggest::nearest_prefixes(wanted, names),
        };
        let difference = like.first().and_then(|first| slip::between(wanted, first));
        let like = like.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match difference {
            _ if like.is_empty() => None,
            Some(difference) => Some(format!("{like} ({difference})")),
            None => Some(like),
        }
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
