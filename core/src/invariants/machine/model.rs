//! A second machine, written from the design's two tables and not from the first one: plain
//! lists of what happened, and no cleverness.
//!
//! What the first machine draws at random cannot be foretold. It tells its observers, so this one
//! listens: it says which delays are allowed, and goes on with the one that was told.

use std::collections::VecDeque;
use std::error::Error as _;
use std::time::{Duration, SystemTime};

use super::ops::Edge;
use crate::{Error, ErrorKind, Event, Moment, Need, Phase, TransportErrorKind};

/// The numbers, by their defaults.
const ATTEMPT: Duration = Duration::from_secs(10);
const ACQUISITION: Duration = Duration::from_secs(30);
const ATTEMPTS: usize = 3;
const LEFT_FOR_A_RETRY: Duration = Duration::from_secs(1);
const BACKOFF: Duration = Duration::from_millis(500);
const THROTTLED_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
const FIRST_HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(60);
const SETTLED: Duration = Duration::from_secs(60);
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(300);
const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const LONGEST_AHEAD: Duration = Duration::from_secs(30 * 60);
const LONGEST_MARGIN: Duration = Duration::from_secs(30);
const REMEMBERED_REJECTIONS: usize = 8;

/// Two computations of one date may round differently.
const ROUNDING: Duration = Duration::from_micros(1);

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

/// What went wrong, as far as anything follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) kind: ErrorKind,
    /// A number in the answer by which it is known again.
    pub(super) mark: Option<u32>,
    /// Whether the same request may be sent again.
    pub(super) retried: bool,
    /// Whether it was a 429 or a 503.
    pub(super) throttled: bool,
    /// `Retry-After`, as a reading of the monotonic clock.
    pub(super) retry_at: Option<Duration>,
    pub(super) attempts: usize,
}

impl Problem {
    pub(super) fn new(kind: ErrorKind, attempts: usize) -> Self {
        Self {
            kind,
            mark: None,
            retried: matches!(kind, ErrorKind::TokenRejected | ErrorKind::Transport(_)),
            throttled: false,
            retry_at: None,
            attempts,
        }
    }

    fn timeout() -> Self {
        Self::new(ErrorKind::Transport(TransportErrorKind::Timeout), 1)
    }

    pub(super) fn is(&self, error: &Error) -> bool {
        let mark = error.trace_ids().next().map(|(_, mark)| mark.to_owned());
        let mark = mark.or_else(|| error.source().map(ToString::to_string));
        let mark = mark.and_then(|mark| mark.parse().ok());
        self.kind == error.kind()
            && self.mark == mark
            && usize::try_from(error.attempts()).is_ok_and(|attempts| attempts == self.attempts)
    }
}

/// What a flight brings.
#[derive(Clone, Debug)]
pub(super) enum Brought {
    Token(String, Duration),
    Problem(Problem),
}

impl Brought {
    /// A token with this `expires_in`.
    pub(super) fn token(name: String, seconds: Option<u64>) -> Self {
        let lifetime = seconds.map_or(UNKNOWN_LIFETIME, Duration::from_secs);
        if lifetime.is_zero() {
            return Self::Problem(Problem::new(ErrorKind::Malformed, 1));
        }
        Self::Token(name, lifetime.min(LONGEST_LIFETIME))
    }
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

#[derive(Debug)]
struct CachedToken {
    token: String,
    /// What the token itself says of its expiry.
    told_expiry: Duration,
    expires: Moment,
    unusable: Moment,
    refresh: Moment,
    next_refresh: Moment,
    /// 0 for one that was handed in.
    flight: usize,
    sent: Moment,
    left_on_arrival: Duration,
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

