//! The protocol itself, without an SDK in between.

use fake_secrets_manager::FakeSecretsManager;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

/// Sends one request with these headers and reads the answer to the end of the connection.
async fn post(fake: &FakeSecretsManager, target: Option<&str>, body: &str) -> Answer {
    let url = fake.endpoint_url();
    let address = url.strip_prefix("http://").expect("a plain URL");
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let target = target.map_or(String::new(), |target| format!("X-Amz-Target: {target}\r\n"));
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-amz-json-1.1\r\n\
         {target}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
    Answer {
        status: head[9..12].parse().expect("a status"),
        head: head.to_lowercase(),
        body: serde_json::from_str(body).expect("JSON"),
    }
}

#[tokio::test]
async fn a_value_has_the_documented_wire_format() {
    let fake = FakeSecretsManager::start().await.expect("serve");
    let version = fake.put_binary("s", [0xff, 0x00]);
    let body = json!({ "SecretId": "s" }).to_string();
    let answer = post(&fake, Some("secretsmanager.GetSecretValue"), &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/x-amz-json-1.1"), "{}", answer.head);
    assert!(answer.head.contains("x-amzn-requestid: "), "{}", answer.head);
    let created = answer.body["CreatedDate"].as_f64().expect("seconds as a number");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
    assert!((now - 60.0..=now).contains(&created), "{created}");
    assert_eq!(
        answer.body,
        json!({
            "ARN": fake.arn("s"), "Name": "s", "VersionId": version,
            "VersionStages": ["AWSCURRENT"], "SecretBinary": "/wA=",
            "CreatedDate": answer.body["CreatedDate"],
        })
    );
}

#[tokio::test]
async fn errors_have_the_documented_wire_format() {
    let fake = FakeSecretsManager::start().await.expect("serve");
    let get = Some("secretsmanager.GetSecretValue");
    for (target, body, expected) in [
        (get, r#"{"SecretId":"s"}"#, "ResourceNotFoundException"),
        (get, r#"{"SecretId":""}"#, "ValidationException"),
        (get, r#"{"SecretId":7}"#, "SerializationException"),
        (get, "{}", "SerializationException"),
        (get, "hunter2", "SerializationException"),
        (Some("secretsmanager.Nonsense"), "{}", "UnknownOperationException"),
        (Some("DynamoDB_20120810.GetItem"), "{}", "UnknownOperationException"),
        (None, "{}", "UnknownOperationException"),
        (
            Some("secretsmanager.PutSecretValue"),
            r#"{"SecretId":"s","SecretString":"hunter2"}"#,
            "InvalidRequestException",
        ),
        (Some("secretsmanager.RotateSecret"), r#"{"SecretId":"s"}"#, "InvalidParameterException"),
    ] {
        let answer = post(&fake, target, body).await;
        assert_eq!(answer.status, 400, "{target:?} {body}");
        assert_eq!(answer.body["__type"], expected, "{target:?} {body}");
        assert_eq!(answer.body["message"], answer.body["Message"]);
        assert!(answer.head.contains("x-amzn-requestid: "), "{}", answer.head);
        assert!(!answer.body.to_string().contains("hunter2"), "{}", answer.body);
    }
}
