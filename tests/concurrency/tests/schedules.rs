//! Every scenario under many schedules: 2,000 each, or as many as `SCHEDULES` says.

use concurrency::Scenario;

fn schedules() -> usize {
    let wanted = std::env::var("SCHEDULES").ok();
    wanted.map_or(2_000, |wanted| wanted.parse().expect("SCHEDULES is a number"))
}

#[test]
fn a_value_and_its_status_are_swapped_together() {
    Scenario::Swap.run(schedules());
}

#[test]
fn a_derived_value_misses_no_change() {
    Scenario::Derive.run(schedules());
}

#[test]
fn newer_settings_reach_those_who_wait_for_them() {
    Scenario::RefreshPast.run(schedules());
}

#[test]
fn reads_of_one_secret_are_one_at_a_time_and_new_for_those_who_ask() {
    Scenario::Flights.run(schedules());
}

#[test]
fn after_a_shutdown_everyone_is_answered() {
    Scenario::Shutdown.run(schedules());
}
