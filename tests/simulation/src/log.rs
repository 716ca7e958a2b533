//! What the library says while a world runs: each event, with its fields as text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// One event of the library.
#[derive(Debug, Clone)]
pub struct Said {
    pub at: tokio::time::Instant,
    pub name: String,
    pub fields: BTreeMap<&'static str, String>,
}

/// The events of one run. A clone has the same ones.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Said>>>);

impl Log {
    /// Hears the library on this thread until the guard is dropped.
    pub fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::registry().with(Heard(self.clone()));
        tracing::subscriber::set_default(subscriber)
    }

    /// What was said since `from`.
    pub fn since(&self, from: usize) -> Vec<Said> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(from..).unwrap_or_default().to_vec()
    }
}

struct Heard(Log);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("secrets_provider")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let name = fields.0.remove("message").unwrap_or_default();
        let said = Said { at: tokio::time::Instant::now(), name, fields: fields.0 };
        (self.0).0.lock().unwrap_or_else(PoisonError::into_inner).push(said);
    }
}

struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
