//! Counters and gauges through the `metrics` facade (feature `metrics`): reads, failures and calls,
//! and the age and number of the live generation.
//!
//! The engine, the log events and the AWS backend call these functions; without the feature,
//! `metrics_off` has the same ones, empty, so that no caller needs a `cfg`. The operations guide
//! lists the metrics, and a test compares `examples/prometheus` with the names here.
//!
//! Labels may name secrets, kinds of error and operations, never a value. A recorder is other
//! people's code: it is never called under a lock of ours, and when it panics only its number is
//! missing.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::error::{Error, ErrorKind};
use crate::observe::status::Status;
use crate::unwind;

const ACCESS: &str = "secrets_access_total";
const FAILED: &str = "secrets_failed_total";
const CACHE_HITS: &str = "secrets_cache_hits_total";
const CACHE_MISSES: &str = "secrets_cache_misses_total";
const API_CALLS: &str = "secrets_api_calls_total";
const SWAPS: &str = "secrets_swaps_total";
const ROTATIONS: &str = "secrets_rotations_total";
const AGE: &str = "secrets_age_seconds";
const GENERATION: &str = "secrets_generation";
const SOURCE_AGE: &str = "secrets_source_age_seconds";
const FAILOVER: &str = "secrets_failover";
const READY: &str = "secrets_ready";
const FALLBACK: &str = "secrets_fallback";
#[cfg(feature = "sqs")]
const PUSH_CONNECTED: &str = "secrets_push_connected";
#[cfg(feature = "sqs")]
const PUSH_LAG: &str = "secrets_push_lag_seconds";

/// How often the age is set while nothing else happens: the usual scrape interval.
const AGE_INTERVAL: Duration = Duration::from_secs(15);

/// Describes each metric to the installed recorder, and sets the failure counters to zero.
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
        "Reads and lookups that failed, and settings that were rejected, by kind of error"
    );
    describe_counter!(CACHE_HITS, count, "Lookups that were answered from the cache");
    describe_counter!(CACHE_MISSES, count, "Lookups that had to wait for the store");
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
    describe_gauge!(
        FALLBACK,
        count,
        "1 while lower layers serve the keys of required secrets, else 0"
    );
    // Prometheus sees no increase in a counter that first appears with the value 1.
    for kind in ErrorKind::ALL {
        guarded(|| counter!(FAILED, "kind" => kind.as_str()).increment(0));
    }
    // A sum with a metric that does not exist is empty, and so no alarm.
    for name in [CACHE_HITS, CACHE_MISSES] {
        guarded(|| counter!(name).increment(0));
    }
}

/// Calls the recorder; if that panics, only its number is missing.
fn guarded(measure: impl FnOnce()) {
    let _ = unwind::catch(measure);
}

/// A value was read. Without a new version, a cache would have given the same answer.
pub(crate) fn record_read(secret: &str, new: bool) {
    let result = if new { "new" } else { "unchanged" };
    guarded(|| counter!(ACCESS, "secret" => secret.to_owned(), "result" => result).increment(1));
}

/// Something failed. Each part of an error counts once.
pub(crate) fn record_failure(error: &Error) {
    for error in error.errors() {
        guarded(|| counter!(FAILED, "kind" => error.kind().as_str()).increment(1));
    }
}

/// A lookup was answered from the cache, or had to wait for the store.
pub(crate) fn record_lookup(hit: bool) {
    let name = if hit { CACHE_HITS } else { CACHE_MISSES };
    guarded(|| counter!(name).increment(1));
}

/// A call to the store is being sent.
#[cfg(any(feature = "agent", feature = "aws", feature = "vault"))]
pub(crate) fn record_call(operation: &'static str) {
    guarded(|| counter!(API_CALLS, "operation" => operation).increment(1));
}

/// A new generation went live.
pub(crate) fn record_swap() {
    guarded(|| counter!(SWAPS).increment(1));
}

/// A rotation by this program, or on its request, ended: `rotated`, `superseded` or `failed`.
pub(crate) fn record_rotation(result: &'static str) {
    guarded(|| {
        describe_counter!(ROTATIONS, Unit::Count, "Rotations by this program, by their result");
        // As in `describe`, for the result that has an alarm.
        counter!(ROTATIONS, "result" => "failed").increment(0);
        counter!(ROTATIONS, "result" => result).increment(1);
    });
}

/// Whether replicas in this region are read in place of the first region.
pub(crate) fn record_failover(region: &str, active: bool) {
    guarded(|| {
        describe_gauge!(
            FAILOVER,
            Unit::Count,
            "1 while replicas in the region are read because the first one gives no answer, else 0"
        );
        gauge!(FAILOVER, "region" => region.to_owned()).set(f64::from(u8::from(active)));
    });
}

/// Sets the gauges from a status.
pub(crate) fn record_status(status: &Status) {
    guarded(|| {
        gauge!(AGE).set(status.last_success_age().as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "a generation stays far below 2^53")]
        gauge!(GENERATION).set(status.generation() as f64);
        gauge!(READY).set(f64::from(u8::from(status.is_ready())));
        gauge!(FALLBACK).set(f64::from(u8::from(status.is_on_fallback())));
    });
    for (region, active) in status.failovers() {
        record_failover(region, active);
    }
    for source in status.sources() {
        guarded(|| {
            describe_gauge!(SOURCE_AGE, Unit::Seconds, "The age, of each of several sources");
            let age = source.last_success_age().as_secs_f64();
            gauge!(SOURCE_AGE, "source" => source.name().to_owned()).set(age);
        });
    }
    #[cfg(feature = "sqs")]
    if let Some(push) = status.push() {
        record_push(&push);
    }
}

#[cfg(feature = "sqs")]
fn record_push(push: &crate::observe::status::PushStatus) {
    use crate::observe::status::PushState;
    let connected = f64::from(u8::from(push.state() == PushState::Connected));
    guarded(|| {
        describe_gauge!(PUSH_CONNECTED, Unit::Count, "1 while the queue answers, else 0");
        gauge!(PUSH_CONNECTED).set(connected);
        if let Some(lag) = push.lag() {
            describe_gauge!(PUSH_LAG, Unit::Seconds, "From the last change's event to its swap");
            gauge!(PUSH_LAG).set(lag.as_secs_f64());
        }
    });
}

/// Sets the gauges at each interval until there is no status, so that the age also grows while a
/// refresh hangs.
pub(crate) fn watch(status: impl Fn() -> Option<Status> + Send + 'static) {
    tokio::spawn(async move {
        while let Some(status) = status() {
            record_status(&status);
            tokio::time::sleep(AGE_INTERVAL).await;
        }
    });
}

#[cfg(test)]
mod tests;
