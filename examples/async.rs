//! The async client: obtains a token for another call of the admin API.
//!
//! Run it with `cargo run --features emulator --example async`.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;

use http::header::AUTHORIZATION;
use meshconnect_auth::Client;
use meshconnect_auth::emulator::Emulator;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Replaces the real service. To use the real one, remove `.endpoint(…)` and pass your
    // credentials.
    let emulator = Emulator::start()?;

    let client = Client::builder(emulator.credentials().clone())
        .endpoint(emulator.endpoint())
        .build()?;
    let token = client.token().await?;

    let request = http::Request::get(format!("{}/admin/api/v1/SubClient", client.endpoint()))
        .header(AUTHORIZATION, token.header_value())
        .body(())?;
    // The header value is marked as sensitive, so `Debug` of the request does not show the token.
    println!("{request:?}");
    Ok(())
}
