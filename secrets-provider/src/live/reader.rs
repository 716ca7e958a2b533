//! [`Reader`]: for loops so hot that even a [`Live::load`] counts.
//!
//! It is arc-swap's cache over the cell: a read checks a pointer instead of protecting it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

use super::Live;
use crate::engine::cell::Cell;

/// A reader for one thread or task. It keeps the generation that it last saw and only checks
/// whether there is a newer one, which costs a small part of a [`Live::load`] (see BENCHMARKS.md).
/// It is meant for loops that read millions of times a second; in a request handler, use
/// [`Live::load`] or [`Live::current`].
///
/// It holds the generation that it last saw until the next [`load`](Self::load) or until it is
/// dropped, so a reader that sleeps keeps old secrets in memory. It does not keep the refresher
/// alive.
///
/// ```
/// use secrets_provider::Live;
///
/// let port = Live::constant(8080);
/// let mut reader = port.reader();
/// assert_eq!((0..1000).map(|_| *reader.load()).max(), Some(8080));
/// ```
pub struct Reader<T>(Cache<Value<T>, Arc<T>>);

/// Gives arc-swap's cache access to the value in the cell.
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
