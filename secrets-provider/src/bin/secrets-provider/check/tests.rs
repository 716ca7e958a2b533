//! The rules, on a schema with a bit of everything.

use secrets_provider::Layers;
use serde_json::{Value, json};

use super::schema::Schema;
use crate::settings::Tree;

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
