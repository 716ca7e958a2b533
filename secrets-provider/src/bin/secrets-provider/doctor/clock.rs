//! This machine's clock, beside the time of AWS's answers: a wrong one makes every signature invalid.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::{Line, Mark};

/// AWS refuses signatures that are more seconds from its own time
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>).
const MAX_SKEW: u64 = 5 * 60;

/// The time of the last answer, beside ours.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Arc<Mutex<Option<(DateTime, SystemTime)>>>);

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date) = date {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = Some((date, SystemTime::now()));
        }
        Ok(())
    }
}

impl Clock {
    /// What to say about it, if there was an answer with a time.
    pub(super) fn line(&self) -> Option<Line> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (theirs, ours) = seen?;
        let ours = ours.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let apart = Duration::from_secs(i64::try_from(ours).ok()?.abs_diff(theirs.secs()));
        Some(skew(apart))
    }
}

fn skew(apart: Duration) -> Line {
    let text = format!("{} s apart from AWS", apart.as_secs());
    let todo = "set the clock of this machine, such as by NTP";
    match apart.as_secs() {
        ..60 => Line::good("clock", "less than a minute apart from AWS"),
        60..=MAX_SKEW => Line::new(Mark::Warn, "clock", text).todo(todo),
        _ => Line::new(Mark::Bad, "clock", format!("{text}, which refuses every call"))
            .todo(format!("{todo}; more than {} minutes are too many", MAX_SKEW / 60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_a_little_wrong() {
        for (seconds, mark) in
            [(0, Mark::Good), (59, Mark::Good), (60, Mark::Warn), (301, Mark::Bad)]
        {
            assert_eq!(skew(Duration::from_secs(seconds)).mark, mark, "{seconds}");
        }
    }
}
