//! DeleteSecret and RestoreSecret.

use std::time::{Duration, SystemTime};

use fake_secrets_manager::FakeSecretsManager;

use crate::support::{code, on_both_roads, refusal, text};

#[tokio::test]
async fn a_deleted_secret_is_hidden_until_it_is_restored() {
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        let deleted = client
            .delete_secret()
            .secret_id("s")
            .recovery_window_in_days(7)
            .send()
            .await
            .expect("delete");
        let date = SystemTime::try_from(*deleted.deletion_date().expect("a date")).expect("time");
        let window = date.duration_since(SystemTime::now()).expect("in the future");
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert!(week.abs_diff(window) < Duration::from_secs(60), "{window:?}");

        let marked = (
            "InvalidRequestException".to_owned(),
            "You can't perform this operation on the secret because it was marked for deletion."
                .to_owned(),
        );
        assert_eq!(refusal(client.get_secret_value().secret_id("s").send().await), marked);
        let put = client.put_secret_value().secret_id("s").secret_string("y").send().await;
        assert_eq!(refusal(put), marked);
        let again = client.create_secret().name("s").secret_string("y").send().await;
        assert_eq!(code(again), "InvalidRequestException");

        let hidden = client.list_secrets().send().await.expect("list");
        assert_eq!(hidden.secret_list().len(), 0);
        let shown = client.list_secrets().include_planned_deletion(true).send().await;
        let shown = shown.expect("list");
        assert!(shown.secret_list()[0].deleted_date().is_some());
        let described = client.describe_secret().secret_id("s").send().await.expect("describe");
        assert!(described.deleted_date().is_some());

        client.restore_secret().secret_id("s").send().await.expect("restore");
        assert_eq!(text(&client, "s", "AWSCURRENT").await, "x");
        let described = client.describe_secret().secret_id("s").send().await.expect("describe");
        assert_eq!(described.deleted_date(), None);
    })
    .await;
}

#[tokio::test]
async fn the_recovery_window_is_checked() {
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        let delete = || client.delete_secret().secret_id("s");
        for request in [
            delete().recovery_window_in_days(6),
            delete().recovery_window_in_days(31),
            delete().recovery_window_in_days(7).force_delete_without_recovery(true),
        ] {
            assert_eq!(code(request.send().await), "InvalidParameterException");
        }
        assert_eq!(text(&client, "s", "AWSCURRENT").await, "x");
        let missing = client.delete_secret().secret_id("missing").send().await;
        assert_eq!(code(missing), "ResourceNotFoundException");
    })
    .await;
}

#[tokio::test]
async fn a_forced_deletion_is_at_once_and_a_new_secret_has_another_arn() {
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        let arn = fake.arn("s");
        let force = || client.delete_secret().secret_id("s").force_delete_without_recovery(true);
        force().send().await.expect("delete");
        force().send().await.expect("one that isn't there");
        let restored = client.restore_secret().secret_id("s").send().await;
        assert_eq!(code(restored), "ResourceNotFoundException");
        client.create_secret().name("s").secret_string("y").send().await.expect("create");
        assert_ne!(fake.arn("s"), arn);
        let old = client.get_secret_value().secret_id(arn).send().await;
        assert_eq!(code(old), "ResourceNotFoundException");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn after_its_window_a_secret_is_gone() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let fake = FakeSecretsManager::new();
    let client = fake.client();
    fake.put("s", "x");
    client.delete_secret().secret_id("s").send().await.expect("delete");
    tokio::time::advance(DAY * 29).await;
    client.describe_secret().secret_id("s").send().await.expect("still there");
    tokio::time::advance(DAY).await;
    let described = client.describe_secret().secret_id("s").send().await;
    assert_eq!(code(described), "ResourceNotFoundException");
    let shown = client.list_secrets().include_planned_deletion(true).send().await;
    assert_eq!(shown.expect("list").secret_list().len(), 0);
    client.create_secret().name("s").secret_string("y").send().await.expect("a new one");
    assert_eq!(text(&client, "s", "AWSCURRENT").await, "y");
}

#[tokio::test]
async fn a_removed_secret_is_gone_at_once() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "x");
    fake.remove("s");
    assert_eq!(text(&fake.client(), "s", "AWSCURRENT").await, "ResourceNotFoundException");
}
