//! The lookups as their user runs them: started with nothing configured.

use std::process::Command;

#[test]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
fn the_lookups_print_what_may_be_shown_and_no_password() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_lookup"));
    let output = program.env_remove("SECRETS_MANAGER_PREFIX").env("RUST_LOG", "trace").output();
    let output = output.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..2], ["gaara@db.internal:5432", "sentry: off"]);
    let stats: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(stats["secrets"], serde_json::json!(["database", "jwt-secret"]));
    assert_eq!((&stats["hits"], &stats["misses"]), (&1.into(), &3.into()));
    let shown = printed + &String::from_utf8_lossy(&output.stderr);
    assert!(!shown.contains("seeded"), "a password is shown");
}
