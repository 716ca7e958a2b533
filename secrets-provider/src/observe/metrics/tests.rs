//! What is counted, and when: reads, failures, generations, calls, ages.
//!
//! A recorder of its own listens in each test. The rules for Prometheus in `examples` may only name
//! metrics that exist.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;
use crate::{Layers, Live, Memory, SecretsManager};

/// Every metric that an async block recorded, as `name{label="value"} number`.
fn recorded(block: impl AsyncFnOnce()) -> Vec<String> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    metrics::with_local_recorder(&recorder, || runtime.block_on(block()));
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    let mut lines: Vec<String> = metrics
        .map(|(key, _, _, value)| {
            let labels =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
            let labels = labels.collect::<Vec<_>>().join(",");
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(value) => value.to_string(),
                DebugValue::Histogram(_) => unreachable!("no histogram is recorded"),
            };
            format!("{}{{{labels}}} {value}", key.key().name())
        })
        .collect();
    lines.sort();
    lines
}

fn settings(memory: &Memory) -> SecretsManager {
    SecretsManager::prefix("app").backend(memory.clone())
}

async fn live(manager: SecretsManager) -> Live<serde_json::Value> {
    let builder = Live::builder(manager).layers(|secrets| Layers::new().secrets(secrets));
    builder.refresh_every(Duration::from_secs(24 * 3600)).start().await.expect("settings")
}

#[test]
fn reads_failures_and_generations_are_counted() {
    let lines = recorded(async || {
        let memory = Memory::new();
        memory.put("app/a", "a-1");
        memory.put("app/b", "b-1");
        let settings = live(settings(&memory)).await;
        memory.put("app/a", "a-2");
        settings.refresh().await.expect("a refresh");
        memory.remove("app/b");
        settings.refresh().await.expect_err("one secret is missing");
    });
    let is_from_the_start = |line: &String| {
        [FAILED, CACHE_HITS, CACHE_MISSES].iter().any(|name| line.starts_with(name))
            && line.ends_with(" 0")
    };
    let (from_the_start, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(is_from_the_start);
    assert_eq!(from_the_start.len(), ErrorKind::ALL.len() + 1, "{from_the_start:?}");
    assert_eq!(
        lines,
        [
            "secrets_access_total{secret=app/a,result=new} 2",
            "secrets_access_total{secret=app/a,result=unchanged} 1",
            "secrets_access_total{secret=app/b,result=new} 1",
            "secrets_access_total{secret=app/b,result=unchanged} 1",
            "secrets_age_seconds{} 0",
            "secrets_failed_total{kind=not_found} 1",
            "secrets_fallback{} 0",
            "secrets_generation{} 2",
            "secrets_ready{} 1",
            "secrets_swaps_total{} 1",
        ]
    );
}

/// Each of several sources has an age of its own, which grows while only that one fails.
#[test]
fn each_of_several_sources_has_an_age() {
    let start = async |sources: crate::Sources| -> Live<serde_json::Value> {
        let builder = Live::builder(sources).layers(|secrets| Layers::new().secrets(secrets));
        builder.refresh_every(Duration::from_secs(600)).start().await.expect("settings")
    };
    let lines = recorded(async || {
        let (team, own) = (Memory::new(), Memory::new());
        team.put("app/a", "a-1");
        own.put("app/b", "b-1");
        let of_team = settings(&team).source_name("team");
        let settings = start(of_team.and(settings(&own))).await;
        team.remove("app/a");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        settings.refresh().await.expect_err("one source has lost its secret");
    });
    let age = |labels: &str| -> f64 {
        let name = format!("secrets_source_age_seconds{{{labels}}} ");
        let age = lines.iter().find_map(|line| line.strip_prefix(name.as_str()));
        age.expect("an age").parse().expect("a number")
    };
    assert_eq!(age("source=app"), 0.0);
    let of_team = age("source=team");
    assert!(of_team > 2900.0, "{of_team}");
    // The age of the whole is that of the oldest.
    let whole = lines.iter().find_map(|line| line.strip_prefix("secrets_age_seconds{} "));
    assert_eq!(whole.expect("an age").parse::<f64>().expect("a number"), of_team);

    let lines = recorded(async || {
        let memory = Memory::new();
        memory.put("app/a", "a-1");
        let _settings = start(settings(&memory).into()).await;
    });
    assert!(!lines.iter().any(|line| line.contains("source")), "{lines:?}");
}

#[cfg(feature = "sqs")]
#[test]
fn the_queue_of_a_push_has_gauges() {
    use crate::observe::status::Progress;
    let lines = recorded(async || {
        let memory = Memory::new();
        memory.put("app/a", "a-1");
        let settings = live(settings(&memory)).await;
        let progress = std::sync::Arc::new(Progress::new("https://queue/1/q".into()));
        let mut status = settings.status();
        status.set_push(Some(progress.clone()), None);
        record_status(&status);
        progress.connected();
        progress.served(std::time::SystemTime::now() - Duration::from_secs(90));
        record_status(&status);
    });
    let of_push: Vec<_> = lines.iter().filter(|line| line.contains("push")).collect();
    assert_eq!(of_push[0], "secrets_push_connected{} 1");
    let lag = of_push[1].strip_prefix("secrets_push_lag_seconds{} ").expect("the lag");
    assert!(lag.starts_with("90"), "{lag}");
}

#[test]
fn lookups_are_counted_as_hits_misses_and_failures() {
    let lines = recorded(async || {
        let memory = Memory::new();
        memory.put("app/a", "a-1");
        let secrets = settings(&memory).lookup();
        for _ in 0..3 {
            secrets.get::<String>("a").await.expect("a value");
        }
        for _ in 0..2 {
            secrets.get::<String>("missing").await.expect_err("there is none");
        }
        let optional = secrets.get::<String>("missing").optional().await;
        assert_eq!(optional.expect("no failure"), None);
    });
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.ends_with(" 0")).collect();
    assert_eq!(
        lines,
        [
            "secrets_access_total{secret=app/a,result=new} 1",
            "secrets_cache_hits_total{} 4",
            "secrets_cache_misses_total{} 2",
            "secrets_failed_total{kind=not_found} 2",
        ]
    );
}

