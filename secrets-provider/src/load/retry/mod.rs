//! When to read again, and for whom: waits and budgets, the search for a value newer than one whose
//! credentials were refused, and tasks whose runtime may not run.
//!
//! The engine of [`Live`](crate::Live) and [`Lookup`](crate::Lookup) both read by these rules, so
//! that an outage or a rotation costs the same calls through either. `schedule`, `search` and
//! `fresh` are pure: callers pass in time and randomness.

pub(crate) mod answer;
pub(crate) mod fresh;
pub(crate) mod schedule;
pub(crate) mod search;
pub(crate) mod task_runtime;
