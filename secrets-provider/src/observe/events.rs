//! Every event that this crate logs: one function each, named as its event.
//!
//! Users filter and alert on these names, so they are part of the interface. `docs/operations.md`
//! has them in one table, and `tests/events.rs` compares table and code. Fields carry names of
//! secrets, versions, kinds and error messages, which hold no values. The functions take words and
//! numbers, not the types of the rooms that call them.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, ErrorKind, escape};
use crate::observe::metrics;

/// The `tracing` target of every event.
pub(crate) const TARGET: &str = "secrets_provider";

/// How many names an event lists at most.
const MAX_NAMES: usize = 100;

/// A value was read, with its version. At INFO if the version is new, unless one line is logged for
/// all of them; else at DEBUG.
pub(crate) fn secret_fetched(secret: &str, version_id: &str, new: bool, in_one_line: bool) {
    metrics::record_read(secret, new);
    if new && !in_one_line {
        tracing::info!(target: TARGET, secret, version_id, "secret_fetched");
    } else {
        tracing::debug!(target: TARGET, secret, version_id, "secret_fetched");
    }
}

/// The values of a first fetch, in one line: names and versions.
pub(crate) fn secrets_fetched(secrets: &[(&str, &str)]) {
    let versions: Vec<String> =
        secrets.iter().map(|(secret, version_id)| format!("{secret}@{version_id}")).collect();
    tracing::info!(
        target: TARGET,
        count = secrets.len(),
        secrets = list(&versions),
        "secrets_fetched"
    );
}

/// A secret that settings need may not be read.
pub(crate) fn secret_access_denied(error: &Error) {
    tracing::error!(
        target: TARGET,
        secret = error.secret(),
        error.kind = %error.kind(),
        hint = error.hint(),
        "secret_access_denied"
    );
}

/// A secret that settings need cannot be read, or its value has no place, for another reason than
/// a denial or an outage.
pub(crate) fn secret_failed(error: &Error) {
    tracing::error!(
        target: TARGET,
        secret = error.secret(),
        error.kind = %error.kind(),
        error.message = %error,
        "secret_failed"
    );
}

/// More secrets failed than are logged one by one.
pub(crate) fn more_secrets_failed(count: usize, secrets: &[&str]) {
    tracing::error!(target: TARGET, count, secrets = list(secrets), "more_secrets_failed");
}

/// Secrets that had failed were read again.
pub(crate) fn secrets_recovered(secrets: &[String]) {
    tracing::info!(target: TARGET, secrets = list(secrets), "secrets_recovered");
}

/// An optional secret is absent, or may not be read.
pub(crate) fn optional_secret_absent(secret: &str, kind: ErrorKind) {
    tracing::debug!(target: TARGET, secret, error.kind = %kind, "optional_secret_absent");
}

/// Settings start for the first time.
pub(crate) fn settings_loaded(generation: u64, secrets: usize) {
    tracing::info!(target: TARGET, generation, secrets, "settings_loaded");
}

/// A new generation is live.
pub(crate) fn settings_changed(generation: u64, keys: &[impl Display]) {
    tracing::info!(target: TARGET, generation, keys = list(keys), "settings_changed");
}

/// Variables fill these fields, and secrets have keys for them in another spelling, which nothing
/// reads. The lists go together.
pub(crate) fn variables_over_secrets(keys: &[&str], variables: &[&str], secrets: &[&str]) {
    tracing::warn!(
        target: TARGET,
        keys = list(keys),
        variables = list(variables),
        secrets = list(secrets),
        hint = "the secret's key is spelled flat where the variable's nests, or the reverse, so the variable is used and rotations are not: unset the variable, or name the secret's key as the field",
        "variables_over_secrets"
    );
}

