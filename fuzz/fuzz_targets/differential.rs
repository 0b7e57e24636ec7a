//! The core and a naive reader agree about the body of a 200.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::differential(data));
