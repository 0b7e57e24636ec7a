//! Invariants of the machine's answers that need no model.

use std::time::Duration;

use meshconnect_auth_core::Moment;

use super::model::{Checked, ensure};

#[derive(Default)]
pub(super) struct Invariants {
    /// The highest reading of the monotonic clock so far.
    mono: Duration,
    generation: usize,
    /// Every flight, in the order of sending.
    flights: Vec<Sent>,
    /// Every token that was granted or handed in, and its expiry.
    granted: Vec<(String, Moment)>,
    /// Every token that was dropped because it was rejected, with the number of tokens before that. A
    /// failed acquisition ends the list, because it brings the token back.
    rejected: Vec<(String, usize)>,
}

struct Sent {
    at: Moment,
    timeout: Duration,
    generation: usize,
    is_over: bool,
}

impl Invariants {
    /// Clamps the monotonic clock to its highest reading.
    pub(super) fn advance(&mut self, now: Moment) -> Moment {
        self.mono = self.mono.max(now.mono);
        Moment {
            mono: self.mono,
            wall: now.wall,
        }
    }

    /// Records a new flight. At most one flight with the same credentials may be in flight.
    pub(super) fn record_attempt(&mut self, now: Moment, timeout: Duration) -> Checked {
        let at = self.advance(now);
        let generation = self.generation;
        let is_in_flight = self.flights.iter().filter(|flight| {
            !flight.is_over
                && flight.generation == generation
                && flight.at.mono.saturating_add(flight.timeout) > at.mono
        });
        let is_in_flight = is_in_flight.count();
        ensure(is_in_flight == 0, || {
            format!("{is_in_flight} flights are already in flight")
        })?;
        self.flights.push(Sent {
            at,
            timeout,
            generation,
            is_over: false,
        });
        Ok(())
    }

    /// Records the end of a flight, with any outcome or none.
    pub(super) fn record_end(&mut self, number: usize) {
        if let Some(flight) = number
            .checked_sub(1)
            .and_then(|at| self.flights.get_mut(at))
        {
            flight.is_over = true;
        }
    }

    pub(super) fn record_grant(&mut self, name: &str, number: usize, lifetime: Duration) {
        if let Some(flight) = number.checked_sub(1).and_then(|at| self.flights.get(at)) {
            let end = flight.at.after(lifetime);
            self.granted.push((name.to_owned(), end));
        }
    }

    pub(super) fn record_hand_in(&mut self, name: &str, now: Moment, lifetime: Duration) {
        let end = self.advance(now).after(lifetime);
        self.granted.push((name.to_owned(), end));
    }

    pub(super) fn record_rejection(&mut self, name: String) {
        self.rejected.push((name, self.granted.len()));
    }

    pub(super) fn record_failed_acquisition(&mut self) {
        self.rejected.clear();
    }

    /// Starts a new generation of credentials, and returns its number.
    pub(super) fn new_credentials(&mut self) -> usize {
        self.generation = self.generation.saturating_add(1);
        self.generation
    }

    /// Checks a token that a poll returned. It must not have expired by either clock, counted from
    /// the time of sending. If it was dropped, it must have been granted again since then.
    pub(super) fn check_served(&mut self, name: &str, now: Moment) -> Checked {
        let now = self.advance(now);
        let grants = self.granted.iter().enumerate();
        let grants = grants.filter(|(_, (granted, _))| granted == name);
        let mut lives = grants.clone();
        let lives = lives.any(|(_, (_, end))| now.mono < end.mono && now.wall < end.wall);
        ensure(lives, || format!("{name} was returned after its expiry"))?;
        let mut rejected = self.rejected.iter().rev();
        let before = rejected.find(|(rejected, _)| rejected == name);
        let before = before.map_or(0, |(_, before)| *before);
        ensure({ grants }.any(|(number, _)| number >= before), || {
            format!("{name} was returned after its rejection")
        })
    }
}
