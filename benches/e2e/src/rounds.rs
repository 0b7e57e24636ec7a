//! Measures rows in turn, with statistics over their rounds.

use std::time::Duration;

/// A row: its name, and a call that returns its duration.
pub struct Row<'a> {
    pub name: &'static str,
    pub call: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Row<'a> {
    pub fn new(name: &'static str, call: impl FnMut() -> Duration + 'a) -> Self {
        let call = Box::new(call);
        Self { name, call }
    }
}

/// The sorted times of a row.
#[derive(Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn median(&self) -> f64 {
        self.part(0.5)
    }

    fn part(&self, part: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[(last as f64 * part).round() as usize].as_secs_f64()
    }

    /// Returns the median and the quartiles as table cells.
    pub fn cells(&self) -> String {
        let show = |part| show(self.part(part));
        format!("{} | {}–{}", show(0.5), show(0.25), show(0.75))
    }
}

pub fn show(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.2} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

/// Calls each row once per round. The first row changes each round, and so does the direction after
/// some rounds, so that no row always follows the same other row. The first round is discarded.
pub fn measure(rows: &mut [Row<'_>], rounds: usize) -> Vec<Times> {
    let mut times = vec![Times::default(); rows.len()];
    for round in 0..=rounds {
        for turn in 0..rows.len() {
            let count = rows.len();
            let forwards = (round / count).is_multiple_of(2);
            let turn = if forwards { turn } else { count - 1 - turn };
            let index = (round + turn) % count;
            let time = (rows[index].call)();
            if round > 0 {
                times[index].0.push(time);
            }
        }
    }
    for times in &mut times {
        times.0.sort_unstable();
    }
    times
}
