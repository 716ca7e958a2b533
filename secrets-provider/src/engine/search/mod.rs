//! The search for a newer generation than one whose credentials were refused: a few tries within a budget, shared by
//! all who ask, with a rest after a search in vain. Pure but for the clock that is handed in, and the answers.

use tokio::time::Instant;

use crate::engine::change_log::Journal;
use crate::engine::schedule::Budget;
use crate::error::{Error, ErrorKind};
use crate::live::{Refreshed, Reply, Waiting};

#[derive(Debug)]
pub(crate) struct Pursuit {
    budget: Budget,
    waiting: Vec<Waiting>,
    /// While something is searched for; and for as long as that may last where all who asked have gone, so that
    /// whoever asks next goes on with it.
    search: Option<Search>,
    /// The last search was in vain.
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Search {
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

impl Pursuit {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, waiting: Vec::new(), search: None, rest: None }
    }

    /// Someone asks. Answered at once if there is something newer, or if that was searched for in vain a moment ago.
    pub(crate) fn ask(&mut self, asked: Waiting, generation: u64, journal: &Journal, now: Instant) {
        if asked.reply.is_closed() {
            return;
        }
        if journal.last_change(&asked.path) > asked.seen {
            return answer(asked.reply, Ok(Refreshed { generation, changed: true }));
        }
        match &self.rest {
            Some(rest) if rest.generation == generation && now < rest.until => {
                answer(asked.reply, Err(rest.error.clone()));
            }
            _ => {
                let past = now.checked_sub(self.budget.within);
                let over = |search: &Search| {
                    search.generation != generation || past.is_some_and(|past| search.begun <= past)
                };
                if self.waiting.is_empty() && self.search.as_ref().is_some_and(over) {
                    self.search = None;
                }
                self.waiting.push(asked);
                self.search.get_or_insert(Search { generation, begun: now, tries: 0, next: now });
            }
        }
    }

    /// When the next try is due, while anyone waits.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.search.as_ref().filter(|_| !self.waiting.is_empty()).map(|search| search.next)
    }

    /// A refresh has ended, be it a try of this search or another's.
    pub(crate) fn refreshed(&mut self, generation: u64, journal: &Journal) {
        let mut found = false;
        for waiting in std::mem::take(&mut self.waiting) {
            if journal.last_change(&waiting.path) > waiting.seen {
                answer(waiting.reply, Ok(Refreshed { generation, changed: true }));
                found = true;
            } else if !waiting.reply.is_closed() {
                self.waiting.push(waiting);
            }
        }
        if self.waiting.is_empty() && found {
            self.search = None;
        }
    }

    /// A try of this search has ended, and its answers are given: the next one is due later, or all is in vain.
    pub(crate) fn tried(
        &mut self,
        generation: u64,
        failure: Option<&Error>,
        now: Instant,
        random: f64,
    ) {
        let Some(search) = &mut self.search else { return };
        search.tries = search.tries.saturating_add(1);
        // The waits fill the budget's time; a slow store does not cost the tries after it.
        if search.tries < self.budget.tries {
            search.next = now + self.budget.wait(search.tries, random);
            return;
        }
        let error = in_vain(search, now, failure);
        self.search = None;
        for waiting in self.waiting.drain(..) {
            answer(waiting.reply, Err(error.clone()));
        }
        self.rest = Some(Rest { generation, until: now + self.budget.within, error });
    }
}

fn in_vain(search: &Search, now: Instant, failure: Option<&Error>) -> Error {
    let (tries, time) = (search.tries, now.saturating_duration_since(search.begun));
    let tries = if tries == 1 { "one look".to_owned() } else { format!("{tries} looks") };
    let message = format!("no newer settings came in {tries} within {:.1} s", time.as_secs_f64());
    Error::new(ErrorKind::Unavailable, message)
        .with_hint(
            "what was refused is what the secrets hold: look at the rotation, and whether its last steps failed; \
             the next search begins after a rest as long as this one could last",
        )
        .beside(failure.cloned())
}

/// Whoever asked may have gone.
fn answer(reply: Reply, result: Result<Refreshed, Error>) {
    let _ = reply.send(result);
}

#[cfg(test)]
mod tests;
