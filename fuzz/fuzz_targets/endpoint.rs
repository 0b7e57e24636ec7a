//! Whatever is taken as a base URL is safe to send a secret to.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::endpoint_bytes(data));
