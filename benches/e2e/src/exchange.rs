//! From a client, new or used, to another token, beside the bare HTTP client.

use std::time::{Duration, Instant};

use meshconnect_auth::{Client, ClientBuilder, Credentials, Endpoint, Transport, blocking};
use tokio::runtime::{Builder, Runtime};

use crate::rounds::{Row, measure};
use crate::server::{self, Ca, TOKEN};

pub fn table(rounds: usize) {
    println!("## Exchange: {rounds} rounds\n");
    println!("| exchange | row | median | middle half | ours / bare |\n|---|---|--:|--:|--:|");
    let ca = Ca::new();
    for (scheme, url) in [("http", server::http()), ("https", server::https(&ca))] {
        for (kind, cold) in [("cold", true), ("warm", false)] {
            for mut pair in [asynchronous(&url, &ca, cold), blocking(&url, &ca, cold)] {
                let times = measure(&mut pair, rounds);
                let ratio = times[0].median() / times[1].median();
                for (row, times, ratio) in [
                    (&pair[0], &times[0], format!("{ratio:.3}")),
                    (&pair[1], &times[1], String::new()),
                ] {
                    let cells = times.cells();
                    println!("| {scheme}, {kind} | {} | {cells} | {ratio} |", row.name);
                }
            }
        }
    }
    println!();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn client<C: Transport>(url: &str, ca: Option<&[u8]>) -> C {
    let builder = ClientBuilder::new(Credentials::new("id", "secret").unwrap())
        .endpoint(Endpoint::parse(url).unwrap());
    let builder = match ca {
        Some(ca) => builder.root_certificate_der(ca),
        None => builder,
    };
    builder.build().unwrap()
}

/// Only two rows in turn: among more, each would always follow the same other, and pay for what
/// that leaves behind. For the same reason each has a runtime of its own.
fn asynchronous<'a>(url: &'a str, ca: &'a Ca, cold: bool) -> [Row<'a>; 2] {
    let (ours, bare) = (runtime(), runtime());
    let https = url.starts_with("https:");
    let der = https.then_some(&ca.der[..]);
    [
        Row::new(
            "meshconnect-auth",
            turns(
                cold,
                move || client(url, der),
                move |client: &Client| {
                    let token = ours.block_on(client.refresh()).unwrap();
                    assert_eq!(token.id_token(), TOKEN);
                },
            ),
        ),
        Row::new(
            "reqwest",
            turns(
                cold,
                move || bare_reqwest::client(https, der).unwrap(),
                move |client| {
                    let token = bare.block_on(bare_reqwest::token(client, url));
                    assert_eq!(token.unwrap(), TOKEN);
                },
            ),
        ),
    ]
}

fn blocking<'a>(url: &'a str, ca: &'a Ca, cold: bool) -> [Row<'a>; 2] {
    let https = url.starts_with("https:");
    let der = https.then_some(&ca.der[..]);
    [
        Row::new(
            "meshconnect-auth, blocking",
            turns(
                cold,
                move || client(url, der),
                |client: &blocking::Client| {
                    assert_eq!(client.refresh().unwrap().id_token(), TOKEN);
                },
            ),
        ),
        Row::new(
            "ureq",
            turns(
                cold,
                move || bare_ureq::agent(https, der),
                move |agent| assert_eq!(bare_ureq::token(agent, url).unwrap(), TOKEN),
            ),
        ),
    ]
}

/// Cold: a new client each time, and its making counts. Warm: the same client each time.
fn turns<'a, C: 'a>(
    cold: bool,
    make: impl Fn() -> C + 'a,
    exchange: impl Fn(&C) + 'a,
) -> impl FnMut() -> Duration + 'a {
    let mut kept = None;
    move || {
        if cold {
            kept = None;
        }
        let start = Instant::now();
        exchange(kept.get_or_insert_with(&make));
        start.elapsed()
    }
}
