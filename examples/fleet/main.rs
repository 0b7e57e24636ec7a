//! A fleet that does not march in step: 20,000 machines on one virtual clock against the pure
//! emulator, for four days.
//!
//! All of them start at once, and the server takes only so many requests a second. In hour 30 it is
//! gone, at first without an answer, then with a 503. From hour 40 to hour 72 the wall clock of
//! every fourth instance is an hour ahead. All this is run twice: as it is by default, and without
//! the jitter of refreshes. That is the one jitter that `Config` can turn off; those of holds and
//! back-offs stay, and so does what the network and the callers' own times leave to chance.
//!
//! It prints how both runs compare with the goals, fails if the first does not meet them, and
//! draws a chart.
//!
//! Run it with `cargo run --release --features emulator --example fleet`, which takes about a minute
//! on two cores. How many instances, and where the chart goes, can follow: `-- 2000 fleet.svg`.

#![allow(clippy::print_stdout, reason = "an example shows something")]

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

    let begun = Instant::now();
    let default = Config::default();
    let mut in_step = Config::default();
    in_step.refresh_jitter_percent = 0;
    let (with, without) = thread::scope(|scope| {
        let with = scope.spawn(|| simulation::run(instances, &default, SEED));
        let without = simulation::run(instances, &in_step, SEED);
        (with.join(), without)
    });
    let with = with.map_err(|_| "the run with jitter has panicked")??;
    let without = without?;

    report(&with, &without);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let (with, without) = (&with, &without);
    fs::write(&path, Chart { with, without }.to_string())?;
    let took = begun.elapsed().as_secs();
    println!("\nIt took {took} s; the chart is {}", path.display());

    let all_met = goals::judge(with).iter().all(Goal::is_met);
    Ok(if all_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(with: &Record, without: &Record) {
    println!("{} instances, four days\n", grouped(with.instances.into()));
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
            "  in the outage, or within an hour after",
            from(OUTAGE.start, 2),
        ),
        (
            "  within an hour after the clock step",
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
