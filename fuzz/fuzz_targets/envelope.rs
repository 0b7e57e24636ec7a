//! Any envelope reads back as it was written, also with unknown members.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::envelope_bytes(data));
