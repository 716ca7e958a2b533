//! [`Get`]: one lookup, as its caller describes it, and the future that it becomes.
//!
//! A hit is answered by the first poll, without a task or an allocation of this crate's own. The
//! value is parsed for the caller, on the caller's thread, unless it is kept as an `Arc`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use serde::de::DeserializeOwned;

use super::Lookup;
use super::entry::Entry;
use super::flights::Found;
use super::inner::Inner;
use crate::backend::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::load::blocking;
use crate::load::required;
use crate::load::retry::fresh::{self, Retry, Source};
use crate::unwind::lock;

/// How often a search begins again because it only found the refused version, forgotten meanwhile.
const MAX_SEARCHES: usize = 3;

/// One lookup, which [`Lookup::get`] begins: `.await` it, or call [`blocking`](Self::blocking).
///
/// `T` is the type that the value is read as, by the same rules as settings; it follows from where
/// the result goes. `O` is what a lookup returns: `T`, an `Option` after
/// [`optional`](Self::optional), an `Arc` after [`shared`](Self::shared).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use secrets_provider::{Memory, SecretsManager};
/// # use secrecy::SecretString;
/// # let memory = Memory::new();
/// # memory.put("app/database/primary", r#"{"username": "gaara", "port": "5432"}"#);
/// #[derive(serde::Deserialize)]
/// struct Login { username: String, port: u16 }
///
/// let secrets = SecretsManager::prefix("app").backend(memory).lookup();
/// let login: Login = secrets.get("database/primary").await?;
/// let port: u16 = secrets.get("database/primary").key("port").await?;
/// let dsn = secrets.get::<SecretString>("sentry-dsn").optional().await?;
/// assert_eq!((login.port, port, dsn.is_none()), (5432, 5432, true));
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
#[must_use = "a lookup does nothing unless it is awaited, or `blocking` is called"]
pub struct Get<'a, T, O = T> {
    lookup: &'a Lookup,
    name: Cow<'a, str>,
    keys: Vec<Cow<'a, str>>,
    refresh: bool,
    take: fn(&Entry, &[Cow<'a, str>]) -> Result<O, Error>,
    /// What is returned for a secret or a key that does not exist, if that is no error.
    absent: Option<fn() -> O>,
    value: PhantomData<fn() -> T>,
}

impl<'a, T: DeserializeOwned> Get<'a, T> {
    pub(super) fn new(lookup: &'a Lookup, name: Cow<'a, str>) -> Self {
        Self {
            lookup,
            name,
            keys: Vec::new(),
            refresh: false,
            take: |entry, keys| entry.value(keys),
            absent: None,
            value: PhantomData,
        }
    }

    /// Returns `None` instead of an error if the secret, or its [`key`](Self::key), does not exist
    /// or may not be read (by IAM or its KMS key). An outage is still an error. For a default, add
    /// `unwrap_or`.
    pub fn optional(self) -> Get<'a, T, Option<T>> {
        self.returning(|entry, keys| entry.value(keys).map(Some), Some(|| None))
    }

    /// Returns the value as an `Arc` that is kept with the secret, so that it is parsed once for
    /// each version and a hit clones nothing else. At most 16 are kept of one version, by type and
    /// key; beyond that, each call parses its own. They are dropped when the version leaves the
    /// cache and no one holds them. What is in them is wiped if its type does that, as
    /// `SecretString` does.
    pub fn shared(self) -> Get<'a, T, Arc<T>>
    where
        T: Send + Sync + 'static,
    {
        self.returning(|entry, keys| entry.shared(keys), None)
    }

    /// Runs an operation with the value, and again with a newer version of the secret when its
    /// error says that the credentials were refused. What the closures mean, and how often the
    /// operation runs, is as in [`Live::with_fresh`](crate::Live::with_fresh).
    ///
    /// Newer versions are searched for by the same rules, too: all callers of one secret share a
    /// few reads within a budget ([`Lookup::refresh_past_budget`]), and after a search that found
    /// nothing there is a rest as long as the budget.
    ///
    /// # Errors
    ///
    /// The operation's own last error; before its first run, that of the lookup.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use secrets_provider::{Memory, SecretsManager};
    ///
    /// #[derive(Debug)]
    /// enum Failed { Refused, NoSecret }
    /// impl From<secrets_provider::Error> for Failed {
    ///     fn from(_: secrets_provider::Error) -> Self { Self::NoSecret }
    /// }
    ///
    /// # let memory = Memory::new();
    /// # memory.put("app/password", "old");
    /// let secrets = SecretsManager::prefix("app").backend(memory.clone()).lookup();
    /// # let _: String = secrets.get("password").await?;
    /// # memory.put("app/password", "new");
    /// let log_in = |password: Arc<String>| async move {
    ///     if *password == "new" { Ok("welcome") } else { Err(Failed::Refused) }
    /// };
    /// let refused = |error: &Failed| matches!(error, Failed::Refused);
    /// let answer = secrets.get("password").with_fresh(log_in, refused).await?;
    /// assert_eq!(answer, "welcome");
    /// # Ok::<(), Failed>(()) }).unwrap();
    /// ```
    pub async fn with_fresh<X, E, Fut, R>(
        self,
        operation: impl Fn(Arc<T>) -> Fut,
        retry: impl Fn(&E) -> R,
    ) -> Result<X, E>
    where
        Fut: Future<Output = Result<X, E>>,
        E: From<Error>,
        R: Into<Retry>,
    {
        let source = Sourced { get: self, last: Mutex::default() };
        let first = source.read(source.get.refresh).await?;
        fresh::with_fresh(first, &source, operation, retry).await
    }
}

