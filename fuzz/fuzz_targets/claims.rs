//! What a token says of itself never makes it live longer.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::claims_bytes(data));
