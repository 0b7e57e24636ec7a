//! Four days of a fleet and its server, event by event, on one virtual clock.
//!
//! Every instance is a [`Machine`] of its own with what a transport and its callers do around it;
//! the server is the emulator's [`Issuer`] behind a limit. Nothing else is modelled, nothing
//! sleeps, and one seed decides all: the same seed, the same four days.

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

/// The whole of it. Everyone starts, and asks, at its beginning.
pub(crate) const ALL: Range<Duration> = hours(0)..hours(96);

/// The server is gone: for the first half it does not answer at all, then with a 503.
pub(crate) const OUTAGE: Range<Duration> = hours(30)..hours(31);
const SILENT: Range<Duration> = hours(30)..Duration::from_secs(30 * 3600 + 1800);

/// In between, the wall clock of one instance in [`ONE_IN`] is [`WRONG_BY`] ahead: a bad time
/// source, believed at once and set right at once.
///
/// For whom it is ahead by a token's life, that is a cold start, which no jitter of refreshes
/// spreads out. Being set back must pass unnoticed, amid the second quiet time.
pub(crate) const WRONG_CLOCKS: Range<Duration> = hours(40)..hours(72);
const WRONG_BY: Duration = hours(1);
pub(crate) const ONE_IN: usize = 4;

/// How far apart an instance's calls for a token are on average, without any pattern: there are
/// four a minute.
const BETWEEN_CALLS: Duration = Duration::from_secs(15);

/// How long a request is on its way, and an answer on its way back.
const ON_ITS_WAY: Range<f64> = 0.010..0.050;

/// When it all begins: 15 January 2027, 8:00 UTC.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// How many requests the server takes in a second: a hundredth of the fleet, some 25 times what a
/// fleet that is spread out needs. Whoever comes then gets a 429, without a `Retry-After`: the
/// fleet is left to its own rules.
pub(crate) fn capacity(instances: u32) -> u32 {
    instances.div_ceil(100)
}

pub(crate) const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// What the server saw, and what callers did.
pub(crate) struct Record {
    pub(crate) instances: u32,
    /// The requests that reached the server, whatever became of them.
    pub(crate) requests: PerSecond,
    /// The calls that got an error in place of a token.
    pub(crate) failed_calls: PerSecond,
}

/// How many there were in each second.
pub(crate) struct PerSecond(Vec<u32>);

impl PerSecond {
    fn new() -> Self {
        Self(vec![0; seconds(ALL.end)])
    }

    /// Counts one more, and tells how many this second has seen.
    fn count(&mut self, now: Duration) -> u32 {
        let this_second = &mut self.0[seconds(now)];
        *this_second += 1;
        *this_second
    }

    pub(crate) fn within(&self, time: &Range<Duration>) -> &[u32] {
        &self.0[seconds(time.start)..seconds(time.end)]
    }
}

/// Runs `instances` machines of this `config` to the end.
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
    /// How many events there have been.
    counted: u64,
    instances: Vec<Instance>,
    server: Server,
    failed_calls: PerSecond,
    rng: Rng,
}

/// In the order of time; those of one time, in the order in which they were set up.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Duration,
    number: u64,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The caller of an instance begins a call, or has waited long enough in one.
    Call(usize),
    /// The request of an instance reaches the server.
    Arrival(usize),
    /// The answer reaches the instance, or it has waited long enough for one.
    Answer(usize),
    /// The wall clocks that can be wrong are now this far ahead.
    ClockStep(Duration),
}

struct Instance {
    machine: Machine,
    /// How far its wall clock is ahead of the truth.
    ahead: Duration,
    /// The call that waits for a token. Calls that come meanwhile wait too and change nothing.
    waiting: Option<Ticket>,
    /// Which event is the next call. Others that were to be are void.
    next_call: u64,
    in_flight: Option<InFlight>,
}

struct InFlight {
    flight: Flight,
    request: Request<Bytes>,
    answer: Option<Response<Bytes>>,
    /// When the transport gives it up.
    deadline: Duration,
}

