//! What goes around every call: attempts are counted, and answers may only be so long.
//!
//! Each attempt counts, as in AWS's quotas and bills. The SDK reads a whole answer into memory,
//! however long it is, so the body is cut off at a length that no answer of Secrets Manager has.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

use crate::observe::metrics;
use crate::observe::status::Calls;
use crate::unwind::lock;

/// How long an answer may be: twenty values of 65,536 bytes, each byte written as `\u0000`, are
/// half of it, and so is a page of a hundred names with all their tags.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<Mutex<Calls>>);

impl Counter {
    pub(super) fn calls(&self) -> Calls {
        lock(&self.0).clone()
    }

    /// The interceptor that counts an operation's attempts, and bounds the answers.
    pub(super) fn of(&self, operation: &'static str) -> Around {
        Around { counter: self.clone(), operation }
    }
}

#[derive(Debug)]
pub(super) struct Around {
    counter: Counter,
    operation: &'static str,
}

impl Intercept for Around {
    fn name(&self) -> &'static str {
        "CountAndBound"
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

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, MAX_BODY_BYTES));
        Ok(())
    }
}
