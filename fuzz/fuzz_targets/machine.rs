//! The machine agrees with its reference model for any operations and any readings of the clocks.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::machine::machine(data));
