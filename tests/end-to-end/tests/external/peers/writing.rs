//! CreateSecret, PutSecretValue and UpdateSecret: what they accept, and what a repeated token does.
//!
//! A token makes a call safe to repeat: the same value under the same token is one version.

use aws_sdk_secretsmanager::primitives::Blob;

use super::{EXISTS, INVALID_PARAMETER, INVALID_REQUEST, NOT_FOUND, OK, VALIDATION};
use crate::peer::{MotoFault, Peer, code, refusal, short, token};

pub(super) async fn creates(aws: Peer) {
    let created =
        aws.client.create_secret().name("app/text").secret_string("τext").description("A text");
    let created = created.client_request_token(token("v1")).send().await.unwrap();
    aws.expect(created.name(), Some("app/text"));
    aws.expect(created.version_id().map(short), Some("v1"));
    let arn = created.arn().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:us-east-1:"), "{arn}");
    let (start, suffix) = arn.rsplit_once('-').unwrap();
    assert!(start.ends_with(":secret:app/text") && suffix.len() == 6, "{arn}");

    let got = aws.client.get_secret_value().secret_id("app/text").send().await.unwrap();
    aws.expect(got.secret_string(), Some("τext"));
    aws.expect(got.secret_binary(), None);
    aws.expect((got.arn(), got.name()), (Some(arn), Some("app/text")));
    aws.expect(got.version_id().map(short), Some("v1"));
    aws.expect(got.version_stages(), ["AWSCURRENT"]);
    assert!(got.created_date().is_some());

    let bytes: Vec<u8> = (0..=255).collect();
    let create =
        aws.client.create_secret().name("app/binary").secret_binary(Blob::new(bytes.clone()));
    create.send().await.unwrap();
    let got = aws.client.get_secret_value().secret_id("app/binary").send().await.unwrap();
    aws.expect(got.secret_binary().map(|blob| blob.as_ref().to_vec()), Some(bytes));
    aws.expect(got.secret_string(), None);

    let created = aws.client.create_secret().name("app/empty").send().await.unwrap();
    aws.expect(created.version_id(), None);
    let (refused, message) =
        refusal(aws.client.get_secret_value().secret_id("app/empty").send().await);
    aws.expect(refused, NOT_FOUND);
    aws.expect(
        message,
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    );
}

pub(super) async fn creates_once(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let create = |text: &str, version: &str| {
        aws.client
            .create_secret()
            .name("app/a")
            .secret_string(text)
            .client_request_token(token(version))
    };
    let again = create("one", "v1").send().await.unwrap();
    aws.expect(again.version_id().map(short), Some("v1"));
    aws.expect(code(create("two", "v1").send().await), EXISTS);
    aws.expect(code(create("one", "v2").send().await), EXISTS);
    aws.expect(aws.labels("app/a").await, ["v1: AWSCURRENT"]);
    let short_token =
        aws.client.create_secret().name("app/b").secret_string("x").client_request_token("short");
    aws.expect(code(short_token.send().await), INVALID_PARAMETER);

    aws.client.delete_secret().secret_id("app/a").send().await.unwrap();
    aws.expect_but(
        code(create("one", "v2").send().await),
        INVALID_REQUEST,
        MotoFault("a name that waits for its deletion is said to exist", EXISTS),
    );
}

pub(super) async fn refuses_names_and_sizes(aws: Peer) {
    const LONGEST: usize = 65_536;
    let create = |name: &str| aws.client.create_secret().name(name).secret_string("x");
    aws.expect(code(create("App/db_1+2=3.4@5-x").send().await), OK);
    aws.expect(code(create(&"n".repeat(512)).send().await), OK);
    for name in ["with space", "ä", "back\\slash", "", &"n".repeat(513)] {
        aws.expect_but(
            code(create(name).send().await),
            VALIDATION,
            MotoFault("no name is refused", OK),
        );
    }
    let put = || aws.client.put_secret_value().secret_id("App/db_1+2=3.4@5-x");
    aws.expect(code(put().secret_string("x".repeat(LONGEST)).send().await), OK);
    aws.expect(code(put().secret_binary(Blob::new(vec![7; LONGEST])).send().await), OK);
    for too_long in [
        put().secret_string("x".repeat(LONGEST + 1)),
        put().secret_string("ä".repeat(LONGEST / 2 + 1)),
        put().secret_binary(Blob::new(vec![7; LONGEST + 1])),
    ] {
        aws.expect_but(
            code(too_long.send().await),
            VALIDATION,
            MotoFault("no size is refused", OK),
        );
    }
    aws.expect(code(put().send().await), INVALID_REQUEST);
    aws.expect_but(
        code(put().secret_string("x").secret_binary(Blob::new("x")).send().await),
        INVALID_PARAMETER,
        MotoFault("text and binary are taken together", OK),
    );
}

