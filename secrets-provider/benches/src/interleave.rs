//! A runner that takes turns: A, B, A, B, … Machines drift (clock rate, neighbours, cache), and
//! what is measured one after the other drifts apart; of two runs next to each other, the ratio
//! stays.
//!
//! What counts is the reading thread's own processor time, so that a busy machine, which takes
//! threads off the processor, spoils little. Readers that never wait use nothing else; of a lock,
//! the time asleep is not seen. A run of several threads counts only if all of them ran at once,
//! for most of it: else they were never in each other's way.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// How long one run lasts, about.
const RUN: Duration = Duration::from_millis(3);
/// How much of a run of several threads all of them must run at once.
const TOGETHER: f64 = 0.8;
/// How often a run is tried until they do; then it counts as it is.
const TRIES: usize = 40;

/// Where threads wait for each other, awake, so that they begin together.
pub struct Ready {
    awaited: AtomicUsize,
}

impl Ready {
    /// Takes the time of `reads`, once all threads are here.
    pub fn time<T>(&self, reads: impl FnOnce() -> T) -> Run {
        self.awaited.fetch_sub(1, Ordering::SeqCst);
        while self.awaited.load(Ordering::SeqCst) > 0 {
            spin_loop();
        }
        let (begun, time) = (Instant::now(), ThreadTime::now());
        black_box(reads());
        Run { time: time.elapsed(), begun, ended: Instant::now() }
    }
}

/// One thread's part in a run.
pub struct Run {
    time: Duration,
    begun: Instant,
    ended: Instant,
}

/// How much of the time all threads ran at once, at least.
fn together(runs: &[Run]) -> Option<f64> {
    let begun = runs.iter().map(|run| run.begun);
    let ended = runs.iter().map(|run| run.ended);
    let whole = ended.clone().max()?.duration_since(begun.clone().min()?);
    let shared = ended.min()?.saturating_duration_since(begun.max()?);
    let on_processor = runs.iter().map(|run| run.time.as_secs_f64() / whole.as_secs_f64());
    on_processor.chain([shared.as_secs_f64() / whole.as_secs_f64()]).min_by(f64::total_cmp)
}

/// Something to be measured: a loop of so many reads, which begins when all threads are ready.
pub struct Contender {
    pub name: &'static str,
    run: Box<dyn Fn(u64, &Ready) -> Run + Sync>,
}

impl Contender {
    /// Reads by `read`, of a state that each thread makes for itself.
    pub fn new<S>(
        name: &'static str,
        state: impl Fn() -> S + Sync + 'static,
        read: impl Fn(&mut S) -> u16 + Sync + 'static,
    ) -> Self {
        Self::of_loop(name, move |reads, ready| {
            let mut state = state();
            let mut read = || {
                black_box(read(black_box(&mut state)));
            };
            (0..reads / 10).for_each(|_| read());
            ready.time(|| (0..reads).for_each(|_| read()))
        })
    }

    /// A loop that warms up and takes the time itself.
    pub fn of_loop(name: &'static str, run: impl Fn(u64, &Ready) -> Run + Sync + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// Nanoseconds a read, mean of all threads.
    fn measure(&self, threads: usize, reads: u64) -> f64 {
        let mut tries = 0;
        loop {
            let ready = Ready { awaited: AtomicUsize::new(threads) };
            let runs: Vec<Run> = std::thread::scope(|scope| {
                let runs: Vec<_> =
                    (0..threads).map(|_| scope.spawn(|| (self.run)(reads, &ready))).collect();
                runs.into_iter().map(|run| run.join().expect("no contender panics")).collect()
            });
            tries += 1;
            if threads == 1
                || tries == TRIES
                || together(&runs).is_some_and(|share| share >= TOGETHER)
            {
                let took: Duration = runs.iter().map(|run| run.time).sum();
                return took.as_secs_f64() * 1e9 / (reads * threads as u64) as f64;
            }
        }
    }

    /// How many reads one run is.
    fn reads(&self) -> u64 {
        let whole = RUN.as_secs_f64() * 1e9;
        let mut reads = 64;
        loop {
            let each = self.measure(1, reads);
            if each * reads as f64 > whole / 4.0 {
                return (whole / each) as u64;
            }
            reads *= 4;
        }
    }
}

/// What a pair came to.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// The one over the other: median of the ratios of neighbouring runs.
    pub ratio: f64,
    /// Their quartiles.
    pub quartiles: (f64, f64),
    /// Medians, in nanoseconds a read.
    pub nanoseconds: (f64, f64),
}

/// `one` beside `other`, in turns, so many times; who begins changes.
pub fn pair(one: &Contender, other: &Contender, threads: usize, rounds: usize) -> Pair {
    let (one_reads, other_reads) = (one.reads(), other.reads());
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            ones.push(one.measure(threads, one_reads));
            others.push(other.measure(threads, other_reads));
        } else {
            others.push(other.measure(threads, other_reads));
            ones.push(one.measure(threads, one_reads));
        }
    }
    let ratios = ones.iter().zip(&others).map(|(one, other)| one / other).collect::<Vec<_>>();
    Pair {
        ratio: quantile(&ratios, 0.5),
        quartiles: (quantile(&ratios, 0.25), quantile(&ratios, 0.75)),
        nanoseconds: (quantile(&ones, 0.5), quantile(&others, 0.5)),
    }
}

/// The median of durations, in milliseconds.
pub fn median(durations: &[Duration]) -> f64 {
    quantile(&durations.iter().map(|took| took.as_secs_f64() * 1e3).collect::<Vec<_>>(), 0.5)
}

/// The value below which this part of them is, between neighbours in proportion.
pub fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = at * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}
