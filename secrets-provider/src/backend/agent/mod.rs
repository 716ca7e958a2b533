//! [`Agent`]: secrets by way of AWS's local agent, or of its Lambda extension.
//!
//! `core` makes the calls and knows when one is worth another try, `token` finds the token that
//! proves that this process may ask, `answer` takes answers apart, and `error` words what failed.
//! The agent's texts are only matched, never shown, and neither a value nor a token is in an error
//! or a `Debug`. All words about the agent stay in this folder.

mod answer;
mod core;
mod error;
mod token;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{StreamExt as _, future, stream};
use zeroize::Zeroizing;

use self::core::{Core, Wanted};
use self::token::Source;
use super::iam::{self, Location, Needs};
use super::{Backend, BoxFuture, BoxStream, Outcome};
use crate::error::Error;
use crate::observe::status::Calls;

/// How many calls run at once. The agent serves 800 connections to all its callers.
const MAX_CONCURRENT_CALLS: usize = 20;

/// For how long the agent keeps a value unless its configuration says otherwise, and the extension
/// at most.
const DEFAULT_TTL: Duration = Duration::from_secs(300);

/// Secrets of AWS Secrets Manager by way of a program on the same machine that caches them: feature
/// `agent`. It needs no AWS SDK and no credentials in this process.
///
/// The program is AWS's Workload Credentials Provider (formerly Secrets Manager Agent) or, in
/// Lambda, the extension "AWS Parameters and Secrets".
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct Settings;
/// # async fn main_() -> Result<(), secrets_provider::Error> {
/// use secrets_provider::{Agent, Live, SecretsManager};
///
/// let manager = SecretsManager::prefix("gaara/prod").only(["database", "jwt-secret"]);
/// let settings: Live<Settings> = manager.backend(Agent::local()).live().await?;
/// # Ok(()) }
/// ```
///
/// - **Names** are given: by [`names`](crate::SecretsManager::names), or by
///   [`only`](crate::SecretsManager::only) with a prefix. The agent has no call that lists them, and
///   a prefix by itself fails with `Config`. Nor is there a call for many secrets: each is a call to
///   the agent.
/// - **Age**: the agent answers from its cache, so a value may be as old as the agent's own limit
///   ([`cache_ttl`](Self::cache_ttl)) when it is read; [`Status::cache_ttl`](crate::Status::cache_ttl)
///   shows it. [`Live::refresh`](crate::Live::refresh), hints,
///   [`Live::refresh_past`](crate::Live::refresh_past) and
///   [`Get::refresh`](crate::Get::refresh) read past that cache (`refreshNow`); the start and the
///   reads at the interval do not. The extension is not documented to do so; if it refuses, its
///   cache answers.
/// - **The token** comes from the first of the variables `AWS_TOKEN`, `AWS_SESSION_TOKEN` and
///   `AWS_CONTAINER_AUTHORIZATION_TOKEN`, whose value may be `file:///path`. The agent makes a new
///   one at each start, so it is read again when it is refused.
/// - **Previous values** ([`with_previous`](crate::SecretsManager::with_previous)) are read past the
///   cache when the current one is new: the two are cached apart.
/// - **Connections** are made for each call: the agent closes each 61 s after it was accepted, in the
///   middle of an answer if need be. No proxy is used, because the agent refuses what came through
///   one.
///
/// Clones share the token until one is changed by a setter.
#[derive(Clone)]
#[must_use]
pub struct Agent {
    settings: Settings,
    core: Arc<OnceLock<Result<Arc<Core>, Error>>>,
}

/// What the setters describe.
#[derive(Clone)]
struct Settings {
    /// `None` for the usual port on this machine.
    address: Option<String>,
    token: Source,
    role: Option<String>,
    ttl: Duration,
}

impl Agent {
    /// The agent at `http://localhost:2773`, or at the port that the variable
    /// `PARAMETERS_SECRETS_EXTENSION_HTTP_PORT` ([`PORT_VARIABLE`](Self::PORT_VARIABLE)) names.
    /// Nothing is called before the first fetch.
    pub fn local() -> Self {
        let settings =
            Settings { address: None, token: Source::Variables, role: None, ttl: DEFAULT_TTL };
        Self { settings, core: Arc::default() }
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self.core = Arc::default();
        self
    }

