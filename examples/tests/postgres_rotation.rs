//! The examples as their user runs them: from nothing but an installed PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "shared with the other programs' tests")]

mod program;

use std::path::Path;

use program::Program;

#[test]
fn no_request_fails_and_nothing_is_left() {
    let path = std::env::var("PATH").unwrap();
    let environment = [("PATH", path.as_str()), ("ROTATIONS", "2"), ("RUST_LOG", "trace")];
    let mut program = Program::start(env!("CARGO_BIN_EXE_postgres-rotation"), &environment);
    let line = program.stdout_line("PostgreSQL runs in ");
    let folder =
        line.trim_start_matches("PostgreSQL runs in ").trim_end_matches(" until this ends.");
    assert!(Path::new(folder).is_dir(), "{folder}");
    let summary = program.stdout_line("2 rotations in ");
    assert!(summary.contains(" 0 failed, "), "{summary}");
    let (status, output) = program.wait();
    assert!(status.success(), "{status}");
    assert!(!Path::new(folder).exists());
    // No statement that is logged has a password in it.
    assert!(output.contains("SELECT current_user") && !output.contains("PASSWORD"));
}

#[test]
fn a_program_rotates_and_its_settings_follow() {
    let path = std::env::var("PATH").unwrap();
    let environment = [("PATH", path.as_str()), ("RUST_LOG", "trace")];
    let mut program = Program::start(env!("CARGO_BIN_EXE_rotate"), &environment);
    program.stdout_line("- make new values for `password`");
    program.stdout_line(" replaced ");
    program.stdout_line("Generation 2 of the settings logs in.");
    let (status, output) = program.wait();
    assert!(status.success(), "{status}");
    assert!(!output.contains("ALTER ROLE"), "no statement with a verifier is logged");
}
