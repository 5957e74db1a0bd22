#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fluent_bit_ai::codec::json::fuzz_logic::json_requests(bytes);
    fluent_bit_ai::codec::json::fuzz_logic::protobuf_requests(bytes);
});
