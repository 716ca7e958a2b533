//! Staging labels: moved by hand, back again, and by a rotation.
//!
//! A label is on one version at a time, and AWSPREVIOUS follows AWSCURRENT by itself.

use super::{INVALID_PARAMETER, INVALID_REQUEST, NOT_FOUND, OK};
use crate::peer::{MotoFault, Peer, code, token};

pub(super) async fn moves_labels(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    let labels = async || aws.labels("app/a").await;

    aws.expect(aws.move_label("app/a", "blue", None, Some("v1")).await, OK);
    aws.expect(labels().await, ["v1: AWSPREVIOUS blue", "v2: AWSCURRENT"]);
    aws.expect_but(
        aws.move_label("app/a", "blue", None, Some("v2")).await,
        INVALID_PARAMETER,
        MotoFault("a label is moved without naming the version that has it, which keeps it", OK),
    );
    aws.expect_but(
        labels().await,
        ["v1: AWSPREVIOUS blue", "v2: AWSCURRENT"],
        MotoFault("and so two versions have it", ["v1: AWSPREVIOUS blue", "v2: AWSCURRENT blue"]),
    );
    aws.expect(aws.move_label("app/a", "blue", Some("v1"), None).await, OK);
    aws.expect(aws.get_by_label("app/a", "AWSCURRENT").await, "two");

    aws.expect(aws.move_label("app/a", "AWSCURRENT", None, Some("v1")).await, INVALID_PARAMETER);
    aws.expect(
        aws.move_label("app/a", "AWSCURRENT", Some("v1"), Some("v1")).await,
        INVALID_PARAMETER,
    );
    aws.expect_but(
        aws.move_label("app/a", "AWSCURRENT", Some("v2"), Some("v9")).await,
        NOT_FOUND,
        MotoFault("a version that is not there is a wrong parameter", INVALID_PARAMETER),
    );
    aws.expect_but(
        aws.get_by_label("app/a", "AWSCURRENT").await,
        "two",
        MotoFault("and the refused call took AWSCURRENT away all the same", NOT_FOUND),
    );
    aws.create("app/b", "one", "v1").await;
    aws.expect_but(
        aws.move_label("app/b", "AWSCURRENT", Some("v1"), None).await,
        INVALID_PARAMETER,
        MotoFault("AWSCURRENT can be taken away", OK),
    );
    aws.expect(aws.move_label("app/none", "blue", None, Some("v1")).await, NOT_FOUND);
}

pub(super) async fn rolls_back(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    aws.expect(aws.move_label("app/a", "AWSCURRENT", Some("v2"), Some("v1")).await, OK);
    aws.expect(aws.labels("app/a").await, ["v1: AWSCURRENT", "v2: AWSPREVIOUS"]);
    aws.expect(aws.get_by_label("app/a", "AWSCURRENT").await, "one");
    aws.expect_but(
        aws.get("app/a").await,
        "one",
        MotoFault("a plain get goes by the version that was put last, not by AWSCURRENT", "two"),
    );
    aws.expect_but(
        aws.get_by_batch("app/a").await,
        "one",
        MotoFault("a batch goes by the version that was put last, not by AWSCURRENT", "two"),
    );
    aws.put("app/a", "three", "v3", &[]).await;
    aws.expect_but(
        aws.labels("app/a").await,
        ["v1: AWSPREVIOUS", "v3: AWSCURRENT"],
        MotoFault(
            "a put after a roll-back leaves AWSCURRENT on two versions",
            ["v1: AWSCURRENT", "v2: AWSPREVIOUS", "v3: AWSCURRENT"],
        ),
    );
}

/// The steps of a rotation function.
pub(super) async fn rotates_by_hand(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &["AWSPENDING"]).await;
    aws.expect(aws.get_by_label("app/a", "AWSPENDING").await, "two");
    aws.expect(aws.get("app/a").await, "one");
    aws.expect(aws.move_label("app/a", "AWSCURRENT", Some("v1"), Some("v2")).await, OK);
    aws.expect(aws.move_label("app/a", "AWSPENDING", Some("v2"), None).await, OK);
    aws.expect(aws.labels("app/a").await, ["v1: AWSPREVIOUS", "v2: AWSCURRENT"]);
    aws.expect_but(
        aws.get("app/a").await,
        "two",
        MotoFault("a plain get does not see that a rotation is over", "one"),
    );
}

pub(super) async fn rotates_with_a_function_only(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let rotate = aws.client.rotate_secret().secret_id("app/a").client_request_token(token("v2"));
    aws.expect_but(
        code(rotate.send().await),
        INVALID_REQUEST,
        MotoFault("a secret without a rotation function is rotated", OK),
    );
    aws.expect_but(
        aws.get("app/a").await,
        "one",
        MotoFault("and AWSCURRENT goes to a version without a value", NOT_FOUND),
    );
    let missing = aws.client.rotate_secret().secret_id("app/none").send().await;
    aws.expect(code(missing), NOT_FOUND);
}
