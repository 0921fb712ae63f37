//! libFuzzer on [`ics_fuzz::details`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ics_fuzz::details(data));
