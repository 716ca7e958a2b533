//! Everything that this process logs at TRACE: the product, the SDK, hyper, and crates that use
//! `log`.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::canaries::Canaries;

/// The whole log, and the part of our own crates.
static ALL: Buffer = Buffer(Mutex::new(Vec::new()));
static OURS: Buffer = Buffer(Mutex::new(Vec::new()));

struct Buffer(Mutex<Vec<u8>>);

impl Buffer {
    fn since(&self, start: usize) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[start..].to_vec()
    }
}

/// The log of all threads from here on. It includes lines of other tests, which have other
/// canaries.
pub(crate) struct Log {
    all: usize,
    ours: usize,
}

impl Log {
    pub(crate) fn start() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let ours = filter_fn(|metadata| metadata.target().starts_with("secrets_provider"));
            let registry =
                tracing_subscriber::registry().with(to(&ALL).with_filter(LevelFilter::TRACE));
            registry.with(to(&OURS).with_filter(ours)).init();
        });
        // tracing caches for each event whether anything listens. Another thread may have met one
        // before the subscriber was installed.
        tracing::callsite::rebuild_interest_cache();
        Self { all: ALL.since(0).len(), ours: OURS.since(0).len() }
    }

    pub(crate) fn all(&self) -> String {
        String::from_utf8_lossy(&ALL.since(self.all)).into_owned()
    }

    pub(crate) fn ours(&self) -> String {
        String::from_utf8_lossy(&OURS.since(self.ours)).into_owned()
    }

    /// Asserts that the log holds no piece of a canary, and that each of these targets logged
    /// something.
    #[track_caller]
    pub(crate) fn assert_silent(&self, canaries: &Canaries, targets: &[&str]) {
        let log = self.all();
        canaries.assert_absent("the log", &log);
        for target in targets {
            assert!(log.contains(&format!(" {target}")), "nothing is logged by {target}");
        }
    }

    /// Asserts that our crates logged something, and no piece of a canary.
    #[track_caller]
    pub(crate) fn assert_we_are_silent(&self, canaries: &Canaries) {
        let log = self.ours();
        assert!(!log.is_empty(), "nothing is logged by us");
        canaries.assert_absent("our part of the log", &log);
    }
}

/// A layer that writes events, and spans as they start and end.
fn to<S>(buffer: &'static Buffer) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_span_events(FmtSpan::FULL);
    layer.with_file(true).with_thread_names(true).with_writer(buffer)
}

impl io::Write for &Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self
    }
}
