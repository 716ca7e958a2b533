//! Adapters for other configuration libraries, each behind the feature of its name.
//!
//! Both have the same two directions: the secrets as a layer of that library, and that library's
//! merged values as the layers of a `Live`. Only these folders name the libraries' types, apart
//! from the type of figment's profile. Nothing else imports them: their traits' impls are all that
//! the rest of the crate uses.

#[cfg(feature = "config")]
mod config;
#[cfg(feature = "figment")]
pub(crate) mod figment;
#[cfg(any(feature = "config", feature = "figment"))]
mod variables;
