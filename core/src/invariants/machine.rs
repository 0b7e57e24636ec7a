//! The machine against a second one, after each of any operations at any readings of the clocks.
//!
//! Every answer, every event and all that the machine shows has to be what `model` expects.
//! Besides, `Facts` judges the answers by the outside alone, so that an error that both
//! machines share does not pass either.

mod facts;
mod model;
mod ops;

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use self::facts::Facts;
use self::model::{Brought, Checked, Expected, Model, Problem, ensure};
pub use self::ops::{Answer, Clock, Edge, Move, Nudge, Op, Which, operations};
use crate::{
    CachedToken, Config, Credentials, Endpoint, Error, ErrorKind, Event, Exchange, Flight, Grant,
    Machine, Moment, Need, Phase, Step, Ticket, Token, Transmit, TransportError,
    TransportErrorKind,
};

/// Both clocks where every run begins.
pub const BEGINNING: Moment = Moment {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_795_478_400),
};

/// No wait is longer: a whole acquisition.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Applies `ops` to a machine with this seed. Afterwards, a last caller gets an answer although
/// every request is lost.
pub fn run(ops: &[Op], seed: u64) {
    let mut world = World::new(seed);
    for op in ops {
        world.step(*op);
    }
    world.settle();
}

/// [`run`] with a seed and operations out of any bytes.
pub fn machine(data: &[u8]) {
    let (seed, ops) = data.split_at_checked(1).unwrap_or_default();
    run(
        &operations(ops),
        seed.first().copied().unwrap_or_default().into(),
    );
}

/// A machine, the second one, and everything around them.
pub struct World {
    machine: Machine,
    model: Model,
    facts: Facts,
    now: Moment,
    tickets: Vec<(Ticket, model::Ticket)>,
    /// The flights that are still out, with their numbers.
    flights: Vec<(Flight, usize)>,
    /// Every token that was ever minted or handed in.
    tokens: Vec<String>,
    exchange: Exchange,
    clients: usize,
    answers: u32,
    told: Vec<Event>,
    seed: u64,
    log: Vec<(Op, Moment, Reply)>,
}

