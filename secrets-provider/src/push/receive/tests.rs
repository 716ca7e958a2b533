use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::*;
use crate::engine::trigger::Asks;
use crate::error::ErrorKind;
use crate::observe::status::PushState;

const SPREAD: Duration = Duration::from_millis(1500);

/// The bodies that a receive brings, or why it fails.
type Answer = Result<Vec<String>, ErrorKind>;

/// A queue that answers as it is scripted, each answer after a wait; then it has no messages.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<(Duration, Answer)>>,
    received_at: Mutex<Vec<Instant>>,
    deleted: Mutex<Vec<String>>,
    refuses_deletion: bool,
    /// The next receive is the first of a queue that was made just now.
    begins: AtomicBool,
    trouble: Option<ErrorKind>,
}

impl Queue for Scripted {
    fn receive(&self) -> BoxFuture<'_, Result<Received, Error>> {
        async move {
            self.received_at.lock().expect("no panic").push(Instant::now());
            let answer = self.answers.lock().expect("no panic").pop_front();
            let (wait, answer) = answer.unwrap_or((Duration::from_secs(20), Ok(Vec::new())));
            sleep(wait).await;
            let bodies = answer.map_err(|kind| Error::new(kind, "queue `1/q`: refused"))?;
            let message = |(at, body)| Message { body, receipt: Some(format!("receipt-{at}")) };
            let may_have_missed = self.begins.swap(false, Ordering::Relaxed);
            let trouble = self.trouble.map(|kind| Error::new(kind, "queue `1/q`: not renewed"));
            let messages = bodies.into_iter().enumerate().map(message).collect();
            Ok(Received { messages, may_have_missed, trouble })
        }
        .boxed()
    }

    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<(), Error>> {
        self.deleted.lock().expect("no panic").extend(receipts);
        let result = match self.refuses_deletion {
            true => Err(Error::new(ErrorKind::AccessDenied, "queue `1/q`: refused")),
            false => Ok(()),
        };
        std::future::ready(result).boxed()
    }
}

fn event(secret: &str, version: &str) -> String {
    json!({
        "detail-type": "Secret Label Updated",
        "detail": {"name": format!("app/{secret}"), "labelUpdated": "AWSCURRENT", "versionId": version},
    })
    .to_string()
}

fn started(
    answers: impl IntoIterator<Item = (u64, Answer)>,
    spread: Duration,
) -> (Arc<Scripted>, Arc<Progress>, impl Stream<Item = Trigger> + Send + 'static) {
    let answers = answers.into_iter().map(|(ms, answer)| (Duration::from_millis(ms), answer));
    let queue = Scripted { answers: Mutex::new(answers.collect()), ..Scripted::default() };
    serving(queue, spread)
}

fn serving(
    queue: Scripted,
    spread: Duration,
) -> (Arc<Scripted>, Arc<Progress>, impl Stream<Item = Trigger> + Send + 'static) {
    let (queue, progress) = (Arc::new(queue), Arc::new(Progress::new("https://q/1/q".into())));
    let manager = crate::load::manager::SecretsManager::prefix("app");
    let plan = manager.description().choice.plan().expect("a plan");
    let options = Options { label: "AWSCURRENT".into(), spread, plan };
    (queue.clone(), progress.clone(), hints(queue, options, progress))
}

