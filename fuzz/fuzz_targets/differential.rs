//! The body of a 200 means the same to the core and to a naive reader.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::differential(data));
