//! libFuzzer on [`ics_fuzz::words`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ics_fuzz::words(data));
