//! Settings of a Lambda function: what to copy. Between invocations its sandbox is frozen, so no
//! task refreshes them there; an invocation does, at its start, when that is due.

use std::time::SystemTime;

use secrets_provider::Live;

/// Refreshes the settings if their interval is over. Call it first in the handler, and read the
/// settings after it.
///
/// If the refresh fails, the last good settings stay; their log and status say why. The refresher
/// then waits longer and longer for its next attempt, and so does this.
pub async fn refresh_if_due<T: Send + Sync + 'static>(settings: &Live<T>) {
    let status = settings.status();
    let is_over = status.interval().is_some_and(|interval| status.last_success_age() >= interval);
    let fails = status.last_error().is_some_and(|error| error.at() > status.last_success());
    let waits = fails && status.next_attempt().is_some_and(|next| next > SystemTime::now());
    if is_over && !waits {
        // An error is in the log and the status.
        let _ = settings.refresh().await;
    }
}
