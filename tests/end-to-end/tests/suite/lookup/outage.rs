//! What is served while AWS fails.

use end_to_end::Log;

use super::*;

/// The store answers again, and the value is fresh without anyone asking.
async fn recovers(secrets: &Lookup) {
    for _ in 0..10_000 {
        if secrets.stats().stale().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it is not tried again");
}

#[tokio::test(start_paused = true)]
async fn the_last_good_value_survives_each_fault_and_the_call_is_tried_again_behind_it() {
    for fault in [
        Fault::drop_connection(),
        Fault::hang(),
        Fault::truncated_body(),
        Fault::malformed_body(),
        Fault::html(502),
        Fault::internal_error(),
        Fault::throttled(),
        Fault::error("ExpiredTokenException", 400, "expired"),
        Fault::error("AccessDeniedException", 400, "denied"),
        Fault::error("ResourceNotFoundException", 400, "gone"),
    ] {
        let case = format!("{fault:?}");
        let fake = fake();
        let secrets = manager(&fake).timeout(Duration::from_secs(20)).lookup();
        text(&secrets, "database-url").await.unwrap();
        fake.inject(fault);
        fake.put("app/database-url", "postgres://two");
        tokio::time::sleep(LATER).await;
        assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one", "{case}");
        let stats = secrets.stats();
        assert_eq!(
            (stats.stale(), stats.failures()),
            (&["database-url".to_owned()][..], 1),
            "{case}"
        );
        // From now on, no one waits for a call that fails.
        let calls = fake.total_calls();
        for _ in 0..100 {
            assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one", "{case}");
        }
        assert_eq!(fake.total_calls(), calls, "{case}");
        secrets.get::<String>("database-url").refresh().await.expect_err("past the cache");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(secrets.stats().failures() > 5, "{case}: it is tried again");
        assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one", "{case}");

        fake.clear_faults();
        recovers(&secrets).await;
        assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://two", "{case}");
    }
}

/// Backoff up to the time to live, and then only for secrets that someone uses.
#[tokio::test(start_paused = true)]
async fn an_outage_makes_few_calls() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    text(&secrets, "database-url").await.unwrap();
    tokio::time::sleep(LATER).await;
    fake.inject(Fault::error("AccessDeniedException", 400, "denied"));
    fake.reset_calls();
    text(&secrets, "database-url").await.unwrap();
    tokio::time::sleep(Duration::from_secs(7 * 24 * 3600)).await;
    let unused = reads(&fake);
    assert!((5..=40).contains(&unused), "{unused} calls in a week without use");
    fake.reset_calls();
    for _ in 0..3600 {
        text(&secrets, "database-url").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let used = reads(&fake);
    assert!((8..=16).contains(&used), "{used} calls in an hour of use, one for each 300 s");
    assert_eq!(secrets.stats().stale(), ["database-url"]);
}

/// The cache writes down only the use of another name than the last one. That must not make a secret
/// that is used look like one that no one needs.
#[tokio::test(start_paused = true)]
async fn the_only_secret_in_use_is_tried_again_behind_its_value() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    text(&secrets, "database-url").await.unwrap();
    fake.inject(Fault::error("AccessDeniedException", 400, "denied"));
    fake.put("app/database-url", "postgres://two");
    tokio::time::sleep(LATER).await;
    text(&secrets, "database-url").await.unwrap();
    // Waits are as long as the time to live now, and no one has used it meanwhile.
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    // It is due, so it is tried behind this caller, without success.
    text(&secrets, "database-url").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one");
    fake.clear_faults();
    tokio::time::sleep(Duration::from_secs(331)).await;
    assert!(secrets.stats().stale().is_empty(), "it was used since the last try");
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://two");
}

