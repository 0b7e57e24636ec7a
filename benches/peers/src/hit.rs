//! Measures the hit from one thread and from two threads at once.

use std::fmt::{self, Write};
use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::OURS;
use crate::candidates::{self, Candidate, Kind};
use crate::chart::{self, Bar};
use crate::rounds::Rounds;

/// Returns a current-thread runtime with all drivers.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

struct Row {
    candidate: Candidate,
    one: Rounds,
    two: Rounds,
}

/// Measures all candidates over `rounds` rounds of `calls` calls, and returns a table and an SVG
/// chart.
pub fn measure(rounds: usize, calls: u32) -> (String, String) {
    let (first, second) = (runtime(), runtime());
    let mut rows: Vec<Row> = candidates::all(&first)
        .into_iter()
        .map(|candidate| Row {
            candidate,
            one: Rounds::default(),
            two: Rounds::default(),
        })
        .collect();
    // The first round is a warm-up. The order changes each round, so that no row always follows the
    // same other row.
    for round in 0..=rounds {
        fastrand::shuffle(&mut rows);
        for row in &mut rows {
            let one = row.candidate.round(&first, calls);
            let two = at_once(&row.candidate, &first, &second, calls);
            if round > 0 {
                row.one.push(per_call(one, calls));
                row.two.push(per_call(two, calls));
            }
        }
    }
    rows.sort_by(|a, b| {
        let key = |row: &Row| row.candidate.kind != Kind::Floor;
        (key(a).cmp(&key(b))).then(a.one.median().total_cmp(&b.one.median()))
    });
    let is_ours = |row: &&Row| row.candidate.name == OURS;
    let ours = rows.iter().find(is_ours).unwrap().one.clone();
    let bars: Vec<Bar<'_>> = rows.iter().map(|row| row.bar(&ours)).collect();
    let chart = chart::svg(&bars).unwrap();
    (print(&rows, &ours, &first).unwrap(), chart)
}

impl Row {
    fn bar(&self, ours: &Rounds) -> Bar<'_> {
        Bar {
            name: &self.candidate.name,
            kind: self.candidate.kind,
            times_ours: self.one.times(ours),
        }
    }
}

fn per_call(time: Duration, calls: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(calls)
}

/// Returns the mean time of two rounds in two threads, each with its own runtime. Both start
/// together, and the first to finish continues until the other is done, so that they always
/// overlap.
fn at_once(candidate: &Candidate, first: &Runtime, second: &Runtime, calls: u32) -> Duration {
    let (arrived, done) = (AtomicU32::new(0), AtomicU32::new(0));
    let measure = |runtime| {
        // Threads that sleep would wake too far apart for a round of a millisecond.
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < 2 {
            hint::spin_loop();
        }
        let time = candidate.round(runtime, calls);
        done.fetch_add(1, Ordering::SeqCst);
        while done.load(Ordering::SeqCst) < 2 {
            candidate.round(runtime, calls.div_ceil(20));
        }
        time
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| measure(second));
        let own = measure(first);
        (own + other.join().unwrap()) / 2
    })
}

fn print(rows: &[Row], ours: &Rounds, runtime: &Runtime) -> Result<String, fmt::Error> {
    let mut table = String::new();
    writeln!(
        table,
        "| what | | ns | middle half | × ours | ns, two threads | slows by | ready at once |\n\
         |---|---|--:|--:|--:|--:|--:|---|"
    )?;
    for row in rows {
        let (one, two) = (row.one.median(), row.two.median());
        let (low, high) = row.one.middle_half();
        let ready = match row.candidate.ready_at_once(runtime) {
            None => "blocking",
            Some(true) => "yes",
            Some(false) => "no",
        };
        let (name, kind) = (&row.candidate.name, row.candidate.kind.word());
        writeln!(
            table,
            "| {name} | {kind} | {one:.1} | {low:.1} to {high:.1} | {:.2} | {two:.1} | {:.1}× | {ready} |",
            row.one.times(ours),
            row.two.times(&row.one),
        )?;
    }
    Ok(table)
}