    /// The agent at another address, such as `http://127.0.0.1:2774`. It speaks HTTP, and only to
    /// its own host or network namespace. An address that is no such URL makes the first fetch
    /// fail with `Config`.
    ///
    /// ```
    /// use secrets_provider::{Agent, SecretsManager};
    ///
    /// let agent = Agent::local().address("http://127.0.0.1:2774");
    /// let manager = SecretsManager::names(["gaara/prod/database"]).backend(agent);
    /// ```
    pub fn address(self, address: impl Into<String>) -> Self {
        let address = address.into();
        self.change(|settings| settings.address = Some(address))
    }

    /// Uses this token, and no variable.
    pub fn token(self, token: impl Into<String>) -> Self {
        let token = Zeroizing::new(token.into());
        self.change(|settings| settings.token = Source::Given(token.into()))
    }

    /// Reads the token from this file, such as `/var/run/awssmatoken`, and from no variable.
    pub fn token_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.change(|settings| settings.token = Source::File(path))
    }

    /// Has the agent assume this role, by its ARN, to read the secrets (`roleArn`). It keeps a cache
    /// for each of at most 20 roles, for as long as it runs.
    pub fn role(self, arn: impl Into<String>) -> Self {
        let arn = arn.into();
        self.change(|settings| settings.role = Some(arn))
    }

    /// For how long the agent keeps a value before it asks AWS again, as its configuration says
    /// (`ttl_seconds`, or `SECRETS_MANAGER_TTL` of the extension): 300 s by default. This does not
    /// set it; it is what [`Status::cache_ttl`](crate::Status::cache_ttl) shows.
    pub fn cache_ttl(self, ttl: Duration) -> Self {
        self.change(|settings| settings.ttl = ttl)
    }

    /// The variable that names the port of [`local`](Self::local), in place of 2773. It is that of
    /// the extension.
    pub const PORT_VARIABLE: &'static str = core::PORT_VARIABLE;

    /// Where the agent is asked: the [`address`](Self::address), or that of
    /// [`local`](Self::local) with its port. Nothing is called.
    ///
    /// ```
    /// use secrets_provider::Agent;
    ///
    /// let agent = Agent::local().address("http://127.0.0.1:2774/");
    /// assert_eq!(agent.url()?, "http://127.0.0.1:2774");
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Config` for an address or a port that cannot be one.
    pub fn url(&self) -> Result<&str, Error> {
        self.core().map(|core| core.base())
    }

    fn core(&self) -> Result<&Arc<Core>, Error> {
        let made = || Core::new(self.settings.clone());
        self.core.get_or_init(made).as_ref().map_err(Error::clone)
    }

    fn reads<'a>(&'a self, ids: &'a [String], wanted: Wanted) -> BoxStream<'a, Outcome> {
        let reads = stream::iter(ids).map(move |id| async move {
            let read = async { self.core()?.read(id, wanted).await };
            (id.clone(), read.await.map_err(|error: Error| error.with_secret(id)))
        });
        Box::pin(reads.buffer_unordered(MAX_CONCURRENT_CALLS))
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { address, token, role, ttl } = &self.settings;
        let address = address.as_deref().map_or("local", core::shown);
        f.debug_struct("Agent")
            .field("address", &address)
            .field("token", &token.as_str())
            .field("role", role)
            .field("cache_ttl", ttl)
            .finish_non_exhaustive()
    }
}

impl Backend for Agent {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(future::ready(Err(error::lists_nothing(prefix))))
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.reads(ids, Wanted::Cached)
    }

    fn fetch_uncached<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.reads(ids, Wanted::Newest)
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.reads(ids, Wanted::Previous)
    }

    fn cache_ttl(&self) -> Option<Duration> {
        Some(self.settings.ttl).filter(|ttl| !ttl.is_zero())
    }

    fn calls(&self) -> Calls {
        match self.core.get() {
            Some(Ok(core)) => core.calls(),
            _ => Calls::new(),
        }
    }

    /// What the agent's role needs: it asks which version is current before it reads a value again.
    fn policy(&self, prefix: Option<&str>, ids: &[String]) -> Option<String> {
        let needs = prefix.map_or(Needs::Secrets(ids), Needs::Prefix);
        Some(iam::policy(iam::statements(&Location::of_process(None), needs, false, true)))
    }

    fn store_name(&self) -> &str {
        "AWS Secrets Manager's agent"
    }

    fn timeout_hint(&self) -> &str {
        "check that the agent runs, and that it can reach AWS: its log says more"
    }

    fn nothing_listed_hint(&self) -> &str {
        error::GIVE_NAMES
    }
}