/// New values make no valid settings; `generation` stays live. At ERROR, or at DEBUG if the same
/// rejection is `repeated`.
pub(crate) fn settings_rejected(generation: u64, error: &Error, repeated: bool) {
    if repeated {
        tracing::debug!(
            target: TARGET,
            generation,
            error.kind = %error.kind(),
            error.message = %error,
            "settings_rejected"
        );
    } else {
        tracing::error!(
            target: TARGET,
            generation,
            error.kind = %error.kind(),
            error.message = %error,
            "settings_rejected"
        );
    }
}

/// Secrets that were deleted this long ago have left the settings.
pub(crate) fn deleted_secrets_left_out(secrets: &[String], deleted_for: Duration) {
    tracing::warn!(
        target: TARGET,
        secrets = list(secrets),
        deleted_for = ?deleted_for,
        "deleted_secrets_left_out"
    );
}

/// A secret was deleted long ago, and the settings need it: its last good value stays.
pub(crate) fn deleted_secret_needed(secret: &str, error: &Error) {
    tracing::error!(
        target: TARGET,
        secret,
        error.message = %error,
        "deleted_secret_needed"
    );
}

/// A trigger asked for a refresh.
pub(crate) fn refresh_triggered(reason: &str) {
    tracing::debug!(target: TARGET, reason, "refresh_triggered");
}

/// These secrets are read because someone says that they changed.
pub(crate) fn secrets_hinted<'a>(secrets: impl IntoIterator<Item = &'a String>) {
    let secrets: Vec<&str> = secrets.into_iter().map(String::as_str).collect();
    tracing::debug!(target: TARGET, count = secrets.len(), secrets = list(&secrets), "secrets_hinted");
}

/// So many hints that came together are of secrets that are not selected, or are current already.
pub(crate) fn hints_ignored(count: usize) {
    tracing::debug!(target: TARGET, count, "hints_ignored");
}

/// A secret that was never read before, and that a hint names, could not be read.
pub(crate) fn hinted_secret_unread(secret: &str, kind: ErrorKind) {
    tracing::debug!(target: TARGET, secret = %escape(secret), error.kind = %kind, "hinted_secret_unread");
}

/// The store has not answered with the version that a hint names, nor with a newer one.
pub(crate) fn hinted_version_not_found(secret: &str) {
    tracing::debug!(target: TARGET, secret = %escape(secret), "hinted_version_not_found");
}

/// A queue that pushes changes answers, for the first time or again.
#[cfg(feature = "sqs")]
pub(crate) fn push_connected(queue: &str) {
    tracing::info!(target: TARGET, queue = %escape(queue), "push_connected");
}

/// Receiving from a queue failed. A failure that is `repeated` is at DEBUG.
#[cfg(feature = "sqs")]
pub(crate) fn push_failed(queue: &str, error: &Error, repeated: bool, next_try: Duration) {
    let (queue, next_try_ms) = (escape(queue), millis(next_try));
    if repeated {
        tracing::debug!(target: TARGET, queue = %queue, error.kind = %error.kind(), next_try_ms, "push_failed");
    } else {
        tracing::warn!(
            target: TARGET,
            queue = %queue,
            error.kind = %error.kind(),
            error.message = %error,
            next_try_ms,
            "push_failed"
        );
    }
}

/// A message was no event about a secret. The first of a queue is at WARN.
#[cfg(feature = "sqs")]
pub(crate) fn push_message_unknown(queue: &str, first: bool) {
    let queue = escape(queue);
    if first {
        tracing::warn!(target: TARGET, queue = %queue, "push_message_unknown");
    } else {
        tracing::debug!(target: TARGET, queue = %queue, "push_message_unknown");
    }
}

/// Messages were taken and could not be deleted: they come again. One that is `repeated` is at DEBUG.
#[cfg(feature = "sqs")]
pub(crate) fn push_messages_not_deleted(queue: &str, error: &Error, repeated: bool) {
    let queue = escape(queue);
    if repeated {
        tracing::debug!(target: TARGET, queue = %queue, error.kind = %error.kind(), "push_messages_not_deleted");
    } else {
        tracing::warn!(
            target: TARGET,
            queue = %queue,
            error.kind = %error.kind(),
            error.message = %error,
            "push_messages_not_deleted"
        );
    }
}

