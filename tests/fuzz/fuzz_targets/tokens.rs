#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| secrets_provider::fuzzing::tokens(data));
