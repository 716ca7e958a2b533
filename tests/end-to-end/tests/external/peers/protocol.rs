//! Tags, passwords, and the protocol below the operations.
//!
//! The last two cases go over a socket without the SDK, which hides statuses and connections.

use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{INVALID_PARAMETER, INVALID_REQUEST, NOT_FOUND, OK, VALIDATION, tag};
use crate::peer::{MotoFault, Peer, code, token};

pub(super) async fn tags(aws: Peer) {
    let create = aws.client.create_secret().name("app/a").tags(tag("a", "1")).tags(tag("b", "2"));
    create.send().await.unwrap();
    let shown = async || {
        let described = aws.client.describe_secret().secret_id("app/a").send().await.unwrap();
        let mut tags: Vec<_> = described
            .tags()
            .iter()
            .map(|tag| format!("{}={}", tag.key().unwrap(), tag.value().unwrap()))
            .collect();
        tags.sort();
        tags
    };
    let add = aws.client.tag_resource().secret_id("app/a").tags(tag("b", "3")).tags(tag("c", ""));
    add.send().await.unwrap();
    aws.expect(shown().await, ["a=1", "b=3", "c="]);
    let remove = aws.client.untag_resource().secret_id("app/a").tag_keys("a").tag_keys("none");
    remove.send().await.unwrap();
    aws.expect(shown().await, ["b=3", "c="]);
    let reserved =
        aws.client.tag_resource().secret_id("app/a").tags(tag("aws:x", "1")).send().await;
    aws.expect_but(
        code(reserved),
        INVALID_PARAMETER,
        MotoFault("keys that begin with aws: are not reserved", OK),
    );
    let missing = aws.client.tag_resource().secret_id("app/none").tags(tag("k", "v")).send().await;
    aws.expect(code(missing), NOT_FOUND);
}

pub(super) async fn makes_passwords(aws: Peer) {
    let password = || aws.client.get_random_password();
    let made = password().send().await.unwrap().random_password.unwrap();
    aws.expect(made.chars().count(), 32);
    for kind in [char::is_lowercase, char::is_uppercase, char::is_numeric, |c: char| {
        c.is_ascii_punctuation()
    }] {
        assert!(made.contains(kind), "one of each kind in {made}");
    }
    let made = password().password_length(64).exclude_punctuation(true).exclude_characters("aZ0");
    let made = made.send().await.unwrap().random_password.unwrap();
    assert!(made.chars().all(|c| c.is_ascii_alphanumeric() && !"aZ0".contains(c)), "{made}");
    aws.expect(code(password().password_length(3).send().await), INVALID_PARAMETER);
    aws.expect_but(
        code(password().password_length(4097).send().await),
        VALIDATION,
        MotoFault("too long a password is a wrong parameter's value", "InvalidParameterValue"),
    );
}

/// The status of every refusal is 400; only the code in the body differs.
pub(super) async fn answers_errors_with_status_400(aws: Peer) {
    let missing = aws.client.get_secret_value().secret_id("app/none").send().await.unwrap_err();
    aws.expect(missing.code(), Some(NOT_FOUND));
    let status = missing.raw_response().unwrap().status().as_u16();
    aws.expect_but(status, 400, MotoFault("a missing secret has status 404", 404));
    aws.create("app/a", "one", "v1").await;
    let get = aws
        .client
        .get_secret_value()
        .secret_id("app/a")
        .version_id(token("v1"))
        .version_stage("blue");
    let mismatch = get.send().await.unwrap_err();
    aws.expect(mismatch.code(), Some(INVALID_REQUEST));
    let status = mismatch.raw_response().unwrap().status().as_u16();
    aws.expect_but(status, 400, MotoFault("a label of another version has status 404", 404));
}

/// Two requests over one connection, without an SDK: it would silently open another connection.
pub(super) async fn keeps_connections(aws: Peer) {
    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\n\
        Host: localhost\r\n\
        Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request, \
        SignedHeaders=host, Signature=00\r\n\
        Content-Type: application/x-amz-json-1.1\r\n\
        X-Amz-Target: secretsmanager.GetRandomPassword\r\n\
        Content-Length: 2\r\n\r\n{}";
    let address = aws.endpoint_url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut received = Vec::new();
    stream.write_all(REQUEST).await.unwrap();
    while !received.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "broke off");
    }
    let kept =
        !String::from_utf8_lossy(&received).to_lowercase().contains("\r\nconnection: close\r\n");
    aws.expect_but(kept, true, MotoFault("every answer closes its connection", false));
    received.clear();
    if kept {
        stream.write_all(REQUEST).await.unwrap();
        stream.read_buf(&mut received).await.unwrap();
        assert!(received.starts_with(b"HTTP/1.1 200"));
    } else {
        assert_eq!(stream.read_buf(&mut received).await.unwrap(), 0, "it is closed");
    }
}
