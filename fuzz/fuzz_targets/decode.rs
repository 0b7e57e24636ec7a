//! Any HTTP response is read as a usable token or as an error that shows no secret.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::decode(data));