    pub(super) fn outcome(&mut self, now: Moment, flight: usize, brought: Brought) -> Checked {
        let now = self.read(now);
        let Some(sent) = flight
            .checked_sub(1)
            .and_then(|index| self.flights.get(index))
        else {
            return Err(format!("there is no flight {flight}"));
        };
        if sent.generation != self.generation {
            return Ok(());
        }
        let sent = sent.at;
        let is_in_flight = self.in_flight == Some(flight);
        let joined = self.acquisition.is_some();
        let (token, lifetime) = match brought {
            Brought::Token(token, lifetime) => (token, lifetime),
            Brought::Problem(problem) if is_in_flight => return self.failed(now, flight, problem),
            Brought::Problem(_) => return Ok(()),
        };

        let last = self.rejected.len().saturating_sub(REMEMBERED_REJECTIONS);
        let refused = self.rejected.iter().skip(last);
        if { refused }.any(|(refused, flights)| *refused == token && flight <= *flights) {
            let problem = Problem::new(ErrorKind::TokenRejected, 1);
            return if is_in_flight {
                self.failed(now, flight, problem)
            } else {
                Ok(())
            };
        }

        let mut new = self.life(token, sent, sent, lifetime, flight, now);
        let same = self
            .cached
            .as_mut()
            .filter(|cached| cached.token == new.token);
        if let Some(cached) = same {
            // Any answer may make the life of the cached token shorter, an old one too.
            cached.expires = sooner(cached.expires, new.expires);
            cached.unusable = sooner(cached.unusable, new.unusable);
            new.told_expiry = new.told_expiry.min(cached.told_expiry);
            let delayed_until = cached.next_refresh;
            let usable = !has_come(cached.unusable, now);
            if usable && !(joined && self.in_flight.is_some()) {
                new.expires = cached.expires;
                new.unusable = cached.unusable;
                new.refresh = cached.refresh;
                new.left_on_arrival = until(cached.expires, now);
                if is_in_flight {
                    return self.not_renewed(now, new);
                }
            } else {
                // Of an acquisition, or of a refresh that waiters have joined: the margin and the
                // refresh point follow from what is left. (So they do for a late answer, if at
                // that time an acquisition is in flight; the tables say neither.)
                let told_expiry = new.told_expiry;
                let left = until(cached.expires, now);
                new = self.life(new.token, sent, now, left, flight, now);
                new.told_expiry = told_expiry;
            }
            if !is_in_flight {
                // It comes late, and so changes nothing else: a delay goes on too.
                new.next_refresh = later(new.refresh, delayed_until);
            }
        }
        if has_come(new.unusable, now) {
            return if is_in_flight {
                self.failed(now, flight, Problem::timeout())
            } else {
                Ok(())
            };
        }
        if !is_in_flight {
            if self
                .cached
                .as_ref()
                .is_none_or(|cached| cached.flight < new.flight)
            {
                self.cached = Some(new);
            }
            return Ok(());
        }
        let left = new.left_on_arrival;
        self.cached = Some(new);
        self.in_flight = None;
        self.acquisition = None;
        self.probe = false;
        self.grants.push(now);
        match self.heard.pop_front() {
            Some(Event::Refreshed { lifetime }) if lifetime == left => Ok(()),
            other => Err(format!("it told {other:?} of a new token for {left:?}")),
        }
    }

    /// As if it had never been sent.
    pub(super) fn abandon(&mut self, flight: usize) {
        if self.in_flight != Some(flight) {
            return;
        }
        self.in_flight = None;
        match &self.acquisition {
            None => {
                if let Some(cached) = &mut self.cached {
                    cached.next_refresh = cached.refresh;
                }
            }
            Some(acquisition) if acquisition.failed.is_empty() => self.acquisition = None,
            Some(_) => {}
        }
    }

    pub(super) fn rejection(&mut self, now: Moment, token: &str) -> Checked<bool> {
        let now = self.read(now);
        let Some(cached) = self.cached.take_if(|cached| cached.token == token) else {
            return Ok(false);
        };
        self.rejected.push((cached.token, self.flights.len()));
        self.row = if has_come(cached.sent.after(SETTLED), now) {
            0
        } else {
            self.row
        };
        self.row = self.row.saturating_add(1);
        match self.heard.pop_front() {
            Some(Event::Rejected { in_a_row }) if usize::try_from(in_a_row) == Ok(self.row) => {}
            other => {
                return Err(format!(
                    "it told {other:?} of rejection {} in a row",
                    self.row
                ));
            }
        }
        self.judge(now);
        if self.row > 1 {
            let problem = Problem::new(ErrorKind::TokenRejected, 0);
            let range = self.delay_rule().or_what_is_left(self.cooldown_left(now));
            let delay = self.expect_cooldown(&problem, range)?;
            self.delays.push(delay);
            self.begin(now, delay, problem);
        }
        Ok(true)
    }

