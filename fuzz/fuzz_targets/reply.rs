//! See `src/reply.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| azure_openai_blaster_fuzz::reply::check(input));
