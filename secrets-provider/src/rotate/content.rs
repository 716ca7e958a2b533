//! What a secret holds, as something whose members can be replaced. Pure.
//!
//! A JSON object, as text or as bytes in UTF-8, is edited in its text: what is not replaced stays
//! byte for byte, with its order, numbers and white space. Anything else is replaced as a whole.
//! Members are named by the program, so their names may be shown; the others may not.

use std::ops::Range;

use zeroize::Zeroizing;

use super::value::NewValue;
use crate::secret::Payload;
use crate::tree::json::{self, items, members};
use crate::tree::payload;

/// Why a member cannot be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EditError {
    /// There is no member of this name.
    Missing,
    /// It is there twice.
    Twice,
    /// It is a table or an array.
    NoScalar,
    /// A second value for a secret that is replaced as a whole.
    SecondWhole,
    /// The text is a JSON object, which is not replaced as a whole.
    Object,
}

/// What a secret holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    payload: Payload,
    is_object: bool,
}

/// A member's new value, by the member's name.
pub(super) type Edit<'a> = (&'a str, &'a NewValue);

impl Content {
    pub(super) fn new(payload: &Payload) -> Self {
        let is_object = text_of(payload).is_some_and(payload::is_object);
        Self { payload: payload.clone(), is_object }
    }

    pub(super) fn payload(&self) -> &Payload {
        &self.payload
    }

    pub(super) fn is_object(&self) -> bool {
        self.is_object
    }

    fn text(&self) -> &str {
        text_of(&self.payload).unwrap_or_default()
    }

    /// Whether there is a member of this name.
    pub(super) fn has(&self, member: &str) -> bool {
        !self.is_object || !matches!(self.find(member), Err(EditError::Missing))
    }

    /// The value of a member, or of the whole secret if it is no object: text, or the source text
    /// of a number or bool, or bytes. `None` for `null`.
    pub(super) fn value(&self, member: &str) -> Result<Option<Payload>, EditError> {
        if !self.is_object {
            return Ok(Some(self.payload.clone()));
        }
        let raw = &self.text()[self.find(member)?];
        match raw.as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b'{' | b'[') => Err(EditError::NoScalar),
            Some(b'"') => {
                let mut text = json::text(raw).ok_or(EditError::NoScalar)?;
                Ok(Some(Payload::text(std::mem::take(&mut *text))))
            }
            _ => Ok(Some(Payload::text(raw))),
        }
    }

    /// The same with these values in place.
    pub(super) fn edited(&self, edits: &[Edit<'_>]) -> Result<Self, EditError> {
        if !self.is_object {
            let [(_, value)] = edits else {
                return if edits.is_empty() {
                    Ok(self.clone())
                } else {
                    Err(EditError::SecondWhole)
                };
            };
            let payload = match &self.payload {
                Payload::Text(_) => Payload::text(value.to_text().as_str()),
                Payload::Binary(_) => Payload::binary(value.to_bytes().to_vec()),
            };
            return Ok(Self::new(&payload));
        }
        let text = self.text();
        let mut spans: Vec<(Range<usize>, Zeroizing<String>)> = Vec::with_capacity(edits.len());
        for (member, value) in edits {
            if member.is_empty() {
                return Err(EditError::Object);
            }
            let span = self.find(member)?;
            if text.as_bytes().get(span.start).is_some_and(|c| matches!(c, b'{' | b'[')) {
                return Err(EditError::NoScalar);
            }
            spans.push((span, json::string(&value.to_text())));
        }
        spans.sort_by_key(|(span, _)| span.start);
        if spans.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(EditError::Twice);
        }
        let added: usize = spans.iter().map(|(_, json)| json.len()).sum();
        // With its whole length, so that nothing is left behind by growing.
        let mut edited = Zeroizing::new(String::with_capacity(text.len() + added));
        let mut done = 0;
        for (span, json) in &spans {
            edited.push_str(&text[done..span.start]);
            edited.push_str(json);
            done = span.end;
        }
        edited.push_str(&text[done..]);
        let payload = match &self.payload {
            Payload::Text(_) => Payload::text(std::mem::take(&mut *edited)),
            Payload::Binary(_) => Payload::binary(std::mem::take(&mut *edited)),
        };
        Ok(Self { payload, is_object: true })
    }

    /// Whether both hold the same, but for white space, the order of members and escapes in strings
    /// if they are objects.
    pub(super) fn means(&self, other: &Self) -> bool {
        if self.payload == other.payload {
            return true;
        }
        self.is_object && other.is_object && same_value(self.text(), other.text(), 0)
    }

    /// Every text in it: keys and values at any depth, and numbers by their source text; or the
    /// whole.
    pub(super) fn texts(&self, visit: &mut impl FnMut(&[u8])) {
        match self.is_object {
            true => visit_texts(self.text(), 0, visit),
            false => match &self.payload {
                Payload::Text(text) => visit(text.as_str().as_bytes()),
                Payload::Binary(bytes) => visit(bytes),
            },
        }
    }

    /// Where a member's value is in the text. A name with dots is looked for as it is, and then in
    /// the tables that it names.
    fn find(&self, member: &str) -> Result<Range<usize>, EditError> {
        let text = self.text();
        let mut found = Vec::new();
        find_in(text, text, member, &mut found);
        match found.as_slice() {
            [] => Err(EditError::Missing),
            [one] => Ok(one.clone()),
            _ => Err(EditError::Twice),
        }
    }
}

