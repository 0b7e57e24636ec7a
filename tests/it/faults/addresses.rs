//! A host name with two addresses, of which the first, an IPv6 address, has no listener. Both
//! clients fall back to the second and send one request.
//!
//! What `localhost` resolves to depends on the machine, so each client gets a fixed list of
//! addresses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use http::Uri;
use meshconnect_auth::{Client, Endpoint, Token, blocking};
use reqwest::redirect;
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::faults::row::{GRANTED, Row};
use crate::support::EXAMPLE_200;
use crate::support::server::response;
use crate::support::{TOKEN, credentials, runtime};

fn closed_then_open(port: u16) -> [SocketAddr; 2] {
    [
        (Ipv6Addr::LOCALHOST, port).into(),
        (Ipv4Addr::LOCALHOST, port).into(),
    ]
}

fn falls_back_to_the_second(request_token: impl Fn(Endpoint, [SocketAddr; 2]) -> Token) {
    let row = Row::responds(
        "a second address",
        response("200 OK", "", EXAMPLE_200),
        GRANTED,
    );
    let listening = row.listen();
    let endpoint = Endpoint::parse(&format!("http://localhost:{}", listening.port)).unwrap();
    let token = request_token(endpoint, closed_then_open(listening.port));
    assert_eq!(token.id_token(), TOKEN);
    assert_eq!((listening.connections(), listening.requests()), (1, 1));
}

#[test]
fn reqwest_falls_back_to_the_second_address() {
    falls_back_to_the_second(|endpoint, addresses| {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(no_tls())
            .redirect(redirect::Policy::none())
            .no_proxy()
            .resolve_to_addrs("localhost", &addresses)
            .build()
            .unwrap();
        let client = Client::builder(credentials())
            .endpoint(endpoint)
            .http_client(http)
            .build();
        runtime().block_on(client.unwrap().token()).unwrap()
    });
}

fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(crate::support::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[test]
fn ureq_falls_back_to_the_second_address() {
    falls_back_to_the_second(|endpoint, addresses| {
        let agent = Agent::with_parts(
            Config::default(),
            DefaultConnector::default(),
            FixedAddresses(addresses),
        );
        let client = blocking::Client::builder(credentials())
            .endpoint(endpoint)
            .http_client(agent);
        client.build().unwrap().token().unwrap()
    });
}

#[derive(Debug)]
struct FixedAddresses([SocketAddr; 2]);

impl Resolver for FixedAddresses {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut resolved = self.empty();
        self.0
            .into_iter()
            .for_each(|address| resolved.push(address));
        Ok(resolved)
    }
}
