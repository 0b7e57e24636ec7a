//! Any request gets the answer of the contract, which repeats nothing of the request.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::emulator::emulator(data));
