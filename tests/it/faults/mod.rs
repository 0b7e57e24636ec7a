//! Whatever a server, a proxy or the wire does: one table of it, over real sockets, for both
//! transports. A row says what happens and what the caller must see of it; see [`row::Row`]. Beside the
//! table stand proxies, which are named by variables of a process, and addresses.

mod peer;
mod row;
mod run;

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
    asked_to_wait,
    what_is_retried,
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

fn asked_to_wait<C: Client>() {
    run::<C>(&retry_after::rows());
}

fn what_is_retried<C: Client>() {
    run::<C>(&retried::rows());
}

fn memory_is_bounded<C: Client>() {
    memory::is_bounded::<C>();
}

/// The whole table.
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
fn the_table_is_as_long_as_it_should_be_and_every_row_has_a_name_of_its_own() {
    let table = table();
    let names: std::collections::BTreeSet<_> = table.iter().map(Row::name).collect();
    assert_eq!(names.len(), table.len());
    assert!(table.len() >= 120, "{}", table.len());
}
