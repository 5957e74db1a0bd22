#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fluent_bit_ai::codec::fluentbit::fuzz_logic::chunks(bytes));
