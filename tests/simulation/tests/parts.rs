//! The parts of a simulation by themselves: what no world may be trusted without.

use std::time::Duration;

use fake_secrets_manager::FakeSecretsManager;
use simulation::model::{Disturbances, History};
use simulation::run::Failure;
use simulation::schedule::{Action, Step, plan};
use simulation::settings::{Poison, Settings, Shape, Stamp, Table, stamp_in, value};
use simulation::shrink::shrink;
use simulation::world::Violation;
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

fn stamp(secret: usize, number: u64) -> Stamp {
    Stamp { secret, number }
}

#[test]
fn a_seed_makes_one_plan() {
    assert_eq!(plan(7).steps, plan(7).steps);
    assert_ne!(plan(7).steps, plan(8).steps);
}

#[test]
fn a_table_of_two_versions_is_no_whole() {
    let (one, two) = (value(Shape::Json, stamp(1, 1), None), stamp(1, 2).text());
    let whole: Table =
        serde_json::from_str(&one.replace("port\": \"1025\"", "port\": 1025")).expect("a value");
    assert_eq!(whole.whole(), Some(stamp(1, 1)));
    for member in ["stamp", "check"] {
        let mixed = one.replace("port\": \"1025\"", "port\": 1025").replacen(
            &format!(r#""{member}": "{}""#, stamp(1, 1).text()),
            &format!(r#""{member}": "{two}""#),
            1,
        );
        let mixed: Table = serde_json::from_str(&mixed).expect("a value");
        assert_eq!(mixed.whole(), None, "{member}");
    }
}

#[test]
fn a_secret_under_another_ones_key_is_no_whole() {
    let settings = |key: &str, stamp: Stamp| -> Settings {
        serde_json::from_value(serde_json::json!({"text": {key: stamp.text()}})).expect("a value")
    };
    assert_eq!(settings("s03", stamp(3, 1)).stamps().expect("whole")[&3], stamp(3, 1));
    assert!(settings("s04", stamp(3, 1)).stamps().is_err());
}

#[test]
fn every_stored_value_has_its_stamp() {
    for shape in [Shape::Text, Shape::Json, Shape::Binary, Shape::Screaming, Shape::Root] {
        for poison in Poison::ALL.map(Some).into_iter().chain([None]) {
            assert_eq!(stamp_in(&value(shape, stamp(2, 77), poison)), Some(stamp(2, 77)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_was_current_in_its_time_and_in_no_other() {
    let fake = FakeSecretsManager::new();
    fake.keep_history();
    let begun = Instant::now();
    let (one, two, other) = (stamp(0, 1), stamp(0, 2), stamp(1, 3));
    fake.put("a", one.text());
    advance(10 * SECOND).await;
    fake.put("a", two.text());
    fake.put("b", other.text());
    advance(10 * SECOND).await;
    fake.remove("a");
    let mut history = History::default();
    history.read_on(&fake, &["a".to_owned(), "b".to_owned()]);
    let was = |stamp, from: u32, to: u32| {
        history.was_current(0, stamp, begun + from * SECOND, begun + to * SECOND)
    };
    assert!(was(Some(one), 0, 5) && was(Some(one), 9, 30) && !was(Some(one), 11, 30));
    assert!(!was(Some(two), 0, 9) && was(Some(two), 0, 10) && !was(Some(two), 21, 30));
    assert!(was(None, 20, 21) && !was(None, 0, 19));
    assert_eq!(history.current(0), None);
    advance(SECOND).await;
    fake.put("a", one.text());
    advance(SECOND).await;
    fake.remove("a");
    let mut later = History::default();
    later.read_on(&fake, &["a".to_owned()]);
    let (first, second) = (begun + 20 * SECOND, begun + 22 * SECOND);
    let seen = later.absences(0, SECOND);
    assert_eq!(seen, [(first, Some(first + SECOND)), (second, None)]);
    assert_eq!(later.absences(0, 2 * SECOND), [(first, None)]);
    let together = |from: u32, to: u32, stamps: [Stamp; 2]| {
        let stamps = stamps.map(|stamp| (stamp.secret, stamp)).into();
        history.were_current_together(&stamps, begun + from * SECOND, begun + to * SECOND)
    };
    assert!(together(0, 15, [two, other]) && !together(0, 9, [two, other]));
    assert!(!together(0, 9, [one, other]));
}

#[tokio::test(start_paused = true)]
async fn it_is_quiet_since_the_last_disturbance_ended() {
    let mut disturbances = Disturbances::none(Instant::now());
    disturbances.begin("one");
    disturbances.begin("two");
    advance(SECOND).await;
    disturbances.end("one");
    assert_eq!(disturbances.quiet_since(), None);
    advance(SECOND).await;
    disturbances.end("two");
    let ended = Instant::now();
    advance(SECOND).await;
    disturbances.end("never begun");
    assert_eq!(disturbances.quiet_since(), Some(ended));
    disturbances.begin_of(3, "denied");
    assert_eq!(disturbances.quiet_since(), None);
    assert_eq!(disturbances.quiet_since_for(3), None);
    assert_eq!(disturbances.quiet_since_for(4), Some(ended));
    disturbances.end_of(3, "denied");
    assert_eq!(disturbances.quiet_since_for(3), Some(Instant::now()));
    assert_eq!(disturbances.quiet_since_for(4), Some(ended));
}

#[test]
fn a_failing_schedule_is_left_with_the_steps_that_it_needs() {
    let step = |action| Step { wait: SECOND, action };
    let mut long = plan(3);
    long.steps = (0..40).map(|number| step(Action::Refresh(number))).collect();
    long.steps[11] = step(Action::DenyListing);
    long.steps[29] = step(Action::Quota(1));
    let fails = |plan: &simulation::schedule::Plan| {
        let denied = plan.steps.iter().position(|step| step.action == Action::DenyListing)?;
        let quota = plan.steps.iter().position(|step| step.action == Action::Quota(1))?;
        let violation = Violation { invariant: "calls", what: String::new() };
        (denied < quota).then_some(Failure { violation, step: quota })
    };
    let (short, failure) = shrink(&long, fails(&long).expect("it fails"), fails);
    let actions: Vec<_> = short.steps.into_iter().map(|step| step.action).collect();
    assert_eq!((actions, failure.step), (vec![Action::DenyListing, Action::Quota(1)], 1));
}