/// How deep objects are looked into; a secret that nests deeper cannot be read anyway (M4).
const MAX_DEPTH: usize = 64;

fn text_of(payload: &Payload) -> Option<&str> {
    match payload {
        Payload::Text(text) => Some(text.as_str()),
        Payload::Binary(bytes) => std::str::from_utf8(bytes).ok(),
    }
}

fn find_in(whole: &str, object: &str, path: &str, found: &mut Vec<Range<usize>>) {
    for (key, raw) in members(object).unwrap_or_default() {
        let value = raw.get();
        if key.as_str() == path {
            let start = value.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
            found.push(start..start + value.len());
        } else if value.starts_with('{')
            && let Some(rest) =
                path.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('.'))
        {
            find_in(whole, value, rest, found);
        }
    }
}

fn same_value(one: &str, other: &str, depth: usize) -> bool {
    let kind = |text: &str| text.bytes().find(|c| !c.is_ascii_whitespace());
    match (kind(one), kind(other)) {
        _ if depth > MAX_DEPTH => false,
        (Some(b'{'), Some(b'{')) => {
            let (mut ours, mut theirs) =
                (members(one).unwrap_or_default(), members(other).unwrap_or_default());
            ours.sort_by(|a, b| a.0.cmp(&b.0));
            theirs.sort_by(|a, b| a.0.cmp(&b.0));
            ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|(ours, theirs)| {
                    ours.0 == theirs.0 && same_value(ours.1.get(), theirs.1.get(), depth + 1)
                })
        }
        (Some(b'['), Some(b'[')) => {
            let (ours, theirs) = (items(one), items(other));
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(&theirs)
                    .all(|(ours, theirs)| same_value(ours.get(), theirs.get(), depth + 1))
        }
        (Some(b'"'), Some(b'"')) => {
            json::text(one).is_some_and(|one| json::text(other).is_some_and(|other| one == other))
        }
        // Numbers by their source text: none is rounded.
        _ => one.trim() == other.trim(),
    }
}

fn visit_texts(json: &str, depth: usize, visit: &mut impl FnMut(&[u8])) {
    if depth > MAX_DEPTH {
        return visit(json.as_bytes());
    }
    match json.trim_start().as_bytes().first() {
        Some(b'{') => {
            for (key, value) in members(json).unwrap_or_default() {
                visit(key.as_bytes());
                visit_texts(value.get(), depth + 1, visit);
            }
        }
        Some(b'[') => items(json).iter().for_each(|item| visit_texts(item.get(), depth + 1, visit)),
        Some(b'"') => match json::text(json) {
            Some(text) => visit(text.as_bytes()),
            None => visit(json.as_bytes()),
        },
        _ => visit(json.trim().as_bytes()),
    }
}

#[cfg(test)]
mod tests;
