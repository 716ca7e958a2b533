//! For loops so hot that even a load counts.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

use super::{Cell, Live};

/// A reader of its own for one thread or task: it keeps the generation that it last saw, and asks only whether there
/// is a newer one, which costs a small part of [`Live::load`] (see BENCHMARKS.md). For loops that read millions of
/// times a second; a request handler wants [`Live::load`] or [`Live::current`].
///
/// The generation that it last saw lives on until the next [`load`](Self::load), or until it is dropped: a reader that
/// sleeps keeps old secrets in memory. It does not keep the refresher alive.
///
/// ```
/// use secrets_provider::Live;
///
/// let port = Live::constant(8080);
/// let mut reader = port.reader();
/// assert_eq!((0..1000).map(|_| *reader.load()).max(), Some(8080));
/// ```
pub struct Reader<T>(Cache<Value<T>, Arc<T>>);

/// The way to the value that the cell holds.
struct Value<T>(Arc<Cell<T>>);

impl<T> std::ops::Deref for Value<T> {
    type Target = ArcSwap<T>;

    fn deref(&self) -> &ArcSwap<T> {
        &self.0.value
    }
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Live<T> {
    /// A reader for a hot loop.
    pub fn reader(&self) -> Reader<T> {
        Reader(Cache::new(Value(self.cell.clone())))
    }
}

impl<T> Reader<T> {
    /// The current settings.
    pub fn load(&mut self) -> &T {
        self.0.load()
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
