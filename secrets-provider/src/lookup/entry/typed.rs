//! The values that were read from one version of a secret, by type and key: parsed once, and handed
//! out as an `Arc`.
//!
//! They are a list that only grows, up to [`MAX_TYPED`], so that a hit reads it without a lock or a
//! reference count of its own. They leave with the version.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// How many values of one version are kept.
pub(super) const MAX_TYPED: usize = 16;

/// The first of them, if there is one.
#[derive(Default)]
pub(super) struct Typed(OnceLock<Box<Kept>>);

struct Kept {
    id: TypeId,
    keys: Vec<String>,
    value: Arc<dyn Any + Send + Sync>,
    next: Typed,
}

impl Typed {
    fn all(&self) -> impl Iterator<Item = &Kept> {
        std::iter::successors(self.0.get(), |kept| kept.next.0.get()).map(|kept| &**kept)
    }

    /// The value that is kept of this type and key.
    pub(super) fn find<T: Send + Sync + 'static>(&self, keys: &[Cow<'_, str>]) -> Option<Arc<T>> {
        let id = TypeId::of::<T>();
        let kept = self.all().find(|kept| kept.id == id && kept.keys == keys)?;
        kept.value.clone().downcast().ok()
    }

    /// Keeps a value if there is room, and returns what is kept of this type and key: another value,
    /// if two threads read it at the same time.
    pub(super) fn keep<T: Send + Sync + 'static>(
        &self,
        keys: &[Cow<'_, str>],
        value: Arc<T>,
    ) -> Arc<T> {
        let keys_of = |keys: &[Cow<'_, str>]| keys.iter().map(|key| key.to_string()).collect();
        let (id, next) = (TypeId::of::<T>(), Self::default());
        let mut kept = Box::new(Kept { id, keys: keys_of(keys), value: value.clone(), next });
        let mut end = self;
        for _ in 0..MAX_TYPED {
            kept = match end.0.set(kept) {
                Ok(()) => return value,
                Err(kept) => kept,
            };
            let Some(taken) = end.0.get() else { break };
            if taken.id == id
                && taken.keys == keys
                && let Ok(value) = taken.value.clone().downcast()
            {
                return value;
            }
            end = &taken.next;
        }
        value
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all().count()
    }
}
