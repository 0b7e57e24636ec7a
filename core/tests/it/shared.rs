//! Tests of the rules at the top of `lifecycle/shared.rs`. `Caught` lists the mutations that fail a
//! test.
//!
//! Time is virtual. If a test has to wake a real thread, the machine's own limits are an hour, so that
//! a lost wake-up reaches the watchdog.

use std::future;
use std::hint;
use std::mem;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use fastrand::Rng;
use http::{Response, StatusCode};
use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep, Waiter};
use meshconnect_auth_core::{
    BodyBuffer, CachedToken, Config, Credentials, Endpoint, Error, ErrorKind, Event, Exchange,
    Machine, Moment, Need, Phase, Ticket, Token, TransportError, TransportErrorKind,
};

const START: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

const HOUR: Duration = Duration::from_secs(3600);

/// A test that takes longer hangs.
const WATCHDOG: Duration = Duration::from_secs(20);

type Answer = Result<Response<Vec<u8>>, Error>;

fn at(seconds: u64) -> Moment {
    START.after(Duration::from_secs(seconds))
}

fn just_before(moment: Moment) -> Moment {
    Moment {
        mono: moment.mono - Duration::from_nanos(1),
        wall: moment.wall - Duration::from_nanos(1),
    }
}

fn credentials(client_id: &str) -> Credentials {
    Credentials::new(client_id, "secret").unwrap()
}

/// Returns the defaults without jitter: a token of an hour is refreshed at 2700 s and usable until
/// 3570 s.
fn config() -> Config {
    let mut config = Config::default();
    config.refresh_jitter_percent = 0;
    config
}

/// Returns a configuration whose flights outlive a test.
fn patient() -> Config {
    let mut config = config();
    config.attempt_timeout = HOUR;
    config.acquisition_timeout = 2 * HOUR;
    config
}

fn machine(config: Config) -> Machine {
    let exchange = Exchange::new(Endpoint::default(), credentials("client"));
    Machine::new(config, exchange, 7)
}

fn shared(config: Config) -> Shared {
    Shared::new(machine(config), None)
}

/// Returns a `Shared` whose observer can call it.
fn observed(config: Config, observer: impl Fn(&Shared, &Event) + Send + Sync + 'static) -> Shared {
    let own = Arc::new(OnceLock::<Shared>::new());
    let theirs = Arc::clone(&own);
    let shared = Shared::new(
        machine(config),
        Some(Box::new(move |event| {
            observer(theirs.get().unwrap(), event);
        })),
    );
    own.set(shared.clone()).unwrap();
    shared
}

fn granted(id_token: &str, seconds: u64) -> Answer {
    let body = format!(
        r#"{{"status":"ok","content":{{"id_token":"{id_token}","expires_in":{seconds}}}}}"#
    );
    Ok(Response::new(body.into_bytes()))
}

fn refused(status: u16) -> Answer {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}

fn torn() -> Answer {
    Err(TransportError::with_detail(TransportErrorKind::Broken, "torn").into())
}

fn attempt(shared: &Shared, now: Moment, ticket: &Ticket) -> Attempt {
    match shared.poll(now, ticket) {
        SharedStep::Send(attempt) => attempt,
        other => panic!("expected an attempt, got {other:?}"),
    }
}

fn first_attempt(shared: &Shared, now: Moment) -> Attempt {
    attempt(shared, now, &shared.ticket(Need::Usable))
}

fn waiter(shared: &Shared, now: Moment, ticket: &Ticket) -> Waiter {
    match shared.poll(now, ticket) {
        SharedStep::Wait(waiter) => waiter,
        other => panic!("expected a wait, got {other:?}"),
    }
}

fn failure(shared: &Shared, now: Moment, ticket: &Ticket) -> Error {
    match shared.poll(now, ticket) {
        SharedStep::Failed(error) => error,
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// Returns the end of the running cooldown.
fn cooldown_end(shared: &Shared, now: Moment) -> Moment {
    let until = shared.status(now).cooldown_until.expect("a cooldown");
    now.after(until.duration_since(now.system_time().unwrap()).unwrap())
}

/// Acquires a token of an hour.
fn fetch(shared: &Shared, now: Moment, id_token: &str) {
    first_attempt(shared, now).finish(now, granted(id_token, 3600));
    assert_eq!(hit(shared, now).token.id_token(), id_token);
}

/// A usable token, and whether it is due for a refresh.
pub(crate) struct Hit {
    pub(crate) token: Token,
    pub(crate) refresh_due: bool,
}

pub(crate) fn usable(shared: &Shared, now: Moment) -> Option<Hit> {
    let mut refresh_due = false;
    let token = shared.ready(now, Need::Usable, || refresh_due = true)?;
    Some(Hit { token, refresh_due })
}

fn hit(shared: &Shared, now: Moment) -> Hit {
    usable(shared, now).expect("a usable token")
}

/// Returns whether a hit would take the lock for a refresh.
fn due(shared: &Shared, now: Moment) -> bool {
    hit(shared, now).refresh_due
}

/// Returns whether waiting would return at once.
fn is_woken(waiter: Waiter) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(waiter.changed()).poll(&mut context).is_ready()
}

/// Returns `count` waiters for a newer token, or none if the machine is idle.
fn waiters(shared: &Shared, count: usize) -> Vec<Waiter> {
    if shared.status(START).phase == Phase::Idle {
        return Vec::new();
    }
    // The machine uses its highest reading of the monotonic clock.
    let newer = || waiter(shared, START, &shared.ticket(Need::Newer));
    (0..count).map(|_| newer()).collect()
}

fn wakes_all<T>(shared: &Shared, what: &str, change: impl FnOnce() -> T) -> T {
    let waiters = waiters(shared, 3);
    let done = change();
    for waiter in waiters {
        assert!(is_woken(waiter), "{what} did not wake a waiter");
    }
    done
}

fn wakes_none<T>(shared: &Shared, what: &str, act: impl FnOnce() -> T) -> T {
    let waiters = waiters(shared, 1);
    let done = act();
    for waiter in waiters {
        assert!(!is_woken(waiter), "{what} woke a waiter");
    }
    done
}

/// Fails if `act` hangs.
fn within<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, end) = mpsc::channel();
    let thread = thread::spawn(move || done.send(act()));
    match end.recv_timeout(WATCHDOG) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            panic::resume_unwind(thread.join().expect_err("it sends before it ends"))
        }
    }
}

