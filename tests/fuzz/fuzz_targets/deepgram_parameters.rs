#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| upstream::deepgram::fuzz_parameters(data));
