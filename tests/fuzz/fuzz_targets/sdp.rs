#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| siprec::offer::fuzz(data));
