//! The program starts, and both of its TLS clients work.

#[path = "../../starts.rs"]
mod starts;

#[test]
fn the_program_starts() {
    starts::starts(env!("CARGO_BIN_EXE_aws-lc-program"));
}