fn secret(trigger: Option<Trigger>) -> String {
    match trigger.expect("a trigger").asks {
        Asks::Secret(hint) => {
            let name = hint.secret.strip_prefix("app/").expect("one that is selected");
            format!("{name}@{}", hint.version.unwrap_or_default())
        }
        Asks::Read(scope) => panic!("{scope:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_within_the_spread_is_handed_on_together() {
    let begun = Instant::now();
    let (queue, progress, hints) = started(
        [
            (100, Ok(vec![event("a", "v1"), event("b", "v1"), event("a", "v1")])),
            // Within the wait that the first one began, if that is long enough.
            (1, Ok(vec![event("c", "v1"), "garbage".into()])),
        ],
        SPREAD,
    );
    let mut hints = std::pin::pin!(hints);
    let first = secret(hints.next().await);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(100) && took <= Duration::from_millis(101) + SPREAD);
    let mut all = vec![first, secret(hints.next().await), secret(hints.next().await)];
    all.sort();
    assert_eq!(all, ["a@v1", "b@v1", "c@v1"], "each once");
    let status = progress.status();
    assert_eq!((status.hints(), status.unknown()), (4, 1));
    assert_eq!(status.state(), PushState::Connected);
    assert_eq!(queue.deleted.lock().expect("no panic").len(), 5, "garbage too");
}

#[tokio::test(start_paused = true)]
async fn waits_are_spread_evenly() {
    let mut waits = Vec::new();
    for _ in 0..400 {
        let begun = Instant::now();
        let (_, _, hints) = started([(0, Ok(vec![event("a", "v")]))], SPREAD);
        secret(std::pin::pin!(hints).next().await);
        waits.push(begun.elapsed());
    }
    for quarter in 0..4 {
        let part = (SPREAD / 4 * quarter)..(SPREAD / 4 * (quarter + 1));
        let within = waits.iter().filter(|wait| part.contains(*wait)).count();
        // 100 are expected, give or take 9.
        assert!((50..150).contains(&within), "{within} of 400 in {part:?}");
    }
    assert!(waits.iter().max() <= Some(&(SPREAD + Duration::from_millis(1))));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_is_received_again_with_growing_waits_and_recovers() {
    let failures: Vec<_> = [
        ErrorKind::Unavailable,
        ErrorKind::AccessDenied,
        ErrorKind::NotFound,
        ErrorKind::Throttled,
    ]
    .into_iter()
    .cycle()
    .take(12)
    .collect();
    let answers = failures.iter().map(|kind| (0, Err(*kind)));
    let (queue, progress, hints) =
        started(answers.chain([(0, Ok(vec![event("a", "v")]))]), Duration::ZERO);
    let mut hints = std::pin::pin!(hints);
    assert_eq!(secret(hints.next().await), "a@v");
    assert_eq!(progress.status().state(), PushState::Connected);
    let last = progress.status().last_error().expect("an error").kind();
    assert_eq!(last, *failures.last().expect("one"), "it stays visible");
    let at = queue.received_at.lock().expect("no panic").clone();
    let waits: Vec<f64> = at.windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect();
    for (wait, full) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
        assert!((full / 2.0 - 0.01..=full + 0.01).contains(wait), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn states_follow_the_kind_of_the_last_failure() {
    for (kind, state) in [
        (ErrorKind::Unavailable, PushState::Retrying),
        (ErrorKind::Throttled, PushState::Retrying),
        (ErrorKind::AccessDenied, PushState::Denied),
        (ErrorKind::NotFound, PushState::Denied),
        (ErrorKind::Config, PushState::Denied),
    ] {
        let (_, progress, hints) = started([(0, Err(kind))], Duration::ZERO);
        let mut hints = std::pin::pin!(hints);
        assert_eq!(progress.status().state(), PushState::Connecting);
        let waited = tokio::time::timeout(Duration::from_millis(10), hints.next()).await;
        assert!(waited.is_err(), "nothing is handed on");
        assert_eq!(progress.status().state(), state, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_delays_no_receive_and_loses_no_secret() {
    let bodies = |n: u64| (0..10).map(move |at| event(&format!("s{}", n * 10 + at), "v")).collect();
    let (queue, _, hints) = started((0..50).map(|n| (1, Ok(bodies(n)))), Duration::ZERO);
    let mut hints = std::pin::pin!(hints);
    let mut seen = std::collections::BTreeSet::from([secret(hints.next().await)]);
    // As a refresh that takes long: the stream is not polled.
    sleep(Duration::from_secs(30)).await;
    assert_eq!(queue.deleted.lock().expect("no panic").len(), 500);
    while seen.len() < 500 {
        seen.insert(secret(hints.next().await));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_gathered_is_bounded() {
    let bodies = |n: u64| (0..10).map(move |at| event(&format!("s{}", n * 10 + at), "v")).collect();
    let (_, progress, hints) =
        started((0..1000).map(|n| (0, Ok(bodies(n)))), Duration::from_secs(60));
    let mut hints = std::pin::pin!(hints);
    hints.next().await;
    let mut number = 1;
    while tokio::time::timeout(Duration::from_secs(120), hints.next()).await.is_ok() {
        number += 1;
    }
    assert_eq!(progress.status().hints(), 10_000);
    assert!(number <= 2 * MAX_GATHERED + 1, "{number}");
    assert_eq!(progress.status().dropped(), 10_000 - number as u64);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_deleted_is_a_hint_all_the_same() {
    let answers = Mutex::new([(Duration::ZERO, Ok(vec![event("a", "v")]))].into());
    let queue = Scripted { answers, refuses_deletion: true, ..Scripted::default() };
    let (_, progress, hints) = serving(queue, Duration::ZERO);
    assert_eq!(secret(std::pin::pin!(hints).next().await), "a@v");
    assert_eq!(progress.status().state(), PushState::Connected);
}

#[tokio::test(start_paused = true)]
async fn receiving_ends_with_the_stream() {
    let (queue, _, hints) = started([(0, Ok(vec![event("a", "v")]))], Duration::ZERO);
    let mut hints = Box::pin(hints);
    hints.next().await;
    drop(hints);
    let receives = queue.received_at.lock().expect("no panic").len();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(queue.received_at.lock().expect("no panic").len(), receives);
    assert_eq!(Arc::strong_count(&queue), 1, "the task has dropped it");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_comes_back_empty_at_once_is_not_asked_without_end() {
    let (queue, progress, hints) =
        started((0..100_000).map(|_| (1, Ok(Vec::new()))), Duration::ZERO);
    let mut hints = std::pin::pin!(hints);
    let waited = tokio::time::timeout(Duration::from_secs(600), hints.next()).await;
    assert!(waited.is_err(), "nothing is handed on");
    let receives = queue.received_at.lock().expect("no panic").len();
    assert!(receives < 40, "{receives} in ten minutes");
    assert_eq!(progress.status().state(), PushState::Connected);
}

#[tokio::test(start_paused = true)]
async fn hints_of_secrets_that_are_not_selected_take_no_room() {
    let forged = |n: u64| (0..10).map(move |at| event(&format!("../s{}", n * 10 + at), "v"));
    let others = |n: u64| forged(n).map(|body| body.replace("app/../", "other/")).collect();
    let answers = (0..1000).map(|n| (0, Ok(others(n)))).chain([(0, Ok(vec![event("a", "v")]))]);
    let (queue, progress, hints) = started(answers, Duration::from_secs(60));
    let mut hints = std::pin::pin!(hints);
    assert_eq!(secret(hints.next().await), "a@v");
    let waited = tokio::time::timeout(Duration::from_secs(120), hints.next()).await;
    assert!(waited.is_err(), "nothing else is handed on");
    assert_eq!((progress.status().hints(), progress.status().dropped()), (10_001, 0));
    assert_eq!(queue.deleted.lock().expect("no panic").len(), 10_001);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_was_made_just_now_causes_one_read_of_what_may_have_been_missed() {
    let queue = Scripted { begins: true.into(), ..Scripted::default() };
    let begun = Instant::now();
    let (queue, progress, hints) = serving(queue, SPREAD);
    queue.answers.lock().expect("no panic").push_back((Duration::ZERO, Ok(Vec::new())));
    let mut hints = std::pin::pin!(hints);
    let first = hints.next().await.expect("a trigger");
    assert!(matches!(first.asks, Asks::Read(_)), "{first:?}");
    assert!(begun.elapsed() <= SPREAD + Duration::from_millis(1));
    assert_eq!(progress.status().state(), PushState::Connected);
    let waited = tokio::time::timeout(Duration::from_secs(60), hints.next()).await;
    assert!(waited.is_err(), "one");
}

#[tokio::test(start_paused = true)]
async fn what_fails_beside_receiving_is_in_the_status_and_hinders_no_hint() {
    let answers = Mutex::new([(Duration::ZERO, Ok(vec![event("a", "v")]))].into());
    let trouble = Some(ErrorKind::AccessDenied);
    let (_, progress, hints) =
        serving(Scripted { answers, trouble, ..Scripted::default() }, SPREAD);
    assert_eq!(secret(std::pin::pin!(hints).next().await), "a@v");
    let status = progress.status();
    assert_eq!(status.state(), PushState::Connected);
    assert_eq!(status.last_error().expect("an error").kind(), ErrorKind::AccessDenied);
}
