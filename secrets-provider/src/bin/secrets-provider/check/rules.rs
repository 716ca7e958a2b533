//! How a JSON Schema is held against settings. Pure.
//!
//! Settings are text, and the type decides how it is read, so this follows the library's own rules
//! (T2, T3): `"5432"` fits a number, names match in any spelling, and a missing `database.url` is
//! looked for as `database_url`. What a schema cannot say, such as a type's own parsing, only the
//! start of the program finds. A name is shown if the schema has it; other keys may be secret.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::settings::Tree;

/// Deeper schemas refer to themselves.
const MAX_DEPTH: usize = 64;

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
pub(super) enum Finding {
    Missing { key: String },
    Wrong { key: String, expected: String },
    Unknown { key: String, count: usize },
}

impl Finding {
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key } => write!(f, "{key}: missing"),
            Self::Wrong { key, expected } => write!(f, "{key}: expected {expected}"),
            Self::Unknown { key, count: 1 } => write!(f, "{key}: a key that nothing reads"),
            Self::Unknown { key, count } => write!(f, "{key}: {count} keys that nothing reads"),
        }
    }
}

/// A schema, with its definitions.
pub(super) struct Schema<'a> {
    root: &'a Value,
}

impl<'a> Schema<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// What is missing or wrong.
    pub(super) fn check(&self, settings: &Tree) -> Vec<Finding> {
        let mut walk = Walk { schema: self, settings, found: Vec::new() };
        walk.value(self.root, settings, &mut Vec::new(), 0);
        walk.found
    }

    /// The keys that the schema does not know.
    pub(super) fn unknown(&self, secrets: &Tree) -> Vec<Finding> {
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
    fn resolved<'b>(&'b self, mut schema: &'b Value) -> &'b Value {
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

struct Walk<'a> {
    schema: &'a Schema<'a>,
    settings: &'a Tree,
    found: Vec<Finding>,
}

impl Walk<'_> {
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
                    self.found.push(Finding::Missing { key: path.join(".") });
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

/// A name without what spellings differ in.
fn relaxed(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.')).flat_map(char::to_lowercase).collect()
}

fn is_same(value: &Value, text: &SecretString) -> bool {
    let text = text.expose_secret();
    match value {
        Value::String(name) => relaxed(name) == relaxed(text),
        other => {
            let written = other.to_string();
            written == text.trim()
        }
    }
}

fn fits(kind: &str, schema: &Value, tree: &Tree) -> bool {
    let text = match (kind, tree) {
        // A table fills text by its source, and a list by its numbered keys.
        ("string" | "array", _) => return true,
        (_, Tree::Table(_)) => return false,
        (_, Tree::Text(text)) => text.expose_secret().trim(),
    };
    let within = |number: f64| {
        schema["minimum"].as_f64().is_none_or(|least| number >= least)
            && schema["maximum"].as_f64().is_none_or(|most| number <= most)
    };
    match kind {
        "boolean" => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        #[allow(clippy::cast_precision_loss, reason = "only compared with bounds")]
        "integer" => text.parse::<i128>().is_ok_and(|number| within(number as f64)),
        "number" => text.parse::<f64>().is_ok_and(|number| number.is_finite() && within(number)),
        _ => false,
    }
}

fn expected(types: &[&str], schema: &Value) -> String {
    let kind = types.iter().find(|kind| **kind != "null").copied().unwrap_or("nothing");
    let word = match kind {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        other => other,
    };
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!("{word} from {least} to {most}"),
        (Some(least), None) => format!("{word} of at least {least}"),
        _ => word.to_owned(),
    }
}

fn of_json(object: serde_json::Map<String, Value>) -> BTreeMap<String, Tree> {
    let tree = |value: Value| match value {
        Value::Object(inner) => Tree::Table(of_json(inner)),
        Value::String(text) => Tree::Text(text.into()),
        other => Tree::Text(other.to_string().into()),
    };
    object.into_iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k, tree(v))).collect()
}

#[cfg(test)]
mod tests {
    use secrets_provider::Layers;
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["database", "port"],
            "properties": {
                "database": {"$ref": "#/$defs/Database"},
                "port": {"type": "integer", "minimum": 0, "maximum": 65535},
                "debug": {"type": ["boolean", "null"]},
                "mail": {"anyOf": [{"$ref": "#/$defs/Mail"}, {"type": "null"}]},
                "mode": {"enum": ["Fast", "Slow"], "type": "string"},
                "hosts": {"type": "array", "items": {"type": "string"}},
                "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
            "$defs": {
                "Database": {"type": "object", "required": ["url", "password"], "properties": {
                    "url": {"type": "string"}, "password": {"type": "string"}}},
                "Mail": {"type": "object", "required": ["host"], "properties": {
                    "host": {"type": "string"}}},
            },
        })
    }

    fn tree(variables: &[(&str, &str)]) -> Tree {
        Tree::of(&Layers::new().environment_from(variables.iter().copied())).expect("a tree")
    }

    fn found(variables: &[(&str, &str)]) -> Vec<String> {
        let schema = schema();
        let schema = Schema::new(&schema);
        let tree = tree(variables);
        let findings = schema.check(&tree).into_iter().chain(schema.unknown(&tree));
        findings.map(|finding| finding.to_string()).collect()
    }

    const WHOLE: [(&str, &str); 3] =
        [("DATABASE__PASSWORD", "hunter2"), ("DATABASE_URL", "hunter3"), ("PORT", " 80 ")];

    fn with(more: &[(&'static str, &'static str)]) -> Vec<String> {
        found(&[&WHOLE[..], more].concat())
    }

    #[test]
    fn what_the_library_reads_fits() {
        for more in [
            &[][..],
            &[("DEBUG", "True")],
            &[("DEBUG", "")],
            &[("MAIL__HOST", "h")],
            &[("MAIL", r#"{"host": "h"}"#)],
            &[("MODE", "fast")],
            &[("HOSTS", "a, b")],
            &[("LIMITS__A", "1"), ("LIMITS__B", "2")],
        ] {
            assert_eq!(with(more), [""; 0], "{more:?}");
        }
    }

    #[test]
    fn everything_that_does_not_fit_is_found_at_once_and_no_value_shows() {
        let found = found(&[
            ("DATABASE__URL", "hunter2"),
            ("DATABASE__HUNTER2", "hunter3"),
            ("PORT", "hunter2"),
            ("DEBUG", "hunter2"),
            ("MAIL", "hunter2"),
            ("MODE", "hunter2"),
            ("LIMITS__HUNTER2", "hunter3"),
            ("HUNTER2", "x"),
        ]);
        let expected = [
            "database.password: missing",
            "debug: expected `true` or `false`",
            "limits.*: expected a whole number",
            "mail: expected a table",
            "mode: expected one of the variants",
            "port: expected a whole number from 0 to 65535",
            "database.*: a key that nothing reads",
            "*: a key that nothing reads",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#"});
        assert_eq!(Schema::new(&schema).check(&tree(&[("A", "b")])), []);
        let list = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert_eq!(Schema::new(&list).check(&tree(&[("NEXT__NEXT", "{}")])), []);
    }
}
