//! [`Trigger`]: what makes a refresh come before its time.
//!
//! A trigger carries the reason, which is logged, and what it asks for: a read of some scope, or of
//! one secret that is said to have changed. Streams of triggers are foreign code, so
//! [`fuse_quietly`] keeps one that ends or panics from ending the others.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::hints::Hint;
use super::watched_file;
use crate::error::escape;
use crate::load::fetch::Scope;
use crate::observe::events;
use crate::unwind;

/// How much of a secret's name is logged: a name has 512 characters at most, an ARN about 600.
const MAX_SHOWN: usize = 640;

/// A reason to refresh now: the item of the streams that
/// [`LiveBuilder::refresh_on`](crate::LiveBuilder::refresh_on) takes. Any stream that can be mapped
/// to triggers will do, such as a queue of EventBridge events. Ready-made streams are
/// [`every`](Self::every), [`file`](Self::file), [`channel`](Self::channel) and, with the feature
/// `signal`, `hangups`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use secrets_provider::{Live, Memory, SecretsManager, Trigger};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { jwt_secret: String }
///
/// let secrets = Memory::new();
/// secrets.put("gaara/prod/jwt-secret", "first");
/// let (trigger, triggers) = Trigger::channel();
/// let settings: Live<Settings> = Live::builder(SecretsManager::prefix("gaara/prod").backend(secrets.clone()))
///     .refresh_on(triggers)
///     .start()
///     .await?;
///
/// let mut changes = settings.changes();
/// secrets.put("gaara/prod/jwt-secret", "second");
/// trigger.fire();
/// assert_eq!(changes.next().await.unwrap().keys(), ["jwt_secret"]);
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    reason: Cow<'static, str>,
    pub(crate) asks: Asks,
}

/// What a trigger asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asks {
    /// A read of this scope.
    Read(Scope),
    /// A read of this secret, if it is not known to be current.
    Secret(Hint),
}

