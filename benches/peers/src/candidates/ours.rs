//! This project's two clients.

use meshconnect_auth::{Client, Credentials, Endpoint, blocking};

use super::{Candidate, Kind};
use crate::stub::Stub;

pub(super) fn all() -> Vec<Candidate> {
    vec![awaited(), blocked()]
}

fn awaited() -> Candidate {
    let stub = Stub::mesh();
    let client = Client::builder(Credentials::new("id", "secret").unwrap());
    let client = client.endpoint(Endpoint::parse(&stub.url()).unwrap());
    let client = client.build().unwrap();
    Candidate::awaited(crate::OURS, Kind::Ours, async move || {
        client.token().await.unwrap().header_value().clone()
    })
    .with_stub(stub)
}

fn blocked() -> Candidate {
    let stub = Stub::mesh();
    let client = blocking::Client::builder(Credentials::new("id", "secret").unwrap());
    let client = client.endpoint(Endpoint::parse(&stub.url()).unwrap());
    let client = client.build().unwrap();
    Candidate::blocking("meshconnect-auth, blocking", Kind::Ours, move || {
        client.token().unwrap().header_value().clone()
    })
    .with_stub(stub)
}
