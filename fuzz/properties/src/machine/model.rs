//! A second machine, written from the design's two tables and not from the first one: plain
//! lists of what happened, and no cleverness.
//!
//! What the first machine draws at random cannot be foretold. It tells its observers, so this one
//! listens: it says which delays are allowed, and goes on with the one that was told.

mod cached;
mod dates;
mod delays;
mod effects;
mod failures;
mod problem;
mod shown;

use std::collections::VecDeque;
use std::time::Duration;

use meshconnect_auth_core::{ErrorKind, Event, Moment, Need};

use self::cached::CachedToken;
use self::dates::{has_come, until};
pub(super) use self::problem::{Brought, Problem};

/// The numbers, by their defaults.
const ATTEMPT: Duration = Duration::from_secs(10);
const ACQUISITION: Duration = Duration::from_secs(30);
const LEFT_FOR_A_RETRY: Duration = Duration::from_secs(1);
const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const SETTLED: Duration = Duration::from_secs(60);

/// A check that went well, or how it did not.
pub(super) type Checked<T = ()> = Result<T, String>;

pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

/// What the machine should answer to a poll.
#[derive(Debug)]
pub(super) enum Expected {
    Ready(String),
    Send(Duration),
    Wait(Duration),
    Failed(Problem),
}

/// A call: what it needs, how many flights had been sent when it began, and how many acquisitions
/// had failed.
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

/// Some attempts that are one matter. If none is in flight, a back-off runs.
#[derive(Clone, Debug)]
struct Acquisition {
    begun: Duration,
    probe: bool,
    /// The attempts that failed, by the number of their flights.
    failed: Vec<(usize, Problem)>,
    /// From when on the next may be sent.
    again_at: Duration,
}

pub(super) struct Model {
    /// How much of the jitter this instance has.
    jitter: f64,
    mono: Duration,
    generation: usize,
    /// Every flight; the first has the number 1.
    flights: Vec<Sent>,
    /// Every acquisition that failed.
    failures: Vec<Problem>,
    /// Every rejection that counted, with the number of flights before it.
    rejected: Vec<(String, usize)>,
    /// How many young tokens were rejected in a row.
    row: usize,
    /// The flight in flight: the first attempt of an acquisition, a later one, or a refresh ahead
    /// if there is no acquisition.
    in_flight: Option<usize>,
    acquisition: Option<Acquisition>,
    probe: bool,
    cached: Option<CachedToken>,
    cooldown: Option<(Moment, Problem)>,
    /// The holds and delays that count for how long the next is.
    delays: Vec<Duration>,
    /// The grants since the last failure or rejection.
    grants: Vec<Moment>,
    /// What the machine told its observers, and nobody has expected yet.
    heard: VecDeque<Event>,
}

impl Model {
    pub(super) fn new(jitter: f64) -> Self {
        Self {
            jitter,
            mono: Duration::ZERO,
            generation: 0,
            flights: Vec::new(),
            failures: Vec::new(),
            rejected: Vec::new(),
            row: 0,
            in_flight: None,
            acquisition: None,
            probe: false,
            cached: None,
            cooldown: None,
            delays: Vec::new(),
            grants: Vec::new(),
            heard: VecDeque::new(),
        }
    }

    /// Takes what the machine told of an operation, before the operation itself.
    pub(super) fn hear(&mut self, event: Event) {
        self.heard.push_back(event);
    }

    /// The machine has told nothing that was not expected.
    pub(super) fn nothing_else_was_told(&self) -> Checked {
        ensure(self.heard.is_empty(), || {
            format!("it told its observers besides: {:?}", self.heard)
        })
    }

    pub(super) fn ticket(&self, need: Need) -> Ticket {
        Ticket {
            need,
            flights: self.flights.len(),
            failures: self.failures.len(),
        }
    }

    /// The first table, line by line.
    pub(super) fn poll(&mut self, now: Moment, ticket: &Ticket) -> Checked<Expected> {
        let now = self.read(now);
        self.notice_deadlines(now, Some(ticket))?;
        let usable = self.usable(now);
        // 1
        if let Some(cached) = usable {
            let fits = match ticket.need {
                Need::Usable => true,
                Need::For(time) => until(cached.expires, now) >= time,
                Need::Newer => cached.flight > ticket.flights,
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
            && (cached.left_on_arrival < time || cached.flight > ticket.flights)
        {
            let problem = Problem::new(ErrorKind::LifetimeTooShort, 0);
            return Ok(Expected::Failed(problem));
        }
        // 4
        if let Some(flight) = self.in_flight {
            let over = self.flight_over(flight);
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
        self.take_off(now, timeout);
        self.expect_attempt(number, false)?;
        Ok(Expected::Send(timeout))
    }

    /// Whether a refresh ahead is sent, with which time-out.
    pub(super) fn poll_refresh(&mut self, now: Moment) -> Checked<Option<Duration>> {
        let now = self.read(now);
        self.notice_deadlines(now, None)?;
        let due = self
            .usable(now)
            .is_some_and(|cached| has_come(cached.next_refresh, now));
        let busy = self.in_flight.is_some() || self.acquisition.is_some();
        if !due || busy || self.running(now).is_some() {
            return Ok(None);
        }
        self.take_off(now, ATTEMPT);
        if let Some(cached) = &mut self.cached {
            cached.next_refresh = now.after(ATTEMPT);
        }
        self.expect_attempt(1, true)?;
        Ok(Some(ATTEMPT))
    }

    /// The monotonic clock is clamped to the highest reading that anyone acted on.
    fn read(&mut self, now: Moment) -> Moment {
        self.mono = self.mono.max(now.mono);
        self.clamped(now)
    }

    fn clamped(&self, now: Moment) -> Moment {
        Moment {
            mono: self.mono.max(now.mono),
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

    fn flight_over(&self, flight: usize) -> Duration {
        let sent = flight
            .checked_sub(1)
            .and_then(|index| self.flights.get(index));
        sent.map_or(Duration::ZERO, |sent| {
            sent.at.mono.saturating_add(sent.timeout)
        })
    }

    fn take_off(&mut self, now: Moment, timeout: Duration) {
        self.flights.push(Sent {
            at: now,
            timeout,
            generation: self.generation,
        });
        self.in_flight = Some(self.flights.len());
    }
}

fn time_left(acquisition: &Acquisition, now: Moment) -> Duration {
    let over = acquisition.begun.saturating_add(ACQUISITION);
    over.saturating_sub(now.mono)
}