/// More hints came at once than are gathered. The first of a queue is at WARN.
#[cfg(feature = "sqs")]
pub(crate) fn push_hint_dropped(queue: &str, first: bool) {
    let queue = escape(queue);
    if first {
        tracing::warn!(
            target: TARGET,
            queue = %queue,
            hint = "the interval finds what it was about; what sends hints of so many secrets may not be AWS",
            "push_hint_dropped"
        );
    } else {
        tracing::debug!(target: TARGET, queue = %queue, "push_hint_dropped");
    }
}

/// A queue was made, and subscribed to a topic.
#[cfg(feature = "sqs")]
pub(crate) fn push_queue_made(topic: &str, queue: &str) {
    tracing::info!(target: TARGET, topic = %escape(topic), queue = %escape(queue), "push_queue_made");
}

/// The queue for a topic and its subscription were deleted, because the program stops.
#[cfg(feature = "sqs")]
pub(crate) fn push_queue_deleted(topic: &str, queue: &str) {
    tracing::info!(target: TARGET, topic = %escape(topic), queue = %escape(queue), "push_queue_deleted");
}

/// The queue for a topic, or its subscription, could not be deleted when the program stopped.
#[cfg(feature = "sqs")]
pub(crate) fn push_queue_not_deleted(topic: &str, error: &Error) {
    tracing::warn!(
        target: TARGET,
        topic = %escape(topic),
        error.kind = %error.kind(),
        error.message = %error,
        "push_queue_not_deleted"
    );
}

/// The subscription or the tags of a queue were not renewed. One that is `repeated` is at DEBUG.
#[cfg(feature = "sqs")]
pub(crate) fn push_queue_not_renewed(topic: &str, error: &Error, repeated: bool) {
    let topic = escape(topic);
    if repeated {
        tracing::debug!(target: TARGET, topic = %topic, error.kind = %error.kind(), "push_queue_not_renewed");
    } else {
        tracing::warn!(
            target: TARGET,
            topic = %topic,
            error.kind = %error.kind(),
            error.message = %error,
            "push_queue_not_renewed"
        );
    }
}

/// So many queues of replicas that died were removed.
#[cfg(feature = "sqs")]
pub(crate) fn push_queues_swept(topic: &str, count: usize) {
    tracing::info!(target: TARGET, topic = %escape(topic), count, "push_queues_swept");
}

/// Queues of replicas that died could not be looked for or removed. One that is `repeated` is at
/// DEBUG.
#[cfg(feature = "sqs")]
pub(crate) fn push_sweep_failed(topic: &str, error: &Error, repeated: bool) {
    let topic = escape(topic);
    if repeated {
        tracing::debug!(target: TARGET, topic = %topic, error.kind = %error.kind(), "push_sweep_failed");
    } else {
        tracing::warn!(
            target: TARGET,
            topic = %topic,
            error.kind = %error.kind(),
            error.message = %error,
            "push_sweep_failed"
        );
    }
}

/// Peers were not informed of a hint. While that lasts, further failures are at DEBUG.
#[cfg(feature = "sqs")]
pub(crate) fn peers_failed(addresses: &str, error: &Error, repeated: bool) {
    let addresses = escape(addresses);
    if repeated {
        tracing::debug!(target: TARGET, peers = %addresses, error.kind = %error.kind(), "peers_failed");
    } else {
        tracing::warn!(
            target: TARGET,
            peers = %addresses,
            error.kind = %error.kind(),
            error.message = %error,
            "peers_failed"
        );
    }
}

/// All peers were informed of a hint, after a failure.
#[cfg(feature = "sqs")]
pub(crate) fn peers_recovered(addresses: &str) {
    tracing::info!(target: TARGET, peers = %escape(addresses), "peers_recovered");
}