/// What the machine said to an operation, for the log.
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
    /// A machine that holds no token.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::start(seed, jitter(seed), exchange(0, 0))
    }

    /// The same again from the beginning.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::start(self.seed, self.model.jitter(), exchange(0, 0))
    }

    fn start(seed: u64, jitter: f64, exchange: Exchange) -> Self {
        Self {
            machine: Machine::new(Config::default(), exchange.clone(), seed),
            model: Model::new(jitter),
            facts: Facts::default(),
            now: BEGINNING,
            tickets: Vec::new(),
            flights: Vec::new(),
            tokens: Vec::new(),
            exchange,
            clients: 0,
            answers: 0,
            told: Vec::new(),
            seed,
            log: Vec::new(),
        }
    }

    /// Applies one operation, and checks all that follows. Tells what observers were told, or
    /// nothing where there was nothing to apply it to.
    pub fn step(&mut self, op: Op) -> Option<Vec<Event>> {
        let result = self.apply(op).and_then(|applied| {
            if applied {
                self.check()?;
            }
            Ok(applied)
        });
        match result {
            Ok(applied) => applied.then(|| std::mem::take(&mut self.told)),
            Err(why) => self.fail(op, &why),
        }
    }

    /// A last caller polls until there is an answer, and every request is lost.
    ///
    /// That ends in time: with the flight that is in flight, and three attempts with a wait for
    /// each and another before the next.
    pub fn settle(&mut self) {
        // Waits count from the highest reading.
        self.now = self.facts.read(self.now);
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

    /// The machine itself.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What the machine is trying.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.machine.status(self.now).phase
    }

    fn fail(&self, op: Op, why: &str) -> ! {
        let mut log = String::new();
        for (op, now, reply) in &self.log {
            let _ = write!(log, "\n  {:?} {:?} {op:?}{reply}", now.mono, now.wall);
        }
        panic!(
            "{why}\nat {op:?}, with the seed {}, after\n{log}\n",
            self.seed
        )
    }

    /// Whether there was anything to apply it to.
    fn apply(&mut self, op: Op) -> Checked<bool> {
        let now = self.now;
        let usable = self.machine.status(now).token_left.is_some();
        let before = self.machine.cached_token().filter(|_| usable).cloned();
        let reply = match op {
            Op::Call(need) => {
                self.begin(need);
                self.poll(0)?
            }
            Op::Begin(need) => Some(self.begin(need)),
            Op::Poll(back) => self.poll(back)?,
            Op::Refresh => self.refresh()?,
            Op::Answer(back, answer) => self.answer(back, answer)?,
            Op::Abandon(back) => self.abandon(back),
            Op::Reject(which) => self.reject(which)?,
            Op::NewCredentials { same_id } => Some(self.new_credentials(same_id)),
            Op::HandIn(which, lifetime) => self.hand_in(which, lifetime)?,
            Op::Set(clock, movement) => self.set(clock, movement),
        };
        let Some(reply) = reply else { return Ok(false) };
        self.log.push((op, now, reply));

        let reads_the_clock = !matches!(
            op,
            Op::Begin(_) | Op::Abandon(_) | Op::NewCredentials { .. } | Op::Set(..)
        );
        if reads_the_clock {
            self.facts.read(now);
        }
        let may_replace = matches!(
            op,
            Op::Answer(_, Answer::Token(..))
                | Op::Reject(_)
                | Op::NewCredentials { .. }
                | Op::HandIn(..)
        );
        if let Some(before) = before.filter(|_| !may_replace) {
            let cached = self.machine.cached_token().map(CachedToken::token);
            ensure(cached == Some(before.token()), || {
                "a usable token is cached no more".to_owned()
            })?;
        }
        Ok(true)
    }

    fn begin(&mut self, need: Need) -> Reply {
        self.tickets
            .push((self.machine.ticket(need), self.model.ticket(need)));
        Reply::Nothing
    }

    fn poll(&mut self, back: u8) -> Checked<Option<Reply>> {
        let index = counted_back(self.tickets.len(), back);
        let Some((ticket, mine)) = self.tickets.get(index).cloned() else {
            return Ok(None);
        };
        let failures = self.model.failures();
        let step = self.machine.poll(self.now, &ticket);
        self.listen();
        let expected = self.model.poll(self.now, &mine)?;
        let reply = match (step, expected) {
            (Step::Ready(token), Expected::Ready(name)) if token.id_token() == name => {
                self.facts.served(&name, self.now)?;
                Reply::Ready
            }
            (Step::Send(transmit), Expected::Send(timeout)) => self.sent(transmit, timeout)?,
            (Step::Wait(time), Expected::Wait(mine)) if time == mine => {
                ensure(!time.is_zero() && time <= LONGEST_WAIT, || {
                    format!("a wait of {time:?}")
                })?;
                Reply::Wait(time)
            }
            (Step::Failed(error), Expected::Failed(problem)) if problem.is(&error) => {
                Reply::Failed(error.kind())
            }
            (step, expected) => {
                return Err(format!("it answers {step:?}, and not {expected:?}"));
            }
        };
        self.one_error_for_all(failures)?;
        Ok(Some(reply))
    }

    fn refresh(&mut self) -> Checked<Option<Reply>> {
        let failures = self.model.failures();
        let transmit = self.machine.poll_refresh(self.now);
        self.listen();
        let expected = self.model.poll_refresh(self.now)?;
        let reply = match (transmit, expected) {
            (Some(transmit), Some(timeout)) => self.sent(transmit, timeout)?,
            (None, None) => Reply::Nothing,
            (transmit, expected) => {
                return Err(format!("it refreshes {transmit:?}, and not {expected:?}"));
            }
        };
        self.one_error_for_all(failures)?;
        Ok(Some(reply))
    }

    fn answer(&mut self, back: u8, answer: Answer) -> Checked<Option<Reply>> {
        let name = match answer {
            Answer::Token(which, _) => self.name(which),
            _ => Some(String::new()),
        };
        let Some(name) = name else { return Ok(None) };
        let Some((flight, number)) = take(&mut self.flights, back) else {
            return Ok(None);
        };
        self.answers = self.answers.saturating_add(1);
        let outcome = outcome(&flight, answer, &name, self.answers, self.now)?;
        let brought = brought(answer, &name, self.answers, self.now);
        ensure(
            outcome.is_ok() == matches!(brought, Brought::Token(..)),
            || format!("{answer:?} is read as {outcome:?}"),
        )?;
        self.facts.back(number);
        if let Brought::Token(name, lifetime) = &brought {
            self.facts.granted(name, number, *lifetime);
        }
        let failures = self.model.failures();
        self.machine.handle_outcome(self.now, flight, outcome);
        self.listen();
        self.model.outcome(self.now, number, brought)?;
        self.one_error_for_all(failures)?;
        Ok(Some(Reply::Nothing))
    }

    fn abandon(&mut self, back: u8) -> Option<Reply> {
        let (flight, number) = take(&mut self.flights, back)?;
        self.facts.back(number);
        self.machine.handle_abandon(flight);
        self.listen();
        self.model.abandon(number);
        Some(Reply::Nothing)
    }

    fn reject(&mut self, which: Which) -> Checked<Option<Reply>> {
        let Some(name) = self.name(which) else {
            return Ok(None);
        };
        let token = token(&name, SystemTime::UNIX_EPOCH)?;
        let counts = self.machine.handle_rejection(self.now, &token);
        self.listen();
        let expected = self.model.rejection(self.now, &name)?;
        ensure(counts == expected, || {
            format!("a rejection of {name} counts: {counts}")
        })?;
        if counts {
            self.facts.rejected(name);
        }
        Ok(Some(Reply::Nothing))
    }

    fn new_credentials(&mut self, same_id: bool) -> Reply {
        self.clients = self.clients.saturating_add(usize::from(!same_id));
        let generation = self.facts.new_credentials();
        self.exchange = exchange(self.clients, generation);
        self.machine
            .set_credentials(self.exchange.credentials().clone());
        self.listen();
        self.model.new_credentials(same_id);
        Reply::Nothing
    }

    /// The cached token itself, with another expiry, is not handed in: the tables know of a hand-in
    /// at the very beginning alone.
    fn hand_in(&mut self, which: Which, lifetime: Duration) -> Checked<Option<Reply>> {
        let cached = self.machine.cached_token();
        let cached = cached.map(|cached| cached.token().id_token().to_owned());
        let name = self
            .name(which)
            .filter(|name| cached.as_ref() != Some(name));
        let expiry = self.now.after(lifetime).system_time();
        let (Some(name), Some(expiry)) = (name, expiry) else {
            return Ok(None);
        };
        self.machine.handle_token(self.now, token(&name, expiry)?);
        self.listen();
        self.facts.handed_in(&name, self.now, lifetime);
        self.model.handed_in(self.now, name, lifetime);
        Ok(Some(Reply::Nothing))
    }

    fn set(&mut self, clock: Clock, movement: Move) -> Option<Reply> {
        self.now = self.moved(clock, movement)?;
        Some(Reply::Nothing)
    }

    /// If an acquisition has just failed, everyone who began before gets its error, or a token, and
    /// sends nothing. `before` is how many had failed.
    fn one_error_for_all(&mut self, before: usize) -> Checked {
        if self.model.failures() == before {
            return Ok(());
        }
        for (ticket, _) in &self.tickets {
            let right = match self.machine.poll(self.now, ticket) {
                Step::Ready(_) => true,
                Step::Failed(error) => {
                    let last = self.model.last_failure();
                    last.is_some_and(|problem| problem.is(&error))
                }
                _ => false,
            };
            ensure(right, || {
                format!("one who waited, {ticket:?}, does not get the error")
            })?;
        }
        Ok(())
    }

    fn sent(&mut self, transmit: Transmit, timeout: Duration) -> Checked<Reply> {
        let number = self.model.flights();
        ensure(transmit.timeout == timeout, || {
            format!("a time-out of {:?}, and not {timeout:?}", transmit.timeout)
        })?;
        ensure(transmit.max_body == 64 * 1024, || {
            format!("a body of {}", transmit.max_body)
        })?;
        let current = self.exchange.request();
        ensure(
            transmit.request.body().as_ref() == current.body().as_ref(),
            || "it sends other credentials".to_owned(),
        )?;
        self.facts.sent(self.now, timeout)?;
        self.flights.push((transmit.flight, number));
        Ok(Reply::Send(number))
    }

    fn listen(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            self.model.hear(event.clone());
            self.told.push(event);
        }
    }

    /// All that the machine shows is right.
    fn check(&mut self) -> Checked {
        self.model.nothing_else_was_told()?;
        self.model.check_cached(self.machine.cached_token())?;
        let status = self.machine.status(self.now);
        let phase = self.model.phase(self.now);
        ensure(status.phase == phase, || {
            format!("it is in {:?}, and not {phase:?}", status.phase)
        })?;
        let left = self.model.token_left(self.now);
        ensure(status.token_left == left, || {
            format!(
                "its token has {:?} left, and not {left:?}",
                status.token_left
            )
        })?;
        let left = self.model.cooldown_left(self.now);
        ensure(status.cooldown_left == left, || {
            format!(
                "its cooldown has {:?} left, and not {left:?}",
                status.cooldown_left
            )
        })?;
        let right = match (&status.last_error, self.model.last_failure()) {
            (None, None) => true,
            (Some(error), Some(problem)) => problem.is(error),
            _ => false,
        };
        ensure(right, || {
            format!("its last error is {:?}", status.last_error)
        })?;
        let client = self.exchange.credentials().client_id();
        ensure(status.client_id == *client, || {
            format!("it is for {:?}, and not {client:?}", status.client_id)
        })
    }

    fn name(&mut self, which: Which) -> Option<String> {
        match which {
            Which::New => {
                let name = format!("token-{}", self.tokens.len());
                self.tokens.push(name.clone());
                Some(name)
            }
            Which::CachedToken => Some(self.machine.cached_token()?.token().id_token().to_owned()),
            Which::Former(back) => {
                let index = counted_back(self.tokens.len(), back);
                self.tokens.get(index).cloned()
            }
        }
    }

    fn moved(&self, clock: Clock, movement: Move) -> Option<Moment> {
        let now = self.now;
        let both = |mono: Duration, wall: Duration| Moment { mono, wall };
        let then = match movement {
            Move::On(time) => now.after(time),
            Move::Back(time) => both(now.mono.saturating_sub(time), now.wall.saturating_sub(time)),
            Move::First => both(Duration::ZERO, Duration::ZERO),
            Move::Last => both(Duration::MAX, Duration::MAX),
            Move::To(edge, nudge) => {
                let date = self.model.date(edge, now)?;
                let mono = date.mono.saturating_sub(now.mono);
                let wall = date.wall.saturating_sub(now.wall);
                let time = match clock {
                    Clock::Both => mono.min(wall),
                    Clock::Mono => mono,
                    Clock::Wall => wall,
                };
                if time.is_zero() {
                    return None;
                }
                let nanosecond = Duration::from_nanos(1);
                now.after(match nudge {
                    Nudge::Before => time.saturating_sub(nanosecond),
                    Nudge::At => time,
                    Nudge::After => time.saturating_add(nanosecond),
                })
            }
        };
        Some(match clock {
            Clock::Both => then,
            Clock::Mono => both(then.mono, now.wall),
            Clock::Wall => both(now.mono, then.wall),
        })
    }
}

