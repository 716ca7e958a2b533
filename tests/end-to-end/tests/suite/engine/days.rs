//! Days of operation: four rotations a day, and another fault on each day of the week.
//!
//! Two weeks run with the suite. `SIMULATED_DAYS=180 cargo test -p end-to-end --test suite
//! engine::days -- --nocapture` runs more, and prints the figures.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake_secrets_manager::Fault;
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

/// The fault of a day, and how long it lasts from its second hour on.
fn fault_of(day: u32) -> (Option<Fault>, Duration) {
    match day % 7 {
        0 => (None, Duration::ZERO),
        1 => (Some(Fault::drop_connection().with_probability(0.1).seed(day.into())), 20 * HOUR),
        2 => (Some(Fault::unavailable()), 2 * HOUR),
        3 => (Some(Fault::throttled().with_probability(0.3).seed(day.into())), 20 * HOUR),
        4 => (
            Some(Fault::error("AccessDeniedException", 400, "denied").for_secret("app/database")),
            4 * HOUR,
        ),
        5 => (Some(Fault::html(502)), 2 * HOUR),
        _ => (Some(Fault::truncated_body()), 2 * HOUR),
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
async fn every_rotation_arrives_on_days_of_every_fault() {
    let days: u32 = std::env::var("SIMULATED_DAYS")
        .map_or(14, |days| days.parse().expect("SIMULATED_DAYS is a number of days"));
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
        let (fault, lasts) = fault_of(day);
        let healthy = fault.is_none();
        let fault = fault.map(|fault| (begun + HOUR, begun + HOUR + lasts, fault));
        for rotation in 0..ROTATIONS {
            // In the midst of each fault, and outside of it.
            let at = begun + HOUR * 6 * rotation + HOUR * 3 / 2;
            if let Some((from, until, fault)) = &fault {
                sleep_until((*from).min(at)).await;
                let active = *from <= at && at < *until;
                if active && rotation == 0 {
                    fake.inject(fault.clone());
                }
            }
            let ends = fault.as_ref().map_or(at, |(_, until, _)| (*until).max(at));
            sleep_until(at).await;
            let n = u32::try_from(put.len()).unwrap() + 2;
            put_password(&fake, n);
            fake.put("app/jwt-secret", format!("jwt-{n}"));
            put.push((n, at, ends));
            if let Some((_, until, _)) = &fault
                && *until < begun + HOUR * 6 * (rotation + 1)
            {
                sleep_until(*until).await;
                fake.clear_faults();
            }
        }
        sleep_until(begun + DAY - Duration::from_secs(1)).await;
        fake.clear_faults();
        if healthy {
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
        let in_fault = fault_ends > at;
        let bound = if in_fault { *fault_ends + LAG_AFTER_FAULT } else { *at + HEALTHY_LAG };
        assert!(*arrived <= bound, "rotation {n} took {:?}", *arrived - *at);
        let longest = &mut longest[usize::from(in_fault)];
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
