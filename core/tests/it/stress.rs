//! Many short rounds of threads and tasks over one `Shared`, each round from its own seed: attempts
//! that succeed, fail, are dropped, panic, come late or never, among rejections, refreshes ahead and
//! new credentials. `STRESS_ROUNDS` says how many rounds of each kind; the default is some seconds'
//! worth.
//!
//! What has to hold: no two live flights of the same credentials; everyone ends with a token or an
//! error; nobody hangs; nobody gets a token after its rejection; in the end the snapshot says what
//! the machine says, every flight has come back, and every attempt was told to the observer.
//!
//! How time passes: the clock is the real one, and anyone may put it forward. In the patient
//! rounds a flight's own deadline is a day away, so that whoever is not woken runs into the
//! watchdog. In the hasty ones it is milliseconds, and often the only way out.
//!
//! What was broken to see these rounds fail, each by itself, stands above the two tests.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashSet;
use std::env;
use std::future;
use std::mem;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
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

/// How long a round may take before it counts as hanging. It takes milliseconds.
const WATCHDOG: Duration = Duration::from_secs(10);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Caught in every run of at least two, by the round that is named at the latest:
///
/// - someone hangs: a listener registered after `change` has returned (942); an abandon that tells
///   nobody (1); `notify(1)`, or `(2)` (6); a notification that goes before the change (45); an
///   outcome (2) or new credentials (214) published without one; a stamp without the state (1);
/// - a flight is lost: a attempt without its `Drop`, or without it in a panic (0);
/// - two live flights: for whoever needs a newer token (1), for one poll in a hundred (25); an
///   abandon that frees whatever flies (22);
/// - a rejected token: a rejection (7) or new credentials (38) that are not published;
/// - attempts that nobody was told of: events that are not taken (0).
///
/// Caught in four runs of six: a listener registered right after the lock's end. In one of eight: a
/// snapshot published after it. `shared.rs` has a race for each.
#[test]
fn patient_rounds() {
    rounds(Pace::Patient);
}

/// Caught in every run, by the round that is named at the latest: a second flight beside a refresh
/// ahead whose token has run out (228); an outcome that ends whatever flies (44); a hit that is past
/// its use (39).
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

    /// How far the clock is put forward at a time, in milliseconds.
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
        rounds < 100 || seen.everything(pace),
        "the rounds are not what they should be: {seen:?}"
    );
}

/// Who does what is decided by `seed`; in which order, by the scheduler.
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
            let cooldown = rng.choice([2, 10, usize::MAX, usize::MAX]).unwrap();
            let actor = Actor {
                stage: Arc::clone(stage),
                rng,
                is_task: true,
            };
            cancelled_after(cooldown, actor.play())
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

