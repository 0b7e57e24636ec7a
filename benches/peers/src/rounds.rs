//! What the figures of many rounds come to.

/// The nanoseconds that one call took in each round.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    pub fn push(&mut self, nanoseconds: f64) {
        self.0.push(nanoseconds);
    }

    pub fn median(&self) -> f64 {
        self.part(0.5)
    }

    /// Between which two figures the middle half of the rounds lies.
    pub fn middle_half(&self) -> (f64, f64) {
        (self.part(0.25), self.part(0.75))
    }

    fn part(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        sorted[(last as f64 * part).round() as usize]
    }
}
