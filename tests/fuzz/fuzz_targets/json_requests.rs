#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fluent_bit_ai::codec::json::exercise::json_requests(bytes);
    fluent_bit_ai::codec::json::exercise::protobuf_requests(bytes);
});