/// Panics without a message.
fn panic_silently() {
    panic::resume_unwind(Box::new("on purpose"));
}

fn block_on<T>(task: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut task = pin!(task);
    loop {
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

// The hit path.

/// Caught: a snapshot that `new` does not publish.
#[test]
fn a_machine_with_a_token_is_a_hit_at_once() {
    let mut machine = machine(config());
    let expiry = at(3600).system_time().unwrap();
    machine.handle_token(START, Token::new("cached", expiry).unwrap());
    let shared = Shared::new(machine, None);
    assert_eq!(hit(&shared, START).token.id_token(), "cached");
    assert_eq!(hit(&shared.clone(), START).token.id_token(), "cached");
    assert_eq!(shared.cached_token().unwrap().token().id_token(), "cached");
}

/// Caught: a hit that ignores `usable_until`; one that reads a single clock; a `refresh_due` that is
/// always false; `expires_at` instead of the other dates in the snapshot.
#[test]
fn a_hit_is_a_usable_token_and_reports_a_due_refresh() {
    let shared = shared(config());
    assert!(usable(&shared, START).is_none());
    let attempt = first_attempt(&shared, START);
    assert!(usable(&shared, START).is_none());
    attempt.finish(START, granted("one", 3600));

    let apart = |mono, wall| Moment {
        mono: at(mono).mono,
        wall: at(wall).wall,
    };
    for (now, expected) in [
        (at(0), Some(false)),
        (just_before(at(2700)), Some(false)),
        (at(2700), Some(true)),
        (apart(2700, 0), Some(true)),
        (apart(0, 2700), Some(true)),
        (just_before(at(3570)), Some(true)),
        (at(3570), None),
        (apart(3570, 0), None),
        (apart(0, 3570), None),
    ] {
        let hit = usable(&shared, now).map(|hit| {
            assert_eq!(hit.token.id_token(), "one");
            hit.refresh_due
        });
        assert_eq!(hit, expected, "{now:?}");
    }
}

/// Caught: a `next_refresh` that a refresh in flight does not delay; one that a failed refresh does not
/// delay; an abandoned refresh that is due again at once.
#[test]
fn hits_during_a_refresh_and_its_delay_take_no_lock() {
    let shared = shared(config());
    fetch(&shared, START, "one");
    assert!(shared.refresh(just_before(at(2700))).is_none());

    let attempt = shared.refresh(at(2700)).expect("a refresh");
    for now in [at(2700), at(2701), just_before(at(2710))] {
        assert!(!due(&shared, now), "in flight at {now:?}");
    }
    let now = at(2701);
    assert!(shared.refresh(now).is_none());
    // The first delay is a second.
    drop(attempt);
    assert!(!due(&shared, just_before(at(2702))));
    assert!(shared.refresh(just_before(at(2702))).is_none());
    assert!(due(&shared, at(2702)));

    let now = at(2702);
    let attempt = shared.refresh(now).expect("a refresh");
    attempt.finish(now, refused(403));
    assert!(!due(&shared, just_before(at(2703))));
    assert!(due(&shared, at(2704)));

    let now = at(2704);
    let attempt = shared.refresh(now).expect("a refresh");
    let mut answer = refused(503).unwrap();
    answer.headers_mut().insert("retry-after", 100.into());
    attempt.finish(now, Ok(answer));
    let end = cooldown_end(&shared, now);
    assert!(end.mono >= at(2804).mono);
    assert!(!due(&shared, just_before(end)));
    assert!(due(&shared, end));

    let attempt = shared.refresh(end).expect("a refresh");
    attempt.finish(end, granted("two", 3600));
    let hit = hit(&shared, end);
    assert_eq!((hit.token.id_token(), hit.refresh_due), ("two", false));
}

/// A flight's deadline is on the monotonic clock only, so a wall clock that is set forward does not end
/// it. Until the deadline, hits would poll for nothing.
///
/// Caught: a `next_refresh` that the wall clock can reach before the flight's deadline.
#[test]
fn hits_during_a_refresh_take_no_lock_when_the_wall_clock_jumps() {
    let shared = shared(config());
    fetch(&shared, START, "one");
    let attempt = shared.refresh(at(2700)).expect("a refresh");
    let now = Moment {
        mono: at(2701).mono,
        wall: at(2760).wall,
    };
    assert!(shared.refresh(now).is_none());
    assert!(!due(&shared, now));
    drop(attempt);
    assert!(due(&shared, now.after(Duration::from_secs(1))));
}

/// Caught: the cached token's own `next_refresh` in the snapshot, which ignores acquisitions, back-offs
/// and cooldowns; one that ignores only back-offs or only cooldowns.
#[test]
fn hits_during_an_acquisition_and_its_back_off_take_no_lock() {
    let shared = shared(config());
    fetch(&shared, START, "one");
    let now = at(3000);
    assert!(due(&shared, now));
    let ticket = shared.ticket(Need::Newer);

    let pending = attempt(&shared, now, &ticket);
    assert!(!due(&shared, now) && !due(&shared, just_before(at(3010))));
    pending.finish(now, torn());
    assert!(matches!(shared.status(now).phase, Phase::BackingOff { .. }));
    assert!(!due(&shared, now) && !due(&shared, at(3001)));

    let pending = attempt(&shared, at(3001), &ticket);
    assert!(!due(&shared, at(3001)));
    pending.finish(at(3002), refused(403));
    let end = cooldown_end(&shared, at(3002));
    assert!(!due(&shared, just_before(end)));
    assert!(due(&shared, end));
    assert!(shared.refresh(end).is_some());
}

/// The snapshot always agrees with the machine, and only one hit reports a due refresh. If both clocks
/// advance together, it does so within a second of the time at which a refresh would be sent. If they
/// do not, it may be later.
///
/// Caught: most of the mutations in this file; a refresh beside an acquisition.
#[test]
fn the_snapshot_agrees_with_the_machine_after_random_operations() {
    for seed in 0..400 {
        let mut rng = Rng::with_seed(seed);
        let shared = shared(config());
        let clocks_jump = seed % 2 == 1;
        let mut now = START;
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut tickets: Vec<Ticket> = Vec::new();
        for step in 0..60 {
            let what = rng.u8(0..12);
            let hit_at = |now| usable(&shared, now).map(|hit| hit.token);
            match what {
                0 | 1 => now = now.after(Duration::from_millis(rng.u64(0..20_000))),
                2 if clocks_jump => now.mono += Duration::from_secs(rng.u64(0..60)),
                3 if clocks_jump => {
                    now.wall = now.wall + Duration::from_secs(rng.u64(0..60)) - HOUR / 120;
                }
                4 => now = now.after(Duration::from_secs(rng.u64(0..1200))),
                5 | 6 => {
                    let need = [Need::Usable, Need::Newer, Need::For(HOUR / 4)];
                    tickets.push(shared.ticket(rng.choice(need).unwrap()));
                    let ticket = rng.choice(&tickets).unwrap();
                    if let SharedStep::Send(attempt) = shared.poll(now, ticket) {
                        attempts.push(attempt);
                    }
                }
                7 | 8 if !attempts.is_empty() => {
                    let attempt = attempts.swap_remove(rng.usize(0..attempts.len()));
                    let id_token = format!("t{}", rng.u8(0..6));
                    let answer = match rng.u8(0..8) {
                        0..=4 => granted(&id_token, rng.u64(1..4000)),
                        5 => torn(),
                        6 => refused(403),
                        _ => refused(503),
                    };
                    attempt.finish(now, answer);
                }
                9 if !attempts.is_empty() => {
                    drop(attempts.swap_remove(rng.usize(0..attempts.len())));
                }
                10 => {
                    if let Some(cached) = shared.cached_token() {
                        let usable = hit_at(now);
                        let dropped = shared.reject(now, cached.token());
                        assert!(dropped || hit_at(now) == usable);
                    }
                }
                11 if rng.bool() => {
                    shared.set_credentials(credentials(rng.choice(["client", "other"]).unwrap()));
                }
                _ => {}
            }
            let context = format!("seed {seed}, step {step}, operation {what}, now {now:?}");
            let is_usable = shared.status(now).expires_at.is_some();
            let cached = shared.cached_token().filter(|_| is_usable);
            let hit = usable(&shared, now);
            assert_eq!(
                hit.as_ref().map(|hit| &hit.token),
                cached.as_ref().map(CachedToken::token),
                "{context}"
            );
            if hit.is_some_and(|hit| hit.refresh_due) {
                // It may notice a deadline instead of returning an attempt.
                attempts.extend(shared.refresh(now));
                assert!(!due(&shared, now), "a refresh stays due: {context}");
            } else if is_usable && !clocks_jump {
                let soon = usable(&shared, now.after(Duration::from_secs(1)));
                let reported = soon.is_none_or(|hit| hit.refresh_due);
                assert!(
                    reported || shared.refresh(now).is_none(),
                    "no hit reports a due refresh: {context}"
                );
            }
        }
    }
}

/// All threads acquire and abandon. Each token has a higher number than those before it, and no hit may
/// see the number go down.
///
/// Caught in most runs: a snapshot that is taken inside the lock and published after it.
#[test]
fn no_change_restores_an_older_token() {
    let back = within("hits among changes", || {
        let shared = shared(config());
        fetch(&shared, START, "0");
        let numbers = AtomicU32::new(1);
        let highest = AtomicU32::new(0);
        let back = AtomicU32::new(0);
        let call = || {
            for turn in 0..30_000 {
                match shared.poll(START, &shared.ticket(Need::Newer)) {
                    SharedStep::Send(attempt) if turn % 4 == 0 => {
                        let number = numbers.fetch_add(1, Ordering::SeqCst);
                        attempt.finish(START, granted(&number.to_string(), 3600));
                        highest.fetch_max(number, Ordering::SeqCst);
                    }
                    // The attempt is abandoned.
                    other => drop(other),
                }
                let highest = highest.load(Ordering::SeqCst);
                let number = hit(&shared, START).token.id_token().parse().unwrap();
                back.fetch_add(u32::from(highest > number), Ordering::SeqCst);
            }
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(call);
            }
        });
        back.load(Ordering::SeqCst)
    });
    assert_eq!(back, 0);
}

