//! libFuzzer's way into `engine`; what it checks stands in `fuzz/src/engine.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| narrows_fuzz::engine::run(data));
