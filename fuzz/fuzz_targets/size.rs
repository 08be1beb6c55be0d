//! See `src/size.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| azure_openai_blaster_fuzz::size::check(input));