// Waking.

/// The observer runs after the unlock and before the poll returns, so a change there is deterministic.
/// The race below covers the rest of the gap.
///
/// Caught: a listener registered after `change` has returned.
#[test]
fn a_change_right_after_the_unlock_wakes_the_waiter() {
    within("an observer that makes a change", || {
        let shared = observed(config(), |shared, event| {
            if matches!(event, Event::Retry { .. }) {
                shared.set_credentials(credentials("client"));
            }
        });
        let ticket = shared.ticket(Need::Usable);
        let attempt = attempt(&shared, START, &ticket);
        // This poll notices the deadline and then waits for the back-off.
        assert!(is_woken(waiter(&shared, at(10), &ticket)));
        drop(attempt);
    });
}

/// Caught: an `Inner` without its `Drop`.
#[test]
fn dropping_the_last_client_wakes_the_waiters() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    attempt(&shared, START, &ticket).finish(START, torn());
    let (waiter, clone) = (waiter(&shared, START, &ticket), shared.clone());
    drop(shared);
    drop(clone);
    assert!(is_woken(waiter));
}

/// All threads poll until the answer arrives. It has to wake every earlier waiter, because no change
/// follows it. Rounds are slow on a busy machine, so the test then runs fewer of them.
///
/// Caught: a listener registered right after the unlock.
#[test]
fn a_change_that_races_with_a_poll_wakes_the_waiter() {
    const CALLERS: usize = 4;
    let missed = within("a poll that races with a change", || {
        let shared = shared(patient());
        let step = Barrier::new(CALLERS);
        let missed = AtomicU32::new(0);
        let (start, over) = (Instant::now(), AtomicBool::new(false));
        let call = |caller: usize| {
            for round in 0..500 {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let ticket = shared.ticket(Need::Usable);
                let first = (caller == 0).then(|| attempt(&shared, START, &ticket));
                step.wait();
                if let Some(attempt) = first {
                    for _ in 0..round % 50 * 20 {
                        hint::spin_loop();
                    }
                    attempt.finish(START, granted("one", 3600));
                }
                let mut waiters = Vec::new();
                while let SharedStep::Wait(waiter) = shared.poll(START, &ticket) {
                    waiters.push(waiter);
                }
                step.wait();
                for waiter in waiters {
                    let asleep = !is_woken(waiter);
                    missed.fetch_add(u32::from(asleep), Ordering::SeqCst);
                }
                if step.wait().is_leader() {
                    assert!(shared.reject(START, &hit(&shared, START).token));
                    // This ends the cooldown.
                    shared.set_credentials(credentials("client"));
                    over.store(start.elapsed() > WATCHDOG / 4, Ordering::SeqCst);
                }
                step.wait();
            }
        };
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                scope.spawn(move || call(caller));
            }
        });
        missed.load(Ordering::SeqCst)
    });
    assert_eq!(missed, 0);
}

