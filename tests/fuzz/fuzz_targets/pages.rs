#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fluent_bit_ai::codec::prometheus::fuzz_logic::pages(bytes));
