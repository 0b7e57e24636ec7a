//! The expected status of the machine, and the times at which it changes.

use std::time::{Duration, SystemTime};

use meshconnect_auth_core::{CachedToken, Moment, Phase};

use super::dates::{near, until};
use super::{ACQUISITION, Acquisition, Checked, LEFT_FOR_A_RETRY, Model, Problem, SETTLED, ensure};
use crate::machine::ops::Edge;

impl Model {
    /// Checks the cached token, and takes over the machine's rounding of its times.
    pub(in super::super) fn check_cached(&mut self, cached: Option<&CachedToken>) -> Checked {
        match (&mut self.cached, cached) {
            (None, None) => Ok(()),
            (Some(mine), Some(cached)) => {
                let expiry = cached
                    .token()
                    .expires_at()
                    .duration_since(SystemTime::UNIX_EPOCH);
                let right = mine.token == cached.token().id_token()
                    && expiry.is_ok_and(|expiry| expiry == mine.reported_expiry)
                    && near(mine.unusable, cached.usable_until())
                    && near(mine.next_refresh, cached.next_refresh());
                ensure(right, || {
                    format!("the cached token is {cached:?}, expected {mine:?}")
                })?;
                if mine.next_refresh == mine.refresh {
                    mine.refresh = cached.next_refresh();
                }
                mine.next_refresh = cached.next_refresh();
                mine.unusable = cached.usable_until();
                Ok(())
            }
            (mine, cached) => Err(format!("the cached token is {cached:?}, expected {mine:?}")),
        }
    }

    /// Checks the phase.
    pub(in super::super) fn check_phase(&self, now: Moment, phase: Phase) -> Checked {
        let same = |number: u32, expected: usize| usize::try_from(number) == Ok(expected);
        let right = match (&self.acquisition, self.in_flight, phase) {
            (None, None, Phase::Idle) | (None, Some(_), Phase::Refreshing) => true,
            (Some(acquisition), Some(_), Phase::Acquiring { attempt, .. }) => {
                same(attempt, acquisition.failed.len().saturating_add(1))
            }
            (Some(acquisition), None, Phase::BackingOff { attempts, left, .. }) => {
                same(attempts, acquisition.failed.len())
                    && left == acquisition.again_at.saturating_sub(self.clamped(now).mono)
            }
            _ => false,
        };
        ensure(right, || {
            let (acquisition, flight) = (&self.acquisition, self.in_flight);
            format!("the phase is {phase:?}, expected {acquisition:?} with flight {flight:?}")
        })
    }

    pub(in super::super) fn token_left(&self, now: Moment) -> Option<Duration> {
        let now = self.clamped(now);
        self.usable(now).map(|cached| until(cached.expires, now))
    }

    pub(in super::super) fn cooldown_left(&self, now: Moment) -> Option<Duration> {
        let now = self.clamped(now);
        self.running(now).map(|(end, _)| until(*end, now))
    }

    pub(in super::super) fn last_failure(&self) -> Option<&Problem> {
        self.failures.last()
    }

    pub(in super::super) fn failures(&self) -> usize {
        self.failures.len()
    }

    pub(in super::super) fn jitter(&self) -> f64 {
        self.jitter
    }

    pub(in super::super) fn flights(&self) -> usize {
        self.flights.len()
    }

    /// Returns the time of an edge, if it exists. A time on the monotonic clock alone is as far
    /// away on the wall clock.
    pub(in super::super) fn date(&self, edge: Edge, now: Moment) -> Option<Moment> {
        let now = self.clamped(now);
        let mono = |mono: Duration| Moment {
            mono,
            wall: now.wall.saturating_add(mono.saturating_sub(now.mono)),
        };
        let over = |acquisition: &Acquisition| acquisition.begun.saturating_add(ACQUISITION);
        let cached = self.cached.as_ref();
        let acquisition = self.acquisition.as_ref();
        match edge {
            Edge::FlightOver => self
                .in_flight
                .map(|flight| mono(self.flight_deadline(flight))),
            Edge::BackOffOver => acquisition.map(|acquisition| mono(acquisition.again_at)),
            Edge::NoMoreRetry => acquisition
                .map(|acquisition| mono(over(acquisition).saturating_sub(LEFT_FOR_A_RETRY))),
            Edge::AcquisitionOver => acquisition.map(|acquisition| mono(over(acquisition))),
            Edge::CooldownOver => self.cooldown.as_ref().map(|(end, _)| *end),
            Edge::MayRefresh => cached.map(|cached| cached.next_refresh),
            Edge::Unusable => cached.map(|cached| cached.unusable),
            Edge::Expired => cached.map(|cached| cached.expires),
            Edge::Aged => cached.map(|cached| cached.sent.after(SETTLED)),
            Edge::Forgiven => self.grants.first().map(|grant| grant.after(SETTLED)),
        }
    }
}
