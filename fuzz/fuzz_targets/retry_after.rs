//! When to come back is what a naive reader makes of the headers, and never over ten years.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::retry_after_bytes(data));
