//! [`Rotating`]: a value and the one before it, for what was signed or encrypted before a rotation.
//!
//! It asks for both versions by a newtype's name that only this crate's extraction knows; every
//! other deserializer gives it the current value.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::serde_internals::ROTATING;

/// A value with the one that it replaced: sign with `current`, verify with either.
///
/// The previous value is the secret's version labelled AWSPREVIOUS, which is only read for secrets
/// named in [`SecretsManager::with_previous`](crate::SecretsManager::with_previous); both values
/// are of one generation. It is `None` if the secret was never rotated, if its old version does not
/// fit the type, or if the value comes from the environment or a `.env` file. Other deserializers
/// (figment's own `extract`, JSON) only read the current value; so does extraction inside
/// `#[serde(flatten)]`, untagged and internally tagged types, which serde reads into a buffer of
/// its own.
///
/// ```
/// use secrecy::SecretString;
/// use secrets_provider::{Layers, Rotating};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { jwt_secret: Rotating<SecretString> }
///
/// let layers = Layers::new().environment_from([("JWT_SECRET", "from the environment")]);
/// let settings: Settings = layers.extract()?;
/// assert!(settings.jwt_secret.previous.is_none());
/// assert_eq!(settings.jwt_secret.iter().count(), 1);
/// # Ok::<(), secrets_provider::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rotating<T> {
    /// The value in force.
    pub current: T,
    /// The value that it replaced, if there is one.
    pub previous: Option<T>,
}

impl<T> Rotating<T> {
    /// The current value, then the previous one, which is the order to try them in.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl<T> From<T> for Rotating<T> {
    /// A value without a previous one.
    fn from(current: T) -> Self {
        Self { current, previous: None }
    }
}

impl<T> fmt::Debug for Rotating<T> {
    /// Shows whether there is a previous value, and never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotating")
            .field("has_previous", &self.previous.is_some())
            .finish_non_exhaustive()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Rotating<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Versions<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Versions<T> {
            type Value = Rotating<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Self::Value, D::Error> {
                T::deserialize(deserializer).map(Rotating::from)
            }

            /// The way of this crate's extraction, which knows the newtype by its name.
            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut versions: A,
            ) -> Result<Self::Value, A::Error> {
                let current =
                    versions.next_element()?.ok_or_else(|| serde::de::Error::custom("no value"))?;
                Ok(Rotating { current, previous: versions.next_element()? })
            }
        }

        deserializer.deserialize_newtype_struct(ROTATING, Versions(PhantomData))
    }
}
