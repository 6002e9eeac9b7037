//! libFuzzer's way into `reply`; what it checks stands in `fuzz/src/reply.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| narrows_fuzz::reply::run(data));
