//! How many calls were sent, by operation.
//!
//! Counted by an interceptor right before transmission, so that each attempt counts, as in AWS's quotas and bills. The
//! status and the metrics show the counts.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::observe::metrics;
use crate::observe::status::Calls;
use crate::unwind::lock;

#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<Mutex<Calls>>);

impl Counter {
    pub(super) fn calls(&self) -> Calls {
        lock(&self.0).clone()
    }

    /// The interceptor that counts an operation's attempts.
    pub(super) fn of(&self, operation: &'static str) -> CountCalls {
        CountCalls { counter: self.clone(), operation }
    }
}

#[derive(Debug)]
pub(super) struct CountCalls {
    counter: Counter,
    operation: &'static str,
}

impl Intercept for CountCalls {
    fn name(&self) -> &'static str {
        "CountCalls"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *lock(&self.counter.0).entry(self.operation).or_default() += 1;
        metrics::record_call(self.operation);
        Ok(())
    }
}