/// The credentials of a generation.
fn exchange(client: usize, generation: usize) -> Exchange {
    match Credentials::new(format!("client-{client}"), format!("secret-{generation}")) {
        Ok(credentials) => Exchange::new(Endpoint::default(), credentials),
        Err(error) => panic!("no credentials: {error}"),
    }
}

fn token(name: &str, expires_at: SystemTime) -> Checked<Token> {
    Token::new(name, expires_at).map_err(|error| error.to_string())
}

/// How much of the jitter a machine with this seed has: it shows in its first token already, and
/// has to be the same in each.
fn jitter(seed: u64) -> f64 {
    let lifetime = Duration::from_secs(1_000_000);
    let mut machine = Machine::new(Config::default(), exchange(0, 0), seed);
    let now = Moment {
        mono: Duration::ZERO,
        wall: Duration::ZERO,
    };
    if let Step::Send(transmit) = machine.poll(now, &machine.ticket(Need::Usable)) {
        let answer = Answer::Token(Which::New, Some(lifetime.as_secs()));
        if let Ok(outcome) = outcome(&transmit.flight, answer, "token", 0, now) {
            machine.handle_outcome(now, transmit.flight, outcome);
        }
    }
    let next_refresh = machine
        .cached_token()
        .map_or(Duration::ZERO, |cached| cached.next_refresh().mono);
    // Half an hour before its end, and a tenth of its lifetime of jitter.
    let early = lifetime.saturating_sub(next_refresh).as_secs_f64() - 1_800.0;
    let jitter = early / 100_000.0;
    assert!((0.0..=1.0).contains(&jitter), "a jitter of {jitter}");
    jitter
}

