#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| siprec::transaction::fuzz::fuzz(data));
