//! What the core uses of arc-swap, so that each load and each swap is one step of a schedule of
//! shuttle's. Its orders of memory are not modelled: it has tests of its own for those.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use scheduled_tokio::lock;

/// A value that is read and replaced as a whole.
#[derive(Debug, Default)]
pub struct ArcSwapAny<T>(Mutex<T>);

/// An [`Arc`] that is read and replaced as a whole.
pub type ArcSwap<T> = ArcSwapAny<Arc<T>>;

/// The same with none at first.
pub type ArcSwapOption<T> = ArcSwapAny<Option<Arc<T>>>;

/// What a load returns.
#[derive(Debug)]
pub struct Guard<T>(T);

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> ArcSwapAny<T> {
    /// Holds this value.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// The value.
    pub fn load(&self) -> Guard<T> {
        Guard(self.load_full())
    }

    /// The value.
    pub fn load_full(&self) -> T {
        lock(&self.0).clone()
    }

    /// Replaces the value, and returns the old one.
    pub fn swap(&self, value: T) -> T {
        std::mem::replace(&mut *lock(&self.0), value)
    }

    /// Replaces the value.
    pub fn store(&self, value: T) {
        drop(self.swap(value));
    }
}

impl<T> ArcSwapOption<T> {
    /// Holds nothing.
    pub const fn const_empty() -> Self {
        Self(Mutex::new(None))
    }

    /// Replaces the value if it is `current`, and returns the one before.
    pub fn compare_and_swap(
        &self,
        current: &Option<Arc<T>>,
        new: Option<Arc<T>>,
    ) -> Guard<Option<Arc<T>>> {
        let mut held = lock(&self.0);
        let is_same = match (&*held, current) {
            (Some(held), Some(current)) => Arc::ptr_eq(held, current),
            (None, None) => true,
            _ => false,
        };
        Guard(if is_same { std::mem::replace(&mut *held, new) } else { held.clone() })
    }
}

/// arc-swap's cache.
pub mod cache {
    use std::ops::Deref;
    use std::sync::Arc;

    use super::ArcSwap;

    /// The last value of an [`ArcSwap`] that was seen here.
    #[derive(Debug, Clone)]
    pub struct Cache<A, T> {
        swap: A,
        cached: T,
    }

    impl<S, A: Deref<Target = ArcSwap<S>>> Cache<A, Arc<S>> {
        /// A cache over this one.
        pub fn new(swap: A) -> Self {
            let cached = swap.load_full();
            Self { swap, cached }
        }

        /// The current value.
        pub fn load(&mut self) -> &S {
            self.cached = self.swap.load_full();
            &self.cached
        }
    }
}
