//! A small fleet with quotas as small holds what is aimed at for ten thousand replicas.

use std::time::Duration;

use fleet::{Client, Scenario, Selection, Setup, run};

/// As many replicas for as small a part of the quotas as ten thousand are for all of them.
fn fleet(replicas: usize, secrets: usize) -> Setup {
    Setup {
        client: Client::Product,
        selection: Selection::Names,
        replicas,
        secrets,
        every: Duration::from_secs(300),
        push: None,
        timeout: Duration::from_secs(30),
        quotas_over: u32::try_from(10_000 / replicas).expect("a small number"),
    }
}

/// With a queue for each replica, and refreshes in case that a message is lost.
fn pushed(setup: Setup, spread: Duration) -> Setup {
    Setup { every: Duration::from_secs(900), push: Some(spread), ..setup }
}

const SPREAD: Duration = Duration::from_millis(1500);

#[test]
fn a_start_of_all_replicas_takes_what_the_quota_takes() {
    // The last ones of a small fleet are served by chance just before or after half of the default
    // timeout, for which throttling is waited out.
    let setup = Setup { timeout: Duration::from_secs(60), ..fleet(100, 20) };
    let result = run(Scenario::Start, setup);
    assert_eq!(result.failed_starts, 0);
    let current = result.current.expect("all replicas start");
    let longest = setup.least_start().mul_f64(1.4);
    assert!(current.all < longest, "{:?}, at most {longest:?}", current.all);
    // Twenty calls at once of each replica, repeated by the SDK, were six for each secret.
    assert!(result.throttled() < 100 * 20 * 4, "{}", result.throttled());
}

/// A listing for each replica has a quota that is a hundredth of the one of single calls.
#[test]
fn a_start_by_prefix_takes_what_the_quota_of_listings_takes() {
    let timeout = Duration::from_secs(300);
    for secrets in [1, 20] {
        let setup = Setup { selection: Selection::Prefix, timeout, ..fleet(100, secrets) };
        let result = run(Scenario::Start, setup);
        assert_eq!(result.failed_starts, 0);
        let current = result.current.expect("all replicas start");
        let longest = setup.least_start().mul_f64(1.2);
        assert!(current.all < longest, "{:?}, at most {longest:?}", current.all);
        // Each of them waits for half a minute to a minute and a half, and asks once in a second.
        assert!(result.throttled() < 100 * 100, "{}", result.throttled());
    }
}

#[test]
fn nothing_is_throttled_in_the_steady_state_with_push() {
    // A hundredth of the quota of batches is one a second, with one in stock: two would often meet.
    for secrets in [20, 100] {
        let setup = Setup { replicas: 50, quotas_over: 20, ..pushed(fleet(100, secrets), SPREAD) };
        let result = run(Scenario::Steady, setup);
        assert_eq!(result.throttled(), 0, "{secrets}: {:?}", result.calls);
    }
}

#[test]
fn a_rotation_is_live_everywhere_soon_by_push() {
    // As ten thousand replicas, and as two thousand with a spread that is enough for them.
    for (quotas_over, spread, longest) in
        [(100, SPREAD, Duration::from_millis(2500)), (20, SPREAD / 3, Duration::from_secs(1))]
    {
        let setup = Setup { quotas_over, ..pushed(fleet(100, 1), spread) };
        let result = run(Scenario::Rotation, setup);
        let current = result.current.expect("all replicas see it");
        assert!(current.p99 < longest, "{current:?}");
        assert_eq!(result.throttled(), 0);
    }
}

#[test]
fn the_end_of_an_outage_is_no_stampede() {
    let setup = Setup { replicas: 50, ..fleet(100, 1) };
    let result = run(Scenario::Outage, setup);
    let current = result.current.expect("all replicas recover");
    assert!(current.all < setup.every.mul_f64(1.1) + setup.timeout, "{current:?}");
    assert!(result.busiest_after < Some(50), "{:?}", result.busiest_after);
}

#[test]
fn an_hour_of_throttling_costs_few_calls_and_ends_by_itself() {
    let setup = Setup { replicas: 50, ..fleet(100, 20) };
    let result = run(Scenario::Throttling, setup);
    let current = result.current.expect("all replicas recover");
    assert!(current.all < setup.every.mul_f64(1.1) + setup.timeout, "{current:?}");
    // The SDK's three attempts at all secrets would be sixty for each of some twenty refreshes.
    let calls: usize = result.calls.values().map(|rates| rates.total).sum();
    assert!(calls < 50 * 20 * 15, "{calls}");
}
