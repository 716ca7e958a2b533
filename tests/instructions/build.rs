//! Keeps the compiler's version, on which counts depend.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").expect("cargo sets it");
    let version = Command::new(rustc).arg("--version").output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).expect("text");
    let version: Vec<_> = version.split_whitespace().take(2).collect();
    println!("cargo::rustc-env=RUSTC_VERSION={}", version.join(" "));
    println!("cargo::rerun-if-changed=build.rs");
}
