//! What follows a rotation: one small file for each thing that logs in, shows a certificate or
//! signs. Copy the file that you need; it uses nothing of the others but what it names.
//!
//! Each is behind a feature of its own name, which lists the crates that it needs. `tests/` runs
//! each of them through rotations under load, on the real server.

#[cfg(feature = "actix-tls")]
pub mod actix_tls;
#[cfg(feature = "api-key")]
pub mod api_key;
#[cfg(feature = "axum-tls")]
pub mod axum_tls;
#[cfg(feature = "certificate")]
pub mod certificate;
#[cfg(feature = "jwks")]
pub mod jwks;
#[cfg(feature = "mtls")]
pub mod mtls;
#[cfg(any(feature = "certificate", feature = "jwks"))]
pub mod pem;
#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "shapes")]
pub mod shapes;
#[cfg(feature = "smtp")]
pub mod smtp;
#[cfg(feature = "tonic")]
pub mod tonic;