/// Caught: `notify(1)`; a `finish` that publishes but does not notify; a fingerprint without the state.
#[test]
fn every_outcome_wakes_all_waiters() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let fail = |answer, now, what: &str| {
        let attempt = wakes_all(&shared, "an attempt", || attempt(&shared, now, &ticket));
        wakes_all(&shared, what, || attempt.finish(now, answer));
    };
    fail(torn(), START, "a failed attempt");
    fail(torn(), at(1), "a second failed attempt");
    fail(torn(), at(3), "a failed acquisition");
    failure(&shared, at(3), &ticket);
    let ticket = shared.ticket(Need::Usable);
    let attempt = attempt(&shared, at(10), &ticket);
    wakes_all(&shared, "a grant", || {
        attempt.finish(at(10), granted("one", 3600));
    });

    let now = at(2800);
    let attempt = wakes_all(&shared, "a refresh", || shared.refresh(now).unwrap());
    wakes_all(&shared, "a failed refresh", || attempt.finish(now, torn()));
    let now = at(2900);
    let attempt = shared.refresh(now).unwrap();
    wakes_all(&shared, "the same token again", || {
        attempt.finish(now, granted("one", 3600));
    });
    assert_eq!(hit(&shared, now).token.id_token(), "one");
    let now = at(3000);
    let attempt = shared.refresh(now).unwrap();
    wakes_all(&shared, "a refreshed token", || {
        attempt.finish(now, granted("two", 3600));
    });
    assert_eq!(hit(&shared, now).token.id_token(), "two");
}

/// Caught: an abandon outside `change`, which does not notify; a missing abandon.
#[test]
fn an_abandoned_flight_wakes_all_waiters_and_is_sent_again() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let first = attempt(&shared, START, &ticket);
    let waits = waiter(&shared, START, &ticket);
    wakes_all(&shared, "an abandoned first attempt", || drop(first));
    assert!(is_woken(waits));

    attempt(&shared, START, &ticket).finish(START, torn());
    let second = attempt(&shared, at(1), &ticket);
    let waits = waiter(&shared, at(1), &ticket);
    wakes_all(&shared, "an abandoned retry", || drop(second));
    assert!(is_woken(waits));
    attempt(&shared, at(1), &ticket).finish(at(1), granted("one", 3600));

    let ahead = shared.refresh(at(2800)).unwrap();
    wakes_all(&shared, "an abandoned refresh", || drop(ahead));
    assert!(shared.refresh(at(2800)).is_some());
}

/// Caught: a fingerprint without the cached token's flight (the same token may meet a need for a newer
/// one); without its life (the same token with a sooner expiry is still a hit after that).
#[test]
fn a_late_grant_wakes_all_waiters() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let late = attempt(&shared, START, &ticket);
    let waits = waiter(&shared, at(10), &ticket);
    wakes_all(&shared, "a late grant", || {
        late.finish(at(10), granted("one", 3600));
    });
    assert!(is_woken(waits));
    assert_eq!(hit(&shared, at(10)).token.id_token(), "one");

    let newer = shared.ticket(Need::Newer);
    let now = at(100);
    let late = attempt(&shared, now, &newer);
    let now = at(110);
    let waits = waiter(&shared, now, &newer);
    wakes_all(&shared, "a late grant of the same token", || {
        late.finish(now, granted("one", 3600));
    });
    assert!(is_woken(waits));
    assert!(matches!(shared.poll(now, &newer), SharedStep::Ready(_)));

    let newer = shared.ticket(Need::Newer);
    let late = attempt(&shared, at(200), &newer);
    drop(waiter(&shared, at(210), &newer));
    attempt(&shared, at(212), &newer).finish(at(212), granted("two", 3600));
    wakes_all(&shared, "a late grant with a sooner expiry", || {
        late.finish(at(213), granted("two", 100));
    });
    assert!(usable(&shared, at(280)).is_some() && usable(&shared, at(290)).is_none());
}

/// Caught: `set_credentials` outside `change`, with or without publishing; a fingerprint without the
/// generation; an outcome of an older generation that counts; an abandon that ends any flight.
#[test]
fn new_credentials_wake_all_waiters() {
    let shared = shared(config());
    wakes_all(&shared, "new credentials while idle", || {
        shared.set_credentials(credentials("client"));
    });

    let ticket = shared.ticket(Need::Usable);
    let old = attempt(&shared, START, &ticket);
    let waits = waiter(&shared, START, &ticket);
    wakes_all(&shared, "new credentials in flight", || {
        shared.set_credentials(credentials("client"));
    });
    assert!(is_woken(waits));
    let new = attempt(&shared, START, &ticket);
    wakes_none(&shared, "an answer to old credentials", || {
        old.finish(START, granted("old", 3600));
    });
    assert!(usable(&shared, START).is_none());
    new.finish(START, granted("new", 3600));

    shared.set_credentials(credentials("client"));
    assert_eq!(hit(&shared, START).token.id_token(), "new");
    wakes_all(&shared, "another client id", || {
        shared.set_credentials(credentials("another"));
    });
    assert!(usable(&shared, START).is_none() && shared.cached_token().is_none());

    // Abandoning a flight of old credentials does not end the new one.
    let old = attempt(&shared, START, &ticket);
    shared.set_credentials(credentials("client"));
    let new = attempt(&shared, START, &ticket);
    wakes_none(&shared, "an abandoned old flight", || drop(old));
    drop(waiter(&shared, START, &ticket));
    drop(new);
}

