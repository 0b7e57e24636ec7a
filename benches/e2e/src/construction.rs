//! Measures `build()` for an https endpoint with the platform's trust, next to an HTTP client
//! without TLS, and counts the files that it opens.

use std::env;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use meshconnect_auth::{Client, Credentials, blocking};

use crate::programs;
use crate::rounds::{Row, measure};

/// The number of constructions in a child process, which reports the first one and the median.
const CONSTRUCTIONS: &str = "200";

/// Paths that do not exist. Accesses to them mark the start and the end of `build()` in a trace of
/// system calls.
const MARKERS: [&str; 2] = ["/marker-before-build", "/marker-after-build"];

pub fn table(rounds: usize) {
    println!("## Construction: {rounds} processes each, {CONSTRUCTIONS} constructions in each\n");
    let plain = programs::build("plain");
    let own = env::current_exe().unwrap();
    println!("| which | row | median | middle half | ours / bare |\n|---|---|--:|--:|--:|");
    // The commands start this program as a child; see `child`.
    let commands = [
        ("meshconnect-auth", &own, ["construct", "async"]),
        ("reqwest without TLS", &plain, ["reqwest", CONSTRUCTIONS]),
        (
            "meshconnect-auth, blocking",
            &own,
            ["construct", "blocking"],
        ),
        ("ureq without TLS", &plain, ["ureq", CONSTRUCTIONS]),
    ];
    for (column, which) in ["first in a process", "later ones"].into_iter().enumerate() {
        let mut rows = commands.each_ref().map(|(name, program, arguments)| {
            Row::new(name, move || {
                let output = programs::clean(program).args(arguments).output().unwrap();
                assert!(output.status.success(), "{name} failed");
                let output = String::from_utf8(output.stdout).unwrap();
                let figure = output.split_whitespace().nth(column).unwrap();
                Duration::from_nanos(figure.parse().unwrap())
            })
        });
        let times = measure(&mut rows, rounds);
        for (index, (row, times_of)) in rows.iter().zip(&times).enumerate() {
            let ratio = if index % 2 == 0 {
                format!("{:.2}", times_of.median() / times[index + 1].median())
            } else {
                String::new()
            };
            println!(
                "| {which} | {} | {} | {ratio} |",
                row.name,
                times_of.cells()
            );
        }
    }
    println!();
    for which in ["async", "blocking"] {
        match files_opened(which) {
            Some(count) => {
                println!("`build()`, {which}: {count} files opened (strace)");
                assert_eq!(count, 0, "{which}: `build()` reads no file");
            }
            None => println!("`build()`, {which}: files opened not counted, strace cannot be run"),
        }
    }
    println!();
}

/// Runs in the children of `table`.
pub fn child(which: &str) {
    let credentials = || Credentials::new("id", "secret").unwrap();
    // The credentials exist before the construction. The settings are part of it.
    let construct: &dyn Fn(Credentials) = match which {
        "async" => &|it| drop(black_box(Client::builder(it).build().unwrap())),
        _ => &|it| drop(black_box(blocking::Client::builder(it).build().unwrap())),
    };
    let mut times: Vec<u128> = (0..CONSTRUCTIONS.parse().unwrap())
        .map(|_| {
            let credentials = credentials();
            let start = Instant::now();
            construct(credentials);
            start.elapsed().as_nanos()
        })
        .collect();
    let first = times[0];
    times.sort_unstable();
    println!("{first} {}", times[times.len() / 2]);
}

/// Runs in the children of `files_opened`.
pub fn traced(which: &str) {
    let credentials = Credentials::new("id", "secret").unwrap();
    let _ = fs::metadata(MARKERS[0]);
    if which == "async" {
        drop(black_box(Client::builder(credentials).build().unwrap()));
    } else {
        drop(black_box(
            blocking::Client::builder(credentials).build().unwrap(),
        ));
    }
    let _ = fs::metadata(MARKERS[1]);
}

/// Returns the number of files that the first `build()` of a process opens, or `None` without
/// strace.
fn files_opened(which: &str) -> Option<usize> {
    let own = env::current_exe().unwrap();
    let mut strace = programs::clean(Path::new("strace"));
    // Traces all calls that take a path or a file handle.
    strace.args(["-f", "-e", "trace=%file,open_by_handle_at"]);
    let output = strace.arg(own).args(["traced", which]).output().ok()?;
    let trace = String::from_utf8_lossy(&output.stderr);
    let (_, rest) = trace.split_once(MARKERS[0])?;
    let (between, _) = rest.split_once(MARKERS[1])?;
    Some(between.lines().filter(|line| line.contains("open")).count())
}
