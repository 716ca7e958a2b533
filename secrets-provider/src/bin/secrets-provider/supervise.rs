//! `exec --watch`: one program, started again when a secret changes.
//!
//! The library keeps the secrets current; a change is waited out until there are no more for a
//! while, and only a change of the program's variables counts. Signals are passed on, and the
//! program's end is the end of this process.

use std::future;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use rustix::process::{Pid, kill_process};
use secrets_provider::{Error, ErrorKind, Layers, Live, SecretsManager, Snapshot};
use serde::de::{Deserialize, Deserializer, IgnoredAny};
use std::io::IsTerminal as _;
use tokio::process::Child;
use tokio::signal::unix::{self, SignalKind};
use tokio::time::{Instant, sleep_until, timeout};

use crate::Ended;
use crate::exec::not_run;
use crate::output::Output;
use crate::variables::Variables;

/// A signal that may be sent instead of a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Signal {
    Hup,
    Usr1,
    Usr2,
    Int,
    Term,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        use rustix::process::Signal as S;
        match self {
            Self::Hup => S::HUP,
            Self::Usr1 => S::USR1,
            Self::Usr2 => S::USR2,
            Self::Int => S::INT,
            Self::Term => S::TERM,
        }
    }
}

/// How long things take.
pub(crate) struct Times {
    /// Between looks; the library's default if `None`.
    pub(crate) interval: Option<Duration>,
    /// Without changes, before the program hears of one.
    pub(crate) debounce: Duration,
    /// Between SIGTERM and SIGKILL.
    pub(crate) grace: Duration,
}

/// How many times as long as after one change it waits at most, while one follows another.
const MOST_DEBOUNCES: u32 = 10;

/// Settings of which nothing is read: the secrets are taken from the layers.
pub(crate) struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Self)
    }
}

/// The last secrets that were read.
pub(crate) type Latest = Arc<Mutex<Option<Snapshot>>>;

/// Keeps these secrets current, and where the last ones are.
pub(crate) async fn live(
    manager: SecretsManager,
    interval: Option<Duration>,
) -> Result<(Live<Anything>, Latest), Error> {
    let latest = Latest::default();
    let kept = latest.clone();
    let builder = Live::builder(manager).layers(move |secrets| {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(secrets.clone());
        Layers::new().secrets(secrets)
    });
    let builder = match interval {
        Some(interval) => builder.refresh_every(interval),
        None => builder,
    };
    Ok((builder.start().await?, latest))
}

/// Runs the program until it ends.
pub(crate) async fn run(
    manager: SecretsManager,
    times: Times,
    signal: Option<Signal>,
    make: impl Fn(&Snapshot) -> Result<Variables, Error>,
    command: impl Fn(&Variables) -> Command,
    output: &Output,
) -> Result<Ended, Error> {
    let (live, latest) = live(manager, times.interval).await?;
    let current = || {
        let secrets = latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        make(&secrets.ok_or_else(|| Error::new(ErrorKind::Unavailable, "no secrets were read"))?)
    };
    let mut changes = live.changes();
    let mut signals = Signals::new()?;
    let mut variables = current()?;
    let mut child = match start(command(&variables), output) {
        Ok(child) => child,
        Err(code) => return Ok(Ended::Code(code)),
    };
    // When the program hears of the last change, if nothing else changes before.
    let mut due = None;
    // From the first change on, it does not wait longer than this.
    let mut latest_due = None;
    let mut over = false;
    loop {
        tokio::select! {
            ended = child.wait() => return ended_with(ended),
            passed = signals.next() => send(&child, passed),
            change = changes.next(), if !over => match change {
                Some(_) => {
                    let now = Instant::now();
                    let latest = *latest_due.get_or_insert(now + times.debounce * MOST_DEBOUNCES);
                    due = Some(latest.min(now + times.debounce));
                }
                None => over = true,
            },
            () = until(due) => {
                (due, latest_due) = (None, None);
                let new = match current() {
                    Ok(new) if new.same(&variables) => continue,
                    Ok(new) => new,
                    Err(error) => {
                        // The program goes on with what it has.
                        output.error(&error);
                        continue;
                    }
                };
                variables = new;
                if let Some(signal) = signal {
                    send(&child, signal.number());
                    continue;
                }
                output.note("secrets-provider: a secret has changed; the command is started again");
                if let Some(ended) = stop(&mut child, &mut signals, times.grace).await {
                    return ended_with(Ok(ended));
                }
                child = match start(command(&variables), output) {
                    Ok(child) => child,
                    Err(code) => return Ok(Ended::Code(code)),
                };
            }
        }
    }
}

fn start(command: Command, output: &Output) -> Result<Child, u8> {
    let mut command = tokio::process::Command::from(command);
    command.spawn().map_err(|error| not_run(command.as_std(), &error, output))
}

/// Ends the program. Returns how it ended if a signal that was passed on is why.
async fn stop(child: &mut Child, signals: &mut Signals, grace: Duration) -> Option<ExitStatus> {
    send(child, rustix::process::Signal::TERM);
    let mut asked = false;
    let waited = timeout(grace, async {
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                passed = signals.next() => {
                    asked |= matches!(passed, rustix::process::Signal::TERM | rustix::process::Signal::INT);
                    send(child, passed);
                }
            }
        }
    });
    let ended = match waited.await {
        Ok(ended) => ended.ok(),
        Err(_) => {
            // It may have ended in this very moment.
            let _ = child.start_kill();
            child.wait().await.ok()
        }
    };
    ended.filter(|_| asked)
}

/// Waits until a moment, or for ever without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => future::pending().await,
    }
}

fn send(child: &Child, signal: rustix::process::Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended in this very moment.
        let _ = kill_process(id, signal);
    }
}

fn ended_with(ended: std::io::Result<ExitStatus>) -> Result<Ended, Error> {
    let ended = ended.map_err(|error| crate::output::failed("the command's end", &error))?;
    let code = ended.code().or_else(|| ended.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(Ended::Code(u8::try_from(code).unwrap_or(1)))
}

/// The signals that are passed on.
struct Signals(Vec<(unix::Signal, rustix::process::Signal)>);

impl Signals {
    fn new() -> Result<Self, Error> {
        use rustix::process::Signal as S;
        let mut kinds = vec![
            (SignalKind::terminate(), S::TERM),
            (SignalKind::hangup(), S::HUP),
            (SignalKind::user_defined1(), S::USR1),
            (SignalKind::user_defined2(), S::USR2),
            (SignalKind::interrupt(), S::INT),
            (SignalKind::quit(), S::QUIT),
        ];
        if std::io::stdin().is_terminal() {
            // A terminal sends these to the program, too; this process only must not end by them.
            kinds[4].1 = S::CONT;
            kinds[5].1 = S::CONT;
        }
        let listen = |(kind, signal)| Ok((unix::signal(kind)?, signal));
        let listening: std::io::Result<Vec<_>> = kinds.into_iter().map(listen).collect();
        listening.map(Self).map_err(|error| crate::output::failed("signals", &error))
    }

    async fn next(&mut self) -> rustix::process::Signal {
        future::poll_fn(|context| {
            for (signal, passed) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*passed);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