#[test]
fn the_age_grows_while_nothing_succeeds() {
    let lines = recorded(async || {
        let memory = Memory::new();
        memory.put("app/a", "a-1");
        let settings = live(settings(&memory)).await;
        settings.shutdown().await;
        tokio::time::sleep(Duration::from_secs(4 * 24 * 3600)).await;
        drop(settings);
    });
    let age =
        lines.iter().find_map(|line| line.strip_prefix("secrets_age_seconds{} ")).expect("an age");
    let age: f64 = age.parse().expect("a number");
    assert!((345_000.0..=345_600.0).contains(&age), "{age}");
    assert!(lines.contains(&"secrets_ready{} 0".to_owned()), "{lines:?}");
}

#[cfg(feature = "aws")]
#[test]
fn calls_are_counted_by_operation() {
    let lines = recorded(async || {
        record_call("GetSecretValue");
        record_call("GetSecretValue");
        record_call("ListSecrets");
    });
    assert_eq!(
        lines,
        [
            "secrets_api_calls_total{operation=GetSecretValue} 2",
            "secrets_api_calls_total{operation=ListSecrets} 1"
        ]
    );
}

#[test]
fn rotations_are_counted_by_result() {
    let lines = recorded(async || {
        let memory = Memory::new();
        memory.put("app/a", "a-1");
        let manager = settings(&memory);
        manager.rotation("a").password("").run().await.expect("a rotation");
        manager.rotation("b").password("").run().await.expect_err("no secret");
        manager.rotate("a").await.expect_err("the store has no rotation");
        let inner = manager.clone();
        let second = manager.rotation("a").generate("", move || {
            let inner = inner.clone();
            async move {
                inner.rotation("a").password("").run().await.expect("a rotation");
                Ok::<_, crate::Rejected>("late")
            }
        });
        assert!(second.run().await.expect_err("another came first").is_superseded());
    });
    assert_eq!(
        lines,
        [
            "secrets_rotations_total{result=failed} 2",
            "secrets_rotations_total{result=rotated} 2",
            "secrets_rotations_total{result=superseded} 1",
        ]
    );
}

/// The Prometheus rules in the examples only name metrics that exist.
#[test]
fn the_prometheus_rules_name_existing_metrics() {
    let rules = include_str!("../../../../examples/prometheus/secrets-provider.rules.yml");
    let known = [
        ACCESS,
        FAILED,
        CACHE_HITS,
        CACHE_MISSES,
        API_CALLS,
        SWAPS,
        ROTATIONS,
        AGE,
        SOURCE_AGE,
        FAILOVER,
        GENERATION,
        READY,
        FALLBACK,
    ];
    let expressions: String =
        rules.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let words = expressions.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut named = 0;
    for word in words.filter(|word| word.starts_with("secrets_")) {
        let recorded = ["secrets_cache_hit_ratio", "secrets_lookup_hit_ratio"].contains(&word);
        assert!(recorded || known.contains(&word), "{word} is not measured");
        named += 1;
    }
    assert!(named > 10, "the rules were read");
}
