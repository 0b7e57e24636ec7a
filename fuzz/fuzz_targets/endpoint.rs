//! A secret can be sent safely to any accepted base URL.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::endpoint_bytes(data));
