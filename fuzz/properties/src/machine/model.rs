//! The reference model of the machine. It is written from the design's tables, not from the
//! machine's code, and keeps plain lists of everything that happened.
//!
//! The model cannot predict the machine's random delays. It takes them from the machine's events,
//! and checks that they are in the allowed range.

mod cached;
mod dates;
mod delays;
mod effects;
mod failures;
mod problem;
mod rejections;
mod status;

use std::collections::VecDeque;
use std::time::Duration;

use meshconnect_auth_core::{ErrorKind, Event, Moment, Need};

use self::cached::CachedToken;
use self::dates::{has_come, until};
pub(super) use self::problem::{Outcome, Problem};
use self::rejections::Row;

// The default settings.
const ATTEMPT: Duration = Duration::from_secs(10);
const ACQUISITION: Duration = Duration::from_secs(30);
const LEFT_FOR_A_RETRY: Duration = Duration::from_secs(1);
const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const SETTLED: Duration = Duration::from_secs(60);
const FIRST_COOLDOWN: Duration = Duration::from_secs(1);
const LONGEST_COOLDOWN: Duration = Duration::from_secs(60);

/// The result of a check; the error says what differs.
pub(super) type Checked<T = ()> = Result<T, String>;

pub(super) fn ensure(condition: bool, what: impl FnOnce() -> String) -> Checked {
    if condition { Ok(()) } else { Err(what()) }
}

/// The expected answer to a poll.
#[derive(Debug)]
pub(super) enum Expected {
    Ready(String),
    Send(Duration),
    Wait(Duration),
    Failed(Problem),
}

/// A call: its need, and the numbers of flights and of failed acquisitions before it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    need: Need,
    flights: usize,
    failures: usize,
}

#[derive(Debug)]
struct Sent {
    at: Moment,
    timeout: Duration,
    generation: usize,
}

/// The attempts of one acquisition. If no request is in flight, a back-off runs.
#[derive(Clone, Debug)]
struct Acquisition {
    begun: Duration,
    probe: bool,
    /// The failed attempts, with the numbers of their flights.
    failed: Vec<(usize, Problem)>,
    /// The time from which the next attempt may be sent.
    again_at: Duration,
}

pub(super) struct Model {
    /// The share of the jitter that this instance applies, from 0 to 1.
    jitter: f64,
    /// The highest reading of the monotonic clock, and the last one of the wall clock.
    seen: Moment,
    generation: usize,
    /// Every flight. The first has the number 1.
    flights: Vec<Sent>,
    /// The error of every failed acquisition.
    failures: Vec<Problem>,
    /// The time of the last success by the wall clock.
    granted_at: Option<Duration>,
    /// The last failed attempt since the last success, and its time by the wall clock.
    failed_at: Option<(Duration, Problem)>,
    row: Row,
    /// The row before the refresh in flight, if a rejection scheduled it.
    row_before: Option<Row>,
    /// The current flight: an attempt of the acquisition, or a refresh ahead if there is no
    /// acquisition.
    in_flight: Option<usize>,
    acquisition: Option<Acquisition>,
    probe: bool,
    cached: Option<CachedToken>,
    /// The token whose rejection was accepted, until there is another one.
    dropped: Option<CachedToken>,
    /// The number of the flight of the last token that was cached.
    newest: usize,
    /// The life of the last grant on arrival.
    granted_life: Option<Duration>,
    cooldown: Option<(Moment, Problem)>,
    /// The cooldowns and delays that determine the length of the next one.
    delays: Vec<Duration>,
    /// The times of the grants since the last failure or rejection.
    grants: Vec<Moment>,
    /// The machine's events that the model has not yet expected.
    events: VecDeque<Event>,
}

