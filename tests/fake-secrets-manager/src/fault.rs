//! Faults: what goes wrong between the caller and the service, to order.

use std::time::Duration;

use tokio::time::Instant;

use crate::access::action_name;
use crate::error::ApiError;

/// Something that goes wrong with requests, given to
/// [`FakeSecretsManager::inject`](crate::FakeSecretsManager::inject).
///
/// A fault meets every request until it is removed, unless it is narrowed:
///
/// ```
/// use fake_secrets_manager::Fault;
///
/// let fault = Fault::throttled().on("GetSecretValue").for_secret("app/db").times(2);
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    effect: Effect,
    operation: Option<String>,
    secret: Option<String>,
    left: Option<u32>,
    probability: f64,
    random: fastrand::Rng,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    DropConnection,
    Hang,
    Slow(Duration),
    MalformedBody,
    TruncatedBody,
    Error(ApiError),
    Html(u16),
    Answer(u16, String),
}

/// Identifies an injected fault, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

impl Fault {
    fn new(effect: Effect) -> Self {
        Self {
            effect,
            operation: None,
            secret: None,
            left: None,
            probability: 1.0,
            // The same faults in each run of a test.
            random: fastrand::Rng::with_seed(0x5eed),
        }
    }

    /// The connection is closed without an answer; in-process, an I/O error of the connector.
    #[must_use]
    pub fn drop_connection() -> Self {
        Self::new(Effect::DropConnection)
    }

    /// No answer ever comes.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Effect::Hang)
    }

    /// The answer comes `by` later, on tokio's clock. Adds to other faults.
    #[must_use]
    pub fn slow(by: Duration) -> Self {
        Self::new(Effect::Slow(by))
    }

    /// The operation runs, but its answer is cut and garbled: status 200, not JSON.
    #[must_use]
    pub fn malformed_body() -> Self {
        Self::new(Effect::MalformedBody)
    }

    /// The operation runs, but the connection breaks in the middle of its answer's body.
    #[must_use]
    pub fn truncated_body() -> Self {
        Self::new(Effect::TruncatedBody)
    }

    /// `ThrottlingException`, with status 400, as AWS answers over quota.
    #[must_use]
    pub fn throttled() -> Self {
        Self::new(Effect::Error(ApiError::throttling()))
    }

    /// `InternalServiceError`, with status 500.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::error("InternalServiceError", 500, "An error occurred on the server side.")
    }

    /// `ServiceUnavailable`, with status 503.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::error(
            "ServiceUnavailable",
            503,
            "The request has failed due to a temporary failure of the server.",
        )
    }

    /// A page of HTML with `status`, as a proxy in between answers.
    #[must_use]
    pub fn html(status: u16) -> Self {
        Self::new(Effect::Html(status))
    }

    /// Any answer in place of the service's own, which runs nothing: JSON of one's own making, half
    /// of an answer, a request that is echoed.
    #[must_use]
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        Self::new(Effect::Answer(status, body.into()))
    }

    /// An error of the service with any code.
    #[must_use]
    pub fn error(code: impl Into<String>, status: u16, message: impl Into<String>) -> Self {
        Self::new(Effect::Error(ApiError::new(code.into(), status, message)))
    }

    /// Meets only this operation, such as `GetSecretValue`.
    #[must_use]
    pub fn on(mut self, operation: &str) -> Self {
        self.operation = Some(action_name(operation).to_owned());
        self
    }

    /// Meets only requests that name this secret, by its name or ARN. A batch names each of its
    /// `SecretIdList`.
    #[must_use]
    pub fn for_secret(mut self, name: &str) -> Self {
        self.secret = Some(name.to_owned());
        self
    }

    /// Is over after this many requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    /// Meets a request with this probability. The sequence is the same in each run; see
    /// [`seed`](Self::seed).
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Another sequence for [`with_probability`](Self::with_probability).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = fastrand::Rng::with_seed(seed);
        self
    }

    fn meets(&mut self, operation: &str, secrets: &[String]) -> bool {
        let narrowed_out = self.operation.as_deref().is_some_and(|on| on != operation)
            || self.secret.as_ref().is_some_and(|name| !secrets.contains(name))
            || self.left == Some(0);
        if narrowed_out || (self.probability < 1.0 && self.random.f64() >= self.probability) {
            return false;
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        true
    }
}

/// A token bucket on tokio's clock, with room for one second.
#[derive(Debug)]
struct Quota {
    /// Those that share it.
    operations: Vec<String>,
    per_second: u32,
    tokens: f64,
    filled: Instant,
}

impl Quota {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let rate = f64::from(self.per_second);
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * rate).min(rate);
        self.filled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// What meets one request.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<Effect>,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    next_id: u64,
    injected: Vec<(FaultId, Fault)>,
    quotas: Vec<Quota>,
}

impl Faults {
    /// `secret` is how the state names the fault's secret.
    pub(crate) fn inject(&mut self, mut fault: Fault, secret: Option<String>) -> FaultId {
        self.next_id += 1;
        let id = FaultId(self.next_id);
        fault.secret = secret;
        self.injected.push((id, fault));
        id
    }

    pub(crate) fn remove(&mut self, id: FaultId) {
        self.injected.retain(|(known, _)| *known != id);
    }

    pub(crate) fn clear(&mut self) {
        self.injected.clear();
        self.quotas.clear();
    }

    pub(crate) fn set_quota(&mut self, operations: &[&str], per_second: u32) {
        let operations: Vec<String> =
            operations.iter().map(|operation| action_name(operation).to_owned()).collect();
        // An operation has one quota.
        for quota in &mut self.quotas {
            quota.operations.retain(|operation| !operations.contains(operation));
        }
        self.quotas.retain(|quota| !quota.operations.is_empty());
        self.quotas.push(Quota {
            operations,
            per_second,
            tokens: f64::from(per_second),
            filled: Instant::now(),
        });
    }

    /// Delays add up; of the rest, the one injected first meets the request.
    pub(crate) fn meet(&mut self, operation: &str, secrets: &[String]) -> Met {
        let mut met = Met::default();
        for (_, fault) in &mut self.injected {
            if !fault.meets(operation, secrets) {
                continue;
            }
            match &fault.effect {
                Effect::Slow(by) => met.delay = met.delay.saturating_add(*by),
                effect => {
                    met.effect = Some(effect.clone());
                    break;
                }
            }
        }
        if met.effect.is_none() {
            let has = |quota: &&mut Quota| quota.operations.iter().any(|one| one == operation);
            let quota = self.quotas.iter_mut().find(has);
            if quota.is_some_and(|quota| !quota.take()) {
                met.effect = Some(Effect::Error(ApiError::throttling()));
            }
        }
        met
    }
}

impl Fault {
    pub(crate) fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }
}
