//! DeleteSecret and RestoreSecret: with a window, and for good.
//!
//! A secret that waits for its deletion can be described and restored, not read or changed.

use super::{INVALID_PARAMETER, INVALID_REQUEST, NOT_FOUND, OK, listed, tag};
use crate::peer::{MotoFault, Peer, code, refusal};

pub(super) async fn deletes_and_restores(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let delete = || aws.client.delete_secret().secret_id("app/a");
    for days in [6, 31] {
        let refused = delete().recovery_window_in_days(days).send().await;
        aws.expect(code(refused), INVALID_PARAMETER);
    }
    let both = delete().recovery_window_in_days(7).force_delete_without_recovery(true).send().await;
    aws.expect(code(both), INVALID_PARAMETER);
    aws.expect(aws.get("app/a").await, "one");

    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let deleted = delete().recovery_window_in_days(7).send().await.unwrap();
    let days = (deleted.deletion_date().unwrap().as_secs_f64() - now) / 86_400.0;
    assert!((6.9..7.1).contains(&days), "{days} days");
    let (refused, message) = refusal(aws.client.get_secret_value().secret_id("app/a").send().await);
    aws.expect(refused, INVALID_REQUEST);
    aws.expect_but(
        message.contains("because it was marked for deletion"),
        true,
        MotoFault(
            "the message is another one, with a piece of source code's indentation in it",
            false,
        ),
    );
    aws.expect(aws.get_by_label("app/a", "AWSCURRENT").await, INVALID_REQUEST);
    aws.expect(code(delete().send().await), INVALID_REQUEST);
    aws.expect(listed(aws.client.list_secrets()).await, [""; 0]);
    let all = aws.client.list_secrets().include_planned_deletion(true);
    aws.expect(listed(all).await, ["app/a"]);
    let described = aws.client.describe_secret().secret_id("app/a").send().await.unwrap();
    aws.expect(described.deleted_date(), deleted.deletion_date());

    let restored = aws.client.restore_secret().secret_id("app/a").send().await.unwrap();
    aws.expect(restored.name(), Some("app/a"));
    aws.expect(aws.get("app/a").await, "one");
    aws.expect(listed(aws.client.list_secrets()).await, ["app/a"]);
    for id in ["app/a", "app/none"] {
        let again = aws.client.restore_secret().secret_id(id).send().await;
        aws.expect(code(again), if id == "app/a" { OK } else { NOT_FOUND });
    }
    aws.expect(code(aws.client.delete_secret().secret_id("app/none").send().await), NOT_FOUND);
}

pub(super) async fn deletes_for_good(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let delete =
        |id: &str| aws.client.delete_secret().secret_id(id).force_delete_without_recovery(true);
    delete("app/a").send().await.unwrap();
    aws.expect(aws.get("app/a").await, NOT_FOUND);
    let all = aws.client.list_secrets().include_planned_deletion(true);
    aws.expect(listed(all).await, [""; 0]);
    aws.expect(code(aws.client.restore_secret().secret_id("app/a").send().await), NOT_FOUND);
    aws.expect(code(delete("app/a").send().await), OK);
    // A secret that waits for its deletion can be deleted at once.
    aws.create("app/a", "two", "v1").await;
    aws.client.delete_secret().secret_id("app/a").send().await.unwrap();
    delete("app/a").send().await.unwrap();
    aws.create("app/a", "three", "v1").await;
    aws.expect(aws.get("app/a").await, "three");
}

pub(super) async fn refuses_to_change_a_secret_that_waits_for_its_deletion(aws: Peer) {
    let taken = |what| MotoFault(what, OK);
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    aws.client.delete_secret().secret_id("app/a").send().await.unwrap();
    aws.expect_but(
        aws.put("app/a", "three", "v3", &[]).await,
        INVALID_REQUEST,
        taken("a value is put into what waits for its deletion"),
    );
    let update = aws.client.update_secret().secret_id("app/a").secret_string("x");
    aws.expect(code(update.send().await), INVALID_REQUEST);
    let rotate = aws.client.rotate_secret().secret_id("app/a");
    aws.expect(code(rotate.send().await), INVALID_REQUEST);
    aws.expect_but(
        aws.move_label("app/a", "blue", None, Some("v1")).await,
        INVALID_REQUEST,
        taken("labels of what waits for its deletion are moved"),
    );
    let tagged = aws.client.tag_resource().secret_id("app/a").tags(tag("k", "v")).send().await;
    aws.expect_but(code(tagged), INVALID_REQUEST, taken("what waits for its deletion is tagged"));
}
