//! What must hold at every step. Each function is one invariant, and its first argument to
//! [`Wrong::add`] or [`Violation`] is the invariant's name.

use std::time::SystemTime;

use secrets_provider::{Error, Health, SecretState, Status};
use tokio::time::Instant;

use crate::model::{BUILD_BOUND, FETCH_TIMEOUT, History, PROBE_TIMEOUT, served_within};
use crate::replica::{Replica, Running, selected};
use crate::settings::{MARKER, Shape, Stamp};
use crate::world::{Violation, World, Wrong};

type Checked = Result<(), Violation>;

fn violated(invariant: &'static str, what: impl Into<String>) -> Checked {
    Err(Violation { invariant, what: what.into() })
}

/// The marker in base64, at each of the three places where it can begin.
const ENCODED: [&str; 3] = ["Y25yeTdmM2FxO", "Nucnk3ZjNhcT", "jbnJ5N2YzYXE5"];

/// No value shows in a text.
pub fn check_shown(place: &str, text: &str, wrong: &Wrong) {
    if text.contains(MARKER) || ENCODED.iter().any(|encoded| text.contains(encoded)) {
        wrong.add("canary", format!("{place} shows a value"));
    }
}

pub fn check_shown_error(error: &Error, wrong: &Wrong) {
    check_shown("an error", &format!("{error} {error:?} {:?}", error.hint()), wrong);
}

/// What a lookup returned was current at some time since `from`.
pub fn check_lookup(
    history: &History,
    secret: usize,
    stamp: Option<Stamp>,
    from: Instant,
    wrong: &Wrong,
) {
    match stamp {
        None => wrong.add("whole", format!("a lookup of s{secret:02} is not of one version")),
        Some(stamp) if stamp.secret != secret => {
            wrong.add("whole", format!("a lookup of s{secret:02} returned another secret"));
        }
        Some(_) if history.was_current(secret, stamp, from, Instant::now()) => {}
        Some(_) => wrong.add("lookup", format!("a lookup of s{secret:02} returned an old value")),
    }
}

impl World {
    /// Every invariant, now.
    pub fn check(&mut self) -> Checked {
        self.look();
        let mut replicas = std::mem::take(&mut self.replicas);
        let checked = replicas.iter_mut().enumerate().try_for_each(|(number, replica)| {
            let Replica { plan, record, running } = replica;
            let wrong = std::mem::take(&mut record.lock().wrong);
            if let Some((invariant, what)) = wrong.into_iter().next() {
                return violated(invariant, format!("replica {number}: {what}"));
            }
            let selected: Vec<_> = selected(&self.plan, plan).collect();
            let Some(running) = running else { return Ok(()) };
            let checked = self
                .check_served(running, record, plan.batch)
                .and_then(|()| self.check_status(running, &selected))
                .and_then(|()| self.check_pool(running, record))
                .and_then(|()| self.check_followed(running, record))
                .and_then(|()| self.check_current(running, record, &selected));
            checked.map_err(|Violation { invariant, what }| Violation {
                invariant,
                what: format!("replica {number}: {what}"),
            })
        });
        self.replicas = replicas;
        checked?;
        self.check_said()?;
        self.wrong.first().map_or(Ok(()), Err)
    }

    /// What readers get is whole, accepted, not older than what they had, and what the engine could
    /// have read.
    fn check_served(
        &self,
        running: &mut Running,
        record: &crate::replica::Record,
        batch: bool,
    ) -> Checked {
        let (settings, status) = running.live.current_with_status();
        let (generation, built) = (status.generation(), settings.built);
        if running.live.load().built != built || running.reader.load().built != built {
            return violated("monotone", "two readers see two generations in one moment");
        }
        if running.live.map(|settings| &settings.built).load().ne(&built) {
            return violated("monotone", "a view sees another generation in one moment");
        }
        let known = *running.generations.entry(generation).or_insert(built);
        if known != built {
            return violated("whole", format!("generation {generation} has two values"));
        }
        let stamps = match settings.stamps() {
            Ok(stamps) => stamps,
            Err(mix) => return violated("whole", mix),
        };
        let seen = record.lock();
        let Some(candidate) = seen.candidates.get(&built).filter(|found| found.accepted) else {
            return violated("refused", format!("settings {built} are served and not accepted"));
        };
        let bad = stamps.values().find_map(|stamp| self.ledger.poison(*stamp));
        if let Some(poison) = bad {
            return violated("refused", format!("a value is served that is {poison:?}"));
        }
        let last = running.last.replace((generation, built, Instant::now()));
        let (from, before) = match last {
            Some((seen_generation, seen_built, _))
                if generation < seen_generation || built < seen_built =>
            {
                let what = format!(
                    "generation {generation} ({built}) after {seen_generation} ({seen_built})"
                );
                return violated("monotone", what);
            }
            Some((_, seen_built, _)) if seen_built == built => return Ok(()),
            Some((_, seen_built, _)) => {
                let before = seen.candidates.get(&seen_built);
                (before.map_or(running.started, |before| before.at), before)
            }
            None => (self.begun, None),
        };
        let before = before.map(|before| &before.stamps);
        // It may have been read while the generation before was still being checked.
        let from = from - FETCH_TIMEOUT.min(from - self.begun);
        for (secret, stamp) in &stamps {
            let kept = before.is_some_and(|before| before.get(secret) == Some(stamp));
            if !kept && !self.history.was_current(*secret, Some(*stamp), from, candidate.at) {
                let what = format!("s{secret:02} is of no snapshot that could have been read");
                return violated("snapshot", what);
            }
        }
        for secret in before.iter().flat_map(|before| before.keys()) {
            let read = self.earliest_read(candidate.at);
            let missed = served_within(self.plan.interval);
            let gone = stamps.contains_key(secret)
                || self.history.absences(*secret, missed).iter().any(|(since, end)| {
                    let end = end.unwrap_or(candidate.at).min(candidate.at);
                    end >= read && end.saturating_duration_since(*since) >= self.plan.forget_deleted
                });
            if !gone {
                return violated("snapshot", format!("s{secret:02} has left too early"));
            }
        }
        let alone = running.partial_until.is_some_and(|until| until > from);
        let quiet = self.disturbances.quiet_since().is_some_and(|since| since < from);
        let one_call = batch && self.fake.denied_calls("BatchGetSecretValue") == 0;
        if quiet
            && one_call
            && !alone
            && !self.history.were_current_together(&stamps, from, candidate.at)
        {
            return violated("snapshot", "its secrets were never current together");
        }
        Ok(())
    }

