//! A service whose own memory is searched for values that were rotated away. `tests/memory.rs`
//! starts it beside the fake of AWS, which is in another process, because the fake keeps every
//! version.
//!
//! Each line on its input makes it refresh and search; it answers with one line of counts. In its
//! environment, `CANARY` is what every value begins with, disguised; `ALLOCATOR` is one of
//! `allocator.rs`, and `SETTINGS` `plain` or `buffered`.

#[cfg(target_os = "linux")]
mod allocator;
#[cfg(target_os = "linux")]
mod canary;
#[cfg(target_os = "linux")]
mod search;
#[cfg(target_os = "linux")]
mod service;

fn main() {
    #[cfg(target_os = "linux")]
    service::run();
}
