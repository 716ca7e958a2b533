//! Text that may be secret.
//!
//! Every layer and tree shares one copy, which is wiped when the last handle is dropped.

use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroizing;

/// Text that may be secret: shared, so that all layers use one copy, and wiped when the last handle
/// is dropped. It may be a part of a longer text that it shares.
#[derive(Clone)]
pub(crate) struct Text {
    whole: Arc<Zeroizing<String>>,
    part: Range<usize>,
}

impl Text {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::wiped(Zeroizing::new(text.into()))
    }

    pub(crate) fn wiped(text: Zeroizing<String>) -> Self {
        let part = 0..text.len();
        Self { whole: Arc::new(text), part }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.whole[self.part.clone()]
    }

    /// A part of this text, shared with it; a copy if `part` was not borrowed from it.
    pub(crate) fn share(&self, part: &str) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(self.whole.as_ptr().addr());
        let range = start..start.wrapping_add(part.len());
        match self.whole.get(range.clone()) {
            Some(shared) if shared.as_ptr() == part.as_ptr() => {
                Self { whole: self.whole.clone(), part: range }
            }
            _ => Self::new(part),
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_shared_and_other_text_is_copied() {
        let text = Text::new("a secret");
        let part = text.share(&text.as_str()[2..]);
        assert_eq!(part.as_str(), "secret");
        assert!(Arc::ptr_eq(&part.whole, &text.whole));
        let again = part.share(&part.as_str()[..3]);
        assert_eq!(again.as_str(), "sec");
        assert_eq!(text.share("another").as_str(), "another");
    }
}
