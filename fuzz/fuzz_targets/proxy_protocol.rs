//! libFuzzer's way into `proxy_protocol`; what it checks stands in `fuzz/src/proxy_protocol.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| narrows_fuzz::proxy_protocol::run(data));
