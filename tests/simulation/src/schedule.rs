//! What happens in a world, step by step: made of the seed alone, before the world begins.
//!
//! A step never looks at the world, so any of them can be left out, and the others stay what they
//! are: that is how a failing schedule is made shorter (`shrink`). Secrets and replicas are numbers
//! that count modulo how many the world has.

use std::time::Duration;

use crate::settings::{Poison, Shape};

/// The world before its first step.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub shapes: Vec<Shape>,
    /// Those that only the library's rotators change.
    pub managed: Vec<usize>,
    pub replicas: Vec<ReplicaPlan>,
    pub interval: Duration,
    /// After which time replicas do without a deleted secret.
    pub forget_deleted: Duration,
    pub steps: Vec<Step>,
}

/// How one replica is set up.
#[derive(Debug, Clone, Copy)]
pub struct ReplicaPlan {
    /// Names its secrets in place of listing them.
    pub by_name: bool,
    /// Reads them in batches.
    pub batch: bool,
    /// Has a pool of the JSON secrets.
    pub derives: bool,
    /// Refuses settings without the first secret.
    pub needs_first: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// How long it comes after the step before.
    pub wait: Duration,
    pub action: Action,
}

/// A fault of the store, until it is cleared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    Throttled,
    Unavailable,
    Dropped,
    Hanging,
    Slow(Duration),
    Garbled,
    Cut,
    Page,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Unnamed,
    /// The one that is current when the hint is made.
    Current,
    /// One that never was.
    Forged,
}

/// Whose closure does something wrong from now on, so many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    ValidatePanics,
    ValidateRefuses,
    ProbeHangs,
    OnChangePanics,
    BuildFails,
    BuildPanics,
    BuildHangs,
}

/// How a program that rotates dies, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotators {
    One,
    /// Both at the same time.
    Two,
    /// One that is dropped after this time.
    Crashing(Duration),
    /// Two, of which one is dropped after this time.
    TwoOfWhichOneCrashes(Duration),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A new version of each of these, in one moment.
    Put(Vec<usize>),
    PutBad(usize, Poison),
    /// AWSCURRENT goes back to the version before.
    RollBack(usize),
    /// At once, or with a recovery window.
    Delete(usize, bool),
    Deny(usize),
    DenyListing,
    DenyBatches,
    AllowAll,
    /// A fault meets this share of the calls.
    Trouble(Trouble, f64, Option<&'static str>),
    Quota(u32),
    EndTroubles,
    /// Listings are this far behind.
    LateListing(Duration),
    /// A hint for a replica, so many times; kept back, or sent at once.
    Hint {
        replica: usize,
        secret: usize,
        version: Version,
        copies: usize,
        late: bool,
    },
    /// The hints that were kept back arrive, the last one first.
    DeliverLate,
    /// The clock jumps: nothing ran meanwhile.
    Jump(Duration),
    Refresh(usize),
    /// A refresh whose caller goes away after this time.
    DropRefresh(usize, Duration),
    RefreshPast(usize),
    DropRefreshPast(usize, Duration),
    /// By `shutdown`, or by dropping the last handle.
    Restart(usize, bool),
    LookUp {
        replica: usize,
        secret: usize,
        refresh: bool,
    },
    DropLookUp(usize, usize, Duration),
    Rotate(usize, Rotators),
    Sabotage(usize, Sabotage, u32),
    Wait,
}

/// The plan of a seed.
pub fn plan(seed: u64) -> Plan {
    let mut random = fastrand::Rng::with_seed(seed);
    let random = &mut random;
    let secrets = if random.bool() { random.usize(1..=5) } else { random.usize(1..=20) };
    let mut shapes: Vec<_> = (0..secrets)
        .map(|_| pick(random, &[Shape::Text, Shape::Json, Shape::Binary, Shape::Screaming]))
        .collect();
    if random.u8(..4) == 0 {
        shapes[secrets - 1] = Shape::Root;
    }
    let tables = (0..secrets).filter(|secret| shapes[*secret] == Shape::Json);
    let managed = tables.filter(|_| random.bool()).collect();
    let replicas = if random.bool() { random.usize(1..=2) } else { random.usize(1..=5) };
    let replicas = (0..replicas)
        .map(|_| ReplicaPlan {
            // The secret that is named as the prefix can't be the only one below it.
            by_name: random.u8(..4) == 0 && shapes[0] != Shape::Root,
            // Many single calls take long.
            batch: random.u8(..4) > 0 || secrets > 6,
            derives: random.bool(),
            needs_first: random.u8(..4) == 0,
        })
        .collect();
    let interval = Duration::from_secs(pick(random, &[60, 300, 300, 900]));
    let forget_deleted = interval * pick(random, &[2, 5, 300]);
    let steps = (0..random.usize(6..=24)).map(|_| step(random, interval)).collect();
    Plan { seed, shapes, managed, replicas, interval, forget_deleted, steps }
}