impl<'a, T: DeserializeOwned + Send + Sync + 'static> Get<'a, T, Arc<T>> {
    /// As [`optional`](Get::optional) of a value that is not shared.
    pub fn optional(self) -> Get<'a, T, Option<Arc<T>>> {
        self.returning(|entry, keys| entry.shared(keys).map(Some), Some(|| None))
    }
}

impl<'a, T: DeserializeOwned + Send + Sync + 'static> Get<'a, T, Option<T>> {
    /// As [`shared`](Get::shared) of a value that is not optional.
    pub fn shared(self) -> Get<'a, T, Option<Arc<T>>> {
        self.returning(|entry, keys| entry.shared(keys).map(Some), Some(|| None))
    }
}

impl<'a, T, O> Get<'a, T, O> {
    /// Only this member of a secret that holds a JSON object, in any spelling, as a field of a
    /// struct is found; called again, a member of that. Where AWS is off, `database/primary` with
    /// the key `port` is the variable `DATABASE_PRIMARY_PORT`.
    pub fn key(mut self, key: impl Into<Cow<'a, str>>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Reads the secret now, past the cache, and fails if it cannot be read. Callers that come
    /// together share one call; one that has already been sent may have been too early, so this
    /// waits for the next one. What was cached stays cached if it fails.
    pub fn refresh(mut self) -> Self {
        self.refresh = true;
        self
    }

    /// Looks the secret up and blocks the calling thread: outside a runtime, in `spawn_blocking`,
    /// or inside a runtime, as
    /// [`SecretsManager::fetch_blocking`](crate::SecretsManager::fetch_blocking) does. A hit needs
    /// no other thread.
    ///
    /// # Errors
    ///
    /// Those of [`Lookup::get`].
    pub fn blocking(self) -> Result<O, Error> {
        if let Some(result) = self.at_once() {
            return result;
        }
        let (inner, name, refresh) = (self.inner().clone(), self.name.to_string(), self.refresh);
        let found = blocking::run(async move { inner.obtain(&name, refresh).await });
        self.took(found.flatten())
    }

    fn returning<P>(
        self,
        take: fn(&Entry, &[Cow<'a, str>]) -> Result<P, Error>,
        absent: Option<fn() -> P>,
    ) -> Get<'a, T, P> {
        let Self { lookup, name, keys, refresh, .. } = self;
        Get { lookup, name, keys, refresh, take, absent, value: PhantomData }
    }

    fn inner(&self) -> &'a Arc<Inner> {
        &self.lookup.0
    }

    /// The result, if no read is needed for it: what the cache has, or what is wrong with the name.
    fn at_once(&self) -> Option<Result<O, Error>> {
        let inner = self.inner();
        if !self.refresh
            && let Some(result) = inner.cached(&self.name, |entry| (self.take)(entry, &self.keys))
        {
            return Some(self.finish(result));
        }
        // Not counted: nothing is looked up by such a name.
        inner.check(&self.name).err().map(Err)
    }

    fn read(&self) -> BoxFuture<'static, Found> {
        let (inner, name, refresh) = (self.inner().clone(), self.name.to_string(), self.refresh);
        Box::pin(async move { inner.obtain(&name, refresh).await })
    }

