//! Any request gets an answer that the contract allows, and that repeats nothing of it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::emulator::emulator(data));