/// The answer as a client would have it.
fn outcome(
    flight: &Flight,
    answer: Answer,
    name: &str,
    mark: u32,
    now: Moment,
) -> Checked<Result<Grant, Error>> {
    let (status, body) = match answer {
        Answer::Token(_, Some(seconds)) => (
            200,
            format!(
                r#"{{"status":"ok","content":{{"id_token":"{name}","expires_in":{seconds}}}}}"#
            ),
        ),
        Answer::Token(_, None) => (
            200,
            format!(r#"{{"status":"ok","content":{{"id_token":"{name}"}}}}"#),
        ),
        Answer::Status(status, _) => (status, String::new()),
        Answer::Envelope(status) => (200, format!(r#"{{"status":"{status}"}}"#)),
        Answer::Malformed => (200, String::new()),
        Answer::Wire(kind) => {
            return Ok(Err(
                TransportError::with_detail(kind, mark.to_string()).into()
            ));
        }
    };
    let mut response = Response::new(body.into_bytes());
    *response.status_mut() = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
    response
        .headers_mut()
        .insert("x-request-id", HeaderValue::from(mark));
    if let Answer::Status(_, Some(seconds)) = answer {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(flight.parse(response, now))
}

/// The same answer by the tables.
fn brought(answer: Answer, name: &str, mark: u32, now: Moment) -> Brought {
    let problem = |kind, retried| Problem {
        mark: Some(mark),
        retried,
        ..Problem::new(kind, 1)
    };
    Brought::Problem(match answer {
        Answer::Token(_, Some(0)) | Answer::Malformed => problem(ErrorKind::Malformed, false),
        Answer::Token(_, seconds) => return Brought::token(name.to_owned(), seconds),
        Answer::Status(status, retry_after) => Problem {
            throttled: [429, 503].contains(&status),
            retry_at: retry_after
                .map(|seconds| now.mono.saturating_add(Duration::from_secs(seconds.into()))),
            ..problem(
                ErrorKind::Rejected,
                [408, 425, 429, 500, 502, 503, 504].contains(&status),
            )
        },
        Answer::Envelope(status) => problem(
            ErrorKind::Rejected,
            ["serverFailure", "tooManyRequest"].contains(&status),
        ),
        Answer::Wire(kind) => problem(
            ErrorKind::Transport(kind),
            kind != TransportErrorKind::Certificate && kind != TransportErrorKind::NotHttp,
        ),
    })
}

/// The index of what is `back` steps from the last, wrapping around.
fn counted_back(length: usize, back: u8) -> usize {
    let back = usize::from(back).checked_rem(length).unwrap_or_default();
    length.saturating_sub(back).saturating_sub(1)
}

fn take<T>(list: &mut Vec<T>, back: u8) -> Option<T> {
    let index = counted_back(list.len(), back);
    (!list.is_empty()).then(|| list.remove(index))
}