fn pick<T: Copy>(random: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

fn step(random: &mut fastrand::Rng, interval: Duration) -> Step {
    let wait = match random.u8(..10) {
        0..=2 => Duration::ZERO,
        3..=4 => Duration::from_millis(random.u64(1..2_000)),
        5..=8 => interval.mul_f64(0.7 * random.f64()),
        _ => interval.mul_f64(1.0 + random.f64()),
    };
    Step { wait, action: action(random, interval) }
}

fn action(random: &mut fastrand::Rng, interval: Duration) -> Action {
    let (secret, replica) = (random.usize(..20), random.usize(..5));
    let soon = Duration::from_millis(random.u64(0..3_000));
    match random.u8(..100) {
        0..=17 => Action::Put(vec![secret]),
        18..=27 => {
            let together = random.usize(2..=6);
            Action::Put((0..together).map(|_| random.usize(..20)).collect())
        }
        28..=32 => Action::PutBad(secret, pick(random, &Poison::ALL)),
        33..=36 => Action::RollBack(secret),
        37..=40 => Action::Delete(secret, random.bool()),
        41..=42 => Action::Deny(secret),
        43 => Action::DenyListing,
        44 => Action::DenyBatches,
        45..=47 => Action::AllowAll,
        48..=56 => trouble(random),
        57 => Action::Quota(random.u32(1..5)),
        58..=63 => Action::EndTroubles,
        64 => Action::LateListing(Duration::from_secs(random.u64(0..=300))),
        65..=70 => Action::Hint {
            replica,
            secret,
            version: pick(random, &[Version::Unnamed, Version::Current, Version::Forged]),
            copies: pick(random, &[1, 1, 2, 30]),
            late: random.u8(..3) == 0,
        },
        71..=72 => Action::DeliverLate,
        73 => Action::Jump(interval.mul_f64(random.f64() * 10.0)),
        74..=75 => Action::Refresh(replica),
        76..=77 => Action::DropRefresh(replica, soon),
        78..=79 => Action::RefreshPast(replica),
        80 => Action::DropRefreshPast(replica, soon),
        81..=83 => Action::Restart(replica, random.bool()),
        84..=87 => Action::LookUp { replica, secret, refresh: random.u8(..4) == 0 },
        88 => Action::DropLookUp(replica, secret, soon),
        89..=93 => Action::Rotate(
            secret,
            match random.u8(..4) {
                0 => Rotators::One,
                1 => Rotators::Two,
                2 => Rotators::Crashing(soon),
                _ => Rotators::TwoOfWhichOneCrashes(soon),
            },
        ),
        94..=98 => {
            let what = [
                Sabotage::ValidatePanics,
                Sabotage::ValidateRefuses,
                Sabotage::ProbeHangs,
                Sabotage::OnChangePanics,
                Sabotage::BuildFails,
                Sabotage::BuildPanics,
                Sabotage::BuildHangs,
            ];
            Action::Sabotage(replica, pick(random, &what), random.u32(1..4))
        }
        _ => Action::Wait,
    }
}

fn trouble(random: &mut fastrand::Rng) -> Action {
    let trouble = match random.u8(..8) {
        0 => Trouble::Throttled,
        1 => Trouble::Unavailable,
        2 => Trouble::Dropped,
        3 => Trouble::Hanging,
        4 => Trouble::Slow(Duration::from_millis(random.u64(1..20_000))),
        5 => Trouble::Garbled,
        6 => Trouble::Cut,
        _ => Trouble::Page,
    };
    let share = pick(random, &[0.1, 0.5, 1.0]);
    let operation =
        pick(random, &[None, None, Some("GetSecretValue"), Some("BatchGetSecretValue")]);
    Action::Trouble(trouble, share, operation)
}
