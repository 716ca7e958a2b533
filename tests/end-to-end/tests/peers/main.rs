//! `Push::peers`: replicas that pass hints on to each other, as processes on loopback; and peers that
//! refuse, hang or have another token.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::post;
use end_to_end::Log;
use fake_secrets_manager::FakeSecretsManager;
use futures_util::stream;
use process::Peer;
use secrets_provider::{
    ErrorKind, Layers, Live, Memory, PeersStatus, Push, SecretsManager, Trigger,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const TOKEN: &str = "t0ken-of-this-test";

/// How many processes, and how often the secret changes.
const PROCESSES: usize = 20;
const ROTATIONS: usize = 50;

/// A limit for what should take a moment.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(serde::Deserialize)]
struct Settings {
    password: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hint_makes_twenty_processes_current_without_an_echo() {
    let fake = FakeSecretsManager::start().await.unwrap();
    fake.put("app", r#"{"password": "password-0"}"#);
    let mut peers: Vec<Peer> =
        (0..PROCESSES).map(|n| Peer::start(&fake.endpoint_url(), n)).collect();
    let addresses: Vec<String> = peers.iter_mut().map(Peer::address).collect();
    for peer in &mut peers {
        peer.say(&addresses.join(","));
    }
    for peer in &mut peers {
        assert_eq!(peer.next(), "live password-0");
    }
    fake.reset_calls();
    let client = fake.client();
    let mut times = Vec::new();
    for n in 1..=ROTATIONS {
        let put = client.put_secret_value().secret_id("app");
        let put = put.secret_string(format!(r#"{{"password": "password-{n}"}}"#));
        let version = put.send().await.unwrap().version_id.unwrap();
        let begun = Instant::now();
        peers[n % PROCESSES].say(&format!("app {version}"));
        for peer in &mut peers {
            assert_eq!(peer.next(), format!("live password-{n}"));
            times.push(begun.elapsed());
        }
    }
    times.sort();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{PROCESSES} processes, {ROTATIONS} rotations: p50 {p50:?}, p99 {p99:?}");
    assert!(p50 < Duration::from_secs(5), "{p50:?}");
    for peer in &mut peers {
        peer.say("posts");
        assert_eq!(peer.next(), format!("posts {ROTATIONS}"), "one for each hint, and no echo");
    }
    let reads = fake.calls("GetSecretValue");
    assert_eq!(reads, PROCESSES * ROTATIONS, "each process reads a version once");
}

/// The process of [`Peer::start`]; otherwise it does nothing.
#[tokio::test]
async fn process() {
    process::run().await;
}

/// Live settings that pass on the hints which the sender sends.
async fn passing(addresses: &str) -> (Live<Settings>, UnboundedSender<Trigger>) {
    let secrets = Memory::new();
    secrets.put("app", r#"{"password": "value"}"#);
    let (sender, receiver) = unbounded_channel();
    let hints = stream::unfold(receiver, async |mut receiver| {
        let hint = tokio::sync::mpsc::UnboundedReceiver::recv(&mut receiver).await?;
        Some((hint, receiver))
    });
    let settings = Live::builder(SecretsManager::prefix("app").backend(secrets))
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_on(hints)
        .push(Push::peers(addresses, TOKEN))
        .start();
    (settings.await.unwrap(), sender)
}

/// Its state, once so many hints were passed on or lost.
async fn after(settings: &Live<Settings>, calls: u64) -> PeersStatus {
    let waiting = async {
        loop {
            let status = settings.status().peers().unwrap();
            if status.delivered() + status.failed() >= calls {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}

/// A server whose refresh route answers so, and how often it was called.
async fn answering(status: StatusCode) -> (String, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let route = post(async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        status
    });
    (serve(Router::new().route("/refresh", route)).await, calls)
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_peer_that_fails_keeps_no_hint_from_the_others_and_is_retried_once_at_most() {
    let (good, good_calls) = answering(StatusCode::OK).await;
    let (other_token, denied_calls) = answering(StatusCode::UNAUTHORIZED).await;
    let (broken, broken_calls) = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    // It accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent_at = silent.local_addr().unwrap();
    let all = format!("{good},{other_token},{broken},{silent_at},{closed}");
    let (settings, hint) = passing(&all).await;
    let begun = Instant::now();
    hint.send(Trigger::secret("app").version("2")).unwrap();
    let status = after(&settings, 5).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!((status.peers(), status.delivered(), status.failed()), (5, 1, 4), "{status:?}");
    assert!(status.is_failing());
    let calls = [good_calls, denied_calls, broken_calls].map(|calls| calls.load(Ordering::Relaxed));
    assert_eq!(calls, [1, 1, 2]);
    let shown = status.last_error().unwrap().message().to_owned();
    assert!(shown.contains("4 of 5 peers") && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn another_token_is_an_error_that_says_so_and_a_success_ends_it() {
    let (refusing, _) = answering(StatusCode::UNAUTHORIZED).await;
    let (settings, hint) = passing(&refusing).await;
    hint.send(Trigger::secret("app").version("2")).unwrap();
    let status = after(&settings, 1).await;
    let error = status.last_error().unwrap();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(error.message().contains("same refresh token"), "{}", error.message());
}

#[tokio::test]
async fn a_failure_is_one_warning_and_its_end_is_logged_once() {
    let healthy = Arc::new(AtomicBool::new(false));
    let answer = healthy.clone();
    let route = post(async move || match answer.load(Ordering::Relaxed) {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    });
    let (log, _guard) = Log::start();
    let (settings, hint) = passing(&serve(Router::new().route("/refresh", route)).await).await;
    let mut version = 1;
    let mut pass_on = async |is_healthy: bool| {
        healthy.store(is_healthy, Ordering::Relaxed);
        version += 1;
        hint.send(Trigger::secret("app").version(version.to_string())).unwrap();
        let status = after(&settings, version - 1).await;
        assert_eq!(status.is_failing(), !is_healthy, "{status:?}");
        assert_eq!(status.last_error().unwrap().kind(), ErrorKind::NotFound, "the last one stays");
    };
    for is_healthy in [false, false, false, true, true, false] {
        pass_on(is_healthy).await;
    }
    let text = log.text();
    let lines = |level: &str, event: &str| {
        text.lines().filter(|line| line.contains(level) && line.contains(event)).count()
    };
    assert_eq!(lines("WARN", "peers_failed"), 2, "{text}");
    assert_eq!(lines("INFO", "peers_recovered"), 1, "{text}");
    assert!(!text.contains(TOKEN));
}

/// Only Linux has more than one loopback address.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hundred_peers_get_a_hint_each() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let route = post(async move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router: Router = Router::new().route("/refresh", route);
    tokio::spawn(async { axum::serve(listener, router).await });
    let addresses: Vec<String> = (1..=100).map(|n| format!("127.0.1.{n}:{port}")).collect();
    let (settings, hint) = passing(&addresses.join(",")).await;
    hint.send(Trigger::secret("app").version("2")).unwrap();
    let status = after(&settings, 100).await;
    assert_eq!((status.peers(), status.delivered(), status.failed()), (100, 100, 0));
    assert_eq!(calls.load(Ordering::Relaxed), 100);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (target, calls) = answering(StatusCode::OK).await;
    let to = format!("http://{target}/refresh");
    let route = post(async move || Redirect::temporary(&to));
    let (settings, hint) = passing(&serve(Router::new().route("/refresh", route)).await).await;
    hint.send(Trigger::secret("app").version("2")).unwrap();
    let status = after(&settings, 1).await;
    assert_eq!((status.delivered(), calls.load(Ordering::Relaxed)), (0, 0), "{status:?}");
}

#[tokio::test]
async fn a_storm_of_one_hint_is_passed_on_once_and_many_hints_once_each() {
    let (peer, calls) = answering(StatusCode::OK).await;
    let (settings, hint) = passing(&peer).await;
    for _ in 0..1000 {
        hint.send(Trigger::secret("app").version("2")).unwrap();
        // It names no secret, so it is for this replica.
        hint.send(Trigger::new("a timer")).unwrap();
    }
    for n in 0..100 {
        hint.send(Trigger::secret(format!("app/{n}")).version("1")).unwrap();
    }
    let status = after(&settings, 101).await;
    assert_eq!((status.delivered(), status.failed(), calls.load(Ordering::Relaxed)), (101, 0, 101));
    assert!(!status.is_failing());
    // Back to the version before: that is a change, and no repeat.
    for version in ["3", "2"] {
        hint.send(Trigger::secret("app").version(version)).unwrap();
    }
    assert_eq!(after(&settings, 103).await.delivered(), 103);
}

#[tokio::test]
async fn what_cannot_be_used_is_an_error_at_the_start_that_does_not_show_the_token() {
    for (addresses, token) in [
        ("gaara.svc", TOKEN),
        ("https://gaara.svc:8081", TOKEN),
        ("gaara.svc:8081", "t0ken of this test"),
        ("gaara.svc:8081", ""),
    ] {
        let secrets = Memory::new();
        secrets.put("app", r#"{"password": "value"}"#);
        let manager = SecretsManager::prefix("app").backend(secrets);
        let error = Live::<Settings>::builder(manager).push(Push::peers(addresses, token));
        let error = error.start().await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(!format!("{error:?} {error}").contains("t0ken"), "{error}");
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_counted() {
    let (settings, hint) = passing("peers.invalid:80").await;
    hint.send(Trigger::secret("app").version("2")).unwrap();
    let status = after(&settings, 1).await;
    assert_eq!((status.peers(), status.failed()), (0, 1));
    assert!(status.last_error().unwrap().message().contains("no address"), "{status:?}");
}