/// A refresh failed, wholly or for some secrets. The message of a failure that is `repeated` is a
/// summary.
pub(crate) fn refresh_failed(
    attempts: u32,
    error: &Error,
    repeated: bool,
    next_try: Duration,
    source: Option<&str>,
) {
    let message = if repeated { error.summary() } else { error.to_string() };
    tracing::warn!(
        target: TARGET,
        attempts,
        error.kind = %error.kind(),
        error.message = %message,
        repeated,
        next_try_ms = millis(next_try),
        source,
        "refresh_failed"
    );
}

/// A refresh succeeded after failures.
pub(crate) fn refresh_recovered(attempts: u32, source: Option<&str>) {
    tracing::info!(target: TARGET, attempts, source, "refresh_recovered");
}

/// A secret that is looked up by name could not be read again, so its last value is served. The
/// message of a failure that is `repeated` is a summary.
pub(crate) fn stale_secret_served(
    secret: &str,
    version_id: &str,
    error: &Error,
    repeated: bool,
    (attempts, next_try): (u32, Duration),
) {
    let message = if repeated { error.summary() } else { error.to_string() };
    tracing::warn!(
        target: TARGET,
        secret,
        version_id,
        attempts,
        error.kind = %error.kind(),
        error.message = %message,
        repeated,
        next_try_ms = millis(next_try),
        "stale_secret_served"
    );
}

/// A secret that is looked up by name could be read again after failures.
pub(crate) fn stale_secret_recovered(secret: &str, attempts: u32) {
    tracing::info!(target: TARGET, secret, attempts, "stale_secret_recovered");
}

/// The background task itself panicked, which is a defect of this crate. The last settings stay.
pub(crate) fn refresher_panicked() {
    tracing::error!(target: TARGET, "refresher_panicked");
}

/// A stream of triggers panicked. It is not polled again.
pub(crate) fn trigger_panicked() {
    tracing::error!(target: TARGET, "trigger_panicked");
}

/// The bound on staleness is shorter than the time between two refreshes.
pub(crate) fn max_staleness_too_short(max_staleness: Duration, interval: Duration) {
    tracing::warn!(
        target: TARGET,
        max_staleness = ?max_staleness,
        interval = ?interval,
        hint = "settings count as failing, and not ready, before each refresh: set it above the interval plus a tenth",
        "max_staleness_too_short"
    );
}

/// A derived value was rebuilt.
pub(crate) fn derived_rebuilt(label: &str, path: &str, generation: u64, built_from: u64) {
    tracing::info!(target: TARGET, label, path, generation, built_from, "derived_rebuilt");
}

/// A derived value could not be rebuilt. The old one stays. At ERROR, or at DEBUG if the same
/// failure is `repeated`.
pub(crate) fn derived_build_failed(
    label: &str,
    path: &str,
    attempts: u32,
    error: &Error,
    repeated: bool,
    next_try: Duration,
) {
    let next_try_ms = millis(next_try);
    if repeated {
        tracing::debug!(
            target: TARGET,
            label,
            path,
            attempts,
            error.message = %error,
            next_try_ms,
            "derived_build_failed"
        );
    } else {
        tracing::error!(
            target: TARGET,
            label,
            path,
            attempts,
            error.message = %error,
            next_try_ms,
            "derived_build_failed"
        );
    }
}

/// No key of the settings is at or below the path of a derived value.
pub(crate) fn derive_matches_nothing(label: &str, path: &str) {
    tracing::warn!(
        target: TARGET,
        label,
        path,
        hint = "no key of the settings is at or below it, so nothing would rebuild it; `explain` shows the keys",
        "derive_matches_nothing"
    );
}

/// The task that follows the settings for a derived value panicked. The last value stays.
pub(crate) fn derived_follower_panicked() {
    tracing::error!(target: TARGET, "derived_follower_panicked");
}

/// No key of the settings is at or below a path that is followed.
pub(crate) fn followed_path_unknown(by: &str, path: &str) {
    tracing::warn!(
        target: TARGET,
        by,
        path,
        hint = "no key of the settings is at or below it, so nothing would be noticed; `explain` shows the keys",
        "followed_path_unknown"
    );
}

