//! [`Report`]: what passed, what was skipped, and what failed, in words.
//!
//! A failure says what was expected, what was found and what to do. It never contains a value.

use std::fmt;

use super::{Capability, Case};

/// What became of one case.
#[derive(Debug, Clone)]
#[must_use = "the case may have failed"]
#[non_exhaustive]
pub enum CaseResult {
    /// The store does what the case asks for.
    Passed,
    /// The case did not run, because the harness lacks this capability.
    Skipped(Capability),
    /// The store does something else.
    Failed(Failure),
}

/// Why a store failed a case. `Display` names the case, what was expected, what the store did, and
/// what to do.
#[derive(Debug, Clone)]
pub struct Failure {
    case: Case,
    mismatch: Mismatch,
}

/// What a case expected and what the store did instead.
#[derive(Debug, Clone)]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Mismatch {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }
}

impl Failure {
    pub(super) fn new(case: Case, mismatch: Mismatch) -> Self {
        Self { case, mismatch }
    }

    /// The case that failed.
    pub fn case(&self) -> Case {
        self.case
    }

    /// What the store should have done.
    pub fn expected(&self) -> &str {
        &self.mismatch.expected
    }

    /// What the store did.
    pub fn found(&self) -> &str {
        &self.mismatch.found
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "case `{}` failed\n  expected: {}\n  found: {}\n  to do: {}",
            self.case,
            self.expected(),
            self.found(),
            self.case.advice()
        )
    }
}

impl std::error::Error for Failure {}

/// The results of all cases, in the order of [`Case::ALL`]. `Display` lists skipped and failed
/// cases by name.
#[derive(Debug, Clone)]
#[must_use = "a report may hold failures: call `assert_passed`"]
pub struct Report {
    results: Vec<(Case, CaseResult)>,
}

impl Report {
    pub(super) fn new(results: Vec<(Case, CaseResult)>) -> Self {
        Self { results }
    }

    /// Each case with its result.
    pub fn results(&self) -> impl Iterator<Item = (Case, &CaseResult)> {
        self.results.iter().map(|(case, result)| (*case, result))
    }

    /// The cases that passed.
    pub fn passed(&self) -> impl Iterator<Item = Case> {
        self.results().filter(|(_, result)| matches!(result, CaseResult::Passed)).map(|(c, _)| c)
    }

    /// The cases that did not run, each with the capability that the harness lacks.
    pub fn skipped(&self) -> impl Iterator<Item = (Case, Capability)> {
        self.results().filter_map(|(case, result)| match result {
            CaseResult::Skipped(capability) => Some((case, *capability)),
            _ => None,
        })
    }

    /// The failures.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.results().filter_map(|(_, result)| match result {
            CaseResult::Failed(failure) => Some(failure),
            _ => None,
        })
    }

    /// Does nothing if no case failed.
    ///
    /// # Panics
    ///
    /// With the whole report, if a case failed.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.failures().next().is_none(), "the store does not conform: {self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} skipped, {} failed",
            self.passed().count(),
            self.skipped().count(),
            self.failures().count()
        )?;
        for (case, capability) in self.skipped() {
            write!(f, "\nskipped `{case}`: the harness lacks `{capability}`")?;
        }
        for failure in self.failures() {
            write!(f, "\n{failure}")?;
        }
        Ok(())
    }
}
