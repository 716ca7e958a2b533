//! RotateSecret, with a closure as the rotation function.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::types::RotationRulesType;
use fake_secrets_manager::{FakeSecretsManager, Fault, RotationStep, Step};

use crate::support::{code, on_both_roads, refusal, text};

/// The steps of AWS's template for rotation functions; the new password is a counter.
async fn rotate(call: RotationStep) -> Result<(), String> {
    let client = call.client();
    let token = call.client_request_token();
    match call.step() {
        Step::CreateSecret => {
            client
                .put_secret_value()
                .secret_id(call.secret_id())
                .client_request_token(token)
                .secret_string(format!("new for {}", token.len()))
                .version_stages("AWSPENDING")
                .send()
                .await
                .map_err(|error| format!("{error:?}"))?;
        }
        Step::SetSecret | Step::TestSecret => {
            client
                .get_secret_value()
                .secret_id(call.secret_id())
                .version_id(token)
                .version_stage("AWSPENDING")
                .send()
                .await
                .map_err(|error| format!("{error:?}"))?;
        }
        Step::FinishSecret => {
            let current = client
                .get_secret_value()
                .secret_id(call.secret_id())
                .send()
                .await
                .map_err(|error| format!("{error:?}"))?;
            client
                .update_secret_version_stage()
                .secret_id(call.secret_id())
                .version_stage("AWSCURRENT")
                .move_to_version_id(token)
                .set_remove_from_version_id(current.version_id)
                .send()
                .await
                .map_err(|error| format!("{error:?}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_rotation_calls_its_four_steps_in_order() {
    on_both_roads(async |fake, client| {
        fake.put("s", "old");
        let seen = Arc::new(Mutex::new(Vec::new()));
        fake.on_rotation("s", {
            let seen = Arc::clone(&seen);
            move |call| {
                seen.lock().expect("no panic").push((
                    call.step(),
                    call.secret_id().to_owned(),
                    call.client_request_token().to_owned(),
                ));
                rotate(call)
            }
        });
        let answer = client.rotate_secret().secret_id("s").send().await.expect("rotate");
        let token = answer.version_id().expect("a version");
        let arn = fake.arn("s");
        let expected = [Step::CreateSecret, Step::SetSecret, Step::TestSecret, Step::FinishSecret]
            .map(|step| (step, arn.clone(), token.to_owned()));
        assert_eq!(*seen.lock().expect("no panic"), expected);
        assert_eq!(fake.rotation_error("s"), None);
        assert_eq!(text(&client, "s", "AWSCURRENT").await, "new for 36");
        assert_eq!(text(&client, "s", "AWSPREVIOUS").await, "old");
        assert_eq!(text(&client, "s", "AWSPENDING").await, "new for 36");

        client.rotate_secret().secret_id("s").send().await.expect("again");
        assert_eq!(fake.rotation_error("s"), None);
        assert_eq!(text(&client, "s", "AWSPREVIOUS").await, "new for 36");
    })
    .await;
}

#[tokio::test]
async fn a_failing_step_leaves_the_pending_version() {
    on_both_roads(async |fake, client| {
        fake.put("s", "old");
        let broken = Arc::new(Mutex::new(true));
        fake.on_rotation("s", {
            let broken = Arc::clone(&broken);
            move |call| {
                let fails = *broken.lock().expect("no panic") && call.step() == Step::TestSecret;
                async move {
                    if fails {
                        return Err("the database says no".to_owned());
                    }
                    rotate(call).await
                }
            }
        });
        let rotate = || client.rotate_secret().secret_id("s").send();
        let first = rotate().await.expect("AWS answers before it knows");
        assert_eq!(fake.rotation_error("s").as_deref(), Some("testSecret: the database says no"));
        assert_eq!(text(&client, "s", "AWSCURRENT").await, "old");
        assert_eq!(text(&client, "s", "AWSPENDING").await, "new for 36");

        *broken.lock().expect("no panic") = false;
        assert_eq!(
            refusal(rotate().await),
            (
                "InvalidRequestException".to_owned(),
                "A previous rotation isn't complete. That rotation will be reattempted.".to_owned()
            )
        );
        assert_eq!(fake.rotation_error("s"), None, "it was tried again");
        let current = client.get_secret_value().secret_id("s").send().await.expect("a value");
        assert_eq!(current.version_id(), first.version_id());
    })
    .await;
}

#[tokio::test]
async fn a_function_that_never_moves_current_has_failed() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "old");
    fake.on_rotation("s", |_| async { Ok(()) });
    let client = fake.client();
    client.rotate_secret().secret_id("s").send().await.expect("rotate");
    let error = fake.rotation_error("s").expect("an error");
    assert!(error.contains("AWSCURRENT isn't on the pending version"), "{error}");
    assert_eq!(
        text(&client, "s", "AWSPENDING").await,
        "ResourceNotFoundException",
        "a version without a value"
    );
    let described = client.describe_secret().secret_id("s").send().await.expect("describe");
    assert_eq!(described.last_rotated_date(), None);
}

#[tokio::test]
async fn without_a_function_there_is_no_rotation() {
    on_both_roads(async |fake, client| {
        fake.put("s", "old");
        let rotated = client.rotate_secret().secret_id("s").send().await;
        assert_eq!(code(rotated), "InvalidRequestException");
        // This function has no closure, so there is nothing to call.
        let function = "arn:aws:lambda:us-east-1:123456789012:function:missing";
        let rotated = client.rotate_secret().secret_id("s").rotation_lambda_arn(function);
        assert_eq!(code(rotated.send().await), "AccessDeniedException");
        let described = client.describe_secret().secret_id("s").send().await.expect("describe");
        assert_eq!(described.rotation_enabled(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_described() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let fake = FakeSecretsManager::new();
    let client = fake.client();
    fake.put("s", "old");
    fake.on_rotation("s", rotate);
    let rules = |days| RotationRulesType::builder().automatically_after_days(days).build();
    let rotate = |days| client.rotate_secret().secret_id("s").rotation_rules(rules(days)).send();
    rotate(7).await.expect("rotate");
    let described = client.describe_secret().secret_id("s").send().await.expect("describe");
    assert_eq!(described.rotation_enabled(), Some(true));
    let described_rules = described.rotation_rules().expect("rules");
    assert_eq!(described_rules.automatically_after_days(), Some(7));
    let time = |date: Option<&aws_sdk_secretsmanager::primitives::DateTime>| {
        SystemTime::try_from(*date.expect("a date")).expect("a time")
    };
    let last = time(described.last_rotated_date());
    assert_eq!(time(described.next_rotation_date()), last + DAY * 7);
    assert_eq!(code(rotate(1001).await), "InvalidParameterException");

    client.cancel_rotate_secret().secret_id("s").send().await.expect("cancel");
    let described = client.describe_secret().secret_id("s").send().await.expect("describe");
    assert_eq!(described.rotation_enabled(), Some(false));
    assert_eq!(described.next_rotation_date(), None);
}

#[tokio::test]
async fn a_later_rotation_is_only_tested() {
    let fake = FakeSecretsManager::new();
    let client = fake.client();
    fake.put("s", "old");
    let seen = Arc::new(Mutex::new(Vec::new()));
    fake.on_rotation("s", {
        let seen = Arc::clone(&seen);
        move |call| {
            seen.lock().expect("no panic").push(call.step());
            async { Ok(()) }
        }
    });
    let rotate = client.rotate_secret().secret_id("s").rotate_immediately(false);
    rotate.send().await.expect("rotate");
    assert_eq!(*seen.lock().expect("no panic"), [Step::TestSecret]);
    let versions = client
        .list_secret_version_ids()
        .secret_id("s")
        .include_deprecated(true)
        .send()
        .await
        .expect("versions");
    assert_eq!(versions.versions().len(), 1, "the tested version was taken away");
}

#[tokio::test]
async fn faults_and_denials_do_not_touch_the_function_and_it_is_not_counted() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "old");
    fake.on_rotation("s", rotate);
    for action in ["GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"] {
        fake.deny_action(action);
        fake.inject(Fault::drop_connection().on(action));
    }
    fake.client().rotate_secret().secret_id("s").send().await.expect("rotate");
    assert_eq!(fake.rotation_error("s"), None);
    assert_eq!(fake.total_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_ends_even_if_its_caller_goes_away() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "old");
    fake.on_rotation("s", |call| async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        rotate(call).await
    });
    let client = fake.client();
    let call = client.rotate_secret().secret_id("s").send();
    let gone = tokio::time::timeout(Duration::from_secs(5), call).await;
    assert!(gone.is_err(), "the caller left in the first step");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(text(&client, "s", "AWSCURRENT").await, "new for 36");
}
