//! Compares the machine with a reference model, after each of a sequence of operations at arbitrary
//! readings of the clocks.
//!
//! Every answer, every event and the whole status of the machine must be what `model` expects.
//! `invariants` additionally checks the answers from the outside, to find errors that the machine
//! and the model share.

mod answers;
mod invariants;
mod model;
mod operate;
mod ops;

use std::fmt::{self, Write as _};
use std::time::Duration;

use meshconnect_auth_core::{
    Config, ErrorKind, Event, Exchange, Flight, Machine, Moment, Need, Phase, Ticket,
};

use self::answers::{exchange, jitter};
use self::invariants::Invariants;
use self::model::{Checked, Model, ensure};
pub use self::ops::{Answer, Clock, Edge, Move, Nudge, Op, Which, operations};

/// The readings of both clocks at the start of every run.
pub const BEGINNING: Moment = Moment {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_795_478_400),
};

/// The longest allowed wait: a whole acquisition.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Applies `ops` to a machine with this seed. Then checks that a last caller gets an answer
/// although every request is lost.
pub fn run(ops: &[Op], seed: u64) {
    let mut world = World::new(seed);
    for op in ops {
        world.step(*op);
    }
    world.settle();
}

/// Calls [`run`] with a seed and operations that are read from bytes.
pub fn machine(data: &[u8]) {
    let (seed, ops) = data.split_at_checked(1).unwrap_or_default();
    run(
        &operations(ops),
        seed.first().copied().unwrap_or_default().into(),
    );
}

/// A machine, its reference model, and their environment.
pub struct World {
    machine: Machine,
    model: Model,
    invariants: Invariants,
    now: Moment,
    tickets: Vec<(Ticket, model::Ticket)>,
    /// The flights without an outcome, with their numbers.
    flights: Vec<(Flight, usize)>,
    /// Every token that was granted or handed in.
    tokens: Vec<String>,
    exchange: Exchange,
    clients: usize,
    answers: u32,
    events: Vec<Event>,
    /// Counts the events of attempts that began, and those that ended one.
    begun: usize,
    ended: usize,
    seed: u64,
    log: Vec<(Op, Moment, Reply)>,
}

/// The machine's answer to an operation, for the log.
#[derive(Clone, Copy)]
enum Reply {
    Nothing,
    Ready,
    Send(usize),
    Wait(Duration),
    Failed(ErrorKind),
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Ready => f.write_str(": a token"),
            Self::Send(number) => write!(f, ": sends flight {number}"),
            Self::Wait(time) => write!(f, ": a wait of {time:?}"),
            Self::Failed(kind) => write!(f, ": {kind:?}"),
        }
    }
}

impl World {
    /// Creates a machine without a token.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::start(seed, jitter(seed), exchange(0, 0))
    }

    /// Returns a copy in its initial state.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::start(self.seed, self.model.jitter(), exchange(0, 0))
    }

    fn start(seed: u64, jitter: f64, exchange: Exchange) -> Self {
        Self {
            machine: Machine::new(Config::default(), exchange.clone(), seed),
            model: Model::new(jitter),
            invariants: Invariants::default(),
            now: BEGINNING,
            tickets: Vec::new(),
            flights: Vec::new(),
            tokens: Vec::new(),
            exchange,
            clients: 0,
            answers: 0,
            events: Vec::new(),
            begun: 0,
            ended: 0,
            seed,
            log: Vec::new(),
        }
    }

    /// Applies one operation, and checks the result. Returns the events, or `None` if the operation
    /// does not apply.
    pub fn step(&mut self, op: Op) -> Option<Vec<Event>> {
        let result = self.apply(op).and_then(|applied| {
            if applied {
                self.check()?;
            }
            Ok(applied)
        });
        match result {
            Ok(applied) => applied.then(|| std::mem::take(&mut self.events)),
            Err(why) => self.fail(op, &why),
        }
    }

    /// Polls for a last caller until it has an answer, while every request is lost.
    ///
    /// The number of requests and the time are limited: the flight that is in flight, and three
    /// attempts with a back-off between them.
    pub fn settle(&mut self) {
        // Waits are relative to the highest reading.
        self.now = self.invariants.advance(self.now);
        let begun = self.now.mono;
        let sent = self.model.flights();
        let mut waits = 0_usize;
        let mut op = Op::Call(Need::Usable);
        loop {
            self.step(op);
            op = Op::Poll(0);
            match self.log.last() {
                Some((_, _, Reply::Wait(time))) => {
                    waits = waits.saturating_add(1);
                    self.step(Op::Set(Clock::Both, Move::On(*time)));
                }
                Some((_, _, Reply::Send(_))) => waits = 0,
                _ => return,
            }
            let time = self.now.mono.saturating_sub(begun);
            let requests = self.model.flights().saturating_sub(sent);
            if waits > 2 || requests > 3 || time > LONGEST_WAIT.saturating_mul(2) {
                self.fail(
                    op,
                    &format!("no answer after {time:?} and {requests} requests"),
                );
            }
        }
    }

    /// Returns the machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Returns the machine's phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.machine.status(self.now).phase
    }

    fn fail(&self, op: Op, why: &str) -> ! {
        let mut log = String::new();
        for (op, now, reply) in &self.log {
            let _ = write!(log, "\n  {:?} {:?} {op:?}{reply}", now.mono, now.wall);
        }
        panic!("{why}\nin {op:?}, with seed {}, after\n{log}\n", self.seed)
    }

    /// Checks the events, the cached token and the status against the model.
    fn check(&mut self) -> Checked {
        self.model.check_no_other_events()?;
        self.model.check_cached(self.machine.cached_token())?;
        let status = self.machine.status(self.now);
        self.model.check_phase(self.now, status.phase)?;
        self.model.check_dates(self.now, &status)?;
        let in_flight = usize::from(self.model.is_in_flight());
        ensure(self.begun == self.ended.saturating_add(in_flight), || {
            format!(
                "{} attempts began and {} ended, with {in_flight} in flight",
                self.begun, self.ended
            )
        })?;
        let client = self.exchange.credentials().client_id();
        ensure(status.client_id == *client, || {
            format!("client_id is {:?}, expected {client:?}", status.client_id)
        })
    }
}
