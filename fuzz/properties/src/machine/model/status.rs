//! The expected status of the machine, and the times at which it changes.

use std::time::{Duration, SystemTime};

use meshconnect_auth_core::{CachedToken, Moment, Phase, Status};

use super::dates::{near, near_or_between, until};
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
                    && near_or_between(mine.next_refreshes(), cached.next_refresh());
                ensure(right, || {
                    format!("the cached token is {cached:?}, expected {mine:?}")
                })?;
                mine.adopt(cached.next_refresh());
                if let Some(known) = &mine.scheduled {
                    self.row.narrow(known);
                }
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

    /// Checks the dates of the status.
    pub(in super::super) fn check_dates(&self, now: Moment, status: &Status) -> Checked {
        let now = self.clamped(now);
        let date = |wall: Duration| {
            let epoch = SystemTime::UNIX_EPOCH;
            epoch.checked_add(wall).unwrap_or(epoch)
        };
        let at = |moment| date(now.wall.saturating_add(until(moment, now)));
        let usable = self.usable(now);
        let next_refresh = usable.map(|cached| self.not_while_busy(cached.next_refresh));
        let cooldown = self.running(now).map(|(end, _)| at(*end));
        let failure = status.last_failure.as_ref();
        let same_failure = match (failure, &self.failed_at) {
            (None, None) => true,
            (Some(failure), Some((wall, problem))) => {
                failure.at == date(*wall) && problem.is(&failure.error)
            }
            _ => false,
        };
        let right = status.expires_at == usable.map(|cached| at(cached.expires))
            && status.next_refresh_at == next_refresh.map(at)
            && status.cooldown_until == cooldown
            && status.last_success_at == self.granted_at.map(date)
            && same_failure;
        ensure(right, || {
            format!(
                "the status is {status:?}, expected {:?}, refresh {next_refresh:?}, cooldown \
                 {cooldown:?}, granted at {:?}, failed at {:?}",
                self.cached, self.granted_at, self.failed_at
            )
        })
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

    pub(in super::super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
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
            Edge::IntervalOver => self.row.interval_end(),
            Edge::RowOver => self.row.end(),
            Edge::Forgiven => self.grants.first().map(|grant| grant.after(SETTLED)),
        }
    }
}