/// Caught: `reject` outside `change`, with or without publishing; a snapshot that is published after
/// the observers were called.
#[test]
fn a_rejection_wakes_all_waiters_and_ends_hits() {
    let seen = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&seen);
    let shared = observed(config(), move |shared, event| match event {
        Event::Refreshed { .. } => assert!(usable(shared, START).is_some()),
        Event::Rejected { .. } => {
            assert!(usable(shared, START).is_none());
            count.fetch_add(1, Ordering::SeqCst);
        }
        _ => {}
    });
    fetch(&shared, START, "one");
    let one = hit(&shared, START).token;
    wakes_none(&shared, "a rejection of an unknown token", || {
        let other = Token::new("other", one.expires_at()).unwrap();
        assert!(shared.reject(START, &other));
    });
    assert!(usable(&shared, START).is_some());
    wakes_all(&shared, "a rejection", || {
        assert!(shared.reject(START, &one));
    });
    assert!(usable(&shared, START).is_none() && shared.cached_token().is_none());
    assert!(shared.reject(START, &one));

    fetch(&shared, at(1), "two");
    let two = hit(&shared, at(1)).token;
    wakes_all(&shared, "a second rejection", || {
        assert!(shared.reject(at(1), &two));
    });
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

/// Caught: a schedule that the snapshot does not contain.
#[test]
fn a_rejection_shortly_after_another_keeps_the_token_and_schedules_a_refresh() {
    let shared = shared(config());
    fetch(&shared, START, "one");
    assert!(shared.reject(START, &hit(&shared, START).token));
    fetch(&shared, START, "two");
    let two = hit(&shared, START).token;
    assert!(!shared.reject(START, &two));
    assert!(!due(&shared, START) && due(&shared, at(1)));
    let refresh = shared.refresh(at(1)).expect("a refresh");
    refresh.finish(at(1), granted("three", 3600));
    assert_eq!(hit(&shared, at(1)).token.id_token(), "three");
}

/// Caught: a fingerprint without the number of flights. The acquisition ends and the next begins in one
/// poll, so the state looks the same.
#[test]
fn an_acquisition_that_ends_without_failure_wakes_all_waiters() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let forgotten = attempt(&shared, START, &ticket);
    let waits = waiter(&shared, START, &ticket);
    let newcomer = shared.ticket(Need::Usable);
    let next = wakes_all(&shared, "an end without failure", || {
        attempt(&shared, at(40), &newcomer)
    });
    assert!(is_woken(waits));
    drop(waiter(&shared, at(40), &ticket));
    drop((next, forgotten));
}

/// Caught: a `change` that always notifies, so that two waiters keep waking each other; one that
/// notifies before the change.
#[test]
fn calls_without_a_change_wake_no_waiter() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let pending = attempt(&shared, START, &ticket);
    wakes_none(&shared, "a getter", || {
        drop((
            shared.ticket(Need::Newer),
            usable(&shared, START),
            shared.cached_token(),
        ));
        drop((shared.status(START), shared.clone()));
    });
    wakes_none(&shared, "a poll that waits", || {
        waiter(&shared, START, &ticket).limit()
    });
    wakes_none(&shared, "a refresh of nothing", || {
        assert!(shared.refresh(START).is_none());
    });
    drop(waiter(&shared, at(10), &ticket));
    wakes_none(&shared, "a late failure", || {
        pending.finish(at(10), torn());
    });
    attempt(&shared, at(11), &ticket).finish(at(11), granted("one", 3600));
    wakes_none(&shared, "a poll that is answered", || {
        assert!(matches!(shared.poll(at(11), &ticket), SharedStep::Ready(_)));
        assert!(shared.refresh(at(11)).is_none());
    });
}

/// Caught: a waiter that registers when it begins to wait.
#[test]
fn a_waiter_is_woken_by_a_change_before_it_waits() {
    within("a waiter that was woken before it waits", || {
        let shared = shared(patient());
        let ticket = shared.ticket(Need::Usable);
        let pending = attempt(&shared, START, &ticket);
        let waiters = [(); 2].map(|()| waiter(&shared, START, &ticket));
        pending.finish(START, granted("one", 3600));
        let [thread, task] = waiters;
        assert_eq!(thread.limit(), HOUR);
        thread.block();
        block_on(task.changed());
    });
}

/// Caught: a `block` without its limit.
#[test]
fn block_returns_at_its_limit() {
    within("a waiter with a limit", || {
        let limit = Duration::from_millis(30);
        let mut config = config();
        config.attempt_timeout = limit;
        let shared = shared(config);
        let ticket = shared.ticket(Need::Usable);
        let pending = attempt(&shared, START, &ticket);
        let waiter = waiter(&shared, START, &ticket);
        assert_eq!(waiter.limit(), limit);
        let start = Instant::now();
        assert!(!waiter.block());
        assert!(start.elapsed() >= limit);
        drop(pending);
    });
}

/// It would not compile otherwise.
#[test]
fn everything_goes_to_other_threads() {
    fn goes<T: Send + 'static>(value: T) -> T {
        value
    }
    fn shares<T: Send + Sync + Clone + 'static>(_: &T) {}
    let shared = shared(config());
    shares(&shared);
    let ticket = goes(shared.ticket(Need::Usable));
    let attempt = goes(attempt(&shared, START, &ticket));
    let next = goes(shared.poll(START, &ticket));
    let SharedStep::Wait(waiter) = next else {
        panic!("{next:?}");
    };
    let changed = goes(goes(waiter).changed());
    drop(attempt);
    within("a future that was woken", || block_on(changed));
}

/// A due refresh starts even if the token does not meet the need, except for a call that needs a newer
/// token, whose ticket would be later than that refresh.
#[test]
fn a_hit_has_to_meet_the_need() {
    let shared = shared(config());
    fetch(&shared, START, "one");
    let ready = |now, need| {
        let mut refreshed = 0;
        let token = shared.ready(now, need, || refreshed += 1);
        (token.is_some(), refreshed)
    };
    assert_eq!(ready(START, Need::Usable), (true, 0));
    assert_eq!(ready(START, Need::For(HOUR)), (true, 0));
    let longer = HOUR + Duration::from_nanos(1);
    assert_eq!(ready(START, Need::For(longer)), (false, 0));
    assert_eq!(ready(START, Need::Newer), (false, 0));

    assert_eq!(ready(at(2800), Need::Usable), (true, 1));
    assert_eq!(ready(at(2800), Need::For(HOUR)), (false, 1));
    assert_eq!(ready(at(2800), Need::Newer), (false, 0));
    assert_eq!(ready(at(3600), Need::Usable), (false, 0));
}