    /// When a fetch began at the earliest whose result is there at this time. If the clock jumped
    /// meanwhile, it may have lasted longer than its limit.
    fn earliest_read(&self, at: Instant) -> Instant {
        let before = |at: Instant| {
            at.checked_sub(FETCH_TIMEOUT + 2 * PROBE_TIMEOUT).unwrap_or(self.begun).max(self.begun)
        };
        match self.jumped {
            Some((from, to)) if to >= before(at) && from <= at => before(from),
            _ => before(at),
        }
    }

    /// The status says what is so.
    fn check_status(&self, running: &mut Running, selected: &[usize]) -> Checked {
        let (settings, status) = running.live.current_with_status();
        self.check_shown_status(running, &status);
        let stamps = settings.stamps().unwrap_or_default();
        for secret in status.secrets() {
            let number = self.names.iter().position(|name| name == secret.name());
            let Some(number) = number.filter(|number| selected.contains(number)) else {
                return violated("status", format!("{} is not selected", secret.name()));
            };
            let served = matches!(secret.state(), SecretState::Current | SecretState::LastGood);
            if served != stamps.contains_key(&number) {
                return violated("status", format!("s{number:02} is {:?}", secret.state()));
            }
            if served
                && self.history.stamp_of(number, secret.version_id())
                    != stamps.get(&number).copied()
            {
                return violated("status", format!("s{number:02} has another version"));
            }
            if secret.state() == SecretState::Current && secret.error().is_some() {
                return violated("status", format!("s{number:02} is current and has an error"));
            }
        }
        if status.secrets().iter().filter(|secret| !secret.version_id().is_empty()).count()
            != stamps.len()
        {
            return violated("status", "not every secret that is served is in it");
        }
        if let Some(next) = status.next_attempt() {
            let latest = SystemTime::now() + self.plan.interval.mul_f64(1.101);
            if next > latest + std::time::Duration::from_secs(1) {
                return violated("status", "the next attempt is later than the interval");
            }
        }
        if status.health() == Health::Fresh {
            let age = status.last_success_age();
            if age > 2 * self.plan.interval {
                return violated("status", "it is fresh without a success in two intervals");
            }
            let ended = Instant::now().checked_sub(age).unwrap_or(self.begun).max(self.begun);
            let began = self.earliest_read(ended);
            for (secret, stamp) in &stamps {
                if !self.history.was_current(*secret, Some(*stamp), began, Instant::now()) {
                    return violated("status", format!("it is fresh, and s{secret:02} is old"));
                }
            }
        }
        Ok(())
    }

    fn check_shown_status(&self, running: &mut Running, status: &Status) {
        let error = status.last_error().map(|error| error.kind());
        let now = Some((status.generation(), status.health(), error));
        if std::mem::replace(&mut running.shown, now) == now {
            return;
        }
        let json = serde_json::to_string(status).expect("a status is JSON");
        let page = secrets_provider::StatusPage::of(&running.live).to_string();
        let explained = running.live.explain();
        let shown = [
            ("the status", json),
            ("the status's Debug", format!("{status:?}")),
            ("the status page", page),
            ("the explanation", format!("{explained} {explained:?}")),
            ("the Debug of a Live", format!("{:?}", running.live)),
        ];
        shown.iter().for_each(|(place, text)| check_shown(place, text, &self.wrong));
    }

    /// A pool is of settings that were served, and is not older than the one before.
    fn check_pool(&self, running: &mut Running, record: &crate::replica::Record) -> Checked {
        let Some(pool) = &running.pool else { return Ok(()) };
        let pool = pool.load();
        if pool.built < running.last_pool {
            return violated("monotone", "a pool is older than the one before");
        }
        running.last_pool = pool.built;
        let seen = record.lock();
        let Some(candidate) = seen.candidates.get(&pool.built).filter(|found| found.accepted)
        else {
            return violated("refused", "a pool is of settings that were not accepted");
        };
        if candidate.stamps != pool.stamps {
            return violated("whole", "a pool has other values than its settings");
        }
        Ok(())
    }

