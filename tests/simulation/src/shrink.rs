//! Makes a failing schedule shorter: leaves out steps for as long as the same invariant fails.

use crate::run::Failure;
use crate::schedule::Plan;

/// How many runs a search for a shorter schedule takes at most.
const MAX_RUNS: usize = 300;

/// A plan with as few steps as were found, and how it fails. `run` is what fails.
pub fn shrink(
    plan: &Plan,
    failure: Failure,
    run: impl Fn(&Plan) -> Option<Failure>,
) -> (Plan, Failure) {
    let (mut plan, mut failure) = (plan.clone(), failure);
    // What comes after the failure can't be its cause.
    plan.steps.truncate(failure.step + 1);
    let mut runs = 0;
    let mut length = plan.steps.len().div_ceil(2);
    while length > 0 {
        let mut at = 0;
        while at < plan.steps.len() && runs < MAX_RUNS {
            let mut fewer = plan.clone();
            fewer.steps.drain(at..(at + length).min(plan.steps.len()));
            runs += 1;
            match run(&fewer) {
                Some(found) if found.violation.invariant == failure.violation.invariant => {
                    (plan, failure) = (fewer, found);
                }
                _ => at += length,
            }
        }
        length = if length == 1 { 0 } else { length.div_ceil(2) };
    }
    (plan, failure)
}
