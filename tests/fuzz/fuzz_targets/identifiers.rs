#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| siprec::identifiers::fuzz::fuzz(data));
