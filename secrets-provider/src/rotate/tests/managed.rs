//! The store's own rotation, started and awaited.

use fake_secrets_manager::{Fault, RotationStep, Step};

use super::*;
use crate::error::ErrorKind;

const NEW: &str = r#"{"username":"app","password":"the-second-one"}"#;

fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    fake.put(NAME, TEXT);
    fake
}

fn manager(fake: &FakeSecretsManager) -> SecretsManager {
    SecretsManager::prefix("app").client(fake.client())
}

/// What a rotation function does.
async fn work(step: RotationStep) -> Result<(), String> {
    let (client, id, token) = (step.client(), step.secret_id(), step.client_request_token());
    match step.step() {
        Step::CreateSecret => {
            let put = client.put_secret_value().secret_id(id).client_request_token(token);
            put.secret_string(NEW)
                .version_stages("AWSPENDING")
                .send()
                .await
                .map(drop)
                .map_err(|_| "put".to_owned())
        }
        Step::FinishSecret => {
            let before = client.get_secret_value().secret_id(id).send().await;
            let before = before.map_err(|_| "get")?.version_id;
            let label = client.update_secret_version_stage().secret_id(id);
            let label = label.version_stage("AWSCURRENT").move_to_version_id(token);
            let label = label.set_remove_from_version_id(before);
            label.send().await.map(drop).map_err(|_| "label".to_owned())
        }
        _ => Ok(()),
    }
}

/// Makes the rotation function take this long. AWS answers before it runs, so this one works in the
/// background.
fn works_for(fake: &FakeSecretsManager, time: Duration) {
    fake.on_rotation(NAME, move |step: RotationStep| async move {
        if step.step() != Step::CreateSecret {
            return Ok(());
        }
        work(step.clone()).await?;
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            let (client, id) = (step.client(), step.secret_id());
            let before = client.get_secret_value().secret_id(id).send().await.expect("a version");
            let label = client.update_secret_version_stage().secret_id(id);
            let label = label.version_stage("AWSCURRENT");
            let label = label.move_to_version_id(step.client_request_token());
            let label = label.set_remove_from_version_id(before.version_id);
            label.send().await.expect("a label that moves");
        });
        Err("the function goes on".to_owned())
    });
}

#[tokio::test(start_paused = true)]
async fn a_slow_rotation_is_no_failed_one_and_is_awaited_as_long_as_it_is_said() {
    let fake = fake();
    works_for(&fake, Duration::from_secs(1200));
    let manager = manager(&fake);
    let begun = tokio::time::Instant::now();
    let rotation = manager.rotate("database").timeout(Duration::from_secs(20));
    let error = rotation.await.expect_err("a slow rotation");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("not finished after 20s"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains(".timeout(..)")), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 20);

    tokio::time::sleep(Duration::from_secs(1200)).await;
    works_for(&fake, Duration::from_secs(1200));
    let rotation = manager.rotate("database").timeout(Duration::from_secs(1800));
    let rotated = rotation.await.expect("a rotation that takes its time");
    assert_ne!(rotated.version_id(), rotated.previous_version_id());
}

/// Its function may still be at work, and makes another value.
#[tokio::test(start_paused = true)]
async fn an_empty_pending_version_is_not_filled_while_the_store_rotates_the_secret() {
    for (what, is_cancelled, service) in [
        ("a rotation function", false, None),
        ("a service that manages the secret", true, Some("rds")),
        ("a rotation that was cancelled", true, None),
    ] {
        let fake = fake();
        fake.on_rotation(NAME, |_| async { Err("no value yet".to_owned()) });
        let manager = manager(&fake);
        manager.rotate("database").timeout(Duration::ZERO).await.expect_err("no value yet");
        if is_cancelled {
            fake.client().cancel_rotate_secret().secret_id(NAME).send().await.expect(what);
        }
        if let Some(service) = service {
            fake.set_owning_service(NAME, service);
        }
        let rotation = || manager.rotation("database").password("password");
        if is_cancelled && service.is_none() {
            assert!(rotation().plan().await.expect(what).resumes().is_some());
            rotation().run().await.expect("no other rotation is left");
            continue;
        }
        for error in [rotation().plan().await.err(), rotation().run().await.err()] {
            let error = error.expect(what);
            assert_eq!(error.kind(), ErrorKind::Conflict, "{what}: {error}");
            assert!(error.to_string().contains("already in progress"), "{what}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("cancel-rotate")), "{error}");
            assert!(!error.is_superseded(), "it has to be looked at");
        }
        assert_eq!(fake.calls("PutSecretValue"), 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_of_the_store_is_awaited_and_seen_at_once() {
    let fake = fake();
    works_for(&fake, Duration::from_secs(120));
    let manager = manager(&fake);
    let live = crate::Live::<Settings>::builder(manager.clone()).start().await.expect("settings");
    let begun = tokio::time::Instant::now();
    let rotated = manager.rotate("database").await.expect("a rotation");
    let took = begun.elapsed();
    assert!((120..140).contains(&took.as_secs()), "{took:?}");
    assert_ne!(rotated.version_id(), rotated.previous_version_id());
    assert!(!rotated.resumed());
    assert_eq!(live.load().database.password.expose_secret(), "the-second-one");
    assert!(fake.calls("DescribeSecret") < 40, "{}", fake.calls("DescribeSecret"));
}

#[derive(Deserialize)]
struct Settings {
    database: Login,
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_fails_one_in_progress_and_none_at_all_are_told_apart() {
    let fake = fake();
    let manager = manager(&fake);
    let error = manager.rotate("database").await.expect_err("no function");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("manager.rotation(")), "{error}");

    fake.on_rotation(NAME, |step: RotationStep| async move {
        match step.step() {
            Step::SetSecret => Err("the database is away".to_owned()),
            _ => work(step).await,
        }
    });
    let begun = tokio::time::Instant::now();
    // AWS doesn't say that it failed.
    let error = manager.rotate("database").await.expect_err("a failed rotation");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("may be slow, or have failed"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("AWSPENDING")), "{error}");
    assert!((300..301).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());

    let error = manager.rotate("database").await.expect_err("one in progress");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("in progress"), "{error}");
    assert!(!error.is_superseded(), "it has to be looked at");

    let error = manager.rotate("nothing").await.expect_err("no secret");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_pending_version_that_is_gone_is_a_failure_soon() {
    let fake = fake();
    fake.on_rotation(NAME, |step: RotationStep| async move {
        if step.step() == Step::CreateSecret {
            work(step.clone()).await?;
            let label = step.client().update_secret_version_stage().secret_id(step.secret_id());
            let label = label.version_stage("AWSPENDING");
            let label = label.remove_from_version_id(step.client_request_token());
            label.send().await.expect("a label that goes");
        }
        Err("given up".to_owned())
    });
    let begun = tokio::time::Instant::now();
    let error = manager(&fake).rotate("database").await.expect_err("a failed rotation");
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    // It was never seen, so it may only be late.
    let took = begun.elapsed();
    assert!((10..16).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_answer_is_lost_is_awaited_and_an_outage_while_waiting_is_waited_out() {
    let fake = fake();
    let faults = fake.clone();
    fake.on_rotation(NAME, move |step: RotationStep| {
        if step.step() == Step::CreateSecret {
            faults.inject(Fault::unavailable().on("DescribeSecret").times(12));
        }
        work(step)
    });
    fake.inject(Fault::truncated_body().on("RotateSecret").times(1));
    let rotated = manager(&fake).rotate("database").await.expect("a rotation");
    assert_eq!(rotated.version_id().len(), 36);
    assert!(fake.calls("DescribeSecret") > 12);
}
