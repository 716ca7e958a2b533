//! A private PostgreSQL made of the installed programs, and the rotation functions of AWS that
//! change its passwords: what tests and examples need to rotate a real login.

mod cluster;
mod programs;
mod rotation;
mod stage;

pub use cluster::Cluster;
pub use rotation::{Login, RotationFunction};
pub use stage::Stage;