// Attempts.

type Loss = fn(Attempt);

/// The ways to lose an attempt, in a thread and in a task.
const LOSSES: [(&str, Loss); 6] = [
    ("dropped", drop),
    ("lost in a panic", |attempt| {
        let lost = catch_unwind(AssertUnwindSafe(|| {
            let _attempt = attempt;
            panic_silently();
        }));
        assert!(lost.is_err());
    }),
    ("lost with a thread", |attempt| {
        let thread = thread::spawn(|| {
            let _attempt = attempt;
            panic_silently();
        });
        assert!(thread.join().is_err());
    }),
    ("in a task that is cancelled", |attempt| {
        let mut task = Box::pin(async move {
            let _attempt = attempt;
            future::pending::<()>().await;
        });
        assert!(poll_once(task.as_mut()).is_pending());
        drop(task);
    }),
    ("in a task that is never polled", |attempt| {
        drop(async move { attempt.finish(START, granted("never", 3600)) });
    }),
    ("in a task that panics", |attempt| {
        let mut task = Box::pin(async move {
            let _attempt = attempt;
            panic_silently();
        });
        assert!(catch_unwind(AssertUnwindSafe(|| poll_once(task.as_mut()))).is_err());
    }),
];

fn poll_once<F: Future + ?Sized>(task: Pin<&mut F>) -> Poll<F::Output> {
    task.poll(&mut Context::from_waker(Waker::noop()))
}

/// Caught: an `Attempt` without its `Drop`; a `Drop` that wakes no waiter; one that does nothing while
/// its thread panics; `notify(1)`.
#[test]
fn a_lost_attempt_abandons_its_flight_and_wakes_threads_and_tasks() {
    for (how, lose) in LOSSES {
        within(how, move || {
            let shared = shared(patient());
            let ticket = shared.ticket(Need::Usable);
            let lost = attempt(&shared, START, &ticket);
            let (waits, waiting) = mpsc::channel();
            let callers: Vec<_> = (0..6)
                .map(|caller| {
                    let (shared, ticket, waits) = (shared.clone(), ticket.clone(), waits.clone());
                    let call = move || {
                        loop {
                            match shared.poll(START, &ticket) {
                                SharedStep::Ready(token) => return token,
                                SharedStep::Failed(error) => panic!("{error}"),
                                SharedStep::Send(attempt) => {
                                    attempt.finish(START, granted("next", 3600));
                                }
                                SharedStep::Wait(waiter) => {
                                    waits.send(()).unwrap();
                                    if caller % 2 == 0 {
                                        waiter.block();
                                    } else {
                                        block_on(waiter.changed());
                                    }
                                }
                            }
                        }
                    };
                    thread::spawn(call)
                })
                .collect();
            for _ in &callers {
                waiting.recv().unwrap();
            }
            lose(lost);
            for caller in callers {
                assert_eq!(caller.join().unwrap().id_token(), "next");
            }
        });
    }
}

/// Caught: a machine that does not notice the deadline of an attempt.
#[test]
fn a_forgotten_attempt_ends_at_its_deadline() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let forgotten = attempt(&shared, START, &ticket);
    // The HTTP client's own time-out is a little before the deadline.
    let (_, timeout) = forgotten.start(START).expect("the flight");
    assert_eq!(timeout, Duration::from_millis(9750));
    mem::forget(forgotten);
    assert_eq!(
        waiter(&shared, at(4), &ticket).limit(),
        Duration::from_secs(6)
    );
    // A back-off follows, then the next attempt.
    drop(waiter(&shared, at(10), &ticket));
    attempt(&shared, at(11), &ticket).finish(at(11), granted("one", 3600));
    assert!(usable(&shared, at(11)).is_some());
}

/// Caught: an attempt that starts with its full time, after its deadline, or for nobody; a late start
/// that leaves its flight to the deadline.
#[test]
fn an_attempt_that_starts_late_has_less_time_or_none() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let late = attempt(&shared, START, &ticket);
    let (_, timeout) = late.start(at(9)).expect("the flight");
    assert_eq!(timeout, Duration::from_millis(900));
    assert!(late.start(just_before(at(10))).is_some());
    assert!(late.start(at(10)).is_none());
    late.run(|| at(10), |_, _| -> Answer { panic!("sent for nobody") });
    assert!(matches!(
        shared.status(at(10)).phase,
        Phase::BackingOff { attempts: 1, .. }
    ));

    let superseded = attempt(&shared, at(11), &ticket);
    shared.set_credentials(credentials("client"));
    assert!(superseded.start(at(11)).is_none());
    let current = attempt(&shared, at(11), &ticket);
    assert!(superseded.start(at(11)).is_none() && current.start(at(11)).is_some());
    let task = superseded.run_async(|| at(11), |_, _| async { Answer::Err(unreachable()) });
    assert!(poll_once(pin!(task)).is_ready());
    current.finish(at(11), granted("one", 3600));
    assert_eq!(hit(&shared, at(11)).token.id_token(), "one");
}

fn unreachable() -> Error {
    panic!("sent for nobody")
}

/// Caught: a waiter of an attempt that waits although the attempt was superseded before; one that is woken
/// by the poll itself.
#[test]
fn the_waiter_of_an_attempt_misses_no_change_since_the_poll() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let superseded = attempt(&shared, START, &ticket);
    shared.set_credentials(credentials("client"));
    assert_eq!(superseded.waiter().limit(), Duration::ZERO);
    let current = attempt(&shared, START, &ticket);
    assert_eq!(current.waiter().limit(), Duration::from_secs(10));
    assert!(!is_woken(current.waiter()));
    let waiter = current.waiter();
    current.finish(START, granted("one", 3600));
    assert!(is_woken(waiter));
}

