//! Statistics over rounds.

/// The nanoseconds per call in each round.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    pub fn push(&mut self, nanoseconds: f64) {
        self.0.push(nanoseconds);
    }

    pub fn median(&self) -> f64 {
        self.part(0.5)
    }

    /// Returns the quartiles around the middle half of the rounds.
    pub fn middle_half(&self) -> (f64, f64) {
        (self.part(0.25), self.part(0.75))
    }

    /// Returns the median ratio to `other`, taken per round, because a slow phase of the machine
    /// affects both.
    pub fn times(&self, other: &Self) -> f64 {
        let ratios = self.0.iter().zip(&other.0).map(|(own, other)| own / other);
        Self(ratios.collect()).median()
    }

    fn part(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        sorted[(last as f64 * part).round() as usize]
    }
}