/// A closure that follows a path panicked. It is called again at the next change.
pub(crate) fn on_change_panicked(path: &str) {
    tracing::error!(target: TARGET, path, "on_change_panicked");
}

/// A closure is not called, because there are too many.
pub(crate) fn on_change_refused(path: &str, limit: usize) {
    tracing::error!(
        target: TARGET,
        path,
        limit,
        hint = "call `on_change` once, at the start, and not for each request",
        "on_change_refused"
    );
}

/// A key has changed for which the program wants to be restarted.
pub(crate) fn restart_requested(path: &str, generation: u64) {
    tracing::info!(target: TARGET, path, generation, "restart_requested");
}

/// A secret has a new current version, put there by this program or, on its request, by the store.
pub(crate) fn secret_rotated(secret: &str, version_id: &str, previous: &str, resumed: bool) {
    metrics::record_rotation("rotated");
    tracing::info!(
        target: TARGET,
        secret,
        version_id,
        previous_version_id = previous,
        resumed,
        "secret_rotated"
    );
}

/// A rotation takes up a pending version that another run has left.
pub(crate) fn secret_rotation_resumed(secret: &str, version_id: &str) {
    tracing::info!(target: TARGET, secret, version_id, "secret_rotation_resumed");
}

/// A rotation ended because another one of the secret came first.
pub(crate) fn secret_rotation_superseded(secret: &str) {
    metrics::record_rotation("superseded");
    tracing::info!(target: TARGET, secret, "secret_rotation_superseded");
}

/// A rotation failed. The current version is as before; a pending one may be left.
pub(crate) fn secret_rotation_failed(secret: &str, error: &Error) {
    metrics::record_rotation("failed");
    tracing::error!(
        target: TARGET,
        secret,
        error.kind = %error.kind(),
        error.message = %error,
        "secret_rotation_failed"
    );
}

/// A variable says that no secret is read.
pub(crate) fn secrets_manager_off(variable: &str) {
    tracing::info!(target: TARGET, variable, "secrets_manager_off");
}

/// Variables of the `.env` have no effect there.
#[cfg(feature = "aws")]
pub(crate) fn dotenv_variables_ignored(variables: &[&str]) {
    tracing::warn!(
        target: TARGET,
        variables = variables.join(","),
        hint = "the AWS SDK reads these variables only from the environment: set them there",
        "dotenv_variables_ignored"
    );
}

/// The service refused a call.
#[cfg(feature = "aws")]
pub(crate) fn call_failed(operation: &str, secret: Option<&str>, kind: ErrorKind, request: &str) {
    tracing::debug!(
        target: TARGET,
        operation,
        secret,
        error.kind = %kind,
        request_id = request,
        "call_failed"
    );
}

/// An operation that is not essential is not used any more, or not for a while.
#[cfg(feature = "aws")]
pub(crate) fn operation_not_used(operation: &str, for_good: bool) {
    tracing::debug!(target: TARGET, operation, for_good, "operation_not_used");
}

/// The first region gives no answer, and replicas in another one are read from now on.
#[cfg(feature = "aws")]
pub(crate) fn region_failed_over(region: &str, replica: &str, error: Option<&Error>) {
    tracing::warn!(
        target: TARGET,
        region,
        replica,
        error.message = error.map(Error::to_string),
        "region_failed_over"
    );
}

/// The first region answers again after this time, and is read from now on.
#[cfg(feature = "aws")]
pub(crate) fn region_returned(region: &str, replica: &str, after: Duration) {
    tracing::info!(target: TARGET, region, replica, after_ms = millis(after), "region_returned");
}

/// A secret's file can be read by users other than its owner.
pub(crate) fn secret_file_readable_by_others(path: impl Display, mode: u32) {
    tracing::warn!(
        target: TARGET,
        path = %escape(&path.to_string()),
        mode = format!("{mode:04o}"),
        hint = "let only its owner read it: chmod 600",
        "secret_file_readable_by_others"
    );
}

