//! How many calls were sent, by operation: each attempt counts, as it does in AWS's quotas and bills.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::observe::status::Calls;

#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<Mutex<Calls>>);

impl Counter {
    pub(super) fn calls(&self) -> Calls {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What an operation is sent with, so that it counts.
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
        let mut calls = self.counter.0.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(self.operation).or_default() += 1;
        drop(calls);
        crate::observe::metrics::called(self.operation);
        Ok(())
    }
}
