//! The program `secrets-provider`, as a user runs it: a process, against the fake by HTTP.
//!
//! What it prints is compared with the snapshots beside the tests; `INSTA_UPDATE=always` writes
//! them. Ids of versions are replaced by their order of appearance.

mod agent;
// It is the server of `end-to-end`, of which this needs a part.
#[allow(clippy::unwrap_used, dead_code, reason = "a test may panic")]
#[path = "../../../tests/end-to-end/tests/agent/stand_in.rs"]
mod agent_server;
mod canary;
mod change;
mod doctor;
mod harness;
mod look;
mod measured;
mod moving;
mod prompt;
mod run;
mod schema;
mod tls;
