//! libFuzzer on [`ics_fuzz::genesis`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ics_fuzz::genesis(data));
