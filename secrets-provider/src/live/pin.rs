//! [`Pins`]: one generation per request, for the crates that join `Live` to a web framework.

use std::fmt;
use std::sync::Arc;

use super::Live;
use crate::engine::cell::Cell;

/// The generations that one request has seen: the first read of a [`Live`] pins its generation, and later reads return
/// the same one, even if a secret rotates in between.
///
/// For authors of framework integrations: keep one `Pins<T>` in each request's extensions, and let every extractor of `T`
/// read through it. The first pin needs no allocation of its own; a request that reads two `Live`s of one type pins each
/// for itself.
///
/// ```
/// use secrets_provider::{Live, Pins};
///
/// let port = Live::constant(8080);
/// let mut request: Pins<u16> = Pins::default();
/// let first = request.pin(&port);
/// // Whatever happens to `port` now, this request reads the same value.
/// assert!(std::sync::Arc::ptr_eq(&first, &request.pin(&port)));
/// ```
pub struct Pins<T> {
    first: Option<Pin<T>>,
    more: Vec<Pin<T>>,
}

/// One `Live`'s generation. It holds the cell, so that no other `Live` can be at the same address, but not the
/// refresher.
struct Pin<T> {
    cell: Arc<Cell<T>>,
    value: Arc<T>,
}

impl<T> Pins<T> {
    /// The settings of the generation that this request saw first.
    pub fn pin(&mut self, live: &Live<T>) -> Arc<T> {
        let mut pins = self.first.iter().chain(&self.more);
        if let Some(pin) = pins.find(|pin| Arc::ptr_eq(&pin.cell, &live.cell)) {
            return pin.value.clone();
        }
        let value = live.current();
        let pin = Pin { cell: live.cell.clone(), value: value.clone() };
        match &self.first {
            None => self.first = Some(pin),
            Some(_) => self.more.push(pin),
        }
        value
    }
}

impl<T> Default for Pins<T> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}

impl<T> Clone for Pins<T> {
    fn clone(&self) -> Self {
        Self { first: self.first.clone(), more: self.more.clone() }
    }
}

impl<T> Clone for Pin<T> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.clone(), value: self.value.clone() }
    }
}

impl<T> fmt::Debug for Pins<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pins").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_live_of_one_type_is_pinned_for_itself() {
        let lives = [Live::constant(1), Live::constant(2), Live::constant(3)];
        let mut pins = Pins::default();
        for _ in 0..2 {
            let seen: Vec<u8> = lives.iter().map(|live| *pins.pin(live)).collect();
            assert_eq!(seen, [1, 2, 3]);
        }
        let mut clone = pins.clone();
        assert!(Arc::ptr_eq(&clone.pin(&lives[2]), &pins.pin(&lives[2])));
        assert_eq!(format!("{pins:?}"), "Pins { .. }");
    }
}
