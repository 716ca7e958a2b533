//! Throttled calls that the SDK does not repeat, because something better is done instead.

use aws_sdk_secretsmanager::config;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason,
};
use aws_smithy_types::retry::ErrorKind;

/// Leaves throttled calls to the caller.
pub(super) fn unretried() -> config::Builder {
    config::Builder::new().retry_classifier(ThrottlingUnretried)
}

/// Overrules the SDK's classifiers where they find throttling. Other failures are repeated as the
/// program's configuration says.
#[derive(Debug)]
struct ThrottlingUnretried;

impl ClassifyRetry for ThrottlingUnretried {
    fn classify_retry(&self, _: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(&self, _: &InterceptorContext, found: &RetryAction) -> RetryAction {
        match found {
            RetryAction::RetryIndicated(RetryReason::RetryableError {
                kind: ErrorKind::ThrottlingError,
                ..
            }) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "ThrottlingUnretried"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
