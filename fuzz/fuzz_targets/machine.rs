//! The machine does what the tables say, whatever happens and whatever the clocks read.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| meshconnect_auth_properties::machine::machine(data));