impl Trigger {
    /// A trigger that reads everything, with its reason. The reason is logged, so do not put a
    /// value into it.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), asks: Asks::Read(Scope::everything()) }
    }

    /// A hint that this secret changed, by its name or ARN: for messages from a queue, such as
    /// NATS, Redis, PostgreSQL's `NOTIFY`, or SQS.
    ///
    /// That secret is read, by `GetSecretValue`; nothing is listed and no other secret is read. A
    /// secret that is not selected is ignored. Hints that come together are one refresh and one
    /// generation. A hint is only a reason to look: what is served is what the store answers, so a
    /// forged one costs up to four reads, at most one a second for all hints that wait. Repeat a
    /// hint, or lose one, and nothing is wrong: the interval finds what no hint names.
    ///
    /// Name the [`version`](Self::version) if the message has it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::stream;
    /// use secrets_provider::{Live, Memory, SecretsManager, Trigger};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { jwt_secret: String }
    ///
    /// # let secrets = Memory::new();
    /// # secrets.put("gaara/prod/jwt-secret", "first");
    /// # let (send, received) = tokio::sync::mpsc::unbounded_channel::<String>();
    /// // The messages of a subscription, each the name of a secret.
    /// let messages = stream::unfold(received, async |mut received| {
    ///     received.recv().await.map(|name| (name, received))
    /// });
    /// use futures_util::StreamExt as _;
    /// let settings: Live<Settings> = Live::builder(SecretsManager::prefix("gaara/prod").backend(secrets.clone()))
    ///     .refresh_on(messages.map(Trigger::secret))
    ///     .start()
    ///     .await?;
    ///
    /// let mut changes = settings.changes();
    /// secrets.put("gaara/prod/jwt-secret", "second");
    /// send.send("gaara/prod/jwt-secret".to_owned()).unwrap();
    /// assert_eq!(changes.next().await.unwrap().keys(), ["jwt_secret"]);
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    pub fn secret(name_or_arn: impl Into<String>) -> Self {
        let secret = name_or_arn.into();
        // It comes from outside, of any length.
        let shown: String = secret.chars().take(MAX_SHOWN).collect();
        let reason = format!("secret {}", escape(&shown));
        Self {
            reason: reason.into(),
            asks: Asks::Secret(Hint { secret, version: None, changed_at: None }),
        }
    }

    /// What a message of a queue says.
    #[cfg(feature = "sqs")]
    pub(crate) fn hinted(hint: Hint) -> Self {
        Self { reason: "push".into(), asks: Asks::Secret(hint) }
    }

    /// Changes are announced from now on; what changed shortly before may have been missed.
    #[cfg(feature = "sqs")]
    pub(crate) fn subscribed() -> Self {
        Self { reason: "subscribed".into(), asks: Asks::Read(Scope::due()) }
    }

    /// The version that the [`secret`](Self::secret) has now. If it is live already, nothing is
    /// read. If the store still answers with the version that was live before, its replicas may
    /// lag, and it is read again after 0.5, 1 and 2 s. Another version than this one is served too:
    /// messages may come late or out of order. It changes nothing in a trigger that names no
    /// secret.
    pub fn version(mut self, id: impl Into<String>) -> Self {
        if let Asks::Secret(hint) = &mut self.asks {
            hint.version = Some(id.into());
        }
        self
    }

    /// Why the refresh is asked for.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// A trigger after each period, for exact times; the builder's own interval is jittered. A
    /// period that passes during a refresh is skipped. Unlike other triggers, it does not list
    /// names before their listing expires, so secrets that were added are found no sooner than by a
    /// refresh at the interval. Zero counts as a second.
    pub fn every(period: Duration) -> impl Stream<Item = Self> + Send + 'static {
        let period = if period.is_zero() { Duration::from_secs(1) } else { period };
        stream::unfold(None, move |timer: Option<tokio::time::Interval>| async move {
            // Made on the first poll, which is in a runtime.
            let mut timer = timer.unwrap_or_else(|| {
                let mut timer = tokio::time::interval(period);
                timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
                timer.reset();
                timer
            });
            timer.tick().await;
            Some((Self { reason: "interval".into(), asks: Asks::Read(Scope::due()) }, Some(timer)))
        })
    }

    /// A trigger for each change of a file that the layers read: an edit, its replacement, its
    /// removal, or its return. As for [`Layers::dotenv`](crate::Layers::dotenv), a relative path is
    /// searched for in the working directory and then in its parents.
    ///
    /// The file is looked at once a second, by its times, size and inode, from this call on (so the
    /// first look is on the calling thread). No change is missed between this call and the start,
    /// and none on a network mount, but two edits within a second are one trigger. A file that is
    /// read while it is written may be refused, as any wrong layer is, and is read again at the
    /// next look; to avoid that, write another file and rename it. Settings that do not fit leave
    /// the last good ones in use.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join(".env");
    /// use secrets_provider::{Layers, Live, Memory, SecretsManager, Trigger};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { log_level: String }
    ///
    /// std::fs::write(&path, "LOG_LEVEL=info").unwrap();
    /// # let secrets = Memory::new();
    /// # secrets.put("app", "{}");
    /// let file = path.clone();
    /// let settings: Live<Settings> = Live::builder(SecretsManager::prefix("app").backend(secrets))
    ///     .layers(move |secrets| Layers::new().dotenv(&file).secrets(secrets))
    ///     .refresh_on(Trigger::file(&path))
    ///     .start()
    ///     .await?;
    /// let mut changes = settings.changes();
    /// std::fs::write(&path, "LOG_LEVEL=debug").unwrap();
    /// assert_eq!(changes.next().await.unwrap().keys(), ["log_level"]);
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    pub fn file(path: impl AsRef<Path>) -> impl Stream<Item = Self> + Send + 'static {
        let reason = format!("file {}", path.as_ref().display());
        watched_file::changes(path.as_ref().to_owned()).map(move |()| Self::new(reason.clone()))
    }

    /// A sender that fires triggers from anywhere in the program, and the stream of those triggers.
    pub fn channel() -> (TriggerSender, impl Stream<Item = Self> + Send + 'static) {
        // One waiting trigger is as good as many.
        let (sender, receiver) = mpsc::channel(1);
        (TriggerSender(sender), ReceiverStream::new(receiver))
    }

    /// A trigger for each SIGHUP, by which daemons are asked to read their configuration again. The
    /// signal then no longer ends the process.
    ///
    /// # Errors
    ///
    /// If the signal handler cannot be installed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[cfg(all(unix, feature = "signal"))]
    pub fn hangups() -> std::io::Result<impl Stream<Item = Self> + Send + 'static> {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = signal(SignalKind::hangup())?;
        Ok(stream::unfold(signals, |mut signals| async move {
            signals.recv().await.map(|()| (Self::new("SIGHUP"), signals))
        }))
    }
}

/// Fires a trigger: see [`Trigger::channel`]. Clones fire the same one.
#[derive(Clone)]
pub struct TriggerSender(mpsc::Sender<Trigger>);

impl TriggerSender {
    /// Asks for a refresh without waiting for it. Triggers that are fired together are one refresh.
    /// Has no effect once the settings are gone.
    pub fn fire(&self) {
        let _ = self.0.try_send(Trigger::new("channel"));
    }
}

impl fmt::Debug for TriggerSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriggerSender").finish_non_exhaustive()
    }
}

/// A stream that may end or panic, as one that yields nothing more then.
pub(crate) fn fuse_quietly(
    stream: impl Stream<Item = Trigger> + Send + 'static,
) -> BoxStream<'static, Trigger> {
    // The end is chained inside the guard, because the stream is dropped at its end, which is
    // foreign code too.
    let guarded = unwind::catch_stream(stream.chain(stream::pending()));
    let quiet = guarded.filter_map(async |trigger| {
        if trigger.is_err() {
            events::trigger_panicked();
        }
        trigger.ok()
    });
    Box::pin(quiet.chain(stream::pending()))
}
