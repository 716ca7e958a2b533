//! tokio's clock, paused: it goes on only by [`advance`].
//!
//! shuttle runs a schedule on one thread of the operating system, so a clock of the thread is a
//! clock of the schedule.

use std::cell::{Cell, RefCell};
use std::ops::{Add, AddAssign, Sub};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
pub use std::time::Duration;

use futures_util::future::{Either, select};

use crate::step;

/// What a clock shows at first, so that earlier times exist.
const START: Duration = Duration::from_secs(1_000_000);

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(START) };
    static SLEEPING: RefCell<Vec<(Duration, Waker)>> = const { RefCell::new(Vec::new()) };
}

/// Sets the clock for a new schedule.
pub(crate) fn reset() {
    NOW.set(START);
    SLEEPING.take();
}

/// Moves the clock on, and wakes what has waited for that.
pub fn advance(time: Duration) {
    step();
    NOW.set(NOW.get() + time);
    let woken = SLEEPING.with_borrow_mut(|sleeping| {
        let due = sleeping.extract_if(.., |(until, _)| *until <= NOW.get());
        due.map(|(_, waker)| waker).collect::<Vec<_>>()
    });
    woken.into_iter().for_each(Waker::wake);
}

/// A time on this clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// What the clock shows.
    pub fn now() -> Self {
        Self(NOW.get())
    }

    /// As tokio's.
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// As tokio's.
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// As tokio's.
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// As tokio's.
    pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0)
    }

    /// As tokio's.
    pub fn checked_add(&self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    /// As tokio's.
    pub fn checked_sub(&self, time: Duration) -> Option<Self> {
        self.0.checked_sub(time).map(Self)
    }

    /// A time of the real clock, which this one is not.
    pub fn into_std(self) -> std::time::Instant {
        // In the future, so that nobody takes this clock for the real one.
        std::time::Instant::now() + START
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        self.0 += time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0 - time)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// A wait for a time.
#[derive(Debug)]
pub struct Sleep(Instant);

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 <= Instant::now() {
            return Poll::Ready(());
        }
        let waiting = (self.0.0, context.waker().clone());
        SLEEPING.with_borrow_mut(|sleeping| sleeping.push(waiting));
        Poll::Pending
    }
}

/// Waits until the clock shows this.
pub fn sleep_until(until: Instant) -> Sleep {
    Sleep(until)
}

/// Waits for as long as this.
pub fn sleep(time: Duration) -> Sleep {
    Sleep(Instant(NOW.get().saturating_add(time)))
}

/// What tokio's errors are.
pub mod error {
    /// The time was over first.
    #[derive(Debug, PartialEq, Eq)]
    pub struct Elapsed(pub(super) ());
}

/// Waits for a future until a time.
///
/// # Errors
///
/// The time was over first.
pub async fn timeout_at<F: IntoFuture>(
    until: Instant,
    future: F,
) -> Result<F::Output, error::Elapsed> {
    let future = std::pin::pin!(future.into_future());
    match select(future, sleep_until(until)).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(_) => Err(error::Elapsed(())),
    }
}

/// Waits for a future for as long as this.
///
/// # Errors
///
/// The time was over first.
pub async fn timeout<F: IntoFuture>(
    time: Duration,
    future: F,
) -> Result<F::Output, error::Elapsed> {
    timeout_at(Instant(NOW.get().saturating_add(time)), future).await
}

/// What an interval does about ticks that were missed: it leaves them out.
#[derive(Debug, Clone, Copy)]
pub enum MissedTickBehavior {
    /// As tokio's.
    Skip,
}

/// Ticks.
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    next: Instant,
}

impl Interval {
    /// As tokio's.
    pub fn set_missed_tick_behavior(&mut self, _: MissedTickBehavior) {}

    /// Has the next tick come a period from now.
    pub fn reset(&mut self) {
        self.next = Instant::now() + self.period;
    }

    /// Waits for the next tick.
    pub async fn tick(&mut self) -> Instant {
        sleep_until(self.next).await;
        let tick = self.next;
        while self.next <= Instant::now() {
            self.next += self.period;
        }
        tick
    }
}

/// Ticks, the first at once.
pub fn interval(period: Duration) -> Interval {
    Interval { period, next: Instant::now() }
}
