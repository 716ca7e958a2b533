//! What is measured (feature `metrics`), by the `metrics` facade: counts of reads, failures and calls, and how old and
//! which the live generation is. Names of secrets may be labels, values never.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::error::{Error, ErrorKind};
use crate::observe::status::Status;

const ACCESS: &str = "secrets_access_total";
const FAILED: &str = "secrets_failed_total";
const API_CALLS: &str = "secrets_api_calls_total";
const SWAPS: &str = "secrets_swaps_total";
const AGE: &str = "secrets_age_seconds";
const GENERATION: &str = "secrets_generation";
const READY: &str = "secrets_ready";
const FALLBACK: &str = "secrets_fallback";

/// How often the age is told while nothing else happens: a scrape's usual interval.
const TICK: Duration = Duration::from_secs(15);

/// Says what each metric is, to the recorder that is installed at the time, and that nothing has failed yet.
pub(crate) fn describe() {
    let count = Unit::Count;
    describe_counter!(
        ACCESS,
        count,
        "Values read from the store, by secret, and whether they were new"
    );
    describe_counter!(
        FAILED,
        count,
        "Reads that failed and settings that were refused, by kind of error"
    );
    describe_counter!(API_CALLS, count, "Calls sent to the store, retries included, by operation");
    describe_counter!(SWAPS, count, "New generations that went live after the first");
    describe_gauge!(
        AGE,
        Unit::Seconds,
        "Time since all secrets were last checked and nothing failed"
    );
    describe_gauge!(GENERATION, count, "Number of the live generation");
    describe_gauge!(
        READY,
        count,
        "1 while all secrets in use were checked within the bound, else 0"
    );
    describe_gauge!(FALLBACK, count, "1 while lower layers stand in for secrets, else 0");
    // A counter that is born with its first failure has not risen, as Prometheus sees it.
    for each in ErrorKind::ALL {
        guarded(|| counter!(FAILED, "kind" => each.as_str()).increment(0));
    }
}

/// A recorder is somebody else's code: where it panics, a number is missing, and nothing else.
fn guarded(measure: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(measure));
}

/// A value was read. A read that found nothing new is what a cache would have answered.
pub(crate) fn accessed(secret: &str, new: bool) {
    let result = if new { "new" } else { "unchanged" };
    guarded(|| counter!(ACCESS, "secret" => secret.to_owned(), "result" => result).increment(1));
}

/// Something failed; an error of many counts each.
pub(crate) fn failed(error: &Error) {
    for error in error.errors() {
        guarded(|| counter!(FAILED, "kind" => error.kind().as_str()).increment(1));
    }
}

/// A call is sent.
#[cfg(feature = "aws")]
pub(crate) fn called(operation: &'static str) {
    guarded(|| counter!(API_CALLS, "operation" => operation).increment(1));
}

/// A new generation is live.
pub(crate) fn swapped() {
    guarded(|| counter!(SWAPS).increment(1));
}

/// How the settings stand.
pub(crate) fn stands(status: &Status) {
    guarded(|| {
        gauge!(AGE).set(status.last_success_age().as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "2^53 generations do not come")]
        gauge!(GENERATION).set(status.generation() as f64);
        gauge!(READY).set(f64::from(u8::from(status.is_ready())));
        gauge!(FALLBACK).set(f64::from(u8::from(status.is_on_fallback())));
    });
}

/// Reports the status again and again until there is none, so that the age also grows while a refresh hangs.
pub(crate) fn watch(status: impl Fn() -> Option<Status> + Send + 'static) {
    tokio::spawn(async move {
        while let Some(status) = status() {
            stands(&status);
            tokio::time::sleep(TICK).await;
        }
    });
}

#[cfg(test)]
mod tests;
