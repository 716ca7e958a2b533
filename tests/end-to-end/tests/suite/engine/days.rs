//! Days of operation: four rotations a day, and another fault on each day of the week.
//!
//! A week runs with the suite. `SIMULATED_DAYS=180 cargo test -p end-to-end --test suite
//! engine::days -- --nocapture` runs more, and prints the figures.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::Live;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Settings, fake, manager, put_password, secrets_only};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const ROTATIONS: u32 = 4;
/// A periodic refresh, a tenth later than the default interval.
const HEALTHY_LAG: Duration = Duration::from_secs(330);
/// After the end of a fault: what hangs until the timeout, and then a whole interval.
const LAG_AFTER_FAULT: Duration = Duration::from_secs(30 + 330);

/// What is wrong for some hours.
enum Trouble {
    Fault(Fault),
    /// The secret's own policy denies it.
    Denied,
}

impl Trouble {
    /// The trouble of a day, and how long it lasts from the day's second hour on.
    fn of(day: u32) -> Option<(Self, Duration)> {
        let seed = u64::from(day);
        Some(match day % 7 {
            0 => return None,
            1 => {
                (Self::Fault(Fault::drop_connection().with_probability(0.1).seed(seed)), 20 * HOUR)
            }
            2 => (Self::Fault(Fault::unavailable()), 2 * HOUR),
            3 => (Self::Fault(Fault::throttled().with_probability(0.3).seed(seed)), 20 * HOUR),
            4 => (Self::Denied, 4 * HOUR),
            5 => (Self::Fault(Fault::html(502)), 2 * HOUR),
            _ => (Self::Fault(Fault::truncated_body()), 2 * HOUR),
        })
    }

    fn begin(self, fake: &FakeSecretsManager) {
        match self {
            Self::Fault(fault) => drop(fake.inject(fault)),
            Self::Denied => fake.deny_secret("app/database"),
        }
    }

    fn end(fake: &FakeSecretsManager) {
        fake.clear_faults();
        fake.allow_secret("app/database");
    }
}

/// The generation that a password belongs to.
fn generation(settings: &Settings) -> u32 {
    let number = settings.database.password.strip_prefix("password-");
    number.and_then(|number| number.parse().ok()).expect("a password of this test")
}

/// When each generation of the password was first served, in its order.
fn watch(settings: &Live<Settings>) -> Arc<Mutex<Vec<(u32, Instant)>>> {
    let served = Arc::new(Mutex::new(vec![(1, Instant::now())]));
    let (record, settings) = (served.clone(), settings.clone());
    tokio::spawn(async move {
        let mut changes = settings.changes();
        while changes.next().await.is_some() {
            let now = generation(&settings.load());
            let mut served = record.lock().unwrap();
            let last = served.last().expect("the first one").0;
            assert!(now >= last, "generation {now} is served after {last}");
            if now > last {
                served.push((now, Instant::now()));
            }
        }
    });
    served
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "the figures")]
async fn every_rotation_arrives_on_days_of_every_fault() {
    let days: u32 = std::env::var("SIMULATED_DAYS")
        .map_or(7, |days| days.parse().expect("SIMULATED_DAYS is a number of days"));
    let fake = fake();
    for other in 0..20 {
        fake.put(&format!("app/other-{other}"), "unchanged");
    }
    let settings: Live<Settings> = secrets_only(manager(&fake)).start().await.unwrap();
    let served = watch(&settings);
    let (mut put, mut healthy_days, mut healthy_calls) = (Vec::new(), 0u32, [0; 2]);
    for day in 0..days {
        let begun = Instant::now();
        fake.reset_calls();
        let trouble = Trouble::of(day);
        let healthy = trouble.is_none();
        let ends = trouble.as_ref().map(|(_, lasts)| begun + HOUR + *lasts);
        let mut trouble = trouble.map(|(trouble, _)| trouble);
        for rotation in 0..ROTATIONS {
            // The first one is in the midst of the trouble.
            let at = begun + HOUR * 6 * rotation + HOUR * 3 / 2;
            if let Some(trouble) = trouble.take() {
                sleep_until(begun + HOUR).await;
                trouble.begin(&fake);
            }
            sleep_until(at).await;
            let n = u32::try_from(put.len()).unwrap() + 2;
            put_password(&fake, n);
            fake.put("app/jwt-secret", format!("jwt-{n}"));
            put.push((n, at, ends.filter(|ends| *ends > at)));
            if let Some(ends) = ends.filter(|ends| *ends < at + 6 * HOUR) {
                sleep_until(ends).await;
                Trouble::end(&fake);
            }
        }
        if healthy {
            sleep_until(begun + DAY - Duration::from_secs(1)).await;
            healthy_days += 1;
            healthy_calls[0] += fake.calls("ListSecrets");
            healthy_calls[1] += fake.calls("BatchGetSecretValue");
        }
        sleep_until(begun + DAY).await;
    }
    sleep(LAG_AFTER_FAULT).await;

    let served = served.lock().unwrap();
    let mut longest = [Duration::ZERO; 2];
    for (n, at, fault_ends) in &put {
        let arrived = served.iter().find(|(served, _)| served == n);
        let (_, arrived) = arrived.unwrap_or_else(|| panic!("rotation {n} was never served"));
        let bound = fault_ends.map_or(*at + HEALTHY_LAG, |ends| ends + LAG_AFTER_FAULT);
        assert!(*arrived <= bound, "rotation {n} took {:?}", *arrived - *at);
        let longest = &mut longest[usize::from(fault_ends.is_some())];
        *longest = (*longest).max(*arrived - *at);
    }
    let [listings, batches] = healthy_calls.map(|calls| calls / healthy_days as usize);
    println!(
        "{days} days, {} rotations, {} served, 0 missed; the latest after {:?}, in faults {:?}; on a \
         day without faults {listings} listings and {batches} batches",
        put.len(),
        served.len() - 1,
        longest[0],
        longest[1],
    );
    // 288 intervals of 300 s, each with a tenth of jitter that evens out.
    assert!((280..=297).contains(&listings), "{listings} listings a day");
    assert!((2 * 280..=2 * 297).contains(&batches), "{batches} batches a day");
}
