//! The handle that a test holds: puts secrets, starts the server, hands out clients, counts calls.
//!
//! Everything it does goes to the state that its clones share. What a test makes go wrong is in
//! `controls`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;

use crate::access::{Caller, action_name};
use crate::in_process;
use crate::secret::{Secret, Value};
use crate::server::Server;
use crate::shared::Shared;
use crate::state::{ACCOUNT, REGION};

/// A fake of AWS Secrets Manager.
///
/// A handle is cheap to clone, and its clones share their secrets. Clients reach it over a socket
/// once it [serves](Self::start), and in-process through [`client`](Self::client).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fake_secrets_manager::{FakeSecretsManager, Fault};
///
/// let fake = FakeSecretsManager::new();
/// fake.put("app/db", r#"{"username":"app"}"#);
/// fake.inject(Fault::throttled().on("GetSecretValue").times(1));
///
/// let answer = fake.client().get_secret_value().secret_id("app/db").send().await?;
///
/// assert_eq!(answer.secret_string(), Some(r#"{"username":"app"}"#));
/// assert_eq!(fake.calls("GetSecretValue"), 2); // the SDK tried again
/// # Ok(())
/// # }
/// ```
///
/// Over the socket it serves any client of the service, in any language:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let fake = fake_secrets_manager::FakeSecretsManager::start().await?;
/// // AWS_ENDPOINT_URL_SECRETS_MANAGER, or `aws --endpoint-url`.
/// assert!(fake.endpoint_url().starts_with("http://127.0.0.1:"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FakeSecretsManager {
    pub(crate) shared: Arc<Shared>,
    server: Arc<Server>,
}

impl fmt::Debug for FakeSecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSecretsManager")
            .field("address", &self.server.address())
            .field("serving", &self.server.is_running())
            .finish_non_exhaustive()
    }
}

impl Default for FakeSecretsManager {
    fn default() -> Self {
        Self::new()
    }
}

/// Making one, and the roads to it.
impl FakeSecretsManager {
    /// One that answers in-process only: no socket until it [serves](Self::serve_again).
    #[must_use]
    pub fn new() -> Self {
        Self::in_region(REGION)
    }

    pub(crate) fn in_region(region: &str) -> Self {
        Self { shared: Shared::new(region), server: Arc::default() }
    }

    /// One that serves on `127.0.0.1`, on a port that the system picks.
    ///
    /// Its tasks run on the current tokio runtime and end with the last handle.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// One that serves on `127.0.0.1` at `port`.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let fake = Self::new();
        fake.server.start(Arc::clone(&fake.shared), port).await?;
        Ok(fake)
    }

    /// Where it serves, such as `http://127.0.0.1:4567`. The same after [`stop`](Self::stop).
    ///
    /// # Panics
    ///
    /// When it never served.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        let address = self
            .server
            .address()
            .expect("a FakeSecretsManager that never served has no endpoint: use `start`");
        format!("http://{address}")
    }

    /// Closes the listener and every open connection: from now on callers are refused.
    ///
    /// In-process clients aren't touched.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Serves again on the same port, or for the first time. What is stored is kept.
    ///
    /// # Errors
    ///
    /// When the port was taken meanwhile.
    pub async fn serve_again(&self) -> io::Result<()> {
        if self.server.is_running() {
            return Ok(());
        }
        let port = self.server.address().map_or(0, |address| address.port());
        self.server.start(Arc::clone(&self.shared), port).await
    }

    /// A client that reaches it in-process: no socket, and no timers but tokio's, so that a
    /// paused clock runs through retries and timeouts.
    ///
    /// Its retries are paid for by itself. The SDK's other clients of a process share one account
    /// of them ([`RetryPartition`]), so that one test's faults would take another's retries away.
    ///
    /// [`RetryPartition`]: aws_sdk_secretsmanager::config::retry::RetryPartition
    #[must_use]
    pub fn client(&self) -> aws_sdk_secretsmanager::Client {
        in_process::client(&self.sdk_config())
    }

    /// A client of whoever operates the secrets: its calls aren't counted, no fault meets them, and
    /// everything is allowed.
    #[must_use]
    pub fn operator_client(&self) -> aws_sdk_secretsmanager::Client {
        in_process::client(&in_process::sdk_config(&self.shared, Caller::Trusted))
    }

    /// The configuration of [`client`](Self::client), to be changed or given on.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        in_process::sdk_config(&self.shared, Caller::Client)
    }

    /// The HTTP client of [`client`](Self::client), for a configuration of one's own. Whatever
    /// the endpoint, requests arrive here.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        in_process::http_client(&self.shared, Caller::Client)
    }

    /// The region of its secrets.
    #[must_use]
    pub fn region(&self) -> &str {
        self.shared.region()
    }

    /// The account of its secrets.
    #[must_use]
    pub fn account_id(&self) -> &str {
        ACCOUNT
    }
}

