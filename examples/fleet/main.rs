//! A fleet of 20,000 clients that spreads its requests over time, simulated for four days on one
//! virtual clock against the emulator.
//!
//! All clients start at the same time, and the server limits its requests per second. In hour 30
//! the server fails, first without a response, then with a 503. From hour 40 to hour 72 the wall
//! clock of every fourth client is an hour ahead. The simulation runs twice: with the defaults, and
//! without the jitter of refreshes, the only jitter that `Config` can disable. The jitter of
//! cooldowns and back-offs stays, as do random network delays and random times of calls.
//!
//! The example compares both runs with the goals, draws a chart, and fails if the first run misses
//! a goal.
//!
//! Run it with `cargo run --release --features emulator --example fleet`, which takes about a minute
//! on two cores. The number of clients and the path of the chart can follow: `-- 2000 fleet.svg`.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

mod chart;
mod goals;
mod simulation;

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use chart::{Chart, grouped};
use goals::Goal;
use meshconnect_auth::Config;
use simulation::{ALL, OUTAGE, PerSecond, Record, WRONG_CLOCKS, hours};

const SEED: u64 = 1;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let instances = match arguments.next() {
        Some(count) => count.parse::<NonZeroU32>()?.get(),
        None => goals::REFERENCE,
    };
    let path = PathBuf::from(arguments.next().unwrap_or("target/fleet.svg".to_owned()));

    let started = Instant::now();
    let default = Config::default();
    let mut without_jitter = Config::default();
    without_jitter.refresh_jitter_percent = 0;
    let (with, without) = thread::scope(|scope| {
        let with = scope.spawn(|| simulation::run(instances, &default, SEED));
        let without = simulation::run(instances, &without_jitter, SEED);
        (with.join(), without)
    });
    let with = with.map_err(|_| "the run with jitter panicked")??;
    let without = without?;

    report(&with, &without);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let (with, without) = (&with, &without);
    fs::write(&path, Chart { with, without }.to_string())?;
    let elapsed = started.elapsed().as_secs();
    println!("\nDone in {elapsed} s; the chart is {}", path.display());

    let all_met = goals::judge(with).iter().all(Goal::is_met);
    Ok(if all_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(with: &Record, without: &Record) {
    println!("{} clients, four days\n", grouped(with.instances.into()));
    row("", "goal", ["with jitter", "without"], "");
    for (with, without) in goals::judge(with).iter().zip(goals::judge(without)) {
        let verdict = |goal: &Goal| {
            let verdict = if goal.is_met() { "met" } else { "NOT met" };
            format!("{:.3} {verdict:>7}", goal.measured)
        };
        let both = [verdict(with), verdict(&without)];
        row(with.name, &format!("{:.3}", with.allowed), both, with.unit);
    }

    println!();
    let runs = [with, without];
    let requests = runs.map(|record| sum(&record.requests, &ALL));
    row("requests", "", requests.map(grouped), "");
    let from = |start: Duration, length| start..start.saturating_add(hours(length));
    for (name, time) in [
        ("calls that failed", ALL),
        ("  in the first hour", from(ALL.start, 1)),
        (
            "  in the outage and the hour after it",
            from(OUTAGE.start, 2),
        ),
        (
            "  in the hour after the clock step",
            from(WRONG_CLOCKS.start, 1),
        ),
    ] {
        let failed = runs.map(|record| sum(&record.failed_calls, &time));
        row(name, "", failed.map(grouped), "");
    }
}

fn sum(counts: &PerSecond, time: &Range<Duration>) -> f64 {
    counts.within(time).iter().copied().map(f64::from).sum()
}

fn row(name: &str, goal: &str, runs: [impl Display; 2], unit: &str) {
    let [with, without] = runs;
    let line = format!("{name:43} {goal:>7} {with:>15} {without:>15}  {unit}");
    println!("{}", line.trim_end());
}
