//! figment's magic types (`RelativePathBuf`, `Tagged`) as fields.
//!
//! They ask for a struct whose name begins with `___figment_` and whose two fields are what figment
//! knows about the value's source, and the value itself. figment's own deserializer makes that
//! struct up, and so does ours: the value's fields come from its node, and the source from its
//! origin. Nothing here needs the crate figment.

use std::sync::Arc;

use serde::de::{DeserializeSeed, IntoDeserializer as _, MapAccess};

use super::access::descend;
use super::context::Context;
use super::error::{ExtractError, Objection};
use super::{Extractor, Place};
use crate::secret::Text;
use crate::tree::{Node, Table, Value};

/// How the name of such a struct begins.
const PREFIX: &str = "___figment_";

/// The members of such a struct.
pub(super) struct Magic<'a> {
    members: std::vec::IntoIter<(&'static str, Node)>,
    next: Option<Node>,
    at: String,
    context: &'a Context<'a>,
}

impl<'a> Magic<'a> {
    /// The members that a struct of this name wants, if it is one of figment's.
    pub(super) fn of(
        name: &str,
        fields: &'static [&'static str],
        extractor: &Extractor<'a>,
    ) -> Option<Self> {
        let [source, value] = *fields else { return None };
        if !name.starts_with(PREFIX) || !source.starts_with(PREFIX) {
            return None;
        }
        let node = match extractor.place {
            Place::Node(node) => node,
            Place::Root(_) => return None,
        };
        // A value that was serialized by figment has the struct already.
        let of_table = |name: &str| match &node.value {
            Value::Table(Table { entries, .. }) => entries.get(name),
            _ => None,
        };
        let given = of_table(source).filter(|node| !matches!(node.value, Value::Null));
        let given = given.cloned().or_else(|| {
            let text = match source.ends_with("_tag") {
                true => Value::Number(Text::new("0")),
                false => Value::Text(Text::new(node.origin.file()?.to_string_lossy())),
            };
            Some(Node::new(text, Arc::clone(&node.origin)))
        });
        let inner = of_table(value).unwrap_or(node).clone();
        let members: Vec<_> =
            given.map(|given| (source, given)).into_iter().chain([(value, inner)]).collect();
        Some(Self {
            members: members.into_iter(),
            next: None,
            at: extractor.at.clone(),
            context: extractor.context,
        })
    }
}

impl<'de> MapAccess<'de> for Magic<'_> {
    type Error = ExtractError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ExtractError> {
        let Some((name, node)) = self.members.next() else { return Ok(None) };
        self.next = Some(node);
        let name: serde::de::value::StrDeserializer<'_, ExtractError> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, ExtractError> {
        match self.next.take() {
            Some(node) => descend(seed, &node, self.at.clone(), self.context),
            None => Err(ExtractError::Unplaced(Objection::Rejected)),
        }
    }
}
