//! A private PostgreSQL server, run from the installed programs, and the rotation functions of AWS
//! that change its passwords. With these, tests and examples rotate a real login.

mod cluster;
mod programs;
mod rotation;
mod stage;

pub use cluster::Cluster;
pub use rotation::{Login, RotationFunction};
pub use stage::Stage;