/// Storing secrets from the test itself: not counted as calls, and never denied.
impl FakeSecretsManager {
    /// Creates the secret, or puts a new `AWSCURRENT` version. Returns the version's id.
    pub fn put(&self, name: &str, text: impl Into<String>) -> String {
        self.put_value(name, Value::Text(text.into().into()))
    }

    /// As [`put`](Self::put), with `SecretBinary`.
    pub fn put_binary(&self, name: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.put_value(name, Value::Binary(bytes.into().into()))
    }

    fn put_value(&self, name: &str, value: Value) -> String {
        let id = crate::state::random_id();
        let mut state = self.shared.state();
        let mut secret = match state.find(name).cloned() {
            Some(secret) => (*secret).clone(),
            None => state.blank(name),
        };
        secret.deletion = None;
        let now = state.now();
        secret
            .put(&id, value, None, now)
            .expect("a new version with one label takes the place of an unlabelled one");
        state.insert(secret);
        id
    }

    /// The ARN of a secret.
    ///
    /// # Panics
    ///
    /// When there is no such secret.
    #[must_use]
    pub fn arn(&self, name: &str) -> String {
        let state = self.shared.state();
        let secret = state.find(name);
        let arn = secret.map(|secret| secret.arn.clone());
        drop(state);
        arn.unwrap_or_else(|| panic!("there is no secret named {name}"))
    }

    /// Removes a secret at once, as by deletion without recovery.
    pub fn remove(&self, name: &str) {
        self.shared.state().remove(name);
    }

    /// Makes the secret one that another service manages, as `OwningService` shows.
    pub fn set_owning_service(&self, name: &str, service: &str) {
        self.change(name, |secret| {
            secret.owning_service = Some(service.to_owned());
        });
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Secret)) {
        let changed = self.shared.state().change(name, |secret| {
            change(secret);
            Ok(())
        });
        assert!(changed.is_ok(), "there is no secret named {name}");
    }
}

/// Queues of the events that AWS sends when a label moves, as EventBridge and SQS hand them on.
impl FakeSecretsManager {
    /// Makes a queue that gets the event `Secret Label Updated` of every secret whose name starts
    /// with `prefix`, and returns its URL. Any client of SQS for this endpoint, or with this
    /// [HTTP client](Self::http_client), may receive it. A queue of the same name is replaced.
    pub fn queue(&self, name: &str, prefix: &str) -> String {
        self.shared.state().queues.create(name, prefix);
        format!("{}/{ACCOUNT}/{name}", self.shared.origin_of_queues())
    }

    /// Makes a topic of SNS that gets the event of every secret whose name starts with `prefix`, and
    /// returns its ARN. Clients may make queues and subscribe them. As with AWS, a queue gets
    /// messages only if its policy lets the topic send to it.
    pub fn topic(&self, name: &str, prefix: &str) -> String {
        self.shared.state().queues.topics.create(name, prefix)
    }

