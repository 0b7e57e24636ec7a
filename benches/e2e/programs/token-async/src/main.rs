//! Prints a token from the server whose base URL is the argument.

use std::env;
use std::error::Error;

use meshconnect_auth::{Client, Credentials, Endpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: token-async BASE_URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client::builder(Credentials::new("id", "secret")?)
        .endpoint(Endpoint::parse(&url)?)
        .build()?;
    println!("{}", runtime.block_on(client.token())?.id_token());
    Ok(())
}
