//! Checks that no response makes a client use much memory: the peak of a client's process is
//! compared with that of an ordinary run.

use std::env;
use std::fs;

use crate::faults::row::{Outcome, Row};
use crate::faults::run::{Client, for_each, request_token};
use crate::faults::table;
use crate::support::process::own_process;
use crate::support::{Async, Blocking};

/// The memory that a run may use in excess of the baseline, in KiB.
const EXCESS: u64 = 8 * 1024;

const ROW: &str = "FAULTS_ROW";
const PORT: &str = "FAULTS_PORT";
const CA: &str = "FAULTS_CA";
const CLIENT: &str = "FAULTS_CLIENT";
const PREFIX: &str = "peak: ";

/// The row that serves as the baseline.
const BASELINE: &str = "200 with a token";

/// Runs each row that checks memory in a process of its own.
pub fn is_bounded<C: Client>() {
    if own_peak().is_none() {
        println!("skipped: only Linux reports the peak memory of a process (VmHWM)");
        return;
    }
    let table = table();
    let row = table.iter().find(|row| row.name() == BASELINE);
    let baseline = peak::<C>(row.unwrap());
    let limit = baseline + EXCESS;
    let rows: Vec<_> = table.iter().filter(|row| row.checks_memory).collect();
    for_each(
        &rows,
        |row| row.name().to_owned(),
        |row| match peak::<C>(row) {
            peak if peak > limit => Err(format!(
                "\n  {peak} KiB, where the baseline is {baseline} KiB"
            )),
            _ => Ok(()),
        },
    );
}

/// Returns the peak memory of a client's process that runs the row, in KiB. The server runs in this
/// process.
fn peak<C: Client>(row: &Row) -> u64 {
    let listening = row.listen();
    let output = own_process(one_row)
        .env(ROW, row.name())
        .env(PORT, listening.port.to_string())
        .env(CA, row.trusted().unwrap_or_default())
        .env(CLIENT, name_of::<C>())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    let peak = stdout.lines().find_map(|line| line.split_once(PREFIX));
    peak.unwrap().1.parse().unwrap()
}

/// Runs the client's side of one row in a child process. Does nothing in the parent.
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
        run_client::<Async>(&row, port);
    } else {
        run_client::<Blocking>(&row, port);
    }
    println!("{PREFIX}{}", own_peak().unwrap());
}

fn run_client<C: Client>(row: &Row, port: u16) {
    let outcome = Outcome::of(&request_token::<C>(row, port));
    assert!(row.expects(C::LIBRARY, outcome), "{outcome:?}");
}

fn name_of<C: Client>() -> String {
    format!("{:?}", C::LIBRARY)
}

fn own_peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
