//! libFuzzer's way into `config`; what it checks stands in `fuzz/src/config.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| narrows_fuzz::config::run(data));
