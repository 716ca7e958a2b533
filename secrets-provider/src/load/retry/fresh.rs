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

impl Retry {
    /// The judgement of a database's answer by its SQLSTATE, of PostgreSQL and what speaks its
    /// protocol, of MySQL and of MariaDB:
    ///
    /// | SQLSTATE | | |
    /// | --- | --- | --- |
    /// | `28P01`, `28000` | the login was refused | `Fresh` |
    /// | `57P01`, `57P02`, `57P03`, `57P05` | the server ended the connection, or is not ready | `Now` |
    /// | `08000`, `08001`, `08003`, `08006`, `08S01` | the connection was lost | `Now` |
    /// | every other one | | `No` |
    ///
    /// `08004`, with which MySQL says that it has too many connections, is not among them, nor is
    /// `57014`, a statement that was cancelled. A lost connection is often no answer of the
    /// database, but an error of the driver's own, such as one of I/O: try that again, too, if the
    /// operation may run twice.
    ///
    /// ```
    /// use secrets_provider::Retry;
    ///
    /// assert_eq!(Retry::by_sqlstate("28P01"), Retry::Fresh);
    /// assert_eq!(Retry::by_sqlstate("57P01"), Retry::Now);
    /// assert_eq!(Retry::by_sqlstate("23505"), Retry::No);
    /// ```
    #[must_use]
    pub fn by_sqlstate(sqlstate: &str) -> Self {
        match sqlstate {
            "28P01" | "28000" => Self::Fresh,
            "57P01" | "57P02" | "57P03" | "57P05" => Self::Now,
            "08000" | "08001" | "08003" | "08006" | "08S01" => Self::Now,
            _ => Self::No,
        }
    }

    /// The judgement of an answer of MySQL or MariaDB by its error number, which says more than its
    /// SQLSTATE:
    ///
    /// | number | | |
    /// | --- | --- | --- |
    /// | 1045, 1698 | the login was refused | `Fresh` |
    /// | 1862, 3118, 4151 | the password has expired, or the account is locked | `Fresh` |
    /// | 1053, 1927, 3169 | the server shuts down, or an administrator ended the connection | `Now` |
    /// | every other one | | `No` |
    ///
    /// ```
    /// use secrets_provider::Retry;
    ///
    /// assert_eq!(Retry::by_mysql_error(1045), Retry::Fresh);
    /// assert_eq!(Retry::by_mysql_error(1062), Retry::No);
    /// ```
    #[must_use]
    pub fn by_mysql_error(number: u16) -> Self {
        match number {
            1045 | 1698 | 1862 | 3118 | 4151 => Self::Fresh,
            1053 | 1927 | 3169 => Self::Now,
            _ => Self::No,
        }
    }
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
