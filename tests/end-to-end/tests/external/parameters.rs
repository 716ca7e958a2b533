//! The conformance suite of `ParameterStore` on moto 5.2.5. `tests/ssm` runs it on a server of its
//! own, which also denies, breaks and hangs.
//!
//! Where moto is not Systems Manager, as its source says:
//! - it denies an action as a whole, for all parameters (`is_action_permitted` has the resource
//!   `*`), and then also to whoever prepares the secrets: [`Capability::Deny`] and
//!   [`Capability::DenyList`] are left to `tests/ssm`;
//! - it has no keys that are disabled, and no answer of it is cut off or late:
//!   [`Capability::Corrupt`] and [`Capability::Stall`], too;
//! - its pages are full but for the last, where AWS's may be short or empty;
//! - a name that is given twice in one GetParameters is no error.

use end_to_end::external::Emulator;
use secrets_provider::backend::conformance::{Capability, Harness, check};
use secrets_provider::{Backend, Layers, Live, ParameterStore, Rotating, SecretsManager};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What Parameter Store lacks, and the harness after it.
const LACKS: [Capability; 8] = [
    Capability::LargeValues,
    Capability::Binary,
    Capability::OtherIds,
    Capability::Changes,
    Capability::Deny,
    Capability::DenyList,
    Capability::Corrupt,
    Capability::Stall,
];

struct OverMoto {
    moto: Emulator,
    store: ParameterStore,
}

impl OverMoto {
    fn start() -> Self {
        let moto = Emulator::moto();
        let client = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(aws_config::Region::from_static("us-east-1"))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                aws_credential_types::Credentials::new("test", "test", None, None, "test"),
            ))
            .endpoint_url(moto.endpoint_url())
            .build();
        let store = ParameterStore::new().aws_config(&client);
        Self { moto, store }
    }

    /// Makes a call that must succeed. moto finds the service in the scope of the signature, and
    /// checks none. What it takes for another service is answered with 200, too.
    async fn call(&self, operation: &str, body: &Value) {
        let body = body.to_string();
        let length = body.len();
        let request = format!(
            "POST / HTTP/1.0\r\nHost: ssm.us-east-1.amazonaws.com\r\n\
             Authorization: AWS4-HMAC-SHA256 \
             Credential=test/20261127/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=0\r\n\
             X-Amz-Target: AmazonSSM.{operation}\r\nContent-Type: application/x-amz-json-1.1\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.moto.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some("200"), "{operation}");
        assert!(answer.ends_with('}'), "an answer of Systems Manager to {operation}");
    }
}

impl Harness for OverMoto {
    fn backend(&self) -> &dyn Backend {
        &self.store
    }

    async fn put(&self, name: &str, text: &str) {
        let (name, kind) = (format!("/{name}"), "SecureString");
        let body = json!({ "Name": name, "Value": text, "Type": kind, "Overwrite": true });
        self.call("PutParameter", &body).await;
    }

    async fn delete(&self, name: &str) {
        self.call("DeleteParameter", &json!({ "Name": format!("/{name}") })).await;
    }

    fn lacks(&self) -> Vec<Capability> {
        LACKS.to_vec()
    }
}

#[tokio::test]
async fn parameter_store_conforms_on_moto() {
    let harness = OverMoto::start();
    let report = check(&harness).await;
    report.assert_passed();
    let skipped: Vec<_> = report.skipped().map(|(_, capability)| capability).collect();
    assert!(skipped.iter().all(|lacking| LACKS.contains(lacking)), "{report}");
    crate::stores_page::agrees("`ParameterStore`", &LACKS);
}

/// More than two pages, a list of text, a value that was replaced.
#[tokio::test]
async fn settings_are_read_from_moto() {
    #[derive(Deserialize)]
    struct Settings {
        hosts: Vec<String>,
        token: Rotating<String>,
        p24: u64,
    }
    let harness = OverMoto::start();
    for number in 0..25 {
        harness.put(&format!("gaara/prod/p{number}"), &number.to_string()).await;
    }
    let hosts = json!({ "Name": "/gaara/prod/hosts", "Value": "a,b", "Type": "StringList" });
    harness.call("PutParameter", &hosts).await;
    for value in ["old", "new"] {
        harness.put("gaara/prod/token", value).await;
    }
    let manager = SecretsManager::prefix("gaara/prod").backend(harness.store.clone());
    let live: Live<Settings> = Live::builder(manager.with_previous(["token"]))
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap();
    let settings = live.current();
    assert_eq!((&settings.hosts[..], settings.p24), (&["a", "b"].map(str::to_owned)[..], 24));
    assert_eq!(settings.token.current, "new");
    assert_eq!(settings.token.previous.as_deref(), Some("old"));
    harness.put("gaara/prod/token", "newer").await;
    live.refresh().await.unwrap();
    let settings = live.current();
    assert_eq!(settings.token.current, "newer");
    assert_eq!(settings.token.previous.as_deref(), Some("new"));
    live.shutdown().await;
}
