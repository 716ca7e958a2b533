//! What replicas extract: every shape of a secret, each value with the stamp of the version that it
//! is from.
//!
//! A stamp names its secret, and a number that no other version of the world has. So a value says by
//! itself where it is from: members of two versions in one table, or a secret under another one's
//! key, are seen without knowing anything else.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::Deserialize;

/// In every value that is stored, and nowhere else: what shows it shows a secret.
pub const MARKER: &str = "cnry7f3aq9";

/// How a secret's value looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text that is no JSON.
    Text,
    /// A JSON object with an object in it.
    Json,
    /// `SecretBinary`.
    Binary,
    /// A JSON object with the keys of a `.env` file.
    Screaming,
    /// The secret that is named exactly as the prefix: its members are keys at the root.
    Root,
}

impl Shape {
    /// The table of the settings that has the secrets of this shape.
    pub fn table(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Binary => "binary",
            Self::Screaming => "screaming",
            Self::Root => "root",
        }
    }
}

/// Which version of which secret a value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    pub secret: usize,
    pub number: u64,
}

impl Stamp {
    /// The stamp as a value.
    pub fn text(self) -> String {
        let Self { secret, number } = self;
        let check =
            (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ secret as u64;
        format!("{MARKER}-{secret:02}-{number:06}-{check:016x}")
    }

    /// The stamp of a value, if it is one to the letter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(MARKER)?.strip_prefix('-')?.split('-');
        let stamp =
            Self { secret: parts.next()?.parse().ok()?, number: parts.next()?.parse().ok()? };
        (stamp.text() == text).then_some(stamp)
    }
}

thread_local! {
    static BUILT: Cell<u64> = const { Cell::new(0) };
}

fn next_built() -> u64 {
    BUILT.set(BUILT.get() + 1);
    BUILT.get()
}

/// Numbers settings from one again.
pub fn reset_built() {
    BUILT.set(0);
}

#[derive(Deserialize)]
pub struct Settings {
    #[serde(default)]
    text: BTreeMap<String, String>,
    #[serde(default)]
    json: BTreeMap<String, Table>,
    #[serde(default)]
    binary: BTreeMap<String, Vec<u8>>,
    #[serde(default)]
    screaming: BTreeMap<String, Table>,
    root: Option<Table>,
    /// Grows with each extraction: later settings have a greater one.
    #[serde(skip, default = "next_built")]
    pub built: u64,
}

#[derive(Deserialize)]
pub struct Table {
    pub stamp: String,
    check: String,
    nested: Nested,
    port: u16,
}

#[derive(Deserialize)]
struct Nested {
    stamp: String,
}

impl Table {
    /// The one stamp that all members have.
    pub fn whole(&self) -> Option<Stamp> {
        let stamp = Stamp::parse(&self.stamp)?;
        let same = [&self.check, &self.nested.stamp].iter().all(|member| **member == self.stamp);
        (same && u64::from(self.port) == port(stamp)).then_some(stamp)
    }
}

fn port(stamp: Stamp) -> u64 {
    1024 + stamp.number % 50_000
}

impl Settings {
    /// The stamp of each secret, or the key whose value is a mix.
    pub fn stamps(&self) -> Result<BTreeMap<usize, Stamp>, String> {
        let text = self.text.iter().map(|(key, value)| ("text", key, Stamp::parse(value)));
        let binary = self.binary.iter().map(|(key, value)| {
            ("binary", key, std::str::from_utf8(value).ok().and_then(Stamp::parse))
        });
        let json = self.json.iter().map(|(key, value)| ("json", key, value.whole()));
        let screaming = self.screaming.iter().map(|(key, value)| ("screaming", key, value.whole()));
        let mut stamps = BTreeMap::new();
        for (table, key, stamp) in text.chain(binary).chain(json).chain(screaming) {
            let number = key.strip_prefix('s').and_then(|number| number.parse().ok());
            let stamp = stamp.filter(|stamp| Some(stamp.secret) == number);
            let stamp = stamp.ok_or_else(|| format!("{table}.{key} is not of one version"))?;
            stamps.insert(stamp.secret, stamp);
        }
        if let Some(root) = &self.root {
            let stamp = root.whole().ok_or("root is not of one version")?;
            stamps.insert(stamp.secret, stamp);
        }
        Ok(stamps)
    }
}

/// What may be wrong with a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// `validate` refuses it.
    Refused,
    /// `validate` panics at it.
    Panics,
    /// The probe refuses it.
    Unprobed,
    /// The probe panics at it.
    ProbePanics,
    /// The probe never comes to an end.
    ProbeHangs,
    /// A member doesn't fit its field. Only tables have members.
    Unfit,
    /// A key twice: the secret can't be placed at all. Only tables have keys.
    Malformed,
}

impl Poison {
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::Panics,
        Self::Unprobed,
        Self::ProbePanics,
        Self::ProbeHangs,
        Self::Unfit,
        Self::Malformed,
    ];

    /// What this is for a secret of that shape.
    pub fn of(self, shape: Shape) -> Self {
        match (self, shape) {
            (Self::Unfit | Self::Malformed, Shape::Text | Shape::Binary) => Self::Refused,
            (poison, _) => poison,
        }
    }
}

/// The stored value of a version.
pub fn value(shape: Shape, stamp: Stamp, poison: Option<Poison>) -> String {
    let text = stamp.text();
    let port = match poison {
        Some(Poison::Unfit) => text.clone(),
        _ => port(stamp).to_string(),
    };
    let twice = match poison {
        Some(Poison::Malformed) => format!(r#""{text}": 1, "{text}": 2, "#),
        _ => String::new(),
    };
    match shape {
        Shape::Text | Shape::Binary => text,
        Shape::Json | Shape::Root => {
            let table = format!(
                r#"{{{twice}"stamp": "{text}", "nested": {{"stamp": "{text}"}}, "port": "{port}", "check": "{text}"}}"#
            );
            if shape == Shape::Root { format!(r#"{{"root": {table}}}"#) } else { table }
        }
        Shape::Screaming => format!(
            r#"{{{twice}"STAMP": "{text}", "NESTED__STAMP": "{text}", "PORT": "{port}", "CHECK": "{text}"}}"#
        ),
    }
}

/// The stamp of a stored value, if it has one.
pub fn stamp_in(stored: &str) -> Option<Stamp> {
    let at = stored.find(MARKER)?;
    let length = Stamp { secret: 0, number: 0 }.text().len();
    Stamp::parse(stored.get(at..at + length)?)
}

/// What a rotation by the library changes besides the stamp.
pub fn member_port(stamp: Stamp) -> String {
    port(stamp).to_string()
}
