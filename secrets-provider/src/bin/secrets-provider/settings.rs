//! What was loaded, as a tree of texts, and as variables for a program.
//!
//! The library fills any type; the type here is one that takes whatever there is. It takes two
//! walks: the first finds out which keys are tables, the second reads everything else as text, so
//! that numbers and lists keep their source text. `get` and `exec` call this. A value is wiped when
//! its tree is dropped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use secrets_provider::{Error, Layers};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde::de::{Error as _, Visitor};

/// Settings: a table of settings, or a text.
pub(crate) enum Tree {
    Table(BTreeMap<String, Tree>),
    Text(SecretString),
}

impl Tree {
    /// Everything in these layers.
    pub(crate) fn of(layers: &Layers) -> Result<Self, Error> {
        let shape: Shape = layers.extract()?;
        SHAPE.with(|held| *held.borrow_mut() = shape);
        let filled: Result<Filled, Error> = layers.extract();
        SHAPE.with(|held| *held.borrow_mut() = Shape::Leaf);
        filled.map(|Filled(tree)| tree)
    }

    /// What is at a dotted key path.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        if path.is_empty() {
            return Some(self);
        }
        let Self::Table(members) = self else { return None };
        // A member's own name may have a dot in it.
        if let Some(found) = members.get(path) {
            return Some(found);
        }
        let mut dots = path.match_indices('.');
        dots.find_map(|(at, _)| members.get(&path[..at])?.at(&path[at + 1..]))
    }

    /// Each text with its key path.
    pub(crate) fn texts(&self) -> Vec<(Vec<&str>, &SecretString)> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect<'a>(
        &'a self,
        path: &mut Vec<&'a str>,
        found: &mut Vec<(Vec<&'a str>, &'a SecretString)>,
    ) {
        match self {
            Self::Text(text) => found.push((path.clone(), text)),
            Self::Table(members) => {
                for (name, member) in members {
                    path.push(name);
                    member.collect(path, found);
                    path.pop();
                }
            }
        }
    }

    /// What it is, without anything of it.
    pub(crate) fn shape(&self) -> String {
        match self {
            Self::Text(_) => "one value".to_owned(),
            Self::Table(members) if members.len() == 1 => "JSON object, 1 key".to_owned(),
            Self::Table(members) => format!("JSON object, {} keys", members.len()),
        }
    }
}

/// Whether a dotted key path is at or below another.
pub(crate) fn is_within(inner: &str, outer: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('.');
    outer.is_empty() || inner.strip_prefix(outer).is_some_and(below)
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shape())
    }
}

/// Which keys are tables.
enum Shape {
    Table(BTreeMap<String, Shape>),
    Leaf,
}

thread_local! {
    /// The shape that the second walk follows. The library calls `Deserialize` on this thread, and
    /// has no way to hand something to it.
    static SHAPE: RefCell<Shape> = const { RefCell::new(Shape::Leaf) };
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

/// Methods of a visitor for which every scalar is the same.
macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, _: $type) -> Result<Shape, E> {
            Ok(Shape::Leaf)
        })*
    };
}

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128);
    scalars!(visit_f64: f64, visit_str: &str, visit_bytes: &[u8]);

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::Leaf)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, member)) = map.next_entry::<String, Shape>()? {
            members.insert(name, member);
        }
        Ok(Shape::Table(members))
    }
}

/// The second walk.
struct Filled(Tree);

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SHAPE.with(|shape| Fill(&shape.borrow()).deserialize(deserializer)).map(Self)
    }
}

struct Fill<'a>(&'a Shape);

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        match self.0 {
            Shape::Leaf => SecretString::deserialize(deserializer).map(Tree::Text),
            Shape::Table(members) => deserializer.deserialize_map(FillTable(members)),
        }
    }
}

struct FillTable<'a>(&'a BTreeMap<String, Shape>);

impl<'de> Visitor<'de> for FillTable<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let Some(shape) = self.0.get(&name) else {
                return Err(A::Error::custom("the settings changed while they were read"));
            };
            members.insert(name, map.next_value_seed(Fill(shape))?);
        }
        Ok(Tree::Table(members))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use secrets_provider::{Memory, SecretsManager};

    use super::*;

    fn tree(secrets: &[(&str, &str)]) -> Tree {
        let memory = Memory::new();
        for (name, text) in secrets {
            memory.put(name, *text);
        }
        let secrets = SecretsManager::prefix("app").backend(memory).fetch_blocking();
        Tree::of(&Layers::new().secrets(&secrets.expect("secrets"))).expect("a tree")
    }

    #[test]
    fn everything_is_text_as_it_is_stored() {
        let tree = tree(&[
            ("app/a", r#"{"n": 1.10, "big": 123456789012345678901234567890, "t": true}"#),
            ("app/b", r#"{"list": [1, {"x":  2}], "value": "v", "gone": null}"#),
            ("app/c", " 007\n"),
            ("app/d", r#"{"value": "only"}"#),
        ]);
        let texts: Vec<(String, String)> = tree
            .texts()
            .into_iter()
            .map(|(path, text)| (path.join("."), text.expose_secret().to_owned()))
            .collect();
        let expected = [
            ("a.big", "123456789012345678901234567890"),
            ("a.n", "1.10"),
            ("a.t", "true"),
            ("b.list", r#"[1, {"x":  2}]"#),
            ("b.value", "v"),
            ("c", " 007\n"),
            ("d.value", "only"),
        ];
        assert_eq!(texts, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    }

    #[test]
    fn a_name_with_a_dot_is_found() {
        let tree = tree(&[("app/a", r#"{"x.y": {"z": "1"}, "x": {"w": "2"}}"#)]);
        for (path, found) in [("a.x.y.z", true), ("a.x.w", true), ("a.x.z", false), ("", true)] {
            assert_eq!(tree.at(path).is_some(), found, "{path}");
        }
    }

    #[test]
    fn a_place_is_within_another() {
        for (inner, outer, expected) in [
            ("database", "", true),
            ("database.url", "database", true),
            ("database", "database", true),
            ("database_url", "database", false),
            ("", "database", false),
        ] {
            assert_eq!(is_within(inner, outer), expected, "{inner} {outer}");
        }
    }

    #[test]
    fn debug_shows_no_value_and_no_key() {
        let shown = format!("{:?}", tree(&[("app/a", r#"{"hunter2": "hunter3"}"#)]));
        assert_eq!(shown, "JSON object, 1 key");
    }
}
