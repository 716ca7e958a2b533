//! Why a value does not fit its type, and the words for it.
//!
//! [`ExtractError`] is serde's error type for the extractor. It keeps what is safe to show and
//! drops the rest: serde's text, or that of a type's own `Deserialize`, may quote the value. All
//! messages of extraction are worded here, from key, expected type and origin (rule T1).

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::de::{Error as SerdeError, Expected, Unexpected};

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::tree::{Origin, names};

/// Why a walk through a type ends early.
#[derive(Debug)]
pub(super) enum ExtractError {
    /// The problem is already reported, with its key.
    Reported,
    /// A visitor objects; it does not know at which key.
    Unplaced(Objection),
}

/// What a visitor objects to. Only names that are in the program's source are kept.
#[derive(Debug)]
pub(super) enum Objection {
    Missing(&'static str),
    Duplicate(&'static str),
    UnknownField(String),
    UnknownVariant(&'static [&'static str]),
    /// A scalar of a buffer does not fit. What it was is only kept to find its place.
    Unfit {
        scalar: Scalar,
        expected: &'static str,
    },
    /// Anything else. serde's text for it may contain the value.
    Rejected,
}

/// What a scalar is, so that it can be compared with those in a tree; it cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scalar(u64);

impl Scalar {
    fn of(kind: &str, scalar: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, scalar).hash(&mut hasher);
        Self(hasher.finish())
    }

    pub(super) fn text(text: &str) -> Self {
        Self::of("text", text)
    }

    pub(super) fn bool(value: bool) -> Self {
        Self::of("bool", &value.to_string())
    }

    pub(super) fn number(number: impl fmt::Display) -> Self {
        Self::of("number", &number.to_string())
    }

    fn unexpected(scalar: &Unexpected<'_>) -> Option<Self> {
        Some(match scalar {
            Unexpected::Str(text) => Self::text(text),
            Unexpected::Bool(value) => Self::bool(*value),
            Unexpected::Unsigned(number) => Self::number(number),
            Unexpected::Signed(number) => Self::number(number),
            Unexpected::Float(number) => Self::number(number),
            _ => return None,
        })
    }
}

/// Our word for what serde's own types expect; empty for any other text, which may hold a value.
fn known(expected: &dyn Expected) -> &'static str {
    const KNOWN: [(&str, &str); 19] = [
        ("a boolean", "bool (`true` or `false`)"),
        ("a string", "text"),
        ("a character", "a single character"),
        ("a sequence", "a sequence"),
        ("a map", "a table"),
        ("u8", "u8"),
        ("u16", "u16"),
        ("u32", "u32"),
        ("u64", "u64"),
        ("u128", "u128"),
        ("usize", "usize"),
        ("i8", "i8"),
        ("i16", "i16"),
        ("i32", "i32"),
        ("i64", "i64"),
        ("i128", "i128"),
        ("isize", "isize"),
        ("f32", "f32"),
        ("f64", "f64"),
    ];
    let expected = Zeroizing::new(expected.to_string());
    let known = KNOWN.iter().find(|(serde, _)| **serde == **expected);
    known.map_or("", |(_, ours)| ours)
}

/// Why serde's inside of a buffer, which hides the target type, takes no other scalar.
const BUFFERED: &str = "; inside `flatten`, untagged and internally tagged types, serde hides the target type, so \
     text stays text and cannot fill a number or a bool, and a number cannot fill text";

impl Objection {
    /// The field that is missing, if that is the objection.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self {
            Self::Missing(field) => Some(field),
            _ => None,
        }
    }

    /// The objection in words; `expected` is the type's name, if it is known.
    pub(super) fn describe(&self, expected: &str, buffered: bool) -> String {
        let rejected = match self {
            Self::Missing(field) => return format!("field `{field}` is missing"),
            Self::Duplicate(field) => return format!("field `{field}` is given twice"),
            Self::UnknownField(field) => return format!("key `{field}` is not one of its fields"),
            Self::UnknownVariant(variants) => {
                let variants: Vec<_> =
                    variants.iter().map(|variant| format!("`{variant}`")).collect();
                return format!("expected one of {}", variants.join(", "));
            }
            Self::Unfit { .. } | Self::Rejected if expected.is_empty() => {
                "its type rejects the value".to_owned()
            }
            Self::Unfit { .. } | Self::Rejected => {
                format!("expected {expected}, which rejects the value")
            }
        };
        match buffered {
            false => rejected,
            true => rejected + BUFFERED,
        }
    }
}

