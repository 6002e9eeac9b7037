//! libFuzzer's way into `command_learn`; what it checks stands in `fuzz/src/command_learn.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| narrows_fuzz::command_learn::run(data));
