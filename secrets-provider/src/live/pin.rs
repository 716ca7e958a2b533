//! [`Pins`]: one generation per request.
//!
//! The crates that join [`Live`] to a web framework keep it in the request's extensions, so that
//! every extractor of one request reads the same settings.

use std::fmt;
use std::sync::Arc;

use super::Live;

/// The generations that one request has seen: the first read of a [`Live`] pins its generation, and
/// later reads return the same one, even if a secret rotates in between.
///
/// For authors of framework integrations: keep one `Pins<T>` in each request's extensions, and let
/// every extractor of `T` read through it. The first pin needs no allocation of its own; a request
/// that reads two `Live`s of one type pins each for itself.
///
/// ```
/// use secrets_provider::{Live, Pins};
///
/// let port = Live::constant(8080);
/// let mut request: Pins<u16> = Pins::default();
/// let first = request.pin(port.clone());
/// // Even if `port` changes now, this request reads the same value.
/// assert!(std::sync::Arc::ptr_eq(&first, &request.pin(port)));
/// ```
pub struct Pins<T> {
    first: Option<Pin<T>>,
    more: Vec<Pin<T>>,
}

/// One `Live`'s generation. It holds the `Live`, so that no other can be at the same address.
struct Pin<T> {
    live: Live<T>,
    value: Arc<T>,
}

impl<T> Pins<T> {
    /// The settings of the generation that this request saw first.
    pub fn pin(&mut self, live: Live<T>) -> Arc<T> {
        let mut pins = self.first.iter().chain(&self.more);
        if let Some(pin) = pins.find(|pin| pin.live.ptr_eq(&live)) {
            return pin.value.clone();
        }
        let value = live.current();
        let pin = Pin { live, value: value.clone() };
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
        Self { live: self.live.clone(), value: self.value.clone() }
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
            let seen: Vec<u8> = lives.iter().map(|live| *pins.pin(live.clone())).collect();
            assert_eq!(seen, [1, 2, 3]);
        }
        let mut clone = pins.clone();
        assert!(Arc::ptr_eq(&clone.pin(lives[2].clone()), &pins.pin(lives[2].clone())));
        assert_eq!(format!("{pins:?}"), "Pins { .. }");
    }
}
