//! Many short rounds of threads and tasks over one `Shared`, each with its own seed. Attempts succeed,
//! fail, are dropped, panic, are late or never end, mixed with rejections, refreshes ahead and new
//! credentials. `STRESS_ROUNDS` is the number of rounds of each kind; the default takes some seconds.
//!
//! The invariants:
//!
//! - no two live flights of the same credentials; each call ends with a token or an error; no call hangs;
//! - a token whose rejection was answered `true` is not served to calls that begin after that, unless an
//!   acquisition has failed since (no token is granted twice here);
//! - a rejection that was answered `false` leaves a token;
//! - at the end the snapshot agrees with the machine, every flight has ended, and the observer has seen
//!   every attempt, and for each attempt exactly one event that ends it.
//!
//! The clock is the real one, and every actor may advance it. In the patient rounds a flight's deadline
//! is a day away, so that a lost wake-up reaches the watchdog. In the hasty ones it is milliseconds
//! away, and often the only end of a flight.
//!
//! Each test lists the mutations that it catches.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::env;
use std::future;
use std::mem;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::shared::usable;
use fastrand::Rng;
use http::{Response, StatusCode};
use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep, Waiter};
use meshconnect_auth_core::{
    Config, Credentials, Endpoint, Error, Event, Exchange, Machine, Moment, Need, Phase, Token,
    TransportError, TransportErrorKind,
};

/// A round that takes longer hangs. It takes milliseconds.
const WATCHDOG: Duration = Duration::from_secs(10);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Caught in each of two runs, at the latest in the round in parentheses:
///
/// - a call hangs: `notify(1)` (1) or `notify(2)` (4); a fingerprint without the state (6);
/// - a flight is lost: an attempt without its `Drop` (0);
/// - two live flights: an abandon that ends any flight (53);
/// - a rejected token: a rejection (10) or new credentials (21) that are not published; an accepted
///   rejection that keeps the token (2); a flight that ends quietly and brings the dropped token
///   back (13);
/// - no token is left: a rejection that is not accepted and drops the token (0);
/// - a gauge: a flight that ends quietly without an event (0);
/// - a snapshot that differs: a hit after the token's use (6).
///
/// `shared.rs` has a race for listeners registered and snapshots published outside the lock.
#[test]
fn patient_rounds() {
    rounds(Pace::Patient);
}

/// Caught in each of two runs, at the latest in the round in parentheses, as two live flights: a
/// second flight beside a refresh ahead whose token has expired (255); an outcome that ends any
/// flight (16); an attempt that starts although its flight is over (7).
#[test]
fn hasty_rounds() {
    rounds(Pace::Hasty);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    Patient,
    Hasty,
}

impl Pace {
    fn config(self) -> Config {
        let mut config = Config::default();
        config.backoff = Duration::from_millis(1);
        config.throttled_backoff = Duration::from_millis(2);
        (config.attempt_timeout, config.acquisition_timeout) = match self {
            Self::Patient => (DAY, 3 * DAY),
            Self::Hasty => (Duration::from_millis(4), Duration::from_secs(2)),
        };
        config
    }

    /// Returns by how much to advance the clock, in milliseconds.
    fn skip(self, rng: &mut Rng) -> u64 {
        match self {
            Self::Patient => rng.u64(0..45_000),
            Self::Hasty => rng.choice([1, 4, 1000, 30_000]).unwrap(),
        }
    }
}

fn rounds(pace: Pace) {
    let rounds = env::var("STRESS_ROUNDS").map_or(1000, |rounds| rounds.parse().unwrap());
    let mut seen = Seen::default();
    for seed in 0..rounds {
        seen.add(&round(pace, seed));
    }
    assert!(
        rounds < 100 || seen.is_complete(pace),
        "a case never occurred: {seen:?}"
    );
}

