//! config-rs: the secrets as a source, and typed extraction for a `Config`.
//!
//! `source` gives our values to a builder, `tree` takes a built `Config`'s values back with their
//! sources, `values` converts between the two, and `error` rebuilds config-rs's errors.
//!
//! Programs add the sources to a builder, and `Live` calls `tree` when a closure returns a
//! `Config`. config-rs's errors quote values and files, so none of them leaves this folder.

mod error;
mod source;
mod tree;
mod values;