/// What one round shares.
struct Stage {
    pace: Pace,
    seed: u64,
    shared: Shared,
    origin: Instant,
    skipped: AtomicU64,
    /// The flights in flight: number, credentials, and when the machine may give them up.
    in_flight: Mutex<Vec<(u64, String, Duration)>>,
    numbers: AtomicU64,
    told: Arc<AtomicU64>,
    rejected: Mutex<HashSet<String>>,
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
        let told = Arc::new(AtomicU64::new(0));
        let attempts = Arc::clone(&told);
        let observer = move |event: &Event| {
            if matches!(event, Event::Attempt { .. }) {
                attempts.fetch_add(1, SeqCst);
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
            told,
            rejected: Mutex::default(),
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

    /// Counts a attempt as live. `asked` is what the machine was told of the time.
    fn take_off(self: &Arc<Self>, asked: Moment, attempt: Attempt) -> Airborne {
        self.see(|seen| &mut seen.attempts);
        let number = self.number();
        let credentials = String::from_utf8(attempt.request().body().as_ref().to_vec()).unwrap();
        let until = asked.mono + attempt.timeout();
        let mut in_flight = self.in_flight.lock().unwrap();
        // Read after the machine's decision, so never sooner than what it decided by.
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
        Airborne {
            stage: Arc::clone(self),
            number,
            attempt: Some(attempt),
        }
    }

    /// What has to hold when everyone has gone.
    fn close(&self) {
        let context = format!("{:?} round {}", self.pace, self.seed);
        let now = self.now();
        let status = self.shared.status(now);
        if self.pace == Pace::Patient {
            let rests = matches!(status.phase, Phase::Idle | Phase::BackingOff { .. });
            assert!(rests, "{context}: a flight is lost: {status:?}");
        }
        let cached = self
            .shared
            .cached_token()
            .filter(|_| status.token_left.is_some());
        let hit = usable(&self.shared, now);
        assert_eq!(
            hit.map(|hit| hit.token),
            cached.map(|cached| cached.token().clone()),
            "{context}: the snapshot is not the machine's"
        );
        // What happened last may have happened in a panic; this has it told.
        self.shared
            .set_credentials(Credentials::new("client", "the last").unwrap());
        assert_eq!(
            self.told.load(SeqCst),
            self.seen.lock().unwrap().attempts,
            "{context}: not told"
        );
    }
}

/// A attempt that counts as live. It stops doing so before the machine can hear of its end.
struct Airborne {
    stage: Arc<Stage>,
    number: u64,
    attempt: Option<Attempt>,
}

impl Airborne {
    fn finish(mut self, answer: Result<Response<Vec<u8>>, Error>) {
        let attempt = self.attempt.take().unwrap();
        let stage = Arc::clone(&self.stage);
        drop(self);
        attempt.finish(stage.now(), answer);
    }

    /// It counts as live until its deadline.
    fn forget(mut self) {
        mem::forget(self.attempt.take());
        mem::forget(self);
    }
}

impl Drop for Airborne {
    fn drop(&mut self) {
        let mut in_flight = self.stage.in_flight.lock().unwrap();
        in_flight.retain(|(number, ..)| *number != self.number);
        drop(in_flight);
        // Only now the attempt.
        self.attempt.take();
    }
}

/// One caller, as a thread of its own or as a task among others.
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
                    stage
                        .shared
                        .set_credentials(Credentials::new(client_id, secret).unwrap());
                }
                _ => self.pause().await,
            }
        }
        // Whoever is left over still has to be served.
        self.call().await;
    }

    /// Gets a token or an error, as a client would.
    async fn call(&mut self) -> Option<Token> {
        let stage = Arc::clone(&self.stage);
        let rejected = stage.rejected.lock().unwrap().clone();
        let outcome = self.token().await;
        match &outcome {
            Ok(token) => {
                stage.see(|seen| &mut seen.tokens);
                assert!(
                    !rejected.contains(token.id_token()),
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
                let airborne = stage.take_off(now, attempt);
                self.run_attempt(airborne).await;
            }
            return Ok(hit.token);
        }
        let ticket = stage.shared.ticket(need);
        loop {
            let now = stage.now();
            match stage.shared.poll(now, &ticket) {
                SharedStep::Ready(token) => return Ok(token),
                SharedStep::Failed(error) => return Err(error),
                SharedStep::Send(attempt) => {
                    let airborne = stage.take_off(now, attempt);
                    self.run_attempt(airborne).await;
                }
                SharedStep::Wait(waiter) => self.wait(waiter).await,
            }
        }
    }

    /// Gives others the time to ask for the same, then ends the flight in one way or other.
    async fn run_attempt(&mut self, airborne: Airborne) {
        let stage = Arc::clone(&self.stage);
        for _ in 0..self.rng.u8(0..3) {
            self.pause().await;
        }
        let hasty = stage.pace == Pace::Hasty;
        match self.rng.u8(0..32) {
            0..=3 => {
                stage.see(|seen| &mut seen.dropped);
                drop(airborne);
            }
            4 | 5 => {
                stage.see(|seen| &mut seen.panics);
                let _airborne = airborne;
                panic::resume_unwind(Box::new(OnPurpose));
            }
            6 | 7 => airborne.finish(refused(403)),
            8 => airborne.finish(refused(503)),
            9..=12 => airborne.finish(torn()),
            13..=15 if hasty => {
                stage.see(|seen| &mut seen.late);
                stage.skip(4);
                airborne.finish(self.granted());
            }
            16 | 17 if hasty => {
                stage.see(|seen| &mut seen.forgotten);
                airborne.forget();
            }
            _ => airborne.finish(self.granted()),
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
        if stage.shared.reject(stage.now(), token) {
            stage.see(|seen| &mut seen.rejections);
        }
        stage
            .rejected
            .lock()
            .unwrap()
            .insert(token.id_token().to_owned());
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

/// How often what came up.
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
}

impl Seen {
    fn counts(&mut self) -> [&mut u64; 12] {
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
            &mut self.late,
            &mut self.forgotten,
        ]
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts().into_iter().zip(other.clone().counts()) {
            *count += *more;
        }
    }

    /// Nobody is late in the patient rounds.
    fn everything(&mut self, pace: Pace) -> bool {
        let due = if pace == Pace::Hasty { 12 } else { 10 };
        self.counts().into_iter().take(due).all(|count| *count > 0)
    }
}

// A small executor: the tasks of one thread.

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// When the task that is being polled wants to be polled again, whatever happens.
    static TIMER: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What a attempt panics with.
struct OnPurpose;

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

/// Runs all of them to their ends. A panic on purpose is the end of its task alone.
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
            polled.unwrap_or_else(ended_on_purpose).is_pending()
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

fn ended_on_purpose(panic: Box<dyn Any + Send>) -> Poll<()> {
    if !panic.is::<OnPurpose>() {
        panic::resume_unwind(panic);
    }
    Poll::Ready(())
}

/// The same task, dropped where it stands when it has had to wait so many times.
fn cancelled_after(cooldown: usize, task: impl Future<Output = ()> + Send + 'static) -> Task {
    let mut task = Some(Box::pin(task));
    let mut cooldown = cooldown;
    Box::pin(future::poll_fn(move |context| {
        let Some(running) = &mut task else {
            return Poll::Ready(());
        };
        let polled = running.as_mut().poll(context);
        cooldown = cooldown.saturating_sub(1);
        if polled.is_ready() || cooldown == 0 {
            task = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }))
}