    /// The other credentials forget the row of rejections, the probe and the delay of a refresh
    /// too, which the tables do not say.
    pub(super) fn new_credentials(&mut self, same_id: bool) {
        self.generation = self.generation.saturating_add(1);
        self.in_flight = None;
        self.acquisition = None;
        self.cooldown = None;
        self.probe = false;
        self.delays.clear();
        self.grants.clear();
        self.row = 0;
        if !same_id {
            self.cached = None;
        }
        if let Some(cached) = &mut self.cached {
            cached.next_refresh = cached.refresh;
        }
    }

    /// A token from elsewhere, `lifetime` of which is left by the wall clock. The tables know of
    /// it at the very beginning alone; later it takes the place of whatever is cached. What was
    /// rejected stays so.
    pub(super) fn handed_in(&mut self, now: Moment, token: String, lifetime: Duration) {
        let told_expiry = told_expiry(now.after(lifetime));
        let now = self.read(now);
        let last = self.rejected.len().saturating_sub(REMEMBERED_REJECTIONS);
        let mut refused = self.rejected.iter().skip(last);
        if refused.any(|(refused, _)| *refused == token) {
            return;
        }
        let lifetime = lifetime.min(LONGEST_LIFETIME);
        let mut new = self.life(token, now, now, lifetime, 0, now);
        new.told_expiry = told_expiry;
        if !has_come(new.unusable, now) {
            self.cached = Some(new);
            self.grants.push(now);
        }
    }

    /// What [`Machine::cached_token`](crate::Machine::cached_token) says is right. The machine's own rounding
    /// counts from here on.
    pub(super) fn check_cached(&mut self, cached: Option<&crate::CachedToken>) -> Checked {
        match (&mut self.cached, cached) {
            (None, None) => Ok(()),
            (Some(mine), Some(cached)) => {
                let expiry = cached
                    .token()
                    .expires_at()
                    .duration_since(SystemTime::UNIX_EPOCH);
                let right = mine.token == cached.token().id_token()
                    && expiry.is_ok_and(|expiry| expiry == mine.told_expiry)
                    && near(mine.unusable, cached.usable_until())
                    && near(mine.next_refresh, cached.next_refresh());
                ensure(right, || format!("it holds {cached:?}, and not {mine:?}"))?;
                if mine.next_refresh == mine.refresh {
                    mine.refresh = cached.next_refresh();
                }
                mine.next_refresh = cached.next_refresh();
                mine.unusable = cached.usable_until();
                Ok(())
            }
            (mine, cached) => Err(format!("it holds {cached:?}, and not {mine:?}")),
        }
    }

    pub(super) fn phase(&self, now: Moment) -> Phase {
        let number = |failed: usize| u32::try_from(failed).unwrap_or(u32::MAX);
        match (&self.acquisition, self.in_flight) {
            (None, None) => Phase::Idle,
            (None, Some(_)) => Phase::Refreshing,
            (Some(acquisition), Some(_)) => Phase::Acquiring {
                attempt: number(acquisition.failed.len().saturating_add(1)),
            },
            (Some(acquisition), None) => Phase::BackingOff {
                attempts: number(acquisition.failed.len()),
                left: acquisition.again_at.saturating_sub(self.clamped(now).mono),
            },
        }
    }

    pub(super) fn token_left(&self, now: Moment) -> Option<Duration> {
        let now = self.clamped(now);
        self.usable(now).map(|cached| until(cached.expires, now))
    }

    pub(super) fn cooldown_left(&self, now: Moment) -> Option<Duration> {
        let now = self.clamped(now);
        self.running(now).map(|(end, _)| until(*end, now))
    }

    pub(super) fn last_failure(&self) -> Option<&Problem> {
        self.failures.last()
    }

    pub(super) fn failures(&self) -> usize {
        self.failures.len()
    }

    pub(super) fn jitter(&self) -> f64 {
        self.jitter
    }

    pub(super) fn flights(&self) -> usize {
        self.flights.len()
    }

