//! Prints a token from the server whose base URL is the argument.

use std::env;
use std::error::Error;

use meshconnect_auth::blocking::Client;
use meshconnect_auth::{Credentials, Endpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: token-blocking BASE_URL")?;
    let client = Client::builder(Credentials::new("id", "secret")?)
        .endpoint(Endpoint::parse(&url)?)
        .build()?;
    println!("{}", client.token()?.id_token());
    Ok(())
}
