//! Rotating one secret: by this program ([`Rotation`]), or by the store itself
//! ([`SecretsManager::rotate`](crate::SecretsManager::rotate)).
//!
//! `rotation` is the public description and `run` the state machine that carries it out, over
//! [`Writer`](crate::Writer), with its halves `begin` and `finish`. Pure parts: `compose` makes the
//! new content, `content` replaces members in a secret's text, `leftover` finds old values, `resume`
//! judges a pending version, `version` names the new one, `random` and `stamp` make
//! values. `steps` calls the program's closures, `checked` asks the readers' type, `managed` waits
//! for the store's own rotation, `plan` is the dry run.

mod begin;
mod checked;
mod compose;
mod content;
mod finish;
mod leftover;
mod managed;
mod plan;
mod random;
mod resume;
mod rotated;
mod rotation;
mod run;
mod stamp;
mod steps;
mod value;
mod version;

pub use managed::StoreRotation;
pub use plan::RotationPlan;
pub use rotated::Rotated;
pub use rotation::Rotation;
pub use steps::RotationChange;
pub use value::NewValue;

// They rotate in AWS as well.
#[cfg(all(test, feature = "aws"))]
mod tests;
