//! Prints the tables: `hit [rounds] [calls]`, `parse [rounds]`, or both without arguments. Without
//! arguments it also draws `hit.svg` next to this package.

use std::env;
use std::fs;
use std::process::ExitCode;

use meshconnect_auth_peers::{hit, parse};

/// The chart that BENCHMARKS.md shows.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hit.svg");

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let numbers: Result<Vec<u32>, _> = arguments.map(|number| number.parse()).collect();
    let known = matches!(mode.as_str(), "" | "hit" | "parse");
    let Some(numbers) = numbers
        .ok()
        .filter(|numbers| known && !numbers.contains(&0))
    else {
        eprintln!("usage: meshconnect-auth-peers [hit [ROUNDS [CALLS]] | parse [ROUNDS]]");
        return ExitCode::FAILURE;
    };
    let rounds = numbers.first().map_or(100, |rounds| *rounds as usize);
    let calls = numbers.get(1).copied().unwrap_or(20_000);
    if mode != "parse" {
        println!("## A hit: {rounds} rounds of {calls} calls\n");
        let (table, chart) = hit::measure(rounds, calls);
        println!("{table}");
        // A single table is a trial run. The chart belongs to the tables of BENCHMARKS.md.
        if mode.is_empty() {
            match fs::write(CHART, chart) {
                Ok(()) => eprintln!("drawn in {CHART}"),
                Err(error) => eprintln!("not drawn: {CHART}: {error}"),
            }
        }
    }
    if mode != "hit" {
        println!("## From a body to a token: {rounds} rounds\n");
        println!("{}", parse::table(rounds));
    }
    ExitCode::SUCCESS
}