impl Simulation {
    fn new(instances: u32, config: &Config, seed: u64) -> Result<Self, Error> {
        config.check()?;
        let credentials = Credentials::new("fleet", "the secret of all of them")?;
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
            counted: 0,
            instances: (0..instances).map(instance).collect(),
            server: Server::new(Issuer::new(credentials), instances),
            failed_calls: PerSecond::new(),
            rng,
        };
        for id in 0..simulation.instances.len() {
            simulation.call_at(Duration::ZERO, id);
        }
        simulation.push(WRONG_CLOCKS.start, What::ClockStep(WRONG_BY));
        simulation.push(WRONG_CLOCKS.end, What::ClockStep(Duration::ZERO));
        Ok(simulation)
    }

    fn handle(&mut self, event: &Event) {
        match event.what {
            What::Call(id) if self.instances[id].next_call == event.number => self.call(id),
            What::Call(_) => {}
            What::Arrival(id) => self.arrive(id),
            What::Answer(id) => self.answer(id),
            What::ClockStep(ahead) => self.step_clocks(ahead),
        }
    }

    /// What a transport's `token()` does, up to where it would wait.
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
                self.plan_call(id);
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
                self.plan_call(id);
            }
        }
    }

    fn send(&mut self, id: usize, transmit: Transmit) {
        let in_flight = InFlight {
            flight: transmit.flight,
            request: transmit.request.map(RequestBody::into_bytes),
            answer: None,
            deadline: self.now + transmit.timeout,
        };
        let before = self.instances[id].in_flight.replace(in_flight);
        assert!(before.is_none(), "two live flights of one machine");
        let arrival = self.now + self.time_on_its_way();
        self.push(arrival, What::Arrival(id));
    }

    fn arrive(&mut self, id: usize) {
        let back = self.now + self.time_on_its_way();
        if let Some(in_flight) = &mut self.instances[id].in_flight {
            in_flight.answer = self.server.answer(self.now, &in_flight.request);
            let known = match in_flight.answer {
                Some(_) => back.min(in_flight.deadline),
                None => in_flight.deadline,
            };
            self.push(known, What::Answer(id));
        }
    }

    fn answer(&mut self, id: usize) {
        let now = self.moment(id);
        let Instance {
            machine,
            waiting,
            in_flight,
            ..
        } = &mut self.instances[id];
        let Some(InFlight { flight, answer, .. }) = in_flight.take() else {
            return;
        };
        let outcome = if let Some(response) = answer {
            flight.parse(response, now)
        } else {
            let silence = TransportErrorKind::Timeout;
            Err(TransportError::with_detail(silence, "no answer").into())
        };
        machine.handle_outcome(now, flight, outcome);
        while machine.poll_event().is_some() {}
        if waiting.is_some() {
            self.call(id);
        } else {
            self.plan_call(id);
        }
    }

    fn step_clocks(&mut self, ahead: Duration) {
        for id in (0..self.instances.len()).step_by(ONE_IN) {
            self.instances[id].ahead = ahead;
            if self.instances[id].waiting.is_none() {
                self.plan_call(id);
            }
        }
    }

    /// Plans the next call that matters.
    ///
    /// While the token is fresh, a call finds it and changes nothing: those are most, and are not
    /// gone through one by one. Since calls come without a pattern, the first after any moment is
    /// as far from it as any call is from the one before. So this draws the first call after the
    /// moment at which the token is no longer fresh, be it now.
    fn plan_call(&mut self, id: usize) {
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
        self.instances[id].next_call = self.push(at, What::Call(id));
    }

    fn push(&mut self, at: Duration, what: What) -> u64 {
        self.counted += 1;
        let number = self.counted;
        self.events.push(Reverse(Event { at, number, what }));
        number
    }

    /// What the two clocks of an instance say.
    fn moment(&self, id: usize) -> Moment {
        Moment {
            mono: self.now,
            wall: EPOCH + self.now + self.instances[id].ahead,
        }
    }

    fn time_on_its_way(&mut self) -> Duration {
        let Range { start, end } = ON_ITS_WAY;
        Duration::from_secs_f64(start + (end - start) * self.rng.f64())
    }
}

/// The emulator behind a limit.
struct Server {
    issuer: Issuer,
    /// How many requests it takes in a second.
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

    fn answer(&mut self, now: Duration, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let this_second = self.requests.count(now);
        if SILENT.contains(&now) {
            return None;
        }
        if OUTAGE.contains(&now) {
            return Some(bare(StatusCode::SERVICE_UNAVAILABLE));
        }
        if this_second > self.capacity {
            return Some(bare(StatusCode::TOO_MANY_REQUESTS));
        }
        self.serial += 1;
        Some(self.issuer.answer(request, EPOCH + now, self.serial))
    }
}

/// What a proxy in front of the service says.
fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn seconds(time: Duration) -> usize {
    usize::try_from(time.as_secs()).unwrap_or(usize::MAX)
}