/// Lower layers are used in place of secrets that could not be read.
fn aws_unavailable_using_env_fallback(secrets: &[String], error: &Error) {
    tracing::warn!(
        target: TARGET,
        secrets = list(secrets),
        error.kind = %error.kind(),
        error.message = %error,
        "aws_unavailable_using_env_fallback"
    );
}

/// Vault's token was due and could not be renewed or replaced. It is still valid for a while.
#[cfg(feature = "vault")]
pub(crate) fn vault_token_not_renewed(error: &Error, expires_in: Duration) {
    tracing::warn!(
        target: TARGET,
        kind = error.kind().as_str(),
        error = error.summary(),
        expires_in_ms = millis(expires_in),
        "vault_token_not_renewed"
    );
}

/// The lease of a credential could not be renewed. It lasts for a while.
#[cfg(feature = "vault")]
pub(crate) fn vault_lease_not_renewed(
    secret: &str,
    version_id: &str,
    error: &Error,
    expires_in: Duration,
) {
    tracing::warn!(
        target: TARGET,
        secret = %escape(secret),
        version_id = %escape(version_id),
        kind = error.kind().as_str(),
        error = error.summary(),
        expires_in_ms = millis(expires_in),
        "vault_lease_not_renewed"
    );
}

/// Vault has no lease any more of a credential that should have lasted.
#[cfg(feature = "vault")]
pub(crate) fn vault_lease_gone(secret: &str, version_id: &str) {
    tracing::warn!(
        target: TARGET,
        secret = %escape(secret),
        version_id = %escape(version_id),
        "vault_lease_gone"
    );
}

/// A credential that is no longer used was revoked.
#[cfg(feature = "vault")]
pub(crate) fn vault_lease_revoked(secret: &str, version_id: &str) {
    tracing::info!(
        target: TARGET,
        secret = %escape(secret),
        version_id = %escape(version_id),
        "vault_lease_revoked"
    );
}

/// A credential that is no longer used could not be revoked. Its lease ends by itself.
#[cfg(feature = "vault")]
pub(crate) fn vault_lease_not_revoked(secret: &str, version_id: &str, error: &Error) {
    tracing::warn!(
        target: TARGET,
        secret = %escape(secret),
        version_id = %escape(version_id),
        kind = error.kind().as_str(),
        error = error.summary(),
        "vault_lease_not_revoked"
    );
}

/// A rename is about none of the selected secrets.
fn rename_matches_nothing(rename: impl Display) {
    tracing::warn!(
        target: TARGET,
        rename = %escape(&rename.to_string()),
        hint = "the name is looked for below the prefix, if there is one; upper and lower case differ",
        "rename_matches_nothing"
    );
}

/// Warnings that one manager gives once in its life.
#[derive(Debug, Default)]
pub(crate) struct WarnOnce {
    fallback: AtomicBool,
    renames: AtomicBool,
}

impl WarnOnce {
    pub(crate) fn of_fallback(&self, secrets: &[String], error: &Error) {
        if !self.fallback.swap(true, Ordering::Relaxed) {
            aws_unavailable_using_env_fallback(secrets, error);
        }
    }

    /// Only the first call looks at the renames: a secret that is deleted later makes none of them
    /// wrong.
    pub(crate) fn of_idle_renames<R: Display>(&self, idle: impl FnOnce() -> Vec<R>) {
        if !self.renames.swap(true, Ordering::Relaxed) {
            idle().iter().for_each(rename_matches_nothing);
        }
    }
}

/// The first of these names, up to a limit, and the number of the others.
fn list(names: &[impl Display]) -> String {
    let mut list: Vec<String> =
        names.iter().take(MAX_NAMES).map(|name| escape(&name.to_string()).into_owned()).collect();
    if names.len() > MAX_NAMES {
        list.push(format!("and {} more", names.len() - MAX_NAMES));
    }
    list.join(",")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