#[tokio::test(start_paused = true)]
async fn after_max_stale_the_value_is_gone() {
    let fake = fake();
    let secrets = manager(&fake).lookup().max_stale(Duration::from_secs(60));
    text(&secrets, "database-url").await.unwrap();
    fake.inject(Fault::error("AccessDeniedException", 400, "denied"));
    tokio::time::sleep(LATER).await;
    text(&secrets, "database-url").await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(secrets.stats().secrets().is_empty(), "before the next lookup, too");
    assert_eq!(text(&secrets, "database-url").await.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert!(secrets.stats().secrets().is_empty());

    // A value that is still there, because the read behind it has not ended, is none of them.
    fake.clear_faults();
    let hanging = manager(&fake).timeout(Duration::from_secs(3600)).lookup();
    let hanging = hanging.max_stale(Duration::from_secs(60));
    text(&hanging, "database-url").await.unwrap();
    fake.inject(Fault::error("AccessDeniedException", 400, "denied"));
    tokio::time::sleep(LATER).await;
    text(&hanging, "database-url").await.unwrap();
    fake.clear_faults();
    fake.inject(Fault::hang());
    assert_eq!(hanging.stats().stale(), ["database-url"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(hanging.stats().secrets().is_empty() && hanging.stats().stale().is_empty());
    drop(hanging);

    let strict = manager(&fake).lookup().max_stale(Duration::ZERO);
    fake.clear_faults();
    text(&strict, "database-url").await.unwrap();
    tokio::time::sleep(LATER).await;
    fake.inject(Fault::unavailable());
    assert_eq!(text(&strict, "database-url").await.unwrap_err().kind(), ErrorKind::Unavailable);
    fake.clear_faults();
    text(&strict, "database-url").await.expect("one failure is not remembered");
}

/// A secret without a value fails, and its callers share the calls that find the store unavailable.
#[tokio::test(start_paused = true)]
async fn an_outage_makes_few_calls_for_a_secret_that_was_never_read() {
    for fault in [Fault::unavailable(), Fault::throttled(), Fault::drop_connection()] {
        let case = format!("{fault:?}");
        let fake = fake();
        let secrets = manager(&fake).lookup();
        fake.inject(fault);
        let fails = async || text(&secrets, "database-url").await.unwrap_err().kind();
        let kind = fails().await;
        assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Throttled), "{case}: {kind:?}");
        let of_one = reads(&fake);
        for _ in 0..50 {
            assert_eq!(fails().await, kind, "{case}");
        }
        assert_eq!(reads(&fake), 2 * of_one, "{case}: the second failure is remembered");
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            fails().await;
        }
        let calls = reads(&fake) / of_one;
        assert!((5..=30).contains(&calls), "{case}: {calls} reads in a minute");

        fake.clear_faults();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one", "{case}");
        secrets.forget("database-url");
        fake.inject(Fault::unavailable().times(1));
        let refreshed = async || secrets.get::<String>("database-url").refresh().await;
        let _ = refreshed().await;
        refreshed().await.expect("past what is remembered");
    }
}

/// Who watches the log sees each try, and the whole message only when it is a new one.
#[tokio::test(start_paused = true)]
async fn a_failure_that_is_repeated_is_logged_in_one_line() {
    let (log, _logging) = Log::start();
    let fake = fake();
    let secrets = manager(&fake).lookup();
    text(&secrets, "database-url").await.unwrap();
    let repeated = async |fault, tries: usize| {
        let before = log.text().len();
        fake.clear_faults();
        fake.inject(fault);
        let events = || log.text()[before..].matches("stale_secret_served").count();
        while events() < tries {
            let _ = text(&secrets, "database-url").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let logged = log.text()[before..].to_owned();
        let events: Vec<_> =
            logged.lines().filter(|line| line.contains("stale_secret_served")).collect();
        events.iter().map(|line| line.contains("repeated=true")).collect::<Vec<_>>()
    };
    tokio::time::sleep(LATER).await;
    let denied = || Fault::error("AccessDeniedException", 400, "denied");
    assert_eq!(repeated(denied(), 3).await[..3], [false, true, true]);
    let gone = Fault::error("ResourceNotFoundException", 400, "gone");
    assert_eq!(repeated(gone, 2).await[..2], [false, true], "another failure");
    assert_eq!(repeated(denied(), 1).await[..1], [false], "and the first one again");
}

#[tokio::test(start_paused = true)]
async fn an_optional_secret_that_is_absent_is_logged_once() {
    let (log, _logging) = Log::start();
    let fake = fake();
    fake.put("app/denied", "d");
    fake.deny_secret("app/denied");
    let secrets = manager(&fake).lookup();
    for _ in 0..100 {
        for name in ["missing", "denied"] {
            let found = secrets.get::<String>(name).optional().await.unwrap();
            assert_eq!(found, None);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(log.text().matches("optional_secret_absent").count(), 2);
}

/// A value that came with the last read is served even if it does not fit one caller's type.
#[tokio::test(start_paused = true)]
async fn a_malformed_value_does_not_replace_the_last_good_one() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    assert_eq!(secrets.get::<u16>("database/primary").key("port").await.unwrap(), 5432);
    fake.put("app/database/primary", r#"{"port": 1, "port": 2}"#);
    tokio::time::sleep(LATER).await;
    assert_eq!(secrets.get::<u16>("database/primary").key("port").await.unwrap(), 5432);
    let error = secrets.get::<Login>("database/primary").refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    fake.put("app/database/primary", r#"{"port": 3}"#);
    recovers(&secrets).await;
    assert_eq!(secrets.get::<u16>("database/primary").key("port").await.unwrap(), 3);
}

/// The task that tries again does not keep the lookup, nor what it holds.
#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_for_a_lookup_that_is_gone() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    text(&secrets, "database-url").await.unwrap();
    fake.inject(Fault::error("AccessDeniedException", 400, "denied"));
    tokio::time::sleep(LATER).await;
    text(&secrets, "database-url").await.unwrap();
    let calls = reads(&fake);
    drop(secrets);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(reads(&fake), calls);
}
