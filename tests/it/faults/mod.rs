//! A table of server, proxy and network faults, run over real sockets against both transports. A
//! row states what the server does and what the caller must observe; see [`row::Row`].
//!
//! Proxies have a table of their own, because environment variables configure them and those belong
//! to a process. Addresses have tests of their own.

mod peer;
mod row;
pub mod run;

mod addresses;
mod body;
mod compressed;
mod connection;
mod framing;
mod head;
mod length;
mod memory;
#[cfg(all(feature = "cli", unix))]
mod proxy;
mod retried;
mod retry_after;
mod status;
mod tls;

use crate::support::{Async, Blocking};
use row::Row;
use run::{Client, run};

for_both! { Async, Blocking:
    status_lines_and_codes,
    heads,
    lengths,
    framings,
    bodies,
    compressed_bodies,
    connections,
    handshakes,
    retry_after_headers,
    retries,
    memory_is_bounded,
}

fn status_lines_and_codes<C: Client>() {
    run::<C>(&status::rows());
}

fn heads<C: Client>() {
    run::<C>(&head::rows());
}

fn lengths<C: Client>() {
    run::<C>(&length::rows());
}

fn framings<C: Client>() {
    run::<C>(&framing::rows());
}

fn bodies<C: Client>() {
    run::<C>(&body::rows());
}

fn compressed_bodies<C: Client>() {
    run::<C>(&compressed::rows());
}

fn connections<C: Client>() {
    run::<C>(&connection::rows());
}

fn handshakes<C: Client>() {
    run::<C>(&tls::rows());
}

fn retry_after_headers<C: Client>() {
    run::<C>(&retry_after::rows());
}

fn retries<C: Client>() {
    run::<C>(&retried::rows());
}

fn memory_is_bounded<C: Client>() {
    memory::is_bounded::<C>();
}

/// Returns all rows except those for proxies and addresses.
fn table() -> Vec<Row> {
    [
        status::rows(),
        head::rows(),
        length::rows(),
        framing::rows(),
        body::rows(),
        compressed::rows(),
        connection::rows(),
        tls::rows(),
        retry_after::rows(),
        retried::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn table_has_at_least_120_uniquely_named_rows() {
    let table = table();
    let names: std::collections::BTreeSet<_> = table.iter().map(Row::name).collect();
    assert_eq!(names.len(), table.len());
    assert!(table.len() >= 120, "{}", table.len());
}
