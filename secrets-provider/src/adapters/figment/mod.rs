//! figment: the secrets as a provider, a `.env` file as a provider, and typed extraction for a
//! `Figment`.
//!
//! `provider` gives our values to figment, `tree` takes a `Figment`'s values back with their
//! sources, and `values` converts between the two. `side_channel` is how `tree` finds the fetch
//! behind a value, which figment has no place for. `dotenv` is independent of them.
//!
//! Users call the public types, and `Live` calls `tree` when a closure returns a `Figment`.
//! figment's errors quote values, so none of them leaves this folder.

mod dotenv;
mod provider;
mod side_channel;
mod tree;
mod values;

pub use dotenv::Dotenv;
pub use tree::FigmentExt;
