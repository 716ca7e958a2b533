//! The JSON Schema of a settings type, for tools that check what would be loaded.
//!
//! schemars describes the type; this file hands it out, and describes the types of this crate. The
//! program `secrets-provider check` reads it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::key::Key;
use super::rotating::Rotating;

/// The JSON Schema of a settings type, as indented JSON, for `secrets-provider check --schema`: so
/// that a deployment fails if its secrets don't fit (feature `schema`).
///
/// A `SecretString` has no schema of its own: give it that of text.
///
/// ```
/// use schemars::JsonSchema;
/// use secrecy::SecretString;
///
/// #[derive(serde::Deserialize, JsonSchema)]
/// struct Settings {
///     #[schemars(with = "String")]
///     jwt_secret: SecretString,
///     port: Option<u16>,
/// }
///
/// let schema = secrets_provider::schema::<Settings>();
/// assert!(schema.contains(r#""jwt_secret""#));
/// ```
#[must_use]
pub fn schema<T: JsonSchema>() -> String {
    // A schema can always be written.
    serde_json::to_string_pretty(&schemars::schema_for!(T)).unwrap_or_default()
}

impl<const N: usize> JsonSchema for Key<N> {
    fn schema_name() -> Cow<'static, str> {
        format!("Key{N}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl<T: JsonSchema> JsonSchema for Rotating<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