/// Caught: a `take_over` that ends another flight than the waiter's; one without a wake-up.
#[test]
fn a_waiter_can_take_over_the_flight_that_it_waits_for() {
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let stuck = attempt(&shared, START, &ticket);
    let (waits, other) = (
        waiter(&shared, START, &ticket),
        waiter(&shared, START, &ticket),
    );
    shared.take_over(&waits);
    assert!(is_woken(other));
    let next = attempt(&shared, START, &ticket);
    shared.take_over(&waits);
    assert!(next.start(START).is_some() && stuck.start(START).is_none());
    // Its late answer is older.
    next.finish(START, granted("next", 3600));
    stuck.finish(START, granted("late", 3600));
    assert_eq!(hit(&shared, START).token.id_token(), "next");
}

/// Caught: an abandoned refresh without an event, or without its cause or endpoint.
#[test]
fn an_abandoned_refresh_fails_for_its_cause() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let shared = observed(config(), move |_, event| {
        if let Event::Failed { error, ahead, .. } = event {
            log.lock().unwrap().push((error.clone(), *ahead));
        }
    });
    shared.set_credentials(Credentials::new("client", "a-client-secret").unwrap());
    fetch(&shared, START, "one");
    drop(shared.refresh(at(2700)));
    let words = "no thread for a-client-secret";
    let cause = TransportError::with_detail(TransportErrorKind::Client, words);
    let abandoned = shared.refresh(at(2701)).expect("a refresh");
    abandoned.abandon(cause.into());
    let seen = seen.lock().unwrap();
    let [(unknown, true), (known, true)] = &seen[..] else {
        panic!("two failed refreshes, but got {seen:?}")
    };
    for (error, detail) in [(unknown, "could not start"), (known, "no thread")] {
        assert_eq!(
            error.kind(),
            ErrorKind::Transport(TransportErrorKind::Client)
        );
        let text = error.report().to_string();
        assert!(
            text.contains(detail) && text.contains("meshconnect.com"),
            "{text}"
        );
        assert!(!text.contains("a-client-secret"), "{text}");
    }
}

/// Caught: a response that is read inside the lock.
#[test]
fn a_response_is_read_outside_the_lock() {
    struct Curious(Shared);
    impl From<Curious> for BodyBuffer {
        fn from(body: Curious) -> Self {
            assert!(matches!(
                body.0.status(START).phase,
                Phase::Acquiring { .. }
            ));
            granted("one", 3600).unwrap().into_body().into()
        }
    }
    within("reading a response", || {
        let shared = shared(config());
        let attempt = first_attempt(&shared, START);
        assert_eq!(attempt.max_body(), BodyBuffer::DEFAULT_LIMIT);
        let (request, _) = attempt.start(START).expect("the flight");
        assert_eq!(request.method(), http::Method::POST);
        attempt.finish(START, Ok(Response::new(Curious(shared.clone()))));
        assert!(usable(&shared, START).is_some());
    });
}

/// Caught: a `finish` that takes the flight out of the attempt before it has read the response.
#[test]
fn a_panic_in_a_response_abandons_the_flight() {
    struct Bomb;
    impl From<Bomb> for BodyBuffer {
        fn from(_: Bomb) -> Self {
            panic_silently();
            BodyBuffer::from(Vec::new())
        }
    }
    let shared = shared(config());
    let ticket = shared.ticket(Need::Usable);
    let lost = attempt(&shared, START, &ticket);
    let waits = waiter(&shared, START, &ticket);
    let finish = AssertUnwindSafe(|| lost.finish(START, Ok(Response::new(Bomb))));
    assert!(catch_unwind(finish).is_err());
    assert!(is_woken(waits));
    drop(attempt(&shared, START, &ticket));
}

// Poison.

/// The only way to a panic inside the lock is a configuration that [`Config::check`] refuses, with
/// lifetimes that overflow.
///
/// Caught: a lock that is unwrapped.
#[test]
fn poison_is_ignored() {
    let mut config = config();
    config.fallback_lifetime = Duration::MAX;
    config.max_lifetime = Duration::MAX;
    config.refresh_ahead_percent = 200;
    assert!(config.check().is_err());
    let shared = shared(config);
    let ticket = shared.ticket(Need::Usable);
    let answer = br#"{"status":"ok","content":{"id_token":"endless"}}"#.to_vec();
    let lost = attempt(&shared, START, &ticket);
    let panicking = shared.clone();
    let thread = thread::spawn(move || lost.finish(START, Ok(Response::new(answer))));
    assert!(thread.join().is_err(), "no lock was poisoned");

    // The state is unchanged, and the machine still works.
    assert!(matches!(
        panicking.status(START).phase,
        Phase::Acquiring { .. }
    ));
    assert!(usable(&shared, START).is_none() && shared.cached_token().is_none());
    drop(waiter(&shared, START, &ticket));
    drop(waiter(&shared, at(10), &ticket));
    attempt(&shared, at(11), &ticket).finish(at(11), granted("one", 10));
    let token = hit(&shared, at(11)).token;
    assert!(
        shared
            .refresh(at(11))
            .is_some_and(|attempt| attempt.start(at(11)).is_some())
    );
    assert!(shared.reject(at(11), &token));
    shared.set_credentials(credentials("client"));
}

// Observers.

/// Caught: waiters that are woken before the observer was called, or not at all if it panics.
#[test]
fn the_observer_is_called_before_waiters_wake_even_if_it_panics() {
    type Waits = Pin<Box<dyn Future<Output = ()> + Send>>;
    let waits = Arc::new(Mutex::new(Vec::<Waits>::new()));
    let listeners = Arc::clone(&waits);
    let shared = observed(config(), move |_, event| {
        if matches!(event, Event::Refreshed { .. }) {
            for waiter in listeners.lock().unwrap().iter_mut() {
                let mut context = Context::from_waker(Waker::noop());
                assert!(waiter.as_mut().poll(&mut context).is_pending());
            }
            panic_silently();
        }
    });
    let ticket = shared.ticket(Need::Usable);
    let pending = attempt(&shared, START, &ticket);
    let waiter = waiter(&shared, START, &ticket);
    waits.lock().unwrap().push(Box::pin(waiter.changed()));
    let finish = AssertUnwindSafe(|| pending.finish(START, granted("one", 3600)));
    assert!(catch_unwind(finish).is_err());
    let mut waiter = waits.lock().unwrap().pop().unwrap();
    assert!(poll_once(waiter.as_mut()).is_ready());
    assert!(usable(&shared, START).is_some());
}

