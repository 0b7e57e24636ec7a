//! The claims of a token never extend its lifetime.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::claims_bytes(data));
