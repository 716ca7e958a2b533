//! How a JSON Schema is held against settings, value by value. Pure.
//!
//! Settings are text, and the type decides how it is read, so this follows the library's own rules
//! (T2, T3): `"5432"` fits a number, names match in any spelling, and a missing `database.url` is
//! looked for as `database_url`. What a schema cannot say, such as a type's own parsing, only the
//! start of the program finds. A name is shown if the schema has it; other keys may be secret.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::finding::Finding;
use super::names::{is_almost, relaxed};
use super::schema::{MAX_DEPTH, Schema};
use super::values::{expected, fits, is_same};
use crate::settings::Tree;

pub(super) struct Walk<'a> {
    schema: &'a Schema<'a>,
    settings: &'a Tree,
    found: Vec<Finding>,
}

impl<'a> Walk<'a> {
    /// What is missing or wrong in these settings.
    pub(super) fn over(schema: &'a Schema<'a>, root: &Value, settings: &'a Tree) -> Vec<Finding> {
        let mut walk = Self { schema, settings, found: Vec::new() };
        walk.value(root, settings, &mut Vec::new(), 0);
        walk.found
    }

    fn value(&mut self, schema: &Value, tree: &Tree, path: &mut Vec<String>, depth: usize) {
        let schema = self.schema.resolved(schema);
        if depth > MAX_DEPTH || !schema.is_object() {
            return;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.value(part, tree, path, depth + 1);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[choice].as_array() {
                self.choice(choices, tree, path, depth);
            }
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let empty = matches!(tree, Tree::Text(text) if text.expose_secret().trim().is_empty());
        if types.contains(&"null") && empty {
            return;
        }
        if types.contains(&"object") || schema["properties"].is_object() {
            self.object(schema, tree, path, depth);
        } else if !types.is_empty() && !types.iter().any(|kind| fits(kind, schema, tree)) {
            self.wrong(path, expected(&types, schema));
        }
        let mut allowed =
            schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
        if let (Tree::Text(text), true) = (tree, allowed.clone().next().is_some())
            && !allowed.any(|value| is_same(value, text))
        {
            self.wrong(path, "one of the variants".to_owned());
        }
    }

    /// One of these must fit.
    fn choice(&mut self, choices: &[Value], tree: &Tree, path: &mut Vec<String>, depth: usize) {
        let mut attempts: Vec<Vec<Finding>> = Vec::new();
        for choice in choices {
            if self.schema.resolved(choice)["type"] == "null" {
                let empty =
                    matches!(tree, Tree::Text(text) if text.expose_secret().trim().is_empty());
                if empty {
                    return;
                }
                continue;
            }
            let mut walk = Walk { schema: self.schema, settings: self.settings, found: Vec::new() };
            walk.value(choice, tree, path, depth + 1);
            if walk.found.is_empty() {
                return;
            }
            attempts.push(walk.found);
        }
        match attempts.len() {
            1 => self.found.extend(attempts.remove(0)),
            _ => self.wrong(path, "one of the variants".to_owned()),
        }
    }

    fn object(&mut self, schema: &Value, tree: &Tree, path: &mut Vec<String>, depth: usize) {
        let parsed;
        let members = match tree {
            Tree::Table(members) => members,
            Tree::Text(text) => match serde_json::from_str(text.expose_secret()) {
                Ok(Value::Object(object)) => {
                    parsed = of_json(object);
                    &parsed
                }
                _ => return self.wrong(path, "a table".to_owned()),
            },
        };
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let empty = serde_json::Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let settings = self.settings;
        for (name, property) in properties {
            path.push(name.clone());
            let member = members.get(name).or_else(|| {
                members
                    .iter()
                    .find(|(other, _)| relaxed(other) == relaxed(name))
                    .map(|found| found.1)
            });
            match member.or_else(|| implied(settings, path)) {
                Some(member) => self.value(property, member, path, depth + 1),
                None if required.contains(&name.as_str()) => {
                    let almost = members.keys().any(|other| {
                        is_almost(name, other)
                            && !properties.keys().any(|known| relaxed(known) == relaxed(other))
                    });
                    self.found.push(Finding::Missing { key: path.join("."), almost });
                }
                None => {}
            }
            path.pop();
        }
        if let Some(more) = schema.get("additionalProperties").filter(|more| more.is_object()) {
            for (name, member) in members {
                if !properties.keys().any(|property| relaxed(property) == relaxed(name)) {
                    path.push("*".to_owned());
                    self.value(more, member, path, depth + 1);
                    path.pop();
                }
            }
        }
    }

    fn wrong(&mut self, path: &[String], expected: String) {
        let key = if path.is_empty() { "(root)".to_owned() } else { path.join(".") };
        let finding = Finding::Wrong { key, expected };
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }
}

/// What is named as a nested key in one word.
fn implied<'a>(settings: &'a Tree, path: &[String]) -> Option<&'a Tree> {
    let Tree::Table(members) = settings else { return None };
    let name = relaxed(&path.concat());
    let nested = path.len() > 1;
    members.iter().find(|(other, _)| nested && relaxed(other) == name).map(|found| found.1)
}

fn of_json(object: serde_json::Map<String, Value>) -> BTreeMap<String, Tree> {
    let tree = |value: Value| match value {
        Value::Object(inner) => Tree::Table(of_json(inner)),
        Value::String(text) => Tree::Text(text.into()),
        other => Tree::Text(other.to_string().into()),
    };
    object.into_iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k, tree(v))).collect()
}
