//! No answer uses up memory: what a client's process takes at its peak, over the plainest run's.

use std::env;
use std::fs;

use crate::faults::row::{Row, Seen};
use crate::faults::run::{Client, ask, for_each};
use crate::faults::table;
use crate::support::process::alone;
use crate::support::{Async, Blocking};

/// How much more than the plainest run a run may take, in KiB.
const MOST: u64 = 8 * 1024;

const ROW: &str = "FAULTS_ROW";
const PORT: &str = "FAULTS_PORT";
const CA: &str = "FAULTS_CA";
const CLIENT: &str = "FAULTS_CLIENT";
const PREFIX: &str = "peak: ";

/// The row that everything is measured by.
const PLAINEST: &str = "200 with a token";

/// Runs each row that is hungry in a process of its own, which does nothing else.
pub fn is_bounded<C: Client>() {
    if own_peak().is_none() {
        println!("skipped: only Linux tells how much memory a process took (VmHWM)");
        return;
    }
    let table = table();
    let plainest = table.iter().find(|row| row.name() == PLAINEST);
    let plain = peak::<C>(plainest.unwrap());
    let most = plain + MOST;
    let hungry: Vec<_> = table.iter().filter(|row| row.hungry).collect();
    for_each(
        &hungry,
        |row| row.name().to_owned(),
        |row| match peak::<C>(row) {
            peak if peak > most => Err(format!("\n  {peak} KiB, where {plain} KiB are the least")),
            _ => Ok(()),
        },
    );
}

/// How much a process took that does what the row says, in KiB. The server is in this one.
fn peak<C: Client>(row: &Row) -> u64 {
    let listening = row.listen();
    let output = alone(one_row)
        .env(ROW, row.name())
        .env(PORT, listening.port.to_string())
        .env(CA, row.trusted().unwrap_or_default())
        .env(CLIENT, name_of::<C>())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words}");
    let peak = words.lines().find_map(|line| line.split_once(PREFIX));
    peak.unwrap().1.parse().unwrap()
}

/// What the other processes run: the client's side of one row. In this process it does nothing.
#[test]
fn one_row() {
    let Ok(name) = env::var(ROW) else { return };
    let mut row = table().into_iter().find(|row| row.name() == name).unwrap();
    let port = env::var(PORT).unwrap().parse().unwrap();
    if row.trusted().is_some() {
        row = row.trusting(&env::var(CA).unwrap());
    }
    let client = env::var(CLIENT).unwrap();
    if client == name_of::<Async>() {
        asks::<Async>(&row, port);
    } else {
        asks::<Blocking>(&row, port);
    }
    println!("{PREFIX}{}", own_peak().unwrap());
}

fn asks<C: Client>(row: &Row, port: u16) {
    let seen = Seen::of(&ask::<C>(row, port));
    assert!(row.expects(C::WHICH, seen), "{seen:?}");
}

fn name_of<C: Client>() -> String {
    format!("{:?}", C::WHICH)
}

fn own_peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