    /// `on_change` gets accepted settings, each newer than the ones before.
    fn check_followed(&self, running: &Running, record: &crate::replica::Record) -> Checked {
        let seen = record.lock();
        if seen.changes.windows(2).any(|pair| pair[0] >= pair[1]) {
            return violated("monotone", "on_change got settings that are not newer");
        }
        let accepted = |built: &u64| seen.candidates.get(built).is_some_and(|found| found.accepted);
        if !seen.changes.iter().all(accepted) {
            return violated("refused", "on_change got settings that were not accepted");
        }
        let _ = running;
        Ok(())
    }

    /// Whatever nothing hinders is served within its bound.
    fn check_current(
        &self,
        running: &Running,
        record: &crate::replica::Record,
        selected: &[usize],
    ) -> Checked {
        let now = Instant::now();
        let bound = served_within(self.plan.interval);
        let late =
            |since: Instant, quiet: Instant| now > since.max(quiet).max(running.started) + bound;
        let settings = running.live.current();
        let stamps = settings.stamps().unwrap_or_default();
        for secret in selected {
            let (Some(current), Some(since), Some(quiet)) = (
                self.history.current(*secret),
                self.history.unchanged_since(*secret),
                self.disturbances.quiet_since_for(*secret),
            ) else {
                continue;
            };
            // A new name needs a listing.
            let since = match stamps.contains_key(secret) {
                true => since,
                false => since.max(self.names_changed_at) + std::time::Duration::from_secs(61),
            };
            if late(since, quiet) && stamps.get(secret) != Some(&current) {
                return violated("current", format!("s{secret:02} is not served in time"));
            }
        }
        let Some(quiet) = self.disturbances.quiet_since() else { return Ok(()) };
        let status = running.live.status();
        if late(self.names_changed_at, quiet) && self.is_unchanged_for(bound) {
            let health = status.health();
            if health != Health::Fresh || !status.is_ready() {
                return violated(
                    "current",
                    format!("nothing is wrong, and the health is {health:?}"),
                );
            }
        }
        if let Some(pool) = &running.pool {
            let json = |stamps: &std::collections::BTreeMap<usize, Stamp>| {
                let json = |secret: &usize| self.plan.shapes[*secret] == Shape::Json;
                stamps
                    .iter()
                    .filter(|(secret, _)| json(secret))
                    .map(|(_, s)| *s)
                    .collect::<Vec<_>>()
            };
            let candidates = &record.lock().candidates;
            let built_at = candidates.get(&settings.built).map_or(now, |candidate| candidate.at);
            if late(built_at + 3 * BUILD_BOUND, quiet) && json(&pool.load().stamps) != json(&stamps)
            {
                return violated("current", "a pool is not rebuilt in time");
            }
        }
        Ok(())
    }

    fn is_unchanged_for(&self, time: std::time::Duration) -> bool {
        let secrets = 0..self.plan.shapes.len();
        let mut since = secrets.filter_map(|secret| self.history.unchanged_since(secret));
        since.all(|since| since.elapsed() > time)
    }

    /// What the library says is so, and shows no value.
    fn check_said(&mut self) -> Checked {
        let said = self.log.since(self.heard);
        self.heard += said.len();
        for said in said {
            let shown = format!("{} {:?}", said.name, said.fields);
            check_shown("an event", &shown, &self.wrong);
            let field = |name: &str| said.fields.get(name).map(String::as_str).unwrap_or_default();
            let number = self.names.iter().position(|name| name == field("secret"));
            match said.name.as_str() {
                "secret_fetched" => {
                    let Some(number) = number else {
                        return violated("events", "a secret was fetched that doesn't exist");
                    };
                    let stamp = self.history.stamp_of(number, field("version_id"));
                    // A fetch reports at its end what it read since its beginning.
                    let from = self.earliest_read(said.at);
                    if stamp.is_none() || !self.history.was_current(number, stamp, from, said.at) {
                        return violated("events", format!("s{number:02} was fetched, and is old"));
                    }
                }
                "secret_rotated" => {
                    let stamp = number
                        .and_then(|number| self.history.stamp_of(number, field("version_id")));
                    if stamp.is_none() {
                        return violated("events", "a rotation is over that never was current");
                    }
                }
                "refresher_panicked" | "derived_follower_panicked" | "trigger_panicked" => {
                    return violated("tasks", said.name);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// As many changes were announced as there were.
    pub fn check_swaps(&self) -> Checked {
        let swaps = self.replicas.iter().map(|replica| replica.record.lock().swaps).sum::<u64>();
        let said = self.log.since(0).iter().filter(|said| said.name == "settings_changed").count();
        match swaps == said as u64 {
            true => Ok(()),
            false => violated("events", format!("{said} changes announced, {swaps} made")),
        }
    }
}
