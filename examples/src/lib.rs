//! What the example programs share: the settings they serve, the secrets they read, and how they
//! start and end.
//!
//! The programs are in `src/bin`: `axum-app` and `actix-app` serve settings that follow a rotation,
//! `live` and `config-live` do so without a web framework, `figment` reads them once, `lookup`
//! reads secrets by name, `push` serves a rotation as soon as it is announced, `jwt` verifies
//! tokens signed before a rotation, `directory` reads files of your own, `explain` shows where each
//! key comes from, `rotate` rotates the password of a database, and `postgres-rotation` does so
//! under load.

#[cfg(feature = "hints")]
pub mod hints;
pub mod jwt;
pub mod lambda;
pub mod postgres;
mod process;
mod secrets;
mod settings;

pub use process::{Failure, exit_code, interrupted, listen, log_to_stderr, refresh_token};
pub use secrets::Secrets;
pub use settings::{Database, Report, Settings};
