//! What the benchmarks share: the settings that are read, and a runner that takes turns.

pub mod interleave;
pub mod settings;
