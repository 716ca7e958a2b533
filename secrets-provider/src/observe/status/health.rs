//! How far settings can be trusted, as one word for dashboards and probes.
//!
//! `Status::health` decides which, each time it is asked, by the age of the last success: a
//! refresher that hangs cannot keep the word of a better day.

use serde::Serialize;

/// How far the settings can be trusted to be what the store holds.
///
/// Health worsens with the age of the last success, without anyone reporting it: a refresh that
/// hangs cannot hide.
///
/// ```
/// use secrets_provider::{Health, Live};
///
/// assert_eq!(Live::constant(8080).status().health(), Health::Fresh);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Health {
    /// The last refresh (or the start) read every required secret, and the next one is not overdue.
    Fresh,
    /// The last refresh failed for all secrets or for some, and the last good values are served; or
    /// no refresh has succeeded for two intervals. Also: the last build of a derived value failed.
    Stale,
    /// Lower layers have served the keys of required secrets since the start; see
    /// [`fallback_to_env`](crate::SecretsManager::fallback_to_env).
    Fallback,
    /// No refresh has succeeded within the bound, which is three intervals or
    /// [`max_staleness`](crate::LiveBuilder::max_staleness): refreshes fail for all secrets or for
    /// some, hang, or have ended.
    Failing,
}
