//! What a server may expect of a fleet, and whether it got that.
//!
//! The goals are set for a fleet of [`REFERENCE`] instances. A smaller one is held to the same
//! *rates*, but its counts scatter more around them, and a bound for counts has to leave room for
//! that.
//!
//! # How a bound follows from the size
//!
//! In quiet times an instance asks at most once in any minute, and instances know nothing of each
//! other. So the count of one minute is a sum of independent yes-or-noes with some mean μ, and by
//! Chernoff's bound, for any x > μ,
//!
//! > P(count ≥ x) ≤ exp(−g(x, μ)), where g(x, μ) = μ − x + x ln(x / μ),
//!
//! which holds for Poisson's distribution too, the limit of such sums. If n minutes have no higher
//! mean than this, the chance that even one of them reaches x is at most n exp(−g(x, μ)). Where
//! [`ERROR`] = ε is the chance that is accepted, the bound is therefore the x > μ that solves
//!
//! > g(x, μ) = ln(n / ε).
//!
//! It is above μ by some √μ, however well a fleet is spread out: a floor that falls, relative to
//! the mean, only with the size.
//!
//! The goal of the reference fleet is such an x. The same equation, solved for μ < x, gives the mean
//! that it leaves to the crests of the load: 1.25 times the overall mean, where 1.6 times is the
//! goal for 2,460 minutes; the rest is for chance. The crests of a fleet of another size are in
//! proportion, and its bound follows from them by the equation once more: 3.0 times the mean for
//! 1,000 instances, 5.9 times for 200.
//!
//! For the busiest second it is the same with seconds. (After the step of the clocks an instance
//! can come back within its second, since the first back-off may be shorter. That is far below
//! what the bound leaves.)

use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::time::Duration;

use super::simulation::{ALL, OUTAGE, Record, hours};

/// The size of the fleet that the goals are set for.
pub(crate) const REFERENCE: u32 = 20_000;

/// How many times the mean the busiest minute of a quiet time may have.
pub(crate) const BUSIEST_MINUTE: f64 = 1.6;

/// How many requests in a second an instance may make on average while the server is gone.
pub(crate) const OUTAGE_RATE: f64 = 0.025;

/// Which share of the fleet may ask in one second, once the server is back.
pub(crate) const BUSIEST_SECOND: f64 = 0.035;

/// The accepted chance that a fleet which keeps to the rates of a goal misses its bound.
pub(crate) const ERROR: f64 = 1e-6;

const DAY: Duration = hours(24);

/// The times in which the fleet has to be spread out: from a day after a disturbance on.
pub(crate) const QUIET: [Range<Duration>; 2] = [
    DAY..OUTAGE.start,
    Duration::from_secs(OUTAGE.end.as_secs() + DAY.as_secs())..ALL.end,
];

/// One goal, and what came of it.
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

/// Holds a record against the goals.
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
        name: "an instance's requests in the outage",
        measured: mean(record.requests.within(&OUTAGE)) / f64::from(record.instances),
        allowed: OUTAGE_RATE,
        unit: "a second",
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

/// What `goal`, a count that no interval of the reference fleet may exceed once it is scaled to
/// the size of this one, comes to for a fleet that really has this size.
fn scaled(goal: f64, record: &Record, intervals: usize) -> f64 {
    let scale = f64::from(REFERENCE) / f64::from(record.instances);
    let chances = (whole(intervals) / ERROR).ln();
    let is_likely = |x: f64, mean: f64| mean - x + x * (x / mean).ln() < chances;

    let reference = goal * scale;
    let crest = bisect(reference, 0.0, |mean| is_likely(reference, mean)) / scale;
    // By Bernstein's bound, the weaker but explicit one, it is not above this.
    let above = crest + chances + (2.0 * crest * chances).sqrt();
    bisect(crest, above, |x| is_likely(x, crest))
}

/// Where between `yes` and `no` the answer turns.
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
    f64::from(counts.iter().sum::<u32>()) / whole(counts.len())
}

fn most(counts: &[u32]) -> f64 {
    counts.iter().copied().max().unwrap_or_default().into()
}

fn whole(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
