//! Errors, and how a type takes them back.
//!
//! A type may try a value and recover from its error (`deserialize_with`). serde does not say so,
//! but the walk does: after an error that nothing recovers from, nothing more is read. So an error
//! counts only when the walk ends with it; if another value is read first, or the walk succeeds, it
//! is taken back, and its place is never reported nor replaced again.

use super::context::Context;
use super::marks::State;
use crate::error::Error;

impl State {
    /// Whether a type is known to recover from what is wrong at this path.
    fn is_recovered(&self, path: &str) -> bool {
        let mut ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        ends.any(|end| self.mark(&path[..end]).is_some_and(|mark| mark.recovered))
    }

    /// A type has read on after an error, or the walk has succeeded: it was no failure.
    fn recover(&mut self) {
        if let Some(path) = self.failed.take() {
            self.take_back(&path);
            self.set(&path, |mark| &mut mark.recovered);
        }
    }

    pub(super) fn add(&mut self, path: &str, error: Error) {
        // After an error that nothing recovers from, there is no other one but what is above it.
        if self.failed.as_ref().is_some_and(|failed| !failed.starts_with(path)) {
            self.recover();
        }
        self.failed.get_or_insert_with(|| path.to_owned());
        if self.is_recovered(path) {
            return;
        }
        // It may be found again on a later walk.
        if self.set(path, |mark| &mut mark.wrong) {
            self.errors.push(if path.is_empty() { error } else { error.with_key(path) });
        }
    }

    /// Forgets what was reported of a path and of those below it.
    pub(super) fn take_back(&mut self, path: &str) {
        let below = format!("{path}.");
        let of_it = |key: &str| key == path || key.starts_with(&below);
        self.errors.retain(|error| !error.key().is_some_and(of_it));
        if let Some(mark) = self.marks.get_mut(path) {
            (mark.wrong, mark.exhausted) = (false, false);
        }
        for (_, mark) in
            self.marks.range_mut(below.clone()..).take_while(|(known, _)| known.starts_with(&below))
        {
            (mark.wrong, mark.exhausted) = (false, false);
        }
    }
}

impl Context<'_> {
    /// A new walk.
    pub(super) fn start_walk(&self) {
        let mut state = self.state.borrow_mut();
        (state.failed, state.again, state.replaced) = (None, false, false);
    }

    /// The walk has succeeded. `false` if something was learned on the way by a failure that a type
    /// has recovered from, so that the walk has to be repeated.
    pub(super) fn end_walk(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.recover();
        !state.again
    }

    /// Another value is read.
    pub(super) fn read_on(&self) {
        self.state.borrow_mut().recover();
    }

    /// The walk has failed at this path, where there were `errors` before, and `learned` was known.
    pub(super) fn fail(&self, path: &str, errors: usize, learned: usize) {
        let mut state = self.state.borrow_mut();
        if state.errors.len() == errors && state.learned > learned {
            (state.failed, state.again) = (None, true);
        } else if !state.again {
            state.failed.get_or_insert_with(|| path.to_owned());
        }
    }

    /// Notes an error that does not end the walk.
    pub(super) fn add_beside(&self, path: &str, error: Error) {
        let mut state = self.state.borrow_mut();
        let failed = state.failed.take();
        state.add(path, error);
        state.failed = failed;
    }

    /// Nothing is left to find at this path.
    pub(super) fn exhaust(&self, path: &str) {
        let mut state = self.state.borrow_mut();
        let recovers =
            state.is_recovered(path) || state.below(path).any(|(_, mark)| mark.recovered);
        if !recovers {
            state.set(path, |mark| &mut mark.exhausted);
        }
    }

    /// Takes back what was reported of a path, and below it, since there were only `errors`.
    pub(super) fn take_back_since(&self, errors: usize, path: &str) {
        let mut state = self.state.borrow_mut();
        for error in state.errors.split_off(errors) {
            if let Some(mark) = state.marks.get_mut(error.key().unwrap_or_default()) {
                mark.wrong = false;
            }
        }
        state.take_back(path);
    }

    /// A placeholder replaces a value in this walk, so its result does not count.
    pub(super) fn replace(&self) {
        self.state.borrow_mut().replaced = true;
    }

    pub(super) fn has_replaced(&self) -> bool {
        self.state.borrow().replaced
    }
}