    /// When that is, if it is to come at all. Dates of the monotonic clock alone are as far away
    /// on the wall clock.
    pub(super) fn date(&self, edge: Edge, now: Moment) -> Option<Moment> {
        let now = self.clamped(now);
        let mono = |mono: Duration| Moment {
            mono,
            wall: now.wall.saturating_add(mono.saturating_sub(now.mono)),
        };
        let over = |acquisition: &Acquisition| acquisition.begun.saturating_add(ACQUISITION);
        let cached = self.cached.as_ref();
        let acquisition = self.acquisition.as_ref();
        match edge {
            Edge::FlightOver => self.in_flight.map(|flight| mono(self.flight_over(flight))),
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

    fn life(
        &self,
        token: String,
        sent: Moment,
        start: Moment,
        lifetime: Duration,
        flight: usize,
        now: Moment,
    ) -> CachedToken {
        let ahead = part(lifetime, 4).min(LONGEST_AHEAD);
        let jitter = part(lifetime, 10).mul_f64(self.jitter);
        let margin = part(lifetime, 10).min(LONGEST_MARGIN);
        let before_end = |time: Duration| start.after(lifetime.saturating_sub(time));
        let refresh = before_end(ahead.saturating_add(jitter));
        CachedToken {
            token,
            told_expiry: told_expiry(start.after(lifetime)),
            expires: before_end(Duration::ZERO),
            unusable: before_end(margin),
            refresh,
            next_refresh: refresh,
            flight,
            sent,
            left_on_arrival: until(before_end(Duration::ZERO), now),
        }
    }

    /// What is past its deadline ends.
    fn notice_deadlines(&mut self, now: Moment, asking: Option<&Ticket>) -> Checked {
        if let Some(flight) = self
            .in_flight
            .filter(|flight| self.flight_over(*flight) <= now.mono)
        {
            if self.acquisition.is_none() && self.usable(now).is_some() {
                return self.failed(now, flight, Problem::timeout());
            }
            // A refresh ahead whose token has gone is the first attempt of an acquisition.
            self.join(flight);
            let over = self.acquisition.as_ref().is_some_and(|acquisition| {
                acquisition.begun.saturating_add(ACQUISITION) <= now.mono
            });
            // Where nobody asks, in `poll_refresh`, the failure is as loud as any.
            if over && asking.is_some_and(|ticket| ticket.flights >= flight) {
                self.in_flight = None;
                self.acquisition = None;
                return Ok(());
            }
            return self.failed(now, flight, Problem::timeout());
        }
        if let Some(acquisition) = &self.acquisition
            && self.in_flight.is_none()
            && acquisition.again_at <= now.mono
            && time_left(acquisition, now) < LEFT_FOR_A_RETRY
        {
            let last = acquisition.failed.last().cloned();
            return match (last, asking) {
                (Some((flight, problem)), Some(ticket)) if ticket.flights < flight => {
                    self.end_in_failure(now, problem)
                }
                _ => {
                    self.acquisition = None;
                    Ok(())
                }
            };
        }
        Ok(())
    }

    /// The flight in flight failed.
    fn failed(&mut self, now: Moment, flight: usize, problem: Problem) -> Checked {
        if self.acquisition.is_none() && self.usable(now).is_some() {
            return self.refresh_failed(now, problem);
        }
        self.join(flight);
        self.in_flight = None;
        let Some(acquisition) = &mut self.acquisition else {
            return Err("there is no acquisition".to_owned());
        };
        let number = acquisition.failed.len().saturating_add(1);
        let problem = Problem {
            attempts: number,
            ..problem
        };
        acquisition.failed.push((flight, problem.clone()));
        let most = if acquisition.probe { 1 } else { ATTEMPTS };
        if number < most && problem.retried {
            let range = backoff(&problem, number, now);
            let fits = |delay: Duration| {
                delay.saturating_add(LEFT_FOR_A_RETRY) <= time_left(acquisition, now)
            };
            if let Some(Event::Retry {
                number: told,
                delay,
                error,
            }) = self.heard.front()
            {
                let right = range.allows(*delay)
                    && fits(*delay)
                    && usize::try_from(*told) == Ok(number)
                    && problem.is(error);
                ensure(right, || {
                    format!("it told {:?} of {problem:?}, with {range:?}", self.heard)
                })?;
                acquisition.again_at = now.mono.saturating_add(*delay);
                self.heard.pop_front();
                return Ok(());
            }
            ensure(!fits(range.most), || {
                format!(
                    "it told {:?} and gave up after attempt {number}",
                    self.heard
                )
            })?;
        }
        self.end_in_failure(now, problem)
    }

    /// Makes a refresh ahead the first attempt of an acquisition that began with it.
    fn join(&mut self, flight: usize) {
        let sent = flight
            .checked_sub(1)
            .and_then(|index| self.flights.get(index));
        let begun = sent.map_or(Duration::ZERO, |sent| sent.at.mono);
        let probe = self.probe;
        self.acquisition.get_or_insert_with(|| Acquisition {
            begun,
            probe,
            failed: Vec::new(),
            again_at: begun,
        });
    }

    fn end_in_failure(&mut self, now: Moment, problem: Problem) -> Checked {
        self.judge(now);
        let range = self.delay_rule().or_as_asked(&problem, now);
        let range = range.or_what_is_left(self.cooldown_left(now));
        let delay = self.expect_failed(&problem, false, range)?;
        let cached = self.expect_cooldown(&problem, Range::of(delay))?;
        self.delays.push(cached);
        self.acquisition = None;
        self.probe = true;
        self.failures.push(problem.clone());
        self.begin(now, delay, problem);
        Ok(())
    }

    fn refresh_failed(&mut self, now: Moment, problem: Problem) -> Checked {
        self.in_flight = None;
        self.judge(now);
        let mut range = self.delay_rule().or_as_asked(&problem, now);
        if problem.retry_at.is_some() {
            range = range.or_what_is_left(self.cooldown_left(now));
        }
        let delay = self.expect_failed(&problem, true, range)?;
        self.delays.push(delay);
        self.put_off(now, delay);
        if problem.retry_at.is_some() {
            self.expect_cooldown(&problem, Range::of(delay))?;
            self.begin(now, delay, problem);
        }
        Ok(())
    }

    fn not_renewed(&mut self, now: Moment, same: CachedToken) -> Checked {
        self.in_flight = None;
        self.judge(now);
        let range = self.delay_rule();
        match self.heard.pop_front() {
            Some(Event::NotRenewed { delay }) if range.allows(delay) => {
                self.delays.push(delay);
                self.cached = Some(same);
                self.put_off(now, delay);
                Ok(())
            }
            other => Err(format!(
                "it told {other:?} of the same token again, with {range:?}"
            )),
        }
    }

    /// The next refresh is after the delay, and not before the refresh point.
    fn put_off(&mut self, now: Moment, delay: Duration) {
        if let Some(cached) = &mut self.cached {
            cached.next_refresh = later(cached.refresh, now.after(delay));
        }
    }

    fn begin(&mut self, now: Moment, delay: Duration, problem: Problem) {
        let end = now.after(delay);
        let end = match self.running(now) {
            Some((running, _)) => later(*running, end),
            None => end,
        };
        self.cooldown = Some((end, problem));
    }

    /// At a failure or rejection: whether a grant has stood long enough for the failures before it
    /// to be forgotten. An attempt that is retried is no failure here; of several grants, the
    /// first counts.
    fn judge(&mut self, now: Moment) {
        let first = self.grants.first();
        if first.is_some_and(|grant| has_come(grant.after(SETTLED), now)) {
            self.delays.clear();
        }
        self.grants.clear();
    }

    /// How long the next cooldown or delay is.
    fn delay_rule(&self) -> Range {
        let mut most = FIRST_HOLD;
        for _ in &self.delays {
            most = most.saturating_mul(2).min(LONGEST_HOLD);
        }
        Range {
            least: part(most, 2).max(FIRST_HOLD),
            most,
        }
    }

    fn expect_attempt(&mut self, number: usize, ahead: bool) -> Checked {
        match self.heard.pop_front() {
            Some(Event::Attempt {
                number: told,
                ahead: told_ahead,
            }) if usize::try_from(told) == Ok(number) && told_ahead == ahead => Ok(()),
            other => Err(format!(
                "it told {other:?} of attempt {number}, ahead: {ahead}"
            )),
        }
    }

    fn expect_failed(&mut self, problem: &Problem, ahead: bool, range: Range) -> Checked<Duration> {
        match self.heard.pop_front() {
            Some(Event::Failed {
                error,
                ahead: told,
                delay,
            }) if problem.is(&error) && told == ahead && range.allows(delay) => Ok(delay),
            other => Err(format!(
                "it told {other:?} of {problem:?}, ahead: {ahead}, with {range:?}"
            )),
        }
    }

    fn expect_cooldown(&mut self, problem: &Problem, range: Range) -> Checked<Duration> {
        match self.heard.pop_front() {
            Some(Event::CooldownStarted { error, delay })
                if problem.is(&error) && range.allows(delay) =>
            {
                Ok(delay)
            }
            other => Err(format!(
                "it told {other:?} of a cooldown after {problem:?}, with {range:?}"
            )),
        }
    }
}

/// What may be drawn.
#[derive(Clone, Copy, Debug)]
struct Range {
    least: Duration,
    most: Duration,
}

impl Range {
    fn of(delay: Duration) -> Self {
        Self {
            least: delay,
            most: delay,
        }
    }

    fn allows(&self, delay: Duration) -> bool {
        self.least <= delay && delay <= self.most
    }

    /// A cooldown ends no sooner than the one that runs.
    fn or_what_is_left(self, cooldown_left: Option<Duration>) -> Self {
        let left = cooldown_left.unwrap_or_default();
        Self {
            least: self.least.max(left),
            most: self.most.max(left),
        }
    }

    /// At least what the server asked for, and a little more, but not for ever.
    fn or_as_asked(self, problem: &Problem, now: Moment) -> Self {
        let Some(retry_at) = problem.retry_at else {
            return self;
        };
        let asked = retry_at.saturating_sub(now.mono);
        Self {
            least: self.least.max(asked.min(LONGEST_RETRY_AFTER)),
            most: self
                .most
                .max(a_little_later(asked).min(LONGEST_RETRY_AFTER)),
        }
    }
}

/// How long it may be to the attempt after number `number`.
fn backoff(problem: &Problem, number: usize, now: Moment) -> Range {
    let mut most = if problem.throttled {
        THROTTLED_BACKOFF
    } else {
        BACKOFF
    };
    for _ in 1..number {
        most = most.saturating_mul(2);
    }
    let least = part(most, 2);
    let Some(retry_at) = problem.retry_at else {
        return Range { least, most };
    };
    let asked = retry_at.saturating_sub(now.mono);
    Range {
        least: asked.max(least),
        most: a_little_later(asked.max(most)),
    }
}

/// One of so many equal parts.
fn part(time: Duration, parts: u32) -> Duration {
    time.checked_div(parts).unwrap_or_default()
}

fn a_little_later(delay: Duration) -> Duration {
    delay.saturating_add(part(delay, 10).max(Duration::from_secs(1)))
}

/// The date that a token can tell; one that the platform cannot express is 1970.
fn told_expiry(date: Moment) -> Duration {
    date.system_time().map_or(Duration::ZERO, |_| date.wall)
}

fn time_left(acquisition: &Acquisition, now: Moment) -> Duration {
    let over = acquisition.begun.saturating_add(ACQUISITION);
    over.saturating_sub(now.mono)
}

fn has_come(date: Moment, now: Moment) -> bool {
    now.mono >= date.mono || now.wall >= date.wall
}

fn until(date: Moment, now: Moment) -> Duration {
    let mono = date.mono.saturating_sub(now.mono);
    let wall = date.wall.saturating_sub(now.wall);
    mono.min(wall)
}

fn sooner(a: Moment, b: Moment) -> Moment {
    Moment {
        mono: a.mono.min(b.mono),
        wall: a.wall.min(b.wall),
    }
}

fn later(a: Moment, b: Moment) -> Moment {
    Moment {
        mono: a.mono.max(b.mono),
        wall: a.wall.max(b.wall),
    }
}

fn near(a: Moment, b: Moment) -> bool {
    a.mono.abs_diff(b.mono) <= ROUNDING && a.wall.abs_diff(b.wall) <= ROUNDING
}