/// Caught: events that are not taken; observers called within the lock; a `reject` outside `change`.
#[test]
fn events_arrive_in_order_and_an_observer_can_call_back() {
    within("an observer that calls back", || {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let shared = observed(config(), move |shared, event| {
            log.lock().unwrap().push(format!("{event:?}"));
            let ticket = shared.ticket(Need::For(Duration::ZERO));
            drop((
                usable(shared, START),
                shared.cached_token(),
                shared.status(START),
            ));
            if let Event::Refreshed { .. } = event {
                assert!(shared.refresh(START).is_none());
                assert!(matches!(shared.poll(START, &ticket), SharedStep::Ready(_)));
                let other = Token::new("other", START.system_time().unwrap()).unwrap();
                assert!(shared.reject(START, &other));
            }
            if let Event::Rejected { .. } = event {
                // These cause more events.
                drop(attempt(shared, START, &ticket));
                shared.set_credentials(credentials("client"));
            }
        });
        let ticket = shared.ticket(Need::Usable);
        attempt(&shared, START, &ticket).finish(START, torn());
        attempt(&shared, at(1), &ticket).finish(at(1), granted("one", 3600));
        let token = hit(&shared, at(1)).token;
        assert!(shared.reject(at(1), &token));
        let attempt = first_attempt(&shared, at(2));
        attempt.finish(at(2), refused(403));

        let seen = seen.lock().unwrap();
        let names: Vec<_> = seen
            .iter()
            .map(|event| event.split(' ').next().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "Attempt",
                "Retry",
                "Attempt",
                "Refreshed",
                "Rejected",
                "Attempt",
                "Abandoned",
                "Attempt",
                "Failed",
                "CooldownStarted"
            ]
        );
    });
}

/// Caught: an attempt that is created after `change`, so that its flight is lost if the observer panics.
#[test]
fn a_panic_in_an_observer_abandons_the_flight() {
    within("an observer that panics", || {
        let armed = Arc::new(AtomicBool::new(false));
        let arm = Arc::clone(&armed);
        let shared = observed(config(), move |_, event| {
            if matches!(event, Event::Attempt { .. }) && armed.swap(false, Ordering::SeqCst) {
                panic_silently();
            }
        });
        let ticket = shared.ticket(Need::Usable);
        arm.store(true, Ordering::SeqCst);
        assert!(catch_unwind(AssertUnwindSafe(|| shared.poll(START, &ticket))).is_err());
        assert_eq!(shared.status(START).phase, Phase::Idle);
        fetch(&shared, START, "one");

        let now = at(2800);
        arm.store(true, Ordering::SeqCst);
        assert!(catch_unwind(AssertUnwindSafe(|| shared.refresh(now))).is_err());
        assert_eq!(shared.status(now).phase, Phase::Idle, "a refresh");
        assert!(due(&shared, now.after(Duration::from_secs(1))));
    });
}

/// A panic that leaves a destructor during a panic aborts the process.
///
/// Caught: events that wait for the next change if their thread panics; an observer whose panic is not
/// caught then.
#[test]
fn events_during_a_panic_arrive_even_if_the_observer_panics() {
    struct Rejects(Shared, Token);
    impl Drop for Rejects {
        fn drop(&mut self) {
            assert!(self.0.reject(START, &self.1));
        }
    }
    let seen = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&seen);
    let shared = observed(config(), move |_, event| {
        if matches!(event, Event::Rejected { .. }) {
            count.fetch_add(1, Ordering::SeqCst);
            panic_silently();
        }
    });
    fetch(&shared, START, "one");
    let rejects = Rejects(shared.clone(), hit(&shared, START).token);
    let unwinding = catch_unwind(AssertUnwindSafe(|| {
        let _rejects = rejects;
        panic_silently();
    }));
    assert!(unwinding.is_err());
    assert!(usable(&shared, START).is_none());
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

// Getters.

/// Caught: a `cached_token` that always returns `None`.
#[test]
fn cached_token_and_status_follow_the_machine() {
    let shared = shared(config());
    let status = shared.status(START);
    assert_eq!(status.phase, Phase::Idle);
    assert_eq!(status.client_id.as_str(), "client");
    assert!(status.expires_at.is_none() && status.last_failure.is_none());
    assert_eq!(&status.endpoint, shared.endpoint());
    assert!(shared.cached_token().is_none());

    let ticket = shared.ticket(Need::Usable);
    let pending = attempt(&shared, START, &ticket);
    assert!(matches!(
        shared.status(START).phase,
        Phase::Acquiring { attempt: 1, .. }
    ));
    pending.finish(START, torn());
    assert!(matches!(
        shared.status(START).phase,
        Phase::BackingOff { attempts: 1, .. }
    ));
    let pending = attempt(&shared, at(1), &ticket);
    pending.finish(at(1), refused(403));
    let status = shared.status(at(1));
    assert_eq!(status.phase, Phase::Idle);
    let failure = status.last_failure.unwrap();
    assert_eq!(failure.error.kind(), ErrorKind::Refused);
    assert_eq!(Some(failure.at), at(1).system_time());
    assert_eq!(status.cooldown_until, at(2).system_time());

    fetch(&shared, at(2), "one");
    let status = shared.status(at(2));
    assert_eq!(status.expires_at, at(3602).system_time());
    assert_eq!(status.next_refresh_at, at(2702).system_time());
    assert_eq!(status.last_success_at, at(2).system_time());
    assert!(status.last_failure.is_none());
    let cached = shared.cached_token().unwrap();
    assert_eq!(
        (cached.next_refresh(), cached.usable_until()),
        (at(2702), at(3572))
    );
    // It stays cached after its use.
    assert!(usable(&shared, at(4000)).is_none() && shared.cached_token().is_some());

    let ahead = shared.refresh(at(2702));
    assert_eq!(shared.status(at(2702)).phase, Phase::Refreshing);
    drop(ahead);
    shared.set_credentials(credentials("another"));
    assert_eq!(shared.status(at(2702)).client_id.as_str(), "another");
    let gateway = Endpoint::parse("https://gateway.example").unwrap();
    let exchange = Exchange::new(gateway.clone(), Credentials::new("id", "secret").unwrap());
    let shared = Shared::new(Machine::new(Config::default(), exchange, 1), None);
    assert_eq!(shared.endpoint(), &gateway);
    assert_eq!(format!("{shared:?}"), "Shared { .. }");
}
