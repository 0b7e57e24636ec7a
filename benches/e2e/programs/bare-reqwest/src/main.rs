//! Prints a token from the server whose base URL is the argument.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: bare-reqwest BASE_URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = bare_reqwest::client(url.starts_with("https:"), None)?;
    println!("{}", runtime.block_on(bare_reqwest::token(&client, &url))?);
    Ok(())
}
