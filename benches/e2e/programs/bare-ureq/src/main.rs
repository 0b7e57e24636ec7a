//! Prints a token from the server whose base URL is the argument.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: bare-ureq BASE_URL")?;
    let agent = bare_ureq::agent(url.starts_with("https:"), None);
    println!("{}", bare_ureq::token(&agent, &url)?);
    Ok(())
}