    /// Makes a queue with these tags, as a client does, and subscribes it to a topic.
    ///
    /// # Panics
    ///
    /// When there is no such topic.
    pub fn subscribed_queue(&self, topic: &str, name: &str, tags: &[(&str, &str)]) -> String {
        let mut state = self.shared.state();
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let made = state.queues.make(name, BTreeMap::new(), tags.collect());
        let arn = crate::events::queue_arn(name);
        let subscription = made.and_then(|()| state.queues.topics.subscribe(topic, &arn, true));
        subscription.expect("a topic, and a queue of a new name")
    }

    /// Tags a queue, as a client does.
    ///
    /// # Panics
    ///
    /// When there is no such queue.
    pub fn tag_queue(&self, name: &str, key: &str, value: &str) {
        let tagged = self.shared.state().queues.tag(name, key, value);
        assert!(tagged, "there is no queue named {name}");
    }

    /// The ARNs of the queues that are subscribed to a topic.
    #[must_use]
    pub fn subscribed(&self, topic: &str) -> Vec<String> {
        self.shared.state().queues.topics.endpoints(topic)
    }

    /// Deletes the subscriptions to a topic.
    pub fn unsubscribe_all(&self, topic: &str) {
        self.shared.state().queues.topics.unsubscribe_all(topic);
    }

    /// The names of all queues.
    #[must_use]
    pub fn queues(&self) -> Vec<String> {
        self.shared.state().queues.names()
    }

    /// The tags of a queue; `None` if there is no such queue.
    #[must_use]
    pub fn queue_tags(&self, name: &str) -> Option<BTreeMap<String, String>> {
        self.shared.state().queues.tags(name)
    }

    /// The attributes that clients gave a queue; `None` if there is no such queue.
    #[must_use]
    pub fn queue_attributes(&self, name: &str) -> Option<BTreeMap<String, String>> {
        self.shared.state().queues.attributes(name)
    }

    /// Sends a message of any text to a queue.
    ///
    /// # Panics
    ///
    /// When there is no such queue.
    pub fn send_message(&self, queue: &str, body: impl Into<String>) {
        let sent = self.shared.state().queues.send(queue, body.into());
        assert!(sent, "there is no queue named {queue}");
    }

    /// Deletes a queue. Whoever receives it gets an error.
    pub fn delete_queue(&self, name: &str) {
        self.shared.state().queues.delete(name);
    }

    /// How many messages a queue has that were not deleted; `None` if there is no such queue.
    #[must_use]
    pub fn messages(&self, queue: &str) -> Option<usize> {
        self.shared.state().queues.len(queue)
    }
}

/// Observing what callers did.
impl FakeSecretsManager {
    /// How many requests for an operation arrived, such as `GetSecretValue`: denied, throttled
    /// and dropped ones too.
    #[must_use]
    pub fn calls(&self, operation: &str) -> usize {
        self.shared.calls(action_name(operation))
    }

    /// How many requests arrived in all.
    #[must_use]
    pub fn total_calls(&self) -> usize {
        self.shared.total_calls()
    }

    /// How many requests for an operation were denied as a whole: by IAM, by a VPC endpoint's
    /// policy, or by the policy of a KMS key. A secret that is denied within a batch isn't counted.
    #[must_use]
    pub fn denied_calls(&self, operation: &str) -> usize {
        self.shared.denied_calls(action_name(operation))
    }

    /// How many requests were denied in all.
    #[must_use]
    pub fn total_denied_calls(&self) -> usize {
        self.shared.total_denied_calls()
    }

    /// How many requests for an operation were answered with `ThrottlingException`.
    #[must_use]
    pub fn throttled_calls(&self, operation: &str) -> usize {
        self.shared.throttled_calls(action_name(operation))
    }

    /// Counts from zero again.
    pub fn reset_calls(&self) {
        self.shared.reset_calls();
    }

    /// How many TCP connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Returns once at least so many requests for an operation arrived.
    pub async fn wait_for_calls(&self, operation: &str, at_least: usize) {
        let operation = action_name(operation);
        self.shared.wait_for_calls(operation, at_least).await;
    }
}