/// A value below `flatten` or a tag that does not fit, where its place is known. `found` is its
/// kind in words.
pub(super) fn unfit(expected: &str, found: &str) -> String {
    match expected {
        "" => format!("its type rejects the value{BUFFERED}"),
        expected => mismatch(expected, found) + BUFFERED,
    }
}

/// A value of another kind than its type takes. `found` is the kind of the value, in words.
pub(super) fn mismatch(expected: &str, found: &str) -> String {
    match found {
        "text" | "a number" if !expected.starts_with("a sequence") => {
            format!("expected {expected}, found {found} that does not fit")
        }
        found => format!("expected {expected}, found {found}"),
    }
}

/// How a table is written, for hints.
pub(super) const HOW_A_TABLE: &str =
    "a table is written as a JSON object, or as one variable for each key, such as `NAME__KEY`";

/// How JSON is written in a `.env` file, for hints.
pub(super) const HOW_JSON_IN_DOTENV: &str =
    "put single quotes around JSON in a `.env` file, which drops the quotes inside of it otherwise";

/// The hint for a variable that Kubernetes sets for a service.
pub(super) fn service_link(variable: &str) -> String {
    format!(
        "Kubernetes sets `{variable}` for a service of that name: set `enableServiceLinks: false` \
         in the pod, or give the value under another name"
    )
}

/// Text that starts as a table or a sequence but is not one.
pub(super) fn malformed(expected: &str, reason: &str) -> String {
    format!("expected {expected}, but {reason}")
}

/// A member whose name does not fit the type of the map's keys, or of the struct's fields.
pub(super) fn bad_name(objection: &Objection) -> String {
    match objection {
        Objection::UnknownField(_) => "there is no field of this name".to_owned(),
        _ => format!("its name is not valid here: {}", objection.describe("", false)),
    }
}

/// The other fields that are absent from the table of a missing one; not all of them need be
/// required.
pub(super) fn also_absent<'a>(others: impl Iterator<Item = &'a str>) -> String {
    let others: Vec<_> = others.map(|other| format!("`{other}`")).collect();
    match others.as_slice() {
        [] => String::new(),
        others => format!(" (also absent, required or not: {})", others.join(", ")),
    }
}

/// Each error once. Errors that differ only in a name that is not shown become one, with their
/// number.
pub(super) fn counted(errors: impl Iterator<Item = Error>) -> Vec<Error> {
    let mut counted: Vec<(Error, usize)> = Vec::new();
    let mut places = BTreeMap::new();
    for error in errors {
        let place = *places.entry(error.to_string()).or_insert(counted.len());
        match counted.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => counted.push((error, 1)),
        }
    }
    let with_count = |(error, count): (Error, usize)| match count {
        1 => error,
        _ => error.with_note(&format!(" ({count} keys)")),
    };
    counted.into_iter().map(with_count).collect()
}

/// A required field that no layer defines.
pub(super) fn missing(path: &str, also_absent: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("key `{path}` is missing{also_absent}"))
}

const WHERE: &str = "in the environment or the `.env` file";

/// How to add a missing value. A map has no variable of its own.
pub(super) fn how_to_add(path: &str, is_map: bool) -> String {
    match variable(path) {
        None => "add it to the secret that has the other keys of that table".to_owned(),
        Some(variable) if is_map => format!(
            "add it to a secret as a JSON object, or set variables such as `{variable}__NAME` \
             {WHERE}"
        ),
        Some(variable) => {
            format!("add it to a secret, or set the variable `{variable}` {WHERE}")
        }
    }
}

/// The same for a list. `numbered` is where its items may be, under keys that are not below it.
pub(super) fn how_to_add_a_list(path: &str, numbered: Option<&Origin>) -> String {
    match numbered {
        Some(origin) if origin.is_variable() => {
            format!("{origin} is no item of `{path}`: {}", how_to_number(path))
        }
        Some(origin) => format!(
            "{origin} has numbered keys that are no items of `{path}`; {}",
            super::lists::HOW
        ),
        None => format!("{}; {}", how_to_add(path, false), super::lists::HOW),
    }
}

