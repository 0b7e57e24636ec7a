//! Any envelope is read as it was written, whatever stands around its members.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::envelope_bytes(data));
