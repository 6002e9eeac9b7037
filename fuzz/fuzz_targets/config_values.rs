//! libFuzzer's way into `config_values`; what it checks stands in `fuzz/src/config_values.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| narrows_fuzz::config_values::run(data));
