//! libFuzzer's way into `request`; what it checks stands in `fuzz/src/request.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| narrows_fuzz::request::run(data));
