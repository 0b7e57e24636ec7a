//! Constructs HTTP clients without TLS support, and prints the nanoseconds of the first
//! construction and the median of all. The second argument is the number of constructions.

use std::env;
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let construct: fn() = match arguments[0].as_str() {
        "reqwest" => || drop(black_box(reqwest::Client::builder().build().unwrap())),
        "ureq" => || drop(black_box(ureq::Agent::new_with_defaults())),
        other => panic!("neither reqwest nor ureq: {other}"),
    };
    let mut times: Vec<u128> = (0..arguments[1].parse().unwrap())
        .map(|_| {
            let start = Instant::now();
            construct();
            start.elapsed().as_nanos()
        })
        .collect();
    let first = times[0];
    times.sort_unstable();
    println!("{first} {}", times[times.len() / 2]);
}
