//! A discrete-event simulation of a fleet and its server over four days, on one virtual clock.
//!
//! Every client is a [`Machine`] with a model of its transport and callers. The server is the
//! emulator's [`Issuer`] behind a limit. The seed determines the whole run.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "all numbers are the simulation's own"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response, StatusCode};
use meshconnect_auth::emulator::Issuer;
use meshconnect_auth::{
    Config, Credentials, Endpoint, Error, Exchange, Flight, Machine, Moment, Need, RequestBody,
    Step, Ticket, Transmit, TransportError, TransportErrorKind,
};

/// The whole simulation. All clients start and call at its beginning.
pub(crate) const ALL: Range<Duration> = hours(0)..hours(96);

/// The outage of the server: the first half without a response, the second with a 503.
pub(crate) const OUTAGE: Range<Duration> = hours(30)..hours(31);
const SILENT: Range<Duration> = hours(30)..Duration::from_secs(30 * 3600 + 1800);

/// The time in which the wall clock of one client in [`ONE_IN`] is [`WRONG_BY`] ahead: a bad time
/// source, applied and corrected in one step.
///
/// A clock that is ahead by a token's lifetime causes a cold start, which the jitter of refreshes
/// does not spread. The correction must cause no extra load in the second quiet time.
pub(crate) const WRONG_CLOCKS: Range<Duration> = hours(40)..hours(72);
const WRONG_BY: Duration = hours(1);
pub(crate) const ONE_IN: usize = 4;

/// The mean time between a client's calls, which are a Poisson process: four a minute.
const BETWEEN_CALLS: Duration = Duration::from_secs(15);

/// The network delay of a request and of a response, in seconds.
const NETWORK_DELAY: Range<f64> = 0.010..0.050;

/// The wall-clock time at the start: 15 January 2027, 8:00 UTC.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// Returns the number of requests that the server accepts per second: a hundredth of the fleet,
/// about 25 times what a spread-out fleet needs. Requests over the limit get a 429 without a
/// `Retry-After`, so the fleet depends on its own back-off.
pub(crate) fn capacity(instances: u32) -> u32 {
    instances.div_ceil(100)
}

pub(crate) const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// The requests at the server and the errors of the callers.
pub(crate) struct Record {
    pub(crate) instances: u32,
    /// The requests that reached the server, with any response.
    pub(crate) requests: PerSecond,
    /// The calls that returned an error.
    pub(crate) failed_calls: PerSecond,
}

/// A count for each second.
pub(crate) struct PerSecond(Vec<u32>);

impl PerSecond {
    fn new() -> Self {
        Self(vec![0; seconds(ALL.end)])
    }

    /// Counts one more, and returns the count of this second.
    fn count(&mut self, now: Duration) -> u32 {
        let this_second = &mut self.0[seconds(now)];
        *this_second += 1;
        *this_second
    }

    pub(crate) fn within(&self, time: &Range<Duration>) -> &[u32] {
        &self.0[seconds(time.start)..seconds(time.end)]
    }
}

/// Simulates a fleet of `instances` clients with this `config`.
pub(crate) fn run(instances: u32, config: &Config, seed: u64) -> Result<Record, Error> {
    let mut simulation = Simulation::new(instances, config, seed)?;
    while let Some(Reverse(event)) = simulation.events.pop()
        && event.at < ALL.end
    {
        simulation.now = event.at;
        simulation.handle(&event);
    }
    Ok(Record {
        instances,
        requests: simulation.server.requests,
        failed_calls: simulation.failed_calls,
    })
}

struct Simulation {
    now: Duration,
    events: BinaryHeap<Reverse<Event>>,
    /// The number of events so far.
    event_count: u64,
    instances: Vec<Instance>,
    server: Server,
    failed_calls: PerSecond,
    rng: Rng,
}

