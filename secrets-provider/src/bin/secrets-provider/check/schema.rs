//! A JSON Schema: its references, what of it describes objects, and which keys it knows. Pure.

use serde_json::Value;

use super::finding::Finding;
use super::names::relaxed;
use super::walk::Walk;
use crate::settings::Tree;

/// Deeper schemas refer to themselves.
pub(super) const MAX_DEPTH: usize = 64;

/// A schema, with its definitions.
pub(crate) struct Schema<'a> {
    root: &'a Value,
}

impl<'a> Schema<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// What is missing or wrong.
    pub(crate) fn check(&self, settings: &Tree) -> Vec<Finding> {
        Walk::over(self, self.root, settings)
    }

    /// The keys that the schema does not know.
    pub(crate) fn unknown(&self, secrets: &Tree) -> Vec<Finding> {
        let mut found = Vec::new();
        self.unknown_in(self.root, secrets, &mut Vec::new(), &mut found, 0);
        found
    }

    fn unknown_in(
        &self,
        schema: &Value,
        tree: &Tree,
        path: &mut Vec<String>,
        found: &mut Vec<Finding>,
        depth: usize,
    ) {
        let Tree::Table(members) = tree else { return };
        let parts = self.objects(schema, depth);
        let open = |part: &&Value| {
            part.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false))
        };
        if parts.is_empty() || parts.iter().any(open) || depth > MAX_DEPTH {
            return;
        }
        let properties: Vec<(&String, &Value)> =
            parts.iter().filter_map(|part| part["properties"].as_object()).flatten().collect();
        let mut count = 0;
        for (name, member) in members {
            match properties.iter().find(|(property, _)| relaxed(property) == relaxed(name)) {
                Some((property, schema)) => {
                    path.push((*property).clone());
                    self.unknown_in(schema, member, path, found, depth + 1);
                    path.pop();
                }
                // `database_url` stands for `database.url`.
                None if path.is_empty() && self.is_implied(&properties, name) => {}
                None => count += 1,
            }
        }
        if count > 0 {
            path.push("*".to_owned());
            found.push(Finding::Unknown { key: path.join("."), count });
            path.pop();
        }
    }

    fn is_implied(&self, properties: &[(&String, &Value)], name: &str) -> bool {
        properties.iter().any(|(outer, schema)| {
            let parts = self.objects(schema, 0);
            let mut inner =
                parts.iter().filter_map(|part| part["properties"].as_object()).flatten();
            inner.any(|(inner, _)| relaxed(&format!("{outer}{inner}")) == relaxed(name))
        })
    }

    /// A schema without references.
    pub(super) fn resolved<'b>(&'b self, mut schema: &'b Value) -> &'b Value {
        for _ in 0..MAX_DEPTH {
            let Some(pointer) = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#'))
            else {
                break;
            };
            schema = self.root.pointer(pointer).unwrap_or(&Value::Bool(true));
        }
        schema
    }

    /// The parts of a schema that describe an object: itself, and what it is made of.
    fn objects<'b>(&'b self, schema: &'b Value, depth: usize) -> Vec<&'b Value> {
        let schema = self.resolved(schema);
        let mut parts = Vec::new();
        if depth > MAX_DEPTH {
            return parts;
        }
        if schema["properties"].is_object() || schema.get("additionalProperties").is_some() {
            parts.push(schema);
        }
        for combined in ["allOf", "anyOf", "oneOf"] {
            for part in schema[combined].as_array().into_iter().flatten() {
                parts.extend(self.objects(part, depth + 1));
            }
        }
        parts
    }
}
