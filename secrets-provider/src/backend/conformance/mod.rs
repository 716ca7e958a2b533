//! What every store must do: the suite that the author of a [`Backend`](crate::Backend) runs in a
//! test.
//!
//! A [`Harness`] fills the store, changes it and breaks it; each [`Case`] then asks the store for
//! one guarantee that the engine relies on. [`check`] runs all cases and returns a [`Report`];
//! [`tests!`](tests) makes one test of each. A capability that the store lacks is declared, and its
//! cases are reported as skipped, by name. A failure names the case, what was expected, what the
//! store did and what to do, and never shows a value.
//!
//! Feature `testing`. [`Memory`](crate::Memory), [`Directory`](crate::Directory) and AWS pass it.
//!
//! ```
//! use secrets_provider::backend::conformance::{self, Capability, Harness};
//! use secrets_provider::{Backend, Memory};
//!
//! struct InMemory(Memory);
//!
//! impl Harness for InMemory {
//!     fn backend(&self) -> &dyn Backend {
//!         &self.0
//!     }
//!
//!     async fn put(&self, name: &str, text: &str) {
//!         self.0.put(name, text);
//!     }
//!
//!     async fn put_binary(&self, name: &str, bytes: &[u8]) {
//!         self.0.put_binary(name, bytes);
//!     }
//!
//!     async fn delete(&self, name: &str) {
//!         self.0.remove(name);
//!     }
//!
//!     // Nothing in memory is denied, broken, slow, watched, or known by another id.
//!     fn lacks(&self) -> Vec<Capability> {
//!         use Capability::*;
//!         vec![Deny, DenyList, Corrupt, Stall, OtherIds, Changes]
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let report = conformance::check(&InMemory(Memory::new())).await;
//! report.assert_passed();
//! assert!(report.skipped().any(|(case, _)| case == conformance::Case::SignalsChange));
//! # });
//! ```

#[cfg(all(test, feature = "aws"))]
mod aws;
mod case;
mod concurrency;
mod failures;
mod harness;
mod listing;
mod report;
mod signals;
mod tests_macro;
mod trial;
mod values;
mod versions;

pub use case::Case;
pub use harness::{Capability, Harness};
pub use report::{CaseResult, Failure, Report};
#[doc(hidden)]
pub use tests_macro::__test;
#[doc(inline)]
pub use tests_macro::tests;

use self::trial::Trial;

/// Runs every case against one store, one after the other.
///
/// A store that hangs is noticed after [`Harness::patience`]. Pause tokio's clock
/// (`#[tokio::test(start_paused = true)]`) where the store does no I/O, and no time is lost.
pub async fn check<H: Harness>(harness: &H) -> Report {
    let mut results = Vec::with_capacity(Case::ALL.len());
    for case in Case::ALL {
        results.push((*case, run(*case, harness).await));
    }
    Report::new(results)
}

/// Runs one case against a store.
pub async fn run<H: Harness>(case: Case, harness: &H) -> CaseResult {
    let lacks = harness.lacks();
    if let Some(lacked) = case.needs().iter().find(|needed| lacks.contains(needed)) {
        return CaseResult::Skipped(*lacked);
    }
    match case.run(&Trial::new(harness, case.as_str())).await {
        Ok(()) => CaseResult::Passed,
        Err(problem) => CaseResult::Failed(Failure::new(case, problem)),
    }
}
