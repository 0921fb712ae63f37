//! libFuzzer on [`ics_fuzz::proof`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ics_fuzz::proof(data));
