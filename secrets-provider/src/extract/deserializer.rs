//! serde's `Deserializer`: each method says how its type is read from a node (rule T2).
//!
//! The target type decides: text is parsed where a number, a bool, a table or a sequence is wanted,
//! and stays text elsewhere.

use serde::de::{Deserializer, Visitor};

use super::access::{Members, Versions};
use super::error::{ExtractError, Objection};
use super::magic::Magic;
use super::numbers::{Number, numbers};
use super::serde_internals::{self, KEY, ROTATING, identity, is_tagged_visitor};
use super::variants::{self, Choice, Enum};
use super::{Extractor, Place, scalar};
use crate::tree::{Node, Value, base64};

impl<'de> Deserializer<'de> for Extractor<'_> {
    type Error = ExtractError;

    numbers!();

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        let Place::Node(node) = self.place else {
            return self.deserialize_map(visitor);
        };
        // The visitor of an internally tagged enum takes tables only.
        if is_tagged_visitor::<V>() && node.is_leaf() && !matches!(node.value, Value::Array(_)) {
            return match self.json() {
                Some(Ok(node)) if !node.is_leaf() => self.with(&node).deserialize_map(visitor),
                Some(Err(problem)) => self.malformed("a table", &problem),
                _ => self.no_table(),
            };
        }
        let visited = match &node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => scalar::visit_number(number.as_str(), visitor),
            Value::Text(text) => {
                self.context.count_buffered();
                visitor.visit_str(text.as_str())
            }
            Value::Bytes(bytes) => visitor.visit_str(&base64(bytes)),
            Value::Array(_) => return self.deserialize_seq(visitor),
            Value::Table(_) => return self.deserialize_map(visitor),
        };
        self.settle(visited)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        let value = self.scalar().and_then(|node| match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) if text.as_str().trim().eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.as_str().trim().eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        });
        match value {
            Some(value) => self.settle(visitor.visit_bool(value)),
            None => self.wrong("bool (`true` or `false`)"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        let single = self.text().and_then(|text| {
            let mut chars = text.as_str().chars();
            chars.next().filter(|_| chars.next().is_none())
        });
        match single {
            Some(single) => self.settle(visitor.visit_char(single)),
            None => self.wrong("a single character"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        match self.text() {
            Some(text) => self.settle(visitor.visit_str(text.as_str())),
            None => self.wrong("text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        // Text is its own bytes: decoding it would be a guess, since most passwords are valid
        // base64.
        match self.scalar().map(|node| &node.value) {
            Some(Value::Bytes(bytes)) => self.settle(visitor.visit_bytes(bytes)),
            _ => match self.text() {
                Some(text) => self.settle(visitor.visit_bytes(text.as_str().as_bytes())),
                None => self.wrong("bytes (SecretBinary, or text)"),
            },
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        match self.scalar().map(|node| &node.value) {
            Some(Value::Null) => return self.settle(visitor.visit_none()),
            // Only a try shows whether the type inside takes empty text. If it does not, the next
            // walk reads `None`.
            Some(Value::Text(text)) if text.as_str().trim().is_empty() => {
                let (context, kind) = (self.context, identity::<V>());
                if context.rejects_empty(kind) {
                    return self.settle(visitor.visit_none());
                }
                let errors = context.error_count();
                let visited = self.settle(visitor.visit_some(self.inside_option()));
                if visited.is_err() {
                    context.take_back_since(errors, &self.at);
                    context.reject_empty(kind);
                }
                return visited;
            }
            _ => {}
        }
        let visited = visitor.visit_some(self.inside_option());
        self.settle(visited)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        match self.node().map(|node| &node.value) {
            Some(Value::Null) => self.settle(visitor.visit_unit()),
            _ => self.wrong("nothing (null)"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        match name {
            ROTATING => {
                let versions = Versions::of(self.again());
                let visited = visitor.visit_seq(versions);
                return self.settle(visited);
            }
            KEY => return self.key(visitor),
            _ => {}
        }
        let visited = visitor.visit_newtype_struct(self.again());
        self.settle(visited)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        self.items(None, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.items(Some(length), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.items(Some(length), visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        match self.table() {
            Some(table) => {
                if self.node().is_some() && self.context.is_tried(&self.at) {
                    return self.wrong("a table");
                }
                let known = self.context.buffered();
                match visitor.visit_map(Members::of_map(table, &self.at, self.context)) {
                    // In a struct with `flatten`, two of the names that were handed out are one
                    // field's.
                    Err(ExtractError::Unplaced(Objection::Duplicate(field)))
                        if self.context.is_last_a_spelling() =>
                    {
                        let stored = table.stored();
                        let node = |name: &str| {
                            let node = stored.iter().find(|(stored, _)| *stored == name);
                            node.map(|(_, node)| &**node).or_else(|| table.entries.get(name))
                        };
                        self.context.same_field(&self.at, field, node);
                        Err(ExtractError::Reported)
                    }
                    // Fields that serde looks for itself, below `flatten` or a tag, are found by
                    // either name, too.
                    Err(ExtractError::Unplaced(objection))
                        if !matches!(objection, Objection::Duplicate(_))
                            && table.has_stored_names()
                            && self.context.read_by_tree_names(&self.at) =>
                    {
                        Err(ExtractError::Reported)
                    }
                    // Variables that are not meant for a struct with `flatten` are in it, too.
                    Err(ExtractError::Unplaced(objection))
                        if (self.context.buffered() > known || objection.missing().is_some())
                            && !self.context.is_of_kept_variable(&self.at, table, &objection)
                            && self.context.leave_out_variables(
                                &self.at,
                                table,
                                objection.missing(),
                            ) =>
                    {
                        Err(ExtractError::Reported)
                    }
                    visited => self.settle_buffered(visited, known),
                }
            }
            None => match self.json() {
                Some(Ok(node)) if matches!(node.value, Value::Table(_)) => {
                    self.with(&node).deserialize_map(visitor)
                }
                Some(Err(problem)) => self.malformed("a table", &problem),
                _ => self.no_table(),
            },
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        if let Some(magic) = Magic::of(name, fields, &self) {
            let visited = visitor.visit_map(magic);
            return self.settle(visited);
        }
        match self.table() {
            Some(table) => {
                self.context.know_fields(&self.at, fields);
                let members = Members::of_struct(table, fields, &self.at, self.context);
                match visitor.visit_map(members) {
                    Err(ExtractError::Unplaced(Objection::Missing(field))) => {
                        self.context.missing(&self.at, self.node(), field, fields);
                        Err(ExtractError::Reported)
                    }
                    Err(ExtractError::Unplaced(Objection::Duplicate(field))) => {
                        let members = Members::of_struct(table, fields, &self.at, self.context);
                        self.context.same_field(&self.at, field, |name| members.node(name));
                        Err(ExtractError::Reported)
                    }
                    visited => self.settle(visited),
                }
            }
            None => match self.json() {
                Some(Ok(node)) if matches!(node.value, Value::Table(_)) => {
                    self.with(&node).deserialize_struct(name, fields, visitor)
                }
                Some(Err(problem)) => self.malformed("a table", &problem),
                _ => self.no_table(),
            },
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.context.know_fields(&self.at, variants);
        match self.table().map_or(Choice::None, |table| variants::chosen(table, variants)) {
            Choice::One((variant, node), ambiguities) => {
                self.context.report_ambiguities(&self.at, ambiguities);
                let content = Enum::with_content(&variant, &node, &self.at, self.context);
                let visited = visitor.visit_enum(content);
                return self.settle(visited);
            }
            Choice::Two([one, other]) => {
                let reason = format!("there are two, `{one}` and `{other}`");
                return self.malformed("one variant", &reason);
            }
            Choice::None => {}
        }
        match self.json() {
            Some(Ok(node)) if matches!(node.value, Value::Table(_)) => {
                return self.with(&node).deserialize_enum(name, variants, visitor);
            }
            Some(Err(problem)) => return self.malformed("a variant", &problem),
            _ => {}
        }
        match self.text() {
            Some(text) => {
                let variant = variants::named(text.as_str().trim(), variants);
                let visited = visitor.visit_enum(Enum::unit(variant, self.context));
                self.settle(visited)
            }
            None => self.wrong("a variant's name"),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        visitor.visit_unit()
    }

    /// Outside of the keys of a table, serde asks for a name where a tag is. Only the type's
    /// refusal shows which variants there are: the next walk gives the one that the tag spells.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        self.context.know_tag(&self.at);
        let Some(Node { value: Value::Text(tag), .. }) = self.scalar() else {
            return self.deserialize_any(visitor);
        };
        let named = self.context.variant_of_tag(&self.at);
        match visitor.visit_str(named.unwrap_or(tag.as_str())) {
            Err(ExtractError::Unplaced(Objection::UnknownVariant(variants)))
                if named.is_none() && self.context.name_tag(&self.at, tag.as_str(), variants) =>
            {
                Err(ExtractError::Reported)
            }
            visited => self.settle(visited),
        }
    }
}

impl Extractor<'_> {
    fn number<T: Number, R>(
        self,
        name: &str,
        visit: impl FnOnce(T) -> Result<R, ExtractError>,
    ) -> Result<R, ExtractError> {
        match self.parsed() {
            Some(number) => self.settle(visit(number)),
            None => self.wrong(name),
        }
    }

    /// Bytes as they are, or text that the key itself decodes. It leaves the reason for a
    /// rejection, which holds no value.
    fn key<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        serde_internals::take_key_error();
        let visited = match self.scalar().map(|node| &node.value) {
            Some(Value::Bytes(bytes)) => visitor.visit_bytes(bytes),
            Some(Value::Text(text)) => visitor.visit_str(text.as_str()),
            _ => return self.wrong("a key (base64 or hex text, or SecretBinary)"),
        };
        match (visited, serde_internals::take_key_error()) {
            (Err(ExtractError::Unplaced(_)), Some(error)) => {
                self.context.report(&self.at, self.node(), &error.to_string());
                Err(ExtractError::Reported)
            }
            (visited, _) => self.settle(visited),
        }
    }
}