/// Ordered by time. Events at the same time keep the order of their creation.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Duration,
    number: u64,
    kind: EventKind,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EventKind {
    /// A client's caller starts a call or its wait ends.
    Call(usize),
    /// A client's request reaches the server.
    Arrival(usize),
    /// The response reaches the client, or the client's time-out elapses.
    Response(usize),
    /// The wrong wall clocks are now this far ahead.
    ClockStep(Duration),
}

struct Instance {
    machine: Machine,
    /// The error of its wall clock.
    ahead: Duration,
    /// The call that waits for a token. Later calls wait for the same result and change nothing.
    waiting: Option<Ticket>,
    /// The number of the event of the next call. Older call events are void.
    next_call: u64,
    in_flight: Option<InFlight>,
}

struct InFlight {
    flight: Flight,
    request: Request<Bytes>,
    response: Option<Response<Bytes>>,
    /// The time at which the transport gives up.
    deadline: Duration,
}

impl Simulation {
    fn new(instances: u32, config: &Config, seed: u64) -> Result<Self, Error> {
        config.check()?;
        let credentials = Credentials::new("fleet", "the shared secret")?;
        let exchange = Exchange::new(Endpoint::default(), credentials.clone());
        let mut rng = Rng::with_seed(seed);
        let instance = |_| Instance {
            machine: Machine::new(config.clone(), exchange.clone(), rng.u64(..)),
            ahead: Duration::ZERO,
            waiting: None,
            next_call: 0,
            in_flight: None,
        };
        let mut simulation = Self {
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            event_count: 0,
            instances: (0..instances).map(instance).collect(),
            server: Server::new(Issuer::new(credentials), instances),
            failed_calls: PerSecond::new(),
            rng,
        };
        for id in 0..simulation.instances.len() {
            simulation.call_at(Duration::ZERO, id);
        }
        simulation.push(WRONG_CLOCKS.start, EventKind::ClockStep(WRONG_BY));
        simulation.push(WRONG_CLOCKS.end, EventKind::ClockStep(Duration::ZERO));
        Ok(simulation)
    }

    fn handle(&mut self, event: &Event) {
        match event.kind {
            EventKind::Call(id) if self.instances[id].next_call == event.number => self.call(id),
            EventKind::Call(_) => {}
            EventKind::Arrival(id) => self.arrive(id),
            EventKind::Response(id) => self.receive(id),
            EventKind::ClockStep(ahead) => self.step_clocks(ahead),
        }
    }

    /// Does what a transport's `token()` does until it would wait.
    fn call(&mut self, id: usize) {
        let now = self.moment(id);
        let Instance {
            machine, waiting, ..
        } = &mut self.instances[id];
        let ticket = waiting
            .take()
            .unwrap_or_else(|| machine.ticket(Need::Usable));
        match machine.poll(now, &ticket) {
            Step::Ready(_) => {
                if let Some(transmit) = machine.poll_refresh(now) {
                    self.send(id, transmit);
                }
                self.schedule_call(id);
            }
            Step::Send(transmit) => {
                *waiting = Some(ticket);
                self.send(id, transmit);
            }
            Step::Wait(time) => {
                *waiting = Some(ticket);
                self.call_at(self.now + time, id);
            }
            Step::Failed(_) => {
                self.failed_calls.count(self.now);
                self.schedule_call(id);
            }
        }
    }

    fn send(&mut self, id: usize, transmit: Transmit) {
        let in_flight = InFlight {
            flight: transmit.flight,
            request: transmit.request.map(RequestBody::into_bytes),
            response: None,
            deadline: self.now + transmit.timeout,
        };
        let before = self.instances[id].in_flight.replace(in_flight);
        assert!(
            before.is_none(),
            "a machine has at most one attempt in flight"
        );
        let arrival = self.now + self.network_delay();
        self.push(arrival, EventKind::Arrival(id));
    }