/// Runs one round. `seed` decides the operations of each actor, the scheduler their order.
fn round(pace: Pace, seed: u64) -> Seen {
    let mut rng = Rng::with_seed(seed);
    let mut config = pace.config();
    config.attempts = rng.u32(1..4);
    let stage = Stage::new(config, pace, seed);
    let (done, ends) = mpsc::channel();
    let threads: Vec<_> = (0..rng.usize(2..7))
        .map(|_| {
            let tasks = if rng.bool() { 0 } else { rng.usize(1..4) };
            let actors: Vec<_> = (0..tasks.max(1)).map(|_| rng.fork()).collect();
            let (stage, done) = (Arc::clone(&stage), done.clone());
            thread::spawn(move || {
                let end = catch_unwind(AssertUnwindSafe(|| perform(&stage, tasks > 0, actors)));
                done.send(end).unwrap();
            })
        })
        .collect();
    for _ in &threads {
        match ends.recv_timeout(WATCHDOG) {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => panic::resume_unwind(panic),
            Err(error) => {
                let status = stage.shared.status(stage.now());
                panic!("{pace:?} round {seed} hangs ({error}): {status:?}");
            }
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    stage.close();
    stage.seen.lock().unwrap().clone()
}

fn perform(stage: &Arc<Stage>, as_tasks: bool, actors: Vec<Rng>) {
    if as_tasks {
        let tasks = actors.into_iter().map(|mut rng| {
            let polls = rng.choice([2, 10, usize::MAX, usize::MAX]).unwrap();
            let actor = Actor {
                stage: Arc::clone(stage),
                rng,
                is_task: true,
            };
            cancelled_after(polls, actor.play())
        });
        run(tasks.collect());
    } else {
        for rng in actors {
            let actor = Actor {
                stage: Arc::clone(stage),
                rng,
                is_task: false,
            };
            run(vec![Box::pin(actor.play())]);
        }
    }
}

/// The shared state of one round.
struct Stage {
    pace: Pace,
    seed: u64,
    shared: Shared,
    origin: Instant,
    skipped: AtomicU64,
    /// The live flights: number, credentials and deadline.
    in_flight: Mutex<Vec<(u64, String, Duration)>>,
    numbers: AtomicU64,
    attempts_seen: Arc<AtomicU64>,
    /// The attempts that began, less the events that end one.
    gauge: Arc<AtomicI64>,
    /// The tokens whose rejection was accepted, and the number of failed acquisitions before that.
    rejected: Mutex<HashMap<String, u64>>,
    /// The running operations that may take a token away, and the number of those that began.
    taking: (AtomicU64, AtomicU64),
    seen: Mutex<Seen>,
}

impl Stage {
    fn new(config: Config, pace: Pace, seed: u64) -> Arc<Self> {
        let credentials = Credentials::new("client", "secret-0").unwrap();
        let machine = Machine::new(
            config,
            Exchange::new(Endpoint::default(), credentials),
            seed,
        );
        let attempts_seen = Arc::new(AtomicU64::new(0));
        let gauge = Arc::new(AtomicI64::new(0));
        let (attempts, in_flight) = (Arc::clone(&attempts_seen), Arc::clone(&gauge));
        let observer = move |event: &Event| {
            if matches!(event, Event::Attempt { .. }) {
                attempts.fetch_add(1, SeqCst);
                in_flight.fetch_add(1, SeqCst);
            }
            if event.ends_attempt() {
                in_flight.fetch_sub(1, SeqCst);
            }
        };
        Arc::new(Self {
            pace,
            seed,
            shared: Shared::new(machine, Some(Box::new(observer))),
            origin: Instant::now(),
            skipped: AtomicU64::new(0),
            in_flight: Mutex::default(),
            numbers: AtomicU64::new(1),
            attempts_seen,
            gauge,
            rejected: Mutex::default(),
            taking: Default::default(),
            seen: Mutex::default(),
        })
    }

    fn now(&self) -> Moment {
        let skipped = Duration::from_millis(self.skipped.load(SeqCst));
        let mono = self.origin.elapsed() + skipped;
        Moment {
            mono,
            wall: Duration::from_secs(1_800_000_000) + mono,
        }
    }

    fn skip(&self, milliseconds: u64) {
        self.skipped.fetch_add(milliseconds, SeqCst);
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, SeqCst)
    }

    fn see(&self, what: fn(&mut Seen) -> &mut u64) {
        *what(&mut self.seen.lock().unwrap()) += 1;
    }

    /// Returns the number of failed acquisitions.
    fn failures(&self) -> u64 {
        let ticket = format!("{:?}", self.shared.ticket(Need::Usable));
        let (_, failures) = ticket.split_once("failures: ").unwrap();
        failures.trim_end_matches([' ', '}']).parse().unwrap()
    }

    /// Runs an operation that may take a token away. Returns whether no other one ran meanwhile.
    fn take_away<T>(&self, operation: impl FnOnce() -> T) -> (T, bool) {
        let (running, begun) = &self.taking;
        let others = running.fetch_add(1, SeqCst);
        let number = begun.fetch_add(1, SeqCst) + 1;
        let done = operation();
        let alone = others == 0 && begun.load(SeqCst) == number;
        running.fetch_sub(1, SeqCst);
        (done, alone)
    }

    /// Counts an attempt as live, unless it is late or superseded: then its request is not sent.
    fn start(self: &Arc<Self>, attempt: Attempt) -> Option<LiveAttempt> {
        let now = self.now().mono;
        let Some((request, timeout)) = attempt.start(self.now()) else {
            self.see(|seen| &mut seen.unsent);
            return None;
        };
        let number = self.number();
        let credentials = String::from_utf8(request.body().as_ref().to_vec()).unwrap();
        let until = now + timeout;
        let mut in_flight = self.in_flight.lock().unwrap();
        let now = self.now().mono;
        let other = in_flight
            .iter()
            .find(|(_, other, until)| *other == credentials && *until > now);
        let two = until > now && other.is_some();
        assert!(
            !two,
            "{:?} round {}: two live flights",
            self.pace, self.seed
        );
        in_flight.push((number, credentials, until));
        Some(LiveAttempt {
            stage: Arc::clone(self),
            number,
            attempt: Some(attempt),
        })
    }

    /// Checks the invariants at the end of a round.
    fn close(&self) {
        let context = format!("{:?} round {}", self.pace, self.seed);
        let now = self.now();
        let status = self.shared.status(now);
        if self.pace == Pace::Patient {
            let ended = matches!(status.phase, Phase::Idle | Phase::BackingOff { .. });
            assert!(ended, "{context}: a flight is lost: {status:?}");
        }
        let cached = self
            .shared
            .cached_token()
            .filter(|_| status.expires_at.is_some());
        let hit = usable(&self.shared, now);
        assert_eq!(
            hit.map(|hit| hit.token),
            cached.map(|cached| cached.token().clone()),
            "{context}: the snapshot differs from the machine"
        );
        // The last events may be pending after a panic; a change delivers them.
        self.shared
            .set_credentials(Credentials::new("client", "the last").unwrap());
        assert_eq!(
            self.attempts_seen.load(SeqCst),
            self.seen.lock().unwrap().attempts,
            "{context}: unobserved attempts"
        );
        let gauge = self.gauge.load(SeqCst);
        assert_eq!(gauge, 0, "{context}: the gauge of attempts in flight");
    }
}

/// An attempt that counts as live. It stops counting before the machine learns of its end.
struct LiveAttempt {
    stage: Arc<Stage>,
    number: u64,
    attempt: Option<Attempt>,
}

impl LiveAttempt {
    fn finish(mut self, answer: Result<Response<Vec<u8>>, Error>) {
        let attempt = self.attempt.take().unwrap();
        let stage = Arc::clone(&self.stage);
        drop(self);
        attempt.finish(stage.now(), answer);
    }

    /// Leaks the attempt, which counts as live until its deadline.
    fn forget(mut self) {
        mem::forget(self.attempt.take());
        mem::forget(self);
    }
}

impl Drop for LiveAttempt {
    fn drop(&mut self) {
        let mut in_flight = self.stage.in_flight.lock().unwrap();
        in_flight.retain(|(number, ..)| *number != self.number);
        drop(in_flight);
        // The attempt is dropped last.
        self.attempt.take();
    }
}

/// One caller: a thread, or one task of several in a thread.
struct Actor {
    stage: Arc<Stage>,
    rng: Rng,
    is_task: bool,
}

impl Actor {
    async fn play(mut self) {
        let stage = Arc::clone(&self.stage);
        let mut last = None;
        for _ in 0..self.rng.usize(1..6) {
            match self.rng.u8(0..20) {
                0..=11 => last = self.call().await,
                12..=14 => {
                    if let Some(token) = &last {
                        self.reject(token);
                    }
                }
                15..=17 => stage.skip(stage.pace.skip(&mut self.rng)),
                18 => {
                    let client_id = self.rng.choice(["client", "client", "other"]).unwrap();
                    let secret = format!("secret-{}", stage.number());
                    let credentials = Credentials::new(client_id, secret).unwrap();
                    stage.take_away(|| stage.shared.set_credentials(credentials));
                }
                _ => self.pause().await,
            }
        }
        // A last call still has to be served.
        self.call().await;
    }

    /// Makes one call, and checks its token.
    async fn call(&mut self) -> Option<Token> {
        let stage = Arc::clone(&self.stage);
        let rejected = stage.rejected.lock().unwrap().clone();
        let outcome = self.token().await;
        match &outcome {
            Ok(token) => {
                stage.see(|seen| &mut seen.tokens);
                let failures = rejected.get(token.id_token());
                assert!(
                    failures.is_none_or(|failures| stage.failures() > *failures),
                    "{:?} round {}: a rejected token",
                    stage.pace,
                    stage.seed
                );
            }
            Err(_) => stage.see(|seen| &mut seen.errors),
        }
        outcome.ok()
    }

    async fn token(&mut self) -> Result<Token, Error> {
        let stage = Arc::clone(&self.stage);
        let needs = [
            Need::Usable,
            Need::Usable,
            Need::Newer,
            Need::For(Duration::from_secs(10)),
            Need::For(DAY),
        ];
        let need = self.rng.choice(needs).unwrap();
        if need == Need::Usable
            && let Some(hit) = usable(&stage.shared, stage.now())
        {
            stage.see(|seen| &mut seen.hits);
            let now = stage.now();
            if hit.refresh_due
                && let Some(attempt) = stage.shared.refresh(now)
            {
                stage.see(|seen| &mut seen.refreshes);
                self.run_attempt(attempt).await;
            }
            return Ok(hit.token);
        }
        let ticket = stage.shared.ticket(need);
        loop {
            let now = stage.now();
            match stage.shared.poll(now, &ticket) {
                SharedStep::Ready(token) => return Ok(token),
                SharedStep::Failed(error) => return Err(error),
                SharedStep::Send(attempt) => self.run_attempt(attempt).await,
                SharedStep::Wait(waiter) => self.wait(waiter).await,
            }
        }
    }

    /// Gives other callers time to join, then ends the flight in a random way.
    async fn run_attempt(&mut self, attempt: Attempt) {
        let stage = Arc::clone(&self.stage);
        stage.see(|seen| &mut seen.attempts);
        if self.rng.u8(0..4) == 0 {
            self.pause().await;
        }
        let Some(attempt) = stage.start(attempt) else {
            return;
        };
        for _ in 0..self.rng.u8(0..3) {
            self.pause().await;
        }
        let hasty = stage.pace == Pace::Hasty;
        match self.rng.u8(0..32) {
            0..=3 => {
                stage.see(|seen| &mut seen.dropped);
                drop(attempt);
            }
            4 | 5 => {
                stage.see(|seen| &mut seen.panics);
                let _attempt = attempt;
                panic::resume_unwind(Box::new(Intended));
            }
            6 | 7 => attempt.finish(refused(403)),
            8 => attempt.finish(refused(503)),
            9..=12 => attempt.finish(torn()),
            13..=15 if hasty => {
                stage.see(|seen| &mut seen.late);
                stage.skip(4);
                attempt.finish(self.granted());
            }
            16 | 17 if hasty => {
                stage.see(|seen| &mut seen.forgotten);
                attempt.forget();
            }
            _ => attempt.finish(self.granted()),
        }
    }

    fn granted(&mut self) -> Result<Response<Vec<u8>>, Error> {
        let number = self.stage.number();
        let seconds = self.rng.choice([20, 40, 3600]).unwrap();
        let body = format!(
            r#"{{"status":"ok","content":{{"id_token":"token-{number}","expires_in":{seconds}}}}}"#
        );
        Ok(Response::new(body.into_bytes()))
    }

    fn reject(&self, token: &Token) {
        let stage = &self.stage;
        let failures = stage.failures();
        let mut cached = None;
        let (accepted, alone) = stage.take_away(|| {
            let accepted = stage.shared.reject(stage.now(), token);
            cached = stage.shared.cached_token();
            accepted
        });
        if accepted {
            stage.see(|seen| &mut seen.rejections);
            let mut rejected = stage.rejected.lock().unwrap();
            let before = rejected.entry(token.id_token().to_owned());
            before
                .and_modify(|before| *before = failures.max(*before))
                .or_insert(failures);
        } else {
            stage.see(|seen| &mut seen.kept);
            assert!(
                !alone || cached.is_some(),
                "{:?} round {}: a rejection that was not accepted left no token",
                stage.pace,
                stage.seed
            );
        }
    }

    async fn wait(&self, waiter: Waiter) {
        if self.is_task {
            self.stage.see(|seen| &mut seen.waits_of_tasks);
            let limit = Instant::now() + waiter.limit();
            let mut changed = Box::pin(waiter.changed());
            future::poll_fn(|context| {
                if changed.as_mut().poll(context).is_ready() || Instant::now() >= limit {
                    return Poll::Ready(());
                }
                TIMER.set(Some(limit));
                Poll::Pending
            })
            .await;
        } else {
            self.stage.see(|seen| &mut seen.waits_of_threads);
            waiter.block();
        }
    }

    async fn pause(&self) {
        thread::yield_now();
        if self.is_task {
            let mut yielded = false;
            future::poll_fn(|context| {
                if mem::replace(&mut yielded, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }
}

fn refused(status: u16) -> Result<Response<Vec<u8>>, Error> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}

fn torn() -> Result<Response<Vec<u8>>, Error> {
    Err(TransportError::with_detail(TransportErrorKind::Broken, "torn").into())
}

/// The number of times that each case occurred.
#[derive(Clone, Debug, Default)]
struct Seen {
    tokens: u64,
    errors: u64,
    hits: u64,
    attempts: u64,
    refreshes: u64,
    waits_of_threads: u64,
    waits_of_tasks: u64,
    dropped: u64,
    panics: u64,
    late: u64,
    forgotten: u64,
    rejections: u64,
    kept: u64,
    unsent: u64,
}

impl Seen {
    fn counts(&mut self) -> [&mut u64; 14] {
        [
            &mut self.tokens,
            &mut self.errors,
            &mut self.hits,
            &mut self.attempts,
            &mut self.refreshes,
            &mut self.waits_of_threads,
            &mut self.waits_of_tasks,
            &mut self.dropped,
            &mut self.panics,
            &mut self.rejections,
            &mut self.kept,
            &mut self.unsent,
            &mut self.late,
            &mut self.forgotten,
        ]
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts().into_iter().zip(other.clone().counts()) {
            *count += *more;
        }
    }

    /// Returns whether every case occurred. The patient rounds have no late and no forgotten attempts.
    fn is_complete(&mut self, pace: Pace) -> bool {
        let expected = if pace == Pace::Hasty { 14 } else { 12 };
        self.counts()
            .into_iter()
            .take(expected)
            .all(|count| *count > 0)
    }
}

// A small executor: the tasks of one thread.

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// The time at which the current task has to be polled again, even if it is not woken.
    static TIMER: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The payload of an intended panic.
struct Intended;

struct Alarm {
    rang: AtomicBool,
    thread: Thread,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// Runs all tasks to their ends. An intended panic ends only its own task.
fn run(tasks: Vec<Task>) {
    let alarm = || Alarm {
        rang: AtomicBool::new(true),
        thread: thread::current(),
    };
    let mut tasks: Vec<_> = tasks
        .into_iter()
        .map(|task| (task, Arc::new(alarm()), None::<Instant>))
        .collect();
    while !tasks.is_empty() {
        tasks.retain_mut(|(task, alarm, timer)| {
            let late = timer.is_some_and(|timer| timer <= Instant::now());
            if !alarm.rang.swap(false, SeqCst) && !late {
                return true;
            }
            TIMER.set(None);
            let waker = Waker::from(Arc::clone(alarm));
            let mut context = Context::from_waker(&waker);
            let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut context)));
            *timer = TIMER.take();
            polled.unwrap_or_else(ended_by_intent).is_pending()
        });
        if tasks.iter().any(|(_, alarm, _)| alarm.rang.load(SeqCst)) {
            continue;
        }
        match tasks.iter().filter_map(|(.., timer)| *timer).min() {
            Some(timer) => thread::park_timeout(timer.saturating_duration_since(Instant::now())),
            None if tasks.is_empty() => {}
            None => thread::park(),
        }
    }
}

fn ended_by_intent(panic: Box<dyn Any + Send>) -> Poll<()> {
    if !panic.is::<Intended>() {
        panic::resume_unwind(panic);
    }
    Poll::Ready(())
}

/// Returns a task that is dropped after so many polls.
fn cancelled_after(mut polls: usize, task: impl Future<Output = ()> + Send + 'static) -> Task {
    let mut task = Some(Box::pin(task));
    Box::pin(future::poll_fn(move |context| {
        let Some(running) = &mut task else {
            return Poll::Ready(());
        };
        let polled = running.as_mut().poll(context);
        polls = polls.saturating_sub(1);
        if polled.is_ready() || polls == 0 {
            task = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }))
}
