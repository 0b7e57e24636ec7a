//! What anyone could know who only watches, and what has to be true of that.

use std::time::Duration;

use meshconnect_auth_core::Moment;

use super::model::{Checked, ensure};

#[derive(Default)]
pub(super) struct Facts {
    /// The highest reading of the monotonic clock that anyone acted on.
    mono: Duration,
    generation: usize,
    /// Every flight that was sent.
    flights: Vec<Sent>,
    /// Every token that was granted or handed in, the number of its flight or 0, and when it
    /// expires.
    minted: Vec<(String, usize, Moment)>,
    /// Every token whose rejection counted, and how many flights had been sent by then.
    rejected: Vec<(String, usize)>,
}

struct Sent {
    at: Moment,
    timeout: Duration,
    generation: usize,
    is_back: bool,
}

impl Facts {
    /// Clamps the monotonic clock to its highest reading.
    pub(super) fn read(&mut self, now: Moment) -> Moment {
        self.mono = self.mono.max(now.mono);
        Moment {
            mono: self.mono,
            wall: now.wall,
        }
    }

    /// At most one flight of the same credentials is in flight.
    pub(super) fn sent(&mut self, now: Moment, timeout: Duration) -> Checked {
        let at = self.read(now);
        let generation = self.generation;
        let is_in_flight = self.flights.iter().filter(|flight| {
            !flight.is_back
                && flight.generation == generation
                && flight.at.mono.saturating_add(flight.timeout) > at.mono
        });
        let is_in_flight = is_in_flight.count();
        ensure(is_in_flight == 0, || {
            format!("{is_in_flight} flights are in flight already")
        })?;
        self.flights.push(Sent {
            at,
            timeout,
            generation,
            is_back: false,
        });
        Ok(())
    }

    /// A flight came back, whatever it brings.
    pub(super) fn back(&mut self, number: usize) {
        if let Some(flight) = number
            .checked_sub(1)
            .and_then(|at| self.flights.get_mut(at))
        {
            flight.is_back = true;
        }
    }

    pub(super) fn granted(&mut self, name: &str, number: usize, lifetime: Duration) {
        if let Some(flight) = number.checked_sub(1).and_then(|at| self.flights.get(at)) {
            let end = flight.at.after(lifetime);
            self.minted.push((name.to_owned(), number, end));
        }
    }

    pub(super) fn handed_in(&mut self, name: &str, now: Moment, lifetime: Duration) {
        let end = self.read(now).after(lifetime);
        self.minted.push((name.to_owned(), 0, end));
    }

    pub(super) fn rejected(&mut self, name: String) {
        self.rejected.push((name, self.flights.len()));
    }

    /// Which generation of credentials these are.
    pub(super) fn new_credentials(&mut self) -> usize {
        self.generation = self.generation.saturating_add(1);
        self.generation
    }

    /// A token that is handed out has expired by neither clock, counted from its sending; and it
    /// was minted by a flight that was sent after it was rejected, if that is not too long ago.
    pub(super) fn served(&mut self, name: &str, now: Moment) -> Checked {
        let now = self.read(now);
        let mints = self.minted.iter().filter(|(minted, ..)| minted == name);
        let mut lives = mints.clone();
        let lives = lives.any(|(_, _, end)| now.mono < end.mono && now.wall < end.wall);
        ensure(lives, || format!("{name} is handed out after its end"))?;
        let mut remembered = self.rejected.iter().rev().take(8);
        if let Some((_, before)) = remembered.find(|(rejected, _)| rejected == name) {
            let mut mints = mints;
            ensure(mints.any(|(_, number, _)| number > before), || {
                format!("{name} is handed out after its rejection")
            })?;
        }
        Ok(())
    }
}
