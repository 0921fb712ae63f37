//! libFuzzer on [`ics_fuzz::machine`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ics_fuzz::machine(data));
