//! Answers a request, whether it came from a socket or in-process.
//!
//! Both callers use this, so they can't differ: find a fault, count the call, check the policy, run
//! the operation. The handle and all its clones share one of these.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Response;
use tokio::sync::Notify;

use crate::access::Caller;
use crate::error::ApiError;
use crate::events;
use crate::fault::{Effect, Faults};
use crate::operations;
use crate::rotation::{self, Rotators};
use crate::state::{REGION, State};
use crate::topics;
use crate::wire::{self, Answer, AnswerBody, Service};

/// What handles, clients and connections share.
pub(crate) struct Shared {
    region: String,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    calls: Mutex<Calls>,
    pub(crate) rotators: Mutex<Rotators>,
    called: Notify,
    /// Where it serves, once it does.
    origin: Mutex<Option<String>>,
}

#[derive(Default)]
struct Calls {
    by_operation: BTreeMap<String, usize>,
    denied: BTreeMap<String, usize>,
    throttled: BTreeMap<String, usize>,
    connections: usize,
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl From<Dropped> for io::Error {
    fn from(_: Dropped) -> Self {
        Self::new(io::ErrorKind::ConnectionReset, "the connection was closed without an answer")
    }
}

impl Shared {
    pub(crate) fn new(region: &str) -> Arc<Self> {
        Arc::new(Self {
            region: region.to_owned(),
            state: Mutex::new(State::new(region)),
            faults: Mutex::default(),
            calls: Mutex::default(),
            rotators: Mutex::default(),
            called: Notify::new(),
            origin: Mutex::default(),
        })
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        let calls = lock(&self.calls);
        calls.by_operation.get(operation).copied().unwrap_or(0)
    }

    pub(crate) fn total_calls(&self) -> usize {
        lock(&self.calls).by_operation.values().sum()
    }

    pub(crate) fn denied_calls(&self, operation: &str) -> usize {
        let calls = lock(&self.calls);
        calls.denied.get(operation).copied().unwrap_or(0)
    }

    pub(crate) fn total_denied_calls(&self) -> usize {
        lock(&self.calls).denied.values().sum()
    }

    pub(crate) fn throttled_calls(&self, operation: &str) -> usize {
        let calls = lock(&self.calls);
        calls.throttled.get(operation).copied().unwrap_or(0)
    }

    pub(crate) fn reset_calls(&self) {
        let mut calls = lock(&self.calls);
        calls.throttled.clear();
        calls.by_operation.clear();
        calls.denied.clear();
    }

    pub(crate) fn connections(&self) -> usize {
        lock(&self.calls).connections
    }

    pub(crate) fn count_connection(&self) {
        lock(&self.calls).connections += 1;
    }

    fn count_call(&self, operation: &str) {
        *lock(&self.calls).by_operation.entry(operation.to_owned()).or_default() += 1;
        self.called.notify_waiters();
    }

    pub(crate) async fn wait_for_calls(&self, operation: &str, at_least: usize) {
        loop {
            // Listens before it looks, so that no call is missed in between.
            let called = self.called.notified();
            tokio::pin!(called);
            called.as_mut().enable();
            if self.calls(operation) >= at_least {
                return;
            }
            called.await;
        }
    }

    /// Where the URLs of queues begin.
    pub(crate) fn origin_of_queues(&self) -> String {
        let origin = lock(&self.origin).clone();
        origin.unwrap_or_else(|| format!("https://sqs.{REGION}.amazonaws.com"))
    }

    /// Notes where it serves.
    pub(crate) fn serves_at(&self, origin: String) {
        *lock(&self.origin) = Some(origin);
    }

    /// Answers one request.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        caller: Caller,
        target: Option<&str>,
        body: Bytes,
    ) -> Result<Response<AnswerBody>, Dropped> {
        let Some((service, operation)) = wire::operation(target, &body) else {
            let unknown = ApiError::new("UnknownOperationException", 400, "");
            return Ok(Answer::error(&unknown).into_response(false));
        };
        let operation = operation.as_str();
        if caller == Caller::Trusted {
            return Ok(self.run(caller, service, operation, &body).await.into_response(false));
        }
        let secrets = operations::named_secrets(&self.state(), &body);
        let met = self.faults().meet(operation, &secrets);
        if met.effect == Some(Effect::Error(ApiError::throttling())) {
            *lock(&self.calls).throttled.entry(operation.to_owned()).or_default() += 1;
        }
        // Counted last: a test that waits for this call finds the fault used up.
        self.count_call(operation);
        if !met.delay.is_zero() {
            tokio::time::sleep(met.delay).await;
        }
        let answer = match met.effect {
            None => self.run(caller, service, operation, &body).await,
            Some(Effect::Error(error)) if service == Service::Sns => Answer::xml_error(&error),
            Some(Effect::Error(error)) => Answer::error(&error),
            Some(Effect::Html(status)) => Answer::html(status),
            Some(Effect::Answer(status, body)) => Answer::raw(status, body),
            Some(Effect::MalformedBody) => {
                self.run(caller, service, operation, &body).await.garbled()
            }
            Some(Effect::TruncatedBody) => {
                let answer = self.run(caller, service, operation, &body).await;
                return Ok(answer.into_response(true));
            }
            Some(Effect::DropConnection) => return Err(Dropped),
            Some(Effect::Hang) => std::future::pending().await,
            // Slowness is in the delay.
            Some(Effect::Slow(_)) => self.run(caller, service, operation, &body).await,
        };
        Ok(answer.into_response(false))
    }

    async fn run(
        self: &Arc<Self>,
        caller: Caller,
        service: Service,
        operation: &str,
        body: &[u8],
    ) -> Answer {
        match service {
            Service::Sqs => {
                return Answer::of(events::run(self, caller, operation, body).await);
            }
            Service::Sns => return Answer::of_xml(topics::run(self, caller, operation, body)),
            Service::SecretsManager => {}
        }
        let done = operations::run(&mut self.state(), caller, operation, body);
        if caller == Caller::Client && done.answer.as_ref().is_err_and(ApiError::is_denial) {
            *lock(&self.calls).denied.entry(operation.to_owned()).or_default() += 1;
        }
        if let Some(job) = done.job {
            rotation::run(self, job).await;
        }
        Answer::of(done.answer)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked elsewhere shouldn't hide why.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
