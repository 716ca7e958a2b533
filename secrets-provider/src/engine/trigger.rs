//! What makes a refresh come before its time.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// A reason to refresh now: the item of the streams that [`LiveBuilder::refresh_on`](crate::LiveBuilder::refresh_on)
/// takes. Any stream will do that can be mapped to it, such as a queue of EventBridge's notices; ready-made are
/// [`every`](Self::every), [`channel`](Self::channel) and, with the feature `signal`, `hangups`.
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
    /// Names are looked for anew, too.
    pub(crate) names: bool,
}

impl Trigger {
    /// A trigger with its reason, which is logged: put no value into it.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), names: true }
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// A trigger for each period, the first after one of them: beside the builder's own interval, which is jittered,
    /// for times that are to be kept. A period that passes while a refresh is under way is not made up for. Unlike
    /// other triggers, it finds secrets that were added no sooner than a refresh at the interval does. Zero counts as a
    /// second.
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
            Some((Self { reason: "interval".into(), names: false }, Some(timer)))
        })
    }

    /// A trigger to be fired by hand, from anywhere, and the stream of its firings.
    pub fn channel() -> (TriggerSender, impl Stream<Item = Self> + Send + 'static) {
        // One that waits is as good as many.
        let (sender, receiver) = mpsc::channel(1);
        (TriggerSender(sender), ReceiverStream::new(receiver))
    }

    /// A trigger for each SIGHUP, which then no longer ends the process: the custom of daemons for "read your
    /// configuration again".
    ///
    /// # Errors
    ///
    /// If no handler can be installed.
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
    /// Asks for a refresh, without waiting for it. Firings that come together are one. Without effect when the
    /// settings are gone.
    pub fn fire(&self) {
        let _ = self.0.try_send(Trigger::new("channel"));
    }
}

impl fmt::Debug for TriggerSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriggerSender").finish_non_exhaustive()
    }
}

/// A stream that may end or panic, as one that then is silent.
pub(crate) fn endless(
    stream: impl Stream<Item = Trigger> + Send + 'static,
) -> crate::BoxStream<'static, Trigger> {
    use std::panic::AssertUnwindSafe;

    // At its end the stream is dropped, which is the user's code, too: inside. After a panic it is over.
    let quiet = AssertUnwindSafe(stream.chain(stream::pending())).catch_unwind().filter_map(
        async |trigger| {
            if trigger.is_err() {
                tracing::error!(target: crate::TARGET, "trigger_panicked");
            }
            trigger.ok()
        },
    );
    Box::pin(quiet.chain(stream::pending()))
}
