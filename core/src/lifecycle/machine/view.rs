//! What can be read of the machine.

#[cfg(feature = "shared")]
use std::mem;
use std::time::{Duration, SystemTime};

use super::Machine;
#[cfg(feature = "shared")]
use crate::error::Error;
use crate::lifecycle::freshness::{later, until};
use crate::lifecycle::state::State;
use crate::lifecycle::status::{Failure, Status};
use crate::moment::Moment;

impl Machine {
    /// Returns the status, for a health check or a debug page. It contains no secret.
    #[must_use]
    pub fn status(&self, now: Moment) -> Status {
        let now = self.seen.advanced_to(now);
        let date = |wall| {
            SystemTime::UNIX_EPOCH
                .checked_add(wall)
                .unwrap_or(SystemTime::UNIX_EPOCH)
        };
        let at = |moment| date(now.wall.saturating_add(until(moment, now)));
        let usable = self.usable(now);
        Status {
            phase: self.state.phase(now),
            expires_at: usable.map(|cached| at(cached.life.expires_at)),
            next_refresh_at: usable.and_then(|_| self.next_refresh()).map(at),
            cooldown_until: self
                .cooldown
                .running(now)
                .map(|cooldown| at(cooldown.until)),
            last_success_at: self.granted_at.map(date),
            last_failure: self.failed_at.clone().map(|(wall, error)| Failure {
                at: date(wall),
                error,
            }),
            client_id: self.exchange.credentials().client_id().clone(),
            endpoint: self.exchange.endpoint().clone(),
        }
    }

    /// Returns the time from which [`poll_refresh`](Self::poll_refresh) may send: the refresh time of
    /// the cached token, or the end of a flight, acquisition or cooldown if that is later.
    pub(in crate::lifecycle) fn next_refresh(&self) -> Option<Moment> {
        let next = self.cached.as_ref()?.next_refresh();
        let busy_until = match &self.state {
            State::Idle => None,
            State::Refreshing(in_flight) | State::Acquiring(_, in_flight) => {
                Some(in_flight.deadline)
            }
            State::BackingOff(acquisition, _) => Some(acquisition.deadline),
        };
        let next = busy_until.map_or(next, |mono| {
            let wall = Duration::MAX;
            later(next, Moment { mono, wall })
        });
        let cooldown_end = self.cooldown.ends_at();
        Some(cooldown_end.map_or(next, |end| later(next, end)))
    }

    /// Returns the error with the endpoint, and with secrets masked.
    #[cfg(feature = "shared")]
    pub(in crate::lifecycle) fn named(&self, error: Error) -> Error {
        self.exchange.masked(error)
    }

    /// Returns the number of the current flight.
    #[cfg(feature = "shared")]
    pub(in crate::lifecycle) fn flight_number(&self) -> Option<u64> {
        self.state.in_flight().map(|in_flight| in_flight.number)
    }

    /// Returns a fingerprint for change detection.
    #[cfg(feature = "shared")]
    pub(in crate::lifecycle) fn fingerprint(&self) -> impl PartialEq + use<> {
        let cached = self.cached.as_ref();
        (
            (self.generation, self.flights, self.failures),
            mem::discriminant(&self.state),
            cached.map(|cached| (cached.requested(), cached.next_refresh(), cached.life)),
        )
    }
}