impl Model {
    pub(super) fn new(jitter: f64) -> Self {
        Self {
            jitter,
            seen: Moment {
                mono: Duration::ZERO,
                wall: Duration::ZERO,
            },
            generation: 0,
            flights: Vec::new(),
            failures: Vec::new(),
            granted_at: None,
            failed_at: None,
            row: Row::default(),
            row_before: None,
            in_flight: None,
            acquisition: None,
            probe: false,
            cached: None,
            dropped: None,
            newest: 0,
            granted_life: None,
            cooldown: None,
            delays: Vec::new(),
            grants: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Records an event of the machine. Events of an operation are recorded before the model
    /// applies it.
    pub(super) fn record_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Checks that the model has expected every event of the machine.
    pub(super) fn check_no_other_events(&self) -> Checked {
        ensure(self.events.is_empty(), || {
            format!("unexpected events: {:?}", self.events)
        })
    }

    pub(super) fn ticket(&self, need: Need) -> Ticket {
        Ticket {
            need,
            flights: self.flights.len(),
            failures: self.failures.len(),
        }
    }

    /// Answers a poll by the rows of the first table.
    pub(super) fn poll(&mut self, now: Moment, ticket: &Ticket) -> Checked<Expected> {
        let now = self.advance(now);
        self.notice_deadlines(now, Some(ticket))?;
        let usable = self.usable(now);
        // 1
        if let Some(cached) = usable {
            let fits = match ticket.need {
                Need::Usable => true,
                Need::For(time) => until(cached.expires, now) >= time,
                Need::Newer => cached.was_requested_after(ticket.flights),
            };
            if fits {
                return Ok(Expected::Ready(cached.token.clone()));
            }
        }
        // 2
        if let Some(problem) = self.failures.iter().skip(ticket.failures).last() {
            return Ok(Expected::Failed(problem.clone()));
        }
        // 3
        if let (Need::For(time), Some(cached)) = (ticket.need, usable)
            && (self.granted_life.is_some_and(|life| life < time)
                || cached.was_requested_after(ticket.flights))
        {
            let problem = Problem::new(ErrorKind::LifetimeTooShort, 0);
            return Ok(Expected::Failed(problem));
        }
        // 4
        if let Some(flight) = self.in_flight {
            let over = self.flight_deadline(flight);
            return Ok(Expected::Wait(over.saturating_sub(now.mono)));
        }
        if let Some(acquisition) = &self.acquisition
            && acquisition.again_at > now.mono
        {
            return Ok(Expected::Wait(
                acquisition.again_at.saturating_sub(now.mono),
            ));
        }
        // 5
        if let Some((_, problem)) = self.running(now) {
            return Ok(Expected::Failed(problem.clone()));
        }
        // 6
        let probe = self.probe;
        let acquisition = self.acquisition.get_or_insert_with(|| Acquisition {
            begun: now.mono,
            probe,
            failed: Vec::new(),
            again_at: now.mono,
        });
        let number = acquisition.failed.len().saturating_add(1);
        let timeout = ATTEMPT.min(time_left(acquisition, now));
        self.send(now, timeout);
        self.expect_attempt(number, false)?;
        Ok(Expected::Send(timeout))
    }

    /// Returns the time-out of the refresh ahead, if one is sent.
    pub(super) fn poll_refresh(&mut self, now: Moment) -> Checked<Option<Duration>> {
        let now = self.advance(now);
        self.notice_deadlines(now, None)?;
        let due = self
            .usable(now)
            .is_some_and(|cached| has_come(cached.next_refresh, now));
        let busy = self.in_flight.is_some() || self.acquisition.is_some();
        if !due || busy || self.running(now).is_some() {
            return Ok(None);
        }
        let scheduled = self
            .cached
            .as_mut()
            .and_then(|cached| cached.scheduled.take());
        self.send(now, ATTEMPT);
        if scheduled.is_some() {
            self.row_before = Some(self.row);
            self.row.give_up(now);
        }
        self.expect_attempt(1, true)?;
        Ok(Some(ATTEMPT))
    }

    /// Clamps the monotonic clock to its highest reading so far, and records the reading.
    fn advance(&mut self, now: Moment) -> Moment {
        self.seen = self.clamped(now);
        self.seen
    }

    fn clamped(&self, now: Moment) -> Moment {
        Moment {
            mono: self.seen.mono.max(now.mono),
            wall: now.wall,
        }
    }

    fn usable(&self, now: Moment) -> Option<&CachedToken> {
        self.cached
            .as_ref()
            .filter(|cached| !has_come(cached.unusable, now))
    }

    fn running(&self, now: Moment) -> Option<&(Moment, Problem)> {
        self.cooldown
            .as_ref()
            .filter(|(end, _)| !has_come(*end, now))
    }

    fn flight_deadline(&self, flight: usize) -> Duration {
        let sent = flight
            .checked_sub(1)
            .and_then(|index| self.flights.get(index));
        sent.map_or(Duration::ZERO, |sent| {
            sent.at.mono.saturating_add(sent.timeout)
        })
    }

    fn send(&mut self, now: Moment, timeout: Duration) {
        self.flights.push(Sent {
            at: now,
            timeout,
            generation: self.generation,
        });
        self.in_flight = Some(self.flights.len());
        self.row_before = None;
    }
}

fn acquisition_deadline(acquisition: &Acquisition) -> Duration {
    acquisition.begun.saturating_add(ACQUISITION)
}

fn time_left(acquisition: &Acquisition, now: Moment) -> Duration {
    acquisition_deadline(acquisition).saturating_sub(now.mono)
}
