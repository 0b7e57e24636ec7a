//! Tests against the real service with real credentials. Ignored by default:
//!
//! ```sh
//! MESHCONNECT_CLIENT_ID=… MESHCONNECT_CLIENT_SECRET=… \
//!     cargo test --all-features --test it live:: -- --ignored
//! ```
//!
//! `MESHCONNECT_BASE_URL` selects another server.

use std::env;
use std::time::SystemTime;

use meshconnect_auth::{Client, Credentials, Endpoint, Error, Token, blocking};

fn credentials() -> Credentials {
    let variable = |name| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    Credentials::new(
        variable("MESHCONNECT_CLIENT_ID"),
        variable("MESHCONNECT_CLIENT_SECRET"),
    )
    .unwrap()
}

fn endpoint() -> Endpoint {
    env::var("MESHCONNECT_BASE_URL").map_or_else(
        |_| Endpoint::default(),
        |base_url| Endpoint::parse(&base_url).unwrap(),
    )
}

fn check(result: Result<Token, Error>) {
    let token = result.unwrap_or_else(|error| panic!("{}", error.report()));
    assert!(token.expires_at() > SystemTime::now());
    assert!(!token.id_token().is_empty());
}

#[test]
#[ignore = "calls the real service and needs credentials"]
fn async_client_gets_a_token() {
    let client = Client::builder(credentials())
        .endpoint(endpoint())
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    check(runtime.unwrap().block_on(client.token()));
}

#[test]
#[ignore = "calls the real service and needs credentials"]
fn blocking_client_gets_a_token() {
    let client = blocking::Client::builder(credentials())
        .endpoint(endpoint())
        .build();
    check(client.unwrap().token());
}
