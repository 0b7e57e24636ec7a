//! The goals for the load that a fleet puts on a server.
//!
//! The goals are set for a fleet of [`REFERENCE`] clients. A smaller fleet must meet the same
//! *rates*, but its counts vary more around them, so its bounds on counts are wider.
//!
//! # How a bound follows from the size
//!
//! In quiet times a client sends at most one request in any minute, and clients are independent. So
//! the count of one minute is a sum of independent Bernoulli variables with some mean μ. By
//! Chernoff's bound, for any x > μ,
//!
//! > P(count ≥ x) ≤ exp(−g(x, μ)), where g(x, μ) = μ − x + x ln(x / μ).
//!
//! The bound also applies to the Poisson distribution, the limit of such sums. If n minutes have no
//! higher mean than μ, the probability that any of them reaches x is at most n exp(−g(x, μ)). With
//! [`ERROR`] = ε as the accepted probability, the bound is the x > μ that solves
//!
//! > g(x, μ) = ln(n / ε).
//!
//! This x exceeds μ by an amount proportional to √μ, even for a fleet that is spread evenly. Relative
//! to the mean, that excess falls only with the size of the fleet.
//!
//! The goal of the reference fleet is such an x. The same equation, solved for μ < x, gives the mean
//! that the goal allows at the peaks of the load: for 2,460 minutes and a goal of 1.6 times the
//! overall mean, it is 1.25 times the overall mean; the difference allows for chance. The peaks of
//! another fleet scale with its size, and the equation gives its bound from them: 3.0 times the mean
//! for 1,000 clients, 5.9 times for 200.
//!
//! The busiest second uses the same derivation with seconds. (After the step of the clocks a client
//! can send a second request within one second, because the first back-off can be shorter. That is
//! far below the bound.)

use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::time::Duration;

use super::simulation::{ALL, OUTAGE, Record, hours};

/// The size of the fleet that the goals are set for.
pub(crate) const REFERENCE: u32 = 20_000;

/// The goal for the busiest minute of a quiet time, as a multiple of the mean.
pub(crate) const BUSIEST_MINUTE: f64 = 1.6;

/// The goal for the mean requests per second of a client during the outage.
pub(crate) const OUTAGE_RATE: f64 = 0.025;

/// The goal for the busiest second after the outage, as a share of the fleet.
pub(crate) const BUSIEST_SECOND: f64 = 0.035;

/// The accepted probability that a fleet with the right rates misses its bound.
pub(crate) const ERROR: f64 = 1e-6;

const DAY: Duration = hours(24);

/// The quiet times, in which the fleet must be spread out: from a day after each disturbance.
pub(crate) const QUIET: [Range<Duration>; 2] = [
    DAY..OUTAGE.start,
    Duration::from_secs(OUTAGE.end.as_secs() + DAY.as_secs())..ALL.end,
];

/// A goal and its measurement.
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    pub(crate) measured: f64,
    pub(crate) allowed: f64,
    pub(crate) unit: &'static str,
}

impl Goal {
    pub(crate) fn is_met(&self) -> bool {
        self.measured <= self.allowed
    }
}

impl Display for Goal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            measured,
            allowed,
            unit,
        } = self;
        write!(f, "{name}: {measured:.3} {unit}, of {allowed:.3} allowed")
    }
}

/// Compares a record with the goals.
pub(crate) fn judge(record: &Record) -> [Goal; 4] {
    let [before, after] = QUIET;
    [
        busiest_minute("busiest minute, from a day after the start", record, before),
        outage_rate(record),
        busiest_second(record),
        busiest_minute("busiest minute, from a day after the outage", record, after),
    ]
}

fn busiest_minute(name: &'static str, record: &Record, time: Range<Duration>) -> Goal {
    let minutes = per_minute(record.requests.within(&time));
    let mean = mean(&minutes);
    Goal {
        name,
        measured: most(&minutes) / mean,
        allowed: scaled(BUSIEST_MINUTE * mean, record, minutes.len()) / mean,
        unit: "times the mean",
    }
}

fn outage_rate(record: &Record) -> Goal {
    Goal {
        name: "requests of a client in the outage",
        measured: mean(record.requests.within(&OUTAGE)) / f64::from(record.instances),
        allowed: OUTAGE_RATE,
        unit: "per second",
    }
}

fn busiest_second(record: &Record) -> Goal {
    let seconds = record.requests.within(&(OUTAGE.end..ALL.end));
    let instances = f64::from(record.instances);
    Goal {
        name: "busiest second, from the outage's end",
        measured: 100.0 * most(seconds) / instances,
        allowed: 100.0 * scaled(BUSIEST_SECOND * instances, record, seconds.len()) / instances,
        unit: "% of the fleet",
    }
}

/// Scales `goal`, the bound on a count of the reference fleet, to a fleet of this size.
fn scaled(goal: f64, record: &Record, intervals: usize) -> f64 {
    let scale = f64::from(REFERENCE) / f64::from(record.instances);
    let exponent = (count_to_f64(intervals) / ERROR).ln();
    let is_likely = |x: f64, mean: f64| mean - x + x * (x / mean).ln() < exponent;

    let reference = goal * scale;
    let peak = bisect(reference, 0.0, |mean| is_likely(reference, mean)) / scale;
    // Bernstein's bound is weaker but explicit, so it limits the search.
    let above = peak + exponent + (2.0 * peak * exponent).sqrt();
    bisect(peak, above, |x| is_likely(x, peak))
}

/// Returns the value between `yes` and `no` at which `is_yes` changes.
fn bisect(mut yes: f64, mut no: f64, is_yes: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(yes, no);
        if is_yes(middle) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    yes
}

pub(crate) fn per_minute(seconds: &[u32]) -> Vec<u32> {
    seconds
        .chunks(60)
        .map(|minute| minute.iter().sum())
        .collect()
}

pub(crate) fn mean(counts: &[u32]) -> f64 {
    f64::from(counts.iter().sum::<u32>()) / count_to_f64(counts.len())
}

fn most(counts: &[u32]) -> f64 {
    counts.iter().copied().max().unwrap_or_default().into()
}

fn count_to_f64(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