    fn arrive(&mut self, id: usize) {
        let back = self.now + self.network_delay();
        if let Some(in_flight) = &mut self.instances[id].in_flight {
            in_flight.response = self.server.respond(self.now, &in_flight.request);
            let known = match in_flight.response {
                Some(_) => back.min(in_flight.deadline),
                None => in_flight.deadline,
            };
            self.push(known, EventKind::Response(id));
        }
    }

    fn receive(&mut self, id: usize) {
        let now = self.moment(id);
        let Instance {
            machine,
            waiting,
            in_flight,
            ..
        } = &mut self.instances[id];
        let Some(InFlight {
            flight, response, ..
        }) = in_flight.take()
        else {
            return;
        };
        let outcome = if let Some(response) = response {
            flight.parse(response, now)
        } else {
            let silence = TransportErrorKind::Timeout;
            Err(TransportError::with_detail(silence, "no response").into())
        };
        machine.handle_outcome(now, flight, outcome);
        while machine.poll_event().is_some() {}
        if waiting.is_some() {
            self.call(id);
        } else {
            self.schedule_call(id);
        }
    }

    fn step_clocks(&mut self, ahead: Duration) {
        for id in (0..self.instances.len()).step_by(ONE_IN) {
            self.instances[id].ahead = ahead;
            if self.instances[id].waiting.is_none() {
                self.schedule_call(id);
            }
        }
    }

    /// Schedules the next call that has an effect.
    ///
    /// A call that finds a fresh token changes nothing, so such calls are not simulated. Because
    /// calls are a Poisson process, the time from any moment to the next call has the same
    /// distribution as the time between two calls. So this draws the first call after the token
    /// stops being fresh.
    fn schedule_call(&mut self, id: usize) {
        let now = self.moment(id);
        let fresh = self.instances[id].machine.cached_token().map(|cached| {
            let until = |date: Moment| {
                let mono = date.mono.saturating_sub(now.mono);
                mono.min(date.wall.saturating_sub(now.wall))
            };
            until(cached.next_refresh()).min(until(cached.usable_until()))
        });
        let gap = BETWEEN_CALLS.mul_f64(-(1.0 - self.rng.f64()).ln());
        self.call_at(self.now + fresh.unwrap_or_default() + gap, id);
    }

    fn call_at(&mut self, at: Duration, id: usize) {
        self.instances[id].next_call = self.push(at, EventKind::Call(id));
    }

    fn push(&mut self, at: Duration, kind: EventKind) -> u64 {
        self.event_count += 1;
        let number = self.event_count;
        self.events.push(Reverse(Event { at, number, kind }));
        number
    }

    /// Returns the time on a client's two clocks.
    fn moment(&self, id: usize) -> Moment {
        Moment {
            mono: self.now,
            wall: EPOCH + self.now + self.instances[id].ahead,
        }
    }

    fn network_delay(&mut self) -> Duration {
        let Range { start, end } = NETWORK_DELAY;
        Duration::from_secs_f64(start + (end - start) * self.rng.f64())
    }
}

/// The emulator behind a limit.
struct Server {
    issuer: Issuer,
    /// The requests that it accepts per second.
    capacity: u32,
    requests: PerSecond,
    serial: u64,
}

impl Server {
    fn new(issuer: Issuer, instances: u32) -> Self {
        Self {
            issuer,
            capacity: capacity(instances),
            requests: PerSecond::new(),
            serial: 0,
        }
    }

    fn respond(&mut self, now: Duration, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let this_second = self.requests.count(now);
        if SILENT.contains(&now) {
            return None;
        }
        if OUTAGE.contains(&now) {
            return Some(empty(StatusCode::SERVICE_UNAVAILABLE));
        }
        if this_second > self.capacity {
            return Some(empty(StatusCode::TOO_MANY_REQUESTS));
        }
        self.serial += 1;
        Some(self.issuer.answer(request, EPOCH + now, self.serial))
    }
}

/// Returns the empty response of a proxy in front of the service.
fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn seconds(time: Duration) -> usize {
    usize::try_from(time.as_secs()).unwrap_or(usize::MAX)
}
