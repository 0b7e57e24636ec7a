//! The blocking client, and the report of an error.
//!
//! Run it with `cargo run --features blocking,emulator --example blocking`.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;

use meshconnect_auth::blocking::Client;
use meshconnect_auth::emulator::Emulator;
use meshconnect_auth::{Credentials, ErrorKind};

fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start()?;
    let credentials = Credentials::new("emulator-client", "a wrong secret")?;
    let client = Client::builder(credentials)
        .endpoint(emulator.endpoint())
        .build()?;

    match client.token() {
        Ok(token) => println!("a token, valid until {:?}", token.expires_at()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Refused);
            println!("{}", error.report());
        }
    }
    Ok(())
}