/// How the variables of a list's items are named.
pub(super) fn how_to_number(path: &str) -> String {
    let name = variable(path).unwrap_or_else(|| "NAME".to_owned());
    format!(
        "number the variables from 0 without a gap, after two underscores: `{name}__0`, \
         `{name}__1`, …"
    )
}

/// The same for a table with these fields.
pub(super) fn how_to_add_a_table(path: &str, fields: &[&str]) -> String {
    let Some(variable) = variable(path) else { return how_to_add(path, false) };
    let mut variables: Vec<_> = fields
        .iter()
        .map(|field| format!("`{variable}__{}`", field.to_ascii_uppercase().replace('-', "_")))
        .collect();
    variables.dedup();
    if variables.len() > MAX_FIELDS {
        variables.truncate(MAX_FIELDS);
        variables.push("…".to_owned());
    }
    let noun = if variables.len() == 1 { "variable" } else { "variables" };
    let variables = variables.join(", ");
    format!("add it to a secret as a JSON object, or set the {noun} {variables} {WHERE}")
}

/// How many fields of a table a hint lists.
const MAX_FIELDS: usize = 6;

/// The variable of a key, which cannot be named if a part of the path is not shown.
fn variable(path: &str) -> Option<String> {
    (!names::hides_a_name(path)).then(|| path.to_ascii_uppercase().replace('.', "__"))
}

/// A required table for which there is only a variable with text.
pub(super) fn no_table(path: &str, origin: &Origin) -> Error {
    let message = mismatch("a table", "text");
    invalid(path, Some(origin), &message).with_hint(HOW_A_TABLE)
}

/// A key that is given twice within one layer: in two spellings, or by an alias, too.
pub(super) fn ambiguous(path: &str, spellings: [(String, &Origin); 2]) -> Error {
    let mut spellings = spellings.map(|(name, origin)| (name, origin, origin.to_string()));
    spellings.sort_unstable_by(|one, other| (&one.0, &one.2).cmp(&(&other.0, &other.2)));
    let [(one, origin, of_one), (other, _, of_other)] = spellings;
    let places = match of_one == of_other {
        true => format!("as `{one}` and `{other}` ({of_one})"),
        false => format!("as `{one}` ({of_one}) and `{other}` ({of_other})"),
    };
    let message = format!("key `{path}` is given twice in one layer: {places}");
    let error = Error::new(ErrorKind::Conflict, message).with_hint("remove one of them");
    match origin {
        Origin::Secret { name, .. } => error.with_secret(name),
        _ => error,
    }
}

/// A value that does not fit, with its key and where it came from.
pub(super) fn invalid(path: &str, origin: Option<&Origin>, message: &str) -> Error {
    let place = if path.is_empty() { "the settings".to_owned() } else { format!("key `{path}`") };
    let Some(origin) = origin else {
        return Error::new(ErrorKind::Invalid, format!("{place}: {message}"));
    };
    let message = format!("invalid value for {place}: {message} ({origin})");
    let error = Error::new(ErrorKind::Invalid, message);
    match origin {
        Origin::Secret { name, .. } => error.with_secret(name),
        _ => error,
    }
}

/// Why bytes or text are no [`Key`](crate::Key). Lengths are not secret.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyError {
    Length { expected: usize, found: usize },
    Encoding { expected: usize },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, found } => write!(f, "must be {expected} bytes, got {found}"),
            Self::Encoding { expected } => {
                write!(f, "must be {expected} bytes as base64 or hex text, and the text is neither")
            }
        }
    }
}

impl SerdeError for ExtractError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Unplaced(Objection::Rejected)
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let objection = match Scalar::unexpected(&unexpected) {
            Some(scalar) => Objection::Unfit { scalar, expected: known(expected) },
            None => Objection::Rejected,
        };
        Self::Unplaced(objection)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::Unplaced(Objection::Rejected)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Unplaced(Objection::UnknownVariant(expected))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Unplaced(Objection::UnknownField(field.to_owned()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Unplaced(Objection::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Unplaced(Objection::Duplicate(field))
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => f.write_str("reported"),
            Self::Unplaced(objection) => f.write_str(&objection.describe("", false)),
        }
    }
}

impl std::error::Error for ExtractError {}
