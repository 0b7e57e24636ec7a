//! The retry time agrees with a naive reader, and is at most ten years away.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::retry_after_bytes(data));
