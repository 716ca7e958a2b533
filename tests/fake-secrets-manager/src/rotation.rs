//! Rotation: the closure that stands for the rotation function, and its four steps.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::access::Caller;
use crate::in_process;
use crate::operations::{Job, Steps, finish_rotation};
use crate::shared::{Shared, lock};

/// A step of a rotation, in the order in which they are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// `createSecret`: put the new value under the token, labelled `AWSPENDING`.
    CreateSecret,
    /// `setSecret`: give the pending value to the database or service.
    SetSecret,
    /// `testSecret`: try the pending value.
    TestSecret,
    /// `finishSecret`: move `AWSCURRENT` to the pending version.
    FinishSecret,
}

impl Step {
    const ALL: [Self; 4] =
        [Self::CreateSecret, Self::SetSecret, Self::TestSecret, Self::FinishSecret];

    /// The name by which AWS calls the rotation function.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateSecret => "createSecret",
            Self::SetSecret => "setSecret",
            Self::TestSecret => "testSecret",
            Self::FinishSecret => "finishSecret",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the rotation function is called with.
#[derive(Clone)]
pub struct RotationStep {
    step: Step,
    secret_id: String,
    client_request_token: String,
    shared: Arc<Shared>,
}

impl RotationStep {
    /// Which of the four steps this is.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// The ARN of the secret.
    #[must_use]
    pub fn secret_id(&self) -> &str {
        &self.secret_id
    }

    /// The id of the pending version.
    #[must_use]
    pub fn client_request_token(&self) -> &str {
        &self.client_request_token
    }

    /// A client to act with. Faults and IAM controls don't touch it, and it isn't counted.
    #[must_use]
    pub fn client(&self) -> aws_sdk_secretsmanager::Client {
        let config = in_process::sdk_config(&self.shared, Caller::Trusted);
        aws_sdk_secretsmanager::Client::new(&config)
    }
}

impl fmt::Debug for RotationStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotationStep")
            .field("step", &self.step)
            .field("secret_id", &self.secret_id)
            .field("client_request_token", &self.client_request_token)
            .finish_non_exhaustive()
    }
}

type Outcome = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Rotator = Arc<dyn Fn(RotationStep) -> Outcome + Send + Sync>;

/// The closures, by the name of the secret.
#[derive(Default)]
pub(crate) struct Rotators(BTreeMap<String, Rotator>);

impl Rotators {
    pub(crate) fn set<F, Fut>(&mut self, name: &str, function: F)
    where
        F: Fn(RotationStep) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let rotator: Rotator = Arc::new(move |step| Box::pin(function(step)));
        self.0.insert(name.to_owned(), rotator);
    }
}

/// Runs a rotation to its end, even if the caller goes away meanwhile.
pub(crate) async fn run(shared: &Arc<Shared>, job: Job) {
    let shared = Arc::clone(shared);
    let steps = tokio::spawn(async move {
        let outcome = call_steps(&shared, &job).await;
        finish_rotation(&mut shared.state(), &job, outcome);
    });
    // A closure that panicked has said so already; the rotation is left unfinished.
    let _ = steps.await;
}

async fn call_steps(shared: &Arc<Shared>, job: &Job) -> Result<(), String> {
    let rotator = lock(&shared.rotators).0.get(&job.name).cloned();
    let Some(rotator) = rotator else {
        return Err("there is no closure in place of the rotation function".to_owned());
    };
    for step in Step::ALL {
        if job.steps == Steps::Test && step != Step::TestSecret {
            continue;
        }
        let call = RotationStep {
            step,
            secret_id: job.arn.clone(),
            client_request_token: job.token.clone(),
            shared: Arc::clone(shared),
        };
        rotator(call).await.map_err(|error| format!("{step}: {error}"))?;
    }
    Ok(())
}
