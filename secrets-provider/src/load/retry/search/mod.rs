//! The search for a value newer than one whose credentials were refused (rule R4).
//!
//! All callers share one search of a few reads within a budget. After a search that found nothing
//! there is a rest as long as the budget, during which callers get that search's error at once; so
//! a storm of failing requests costs no more than one. Pure except for the clock, which is passed
//! in, and the answers.

use tokio::time::Instant;

use super::answer::{Refreshed, Waiting};
use super::schedule::Budget;
use crate::error::{Error, ErrorKind};

#[derive(Debug)]
pub(crate) struct Search {
    /// What is searched for, for messages: `settings`.
    what: &'static str,
    budget: Budget,
    waiting: Vec<Waiting>,
    /// The search under way. If all callers have gone, it stays for as long as it might last, so
    /// that the next caller continues it.
    running: Option<Running>,
    /// Set after a search that found nothing.
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Running {
    generation: u64,
    begun: Instant,
    tries: u32,
    next: Instant,
}

#[derive(Debug)]
struct Rest {
    generation: u64,
    until: Instant,
    error: Error,
}

impl Search {
    pub(crate) fn new(what: &'static str, budget: Budget) -> Self {
        Self { what, budget, waiting: Vec::new(), running: None, rest: None }
    }

    /// Takes a request. It is answered at once if there is something newer, or if a search has just
    /// found nothing. `last_change` is the generation in which a path last changed.
    pub(crate) fn ask(
        &mut self,
        asked: Waiting,
        generation: u64,
        last_change: impl Fn(&str) -> u64,
        now: Instant,
    ) {
        if asked.reply.is_closed() {
            return;
        }
        if last_change(&asked.path) > asked.seen {
            return asked.reply.send(Ok(Refreshed { generation, changed: true }));
        }
        match &self.rest {
            Some(rest) if rest.generation == generation && now < rest.until => {
                asked.reply.send(Err(rest.error.clone()));
            }
            _ => {
                let past = now.checked_sub(self.budget.within);
                let over = |search: &Running| {
                    search.generation != generation || past.is_some_and(|past| search.begun <= past)
                };
                if self.waiting.is_empty() && self.running.as_ref().is_some_and(over) {
                    self.running = None;
                }
                self.waiting.push(asked);
                self.running.get_or_insert(Running { generation, begun: now, tries: 0, next: now });
            }
        }
    }

    /// Whether nothing is under way and no rest is left, so that this is as good as a new search.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.waiting.is_empty()
            && self.running.is_none()
            && self.rest.as_ref().is_none_or(|rest| now >= rest.until)
    }

    /// When the next read is due, while anyone waits.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.running.as_ref().filter(|_| !self.waiting.is_empty()).map(|search| search.next)
    }

    /// A refresh has ended, whether it was made for this search or not.
    pub(crate) fn refreshed(&mut self, generation: u64, last_change: impl Fn(&str) -> u64) {
        let mut found = false;
        for waiting in std::mem::take(&mut self.waiting) {
            if last_change(&waiting.path) > waiting.seen {
                waiting.reply.send(Ok(Refreshed { generation, changed: true }));
                found = true;
            } else if !waiting.reply.is_closed() {
                self.waiting.push(waiting);
            }
        }
        if self.waiting.is_empty() && found {
            self.running = None;
        }
    }

    /// A read of this search has ended, and [`refreshed`](Self::refreshed) has given its answers.
    /// Either the next read is due later, or the search has found nothing.
    pub(crate) fn tried(
        &mut self,
        generation: u64,
        failure: Option<&Error>,
        now: Instant,
        random: f64,
    ) {
        let Some(search) = &mut self.running else { return };
        search.tries = search.tries.saturating_add(1);
        // A slow store does not cost the reads that come after.
        if search.tries < self.budget.tries {
            search.next = now + self.budget.wait(search.tries, random);
            return;
        }
        let error = found_nothing(self.what, search, now, failure);
        self.running = None;
        for waiting in self.waiting.drain(..) {
            waiting.reply.send(Err(error.clone()));
        }
        self.rest = Some(Rest { generation, until: now + self.budget.within, error });
    }
}

fn found_nothing(what: &str, search: &Running, now: Instant, failure: Option<&Error>) -> Error {
    let (tries, time) = (search.tries, now.saturating_duration_since(search.begun));
    let tries = if tries == 1 { "one read".to_owned() } else { format!("{tries} reads") };
    let message = format!("no newer {what} came in {tries} within {:.1} s", time.as_secs_f64());
    Error::new(ErrorKind::Unavailable, message)
        .with_hint(
            "the secrets still hold the refused credentials: check whether the rotation's last steps failed; \
             the next search begins after a rest as long as the search budget",
        )
        .beside(failure.cloned())
}

#[cfg(test)]
mod tests;
