//! Keeps one warning of the SDK out of the log: that the instance's metadata gave no region.
//!
//! Anywhere but on EC2, that is a chain of connection errors over several hundred characters, at
//! WARN and before our own error, which says in one sentence that there is no region and where to
//! set it. Everything else that is logged while the configuration loads goes to the program's
//! subscriber as ever. Without a subscriber, nothing is wrapped.

use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, NoSubscriber, Subscriber};
use tracing::{Dispatch, Event, Level, Metadata, dispatcher};

/// The module of the SDK that warns.
const REGION_FROM_METADATA: &str = "aws_config::imds::region";

/// Runs this without the warning.
pub(super) async fn without_region_warning<F: Future>(load: F) -> F::Output {
    let subscriber = dispatcher::get_default(Clone::clone);
    // A first subscriber would end tracing's fallback to the crate `log`.
    if subscriber.is::<NoSubscriber>() {
        return load.await;
    }
    let quiet = Quiet { subscriber, max_level: LevelFilter::current() };
    load.with_subscriber(quiet).await
}

/// The program's subscriber, but for that warning.
struct Quiet {
    subscriber: Dispatch,
    /// tracing's own, which this must not raise.
    max_level: LevelFilter,
}

fn is_unwanted(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
        && *metadata.level() == Level::WARN
        && metadata.target() == REGION_FROM_METADATA
}

// Without `current_span`, whose type tracing does not export: only a task that is spawned meanwhile
// would ask for it, and its spans then have no parent.
impl Subscriber for Quiet {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match is_unwanted(metadata) {
            true => Interest::never(),
            false => self.subscriber.register_callsite(metadata),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !is_unwanted(metadata) && self.subscriber.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max_level)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.subscriber.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.subscriber.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.subscriber.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        // Where a callsite is enabled for one subscriber, tracing may not ask the others.
        if !is_unwanted(event.metadata()) {
            self.subscriber.event(event);
        }
    }

    fn enter(&self, span: &Id) {
        self.subscriber.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.subscriber.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.subscriber.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.subscriber.try_close(id)
    }
}