pub(super) async fn puts(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.expect(aws.put("app/a", "two", "v2", &[]).await, OK);
    aws.expect(aws.labels("app/a").await, ["v1: AWSPREVIOUS", "v2: AWSCURRENT"]);
    aws.expect(aws.get("app/a").await, "two");
    aws.expect(aws.get_by_label("app/a", "AWSPREVIOUS").await, "one");

    let put = aws.client.put_secret_value().secret_id("app/a").secret_string("three");
    let put = put.client_request_token(token("v3")).send().await.unwrap();
    aws.expect(put.version_id().map(short), Some("v3"));
    aws.expect(put.version_stages(), ["AWSCURRENT"]);
    let versions = ["v1", "v2: AWSPREVIOUS", "v3: AWSCURRENT"];
    aws.expect_but(
        aws.labels("app/a").await,
        &versions[1..],
        MotoFault("a version without labels is shown too", &versions[..]),
    );
    aws.expect(aws.get_by_label("app/a", "AWSCURRENT").await, "three");
    aws.expect(aws.put("app/none", "x", "v1", &[]).await, NOT_FOUND);
}

pub(super) async fn puts_other_labels(aws: Peer) {
    aws.client.create_secret().name("app/first").send().await.unwrap();
    aws.expect(aws.put("app/first", "one", "v1", &["blue"]).await, OK);
    // The first version is always AWSCURRENT.
    aws.expect(aws.labels("app/first").await, ["v1: AWSCURRENT blue"]);

    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &["AWSPENDING", "blue"]).await;
    aws.expect(aws.get("app/a").await, "one");
    aws.expect(aws.labels("app/a").await, ["v1: AWSCURRENT", "v2: AWSPENDING blue"]);
    aws.put("app/a", "three", "v3", &["AWSCURRENT", "blue"]).await;
    let others = ["v1: AWSPREVIOUS", "v2: AWSPENDING", "v3: AWSCURRENT blue"];
    aws.expect_but(
        aws.labels("app/a").await,
        others,
        MotoFault(
            "a label that comes with AWSCURRENT stays on the version that had it as well",
            [others[0], "v2: AWSPENDING blue", others[2]],
        ),
    );

    aws.client.create_secret().name("app/b").send().await.unwrap();
    aws.put("app/b", "one", "v1", &["AWSCURRENT", "green"]).await;
    aws.put("app/b", "two", "v2", &[]).await;
    aws.expect_but(
        aws.labels("app/b").await,
        ["v1: AWSPREVIOUS green", "v2: AWSCURRENT"],
        MotoFault(
            "the version that AWSCURRENT leaves loses its other labels",
            ["v1: AWSPREVIOUS", "v2: AWSCURRENT"],
        ),
    );
}

pub(super) async fn puts_once(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    aws.expect(aws.put("app/a", "two", "v2", &[]).await, OK);
    aws.expect(aws.put("app/a", "other", "v2", &[]).await, EXISTS);
    // A repeated token of an older version changes nothing either.
    aws.expect(aws.put("app/a", "one", "v1", &[]).await, OK);
    aws.expect(aws.labels("app/a").await, ["v1: AWSPREVIOUS", "v2: AWSCURRENT"]);
    aws.expect(aws.get("app/a").await, "two");
}

pub(super) async fn updates(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let update = || aws.client.update_secret().secret_id("app/a");
    let updated = update().description("What it is").send().await.unwrap();
    aws.expect(updated.version_id(), None);
    aws.expect(aws.labels("app/a").await, ["v1: AWSCURRENT"]);

    let update = || update().secret_string("two").client_request_token(token("v2"));
    let updated = update().send().await.unwrap();
    aws.expect(updated.version_id().map(short), Some("v2"));
    aws.expect(aws.labels("app/a").await, ["v1: AWSPREVIOUS", "v2: AWSCURRENT"]);
    aws.expect(aws.get("app/a").await, "two");
    let described = aws.client.describe_secret().secret_id("app/a").send().await.unwrap();
    aws.expect(described.description(), Some("What it is"));
    aws.expect_but(
        code(update().send().await),
        EXISTS,
        MotoFault("a token of an existing version is no error if the content is the same", OK),
    );
    let missing = aws.client.update_secret().secret_id("app/none").description("x").send().await;
    aws.expect(code(missing), NOT_FOUND);
}