    fn took(&self, found: Found) -> Result<O, Error> {
        self.finish(found.and_then(|entry| (self.take)(&entry, &self.keys)))
    }

    /// Counts a failure, and makes nothing of one where that is allowed.
    fn finish(&self, result: Result<O, Error>) -> Result<O, Error> {
        let at_key = |error| self.inner().at(error, &self.name, &self.keys);
        result.map_err(at_key).or_else(|error| match self.absent {
            Some(absent) if required::missing(error.kind()) && !error.is_of_caller() => {
                self.inner().absent(&error);
                Ok(absent())
            }
            _ => {
                self.inner().failed(&error);
                Err(error)
            }
        })
    }
}

impl<'a, T, O> IntoFuture for Get<'a, T, O> {
    type Output = Result<O, Error>;
    type IntoFuture = Getting<'a, T, O>;

    fn into_future(self) -> Getting<'a, T, O> {
        Getting { get: self, reading: None }
    }
}

/// The future of a [`Get`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Getting<'a, T, O = T> {
    get: Get<'a, T, O>,
    reading: Option<BoxFuture<'static, Found>>,
}

impl<T, O> Future for Getting<'_, T, O> {
    type Output = Result<O, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.reading.is_none() {
            if let Some(result) = self.get.at_once() {
                return Poll::Ready(result);
            }
            self.reading = Some(self.get.read());
        }
        let Some(reading) = &mut self.reading else { return Poll::Pending };
        let found = std::task::ready!(reading.as_mut().poll(context));
        self.reading = None;
        Poll::Ready(self.get.took(found))
    }
}

/// Where [`Get::with_fresh`] has its values from.
struct Sourced<'a, T> {
    get: Get<'a, T>,
    /// What was handed out last.
    last: Mutex<Option<Arc<Entry>>>,
}

impl<T: DeserializeOwned> Sourced<'_, T> {
    async fn read(&self, refresh: bool) -> Result<Arc<T>, Error> {
        let (inner, name) = (self.get.inner(), &*self.get.name);
        let cached = match refresh {
            true => None,
            false => inner.cached(name, |entry| self.value_of(entry)),
        };
        let value = match cached {
            Some(value) => value,
            None => {
                inner.check(name)?;
                let entry = inner.obtain(name, refresh).await;
                entry.and_then(|entry| self.value_of(&entry))
            }
        };
        self.get.finish_shared(value)
    }

    /// A version newer than the last one: not the same one, read again after it was forgotten.
    async fn newer_entry(&self) -> Found {
        let last = lock(&self.last).clone();
        let mut seen = last.as_ref().map_or(0, |last| last.generation);
        let is_last = |entry: &Entry| last.as_ref().is_some_and(|last| last.is_same_version(entry));
        for _ in 0..MAX_SEARCHES {
            let entry = self.get.inner().newer(&self.get.name, seen).await?;
            if !is_last(&entry) {
                return Ok(entry);
            }
            seen = entry.generation;
        }
        let name = &*self.get.name;
        let message =
            format!("secret `{name}`: no newer version came, and it is forgotten again and again");
        Err(Error::new(ErrorKind::Unavailable, message).with_secret(name))
    }

    fn value_of(&self, entry: &Arc<Entry>) -> Result<Arc<T>, Error> {
        let before = lock(&self.last).replace(entry.clone());
        // What the program keeps in it is dropped without the lock.
        drop(before);
        entry.value(&self.get.keys).map(Arc::new)
    }
}

impl<T> Get<'_, T> {
    fn finish_shared(&self, result: Result<Arc<T>, Error>) -> Result<Arc<T>, Error> {
        let result = result.map_err(|error| self.inner().at(error, &self.name, &self.keys));
        result.inspect_err(|error| self.inner().failed(error))
    }
}

impl<T: DeserializeOwned> Source for Sourced<'_, T> {
    type Value = Arc<T>;

    async fn current(&self) -> Option<Arc<T>> {
        self.read(false).await.ok()
    }

    async fn newer(&self, _: &Arc<T>) -> Option<Arc<T>> {
        let entry = self.newer_entry().await;
        self.get.finish_shared(entry.and_then(|entry| self.value_of(&entry))).ok()
    }
}

/// Shows names and keys, which the program chose.
impl<T, O> fmt::Debug for Get<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get")
            .field("name", &self.name)
            .field("keys", &self.keys)
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}

impl<T, O> fmt::Debug for Getting<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Getting").finish_non_exhaustive()
    }
}
