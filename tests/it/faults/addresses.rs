//! A name with two addresses, of which the first, of IPv6, is dead: nobody listens there, or there
//! is no IPv6 at all. Both clients go on to the second, and ask once.
//!
//! What `localhost` is differs from machine to machine, so each client is told here, in the way
//! that it has for that.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use http::Uri;
use meshconnect_auth::{Client, Endpoint, Token, blocking};
use reqwest::redirect;
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::faults::row::{Row, TOKEN_SEEN};
use crate::support::EXAMPLE_200;
use crate::support::server::answer;
use crate::support::{TOKEN, credentials, runtime};

fn dead_then_alive(port: u16) -> [SocketAddr; 2] {
    [
        (Ipv6Addr::LOCALHOST, port).into(),
        (Ipv4Addr::LOCALHOST, port).into(),
    ]
}

fn finds_the_second(ask: impl Fn(Endpoint, [SocketAddr; 2]) -> Token) {
    let row = Row::answers(
        "a second address",
        answer("200 OK", "", EXAMPLE_200),
        TOKEN_SEEN,
    );
    let listening = row.listen();
    let endpoint = Endpoint::parse(&format!("http://localhost:{}", listening.port)).unwrap();
    let token = ask(endpoint, dead_then_alive(listening.port));
    assert_eq!(token.id_token(), TOKEN);
    assert_eq!((listening.connections(), listening.requests()), (1, 1));
}

#[test]
fn reqwest_finds_the_second() {
    finds_the_second(|endpoint, addresses| {
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
fn ureq_finds_the_second() {
    finds_the_second(|endpoint, addresses| {
        let agent = Agent::with_parts(
            Config::default(),
            DefaultConnector::default(),
            Told(addresses),
        );
        let client = blocking::Client::builder(credentials())
            .endpoint(endpoint)
            .http_client(agent);
        client.build().unwrap().token().unwrap()
    });
}

#[derive(Debug)]
struct Told([SocketAddr; 2]);

impl Resolver for Told {
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
