//! An operation that is run again with newer credentials when the ones it had were refused.
//!
//! [`Live::with_fresh`](crate::Live::with_fresh) is this loop over a [`Source`]; where newer values
//! come from, and how long they are waited for, is up to the source.

/// How often one operation is run at most.
const MAX_ATTEMPTS: u32 = 5;

/// What to do about an operation's error: what the second closure of
/// [`Live::with_fresh`](crate::Live::with_fresh) returns if a `bool` is not enough. `true` is
/// [`Fresh`](Self::Fresh), `false` is [`No`](Self::No).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// Nothing: newer ones would not help.
    No,
    /// Try again at once with the current ones: a connection was lost, or a pool was closed.
    Now,
    /// Try again with newer ones, and wait for them: the credentials were refused.
    Fresh,
}

impl From<bool> for Retry {
    fn from(refused: bool) -> Self {
        if refused { Self::Fresh } else { Self::No }
    }
}

/// Where an operation's credentials come from.
pub(crate) trait Source {
    type Value: Clone;

    /// The current ones, without waiting for newer ones. `None` if there are none any more.
    async fn current(&self) -> Option<Self::Value>;

    /// Newer ones than these, which were refused. `None` if none came.
    async fn newer(&self, seen: &Self::Value) -> Option<Self::Value>;
}

/// Runs an operation until it succeeds, its error asks for no retry, nothing newer comes, or all
/// attempts are made.
pub(crate) async fn with_fresh<S, O, E, Fut, R>(
    mut value: S::Value,
    source: &S,
    operation: impl Fn(S::Value) -> Fut,
    retry: impl Fn(&E) -> R,
) -> Result<O, E>
where
    S: Source,
    Fut: Future<Output = Result<O, E>>,
    R: Into<Retry>,
{
    for _ in 1..MAX_ATTEMPTS {
        let error = match operation(value.clone()).await {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        let next = match retry(&error).into() {
            Retry::No => None,
            Retry::Now => source.current().await,
            Retry::Fresh => source.newer(&value).await,
        };
        match next {
            Some(next) => value = next,
            None => return Err(error),
        }
    }
    operation(value).await
}
