//! The async client: a token for another call of the admin API.
//!
//! Run it with `cargo run --features emulator --example async`.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;

use http::header::AUTHORIZATION;
use meshconnect_auth::Client;
use meshconnect_auth::emulator::Emulator;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Stands in for the real service; without it, leave `.endpoint(…)` out and bring your own
    // credentials.
    let emulator = Emulator::start()?;

    let client = Client::builder(emulator.credentials().clone())
        .endpoint(emulator.endpoint())
        .build()?;
    let token = client.token().await?;

    let request = http::Request::get(format!("{}/admin/api/v1/SubClient", client.endpoint()))
        .header(AUTHORIZATION, token.header_value())
        .body(())?;
    // The header is marked as sensitive, so that printing the request does not show the token.
    println!("{request:?}");
    Ok(())
}
