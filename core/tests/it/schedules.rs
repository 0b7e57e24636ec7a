//! The schedules of three threads over one [`Shared`], by loom: no lost wake-up (which loom reports
//! as a deadlock), no second flight, no rejected token, no waiter that wakes before the observer was
//! called, and in the end a snapshot that agrees with the machine, and one event for the end of each
//! attempt.
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test --release -p meshconnect-auth-core --features shared --lib \
//!     --target-dir target/loom schedules
//! ```
//!
//! A schedule has at most two preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says;
//! `SCHEDULES=all` removes the bound. Time does not pass, so nothing times out: a caller that is not
//! woken waits without end.
//!
//! Each of these mutations fails at least one test: `notify(1)`; a snapshot published outside the
//! lock; an attempt without its `Drop`; a listener registered after the lock; a rejection or new
//! credentials that wake no waiter; waiters woken before the observer is called; a take-over that ends
//! any flight, or wakes no waiter; an attempt that starts although its flight is over; a flight that
//! ends without an event.

use std::env;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use http::{Response, StatusCode};
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use loom::thread;

use crate::shared::{Attempt, Shared, SharedStep, Waiter};
use crate::{
    Config, Credentials, Endpoint, Error, Event, Exchange, Machine, Moment, Need, Token,
    TransportError, TransportErrorKind,
};

const NOW: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

/// When a refresh ahead is due.
const LATER: Moment = Moment {
    mono: Duration::from_secs(4000),
    wall: Duration::from_secs(1_800_003_000),
};

type Answer = Result<Response<Vec<u8>>, Error>;

/// A token endpoint, which counts its requests.
struct Service {
    shared: Shared,
    sent: AtomicU32,
    in_flight: AtomicU32,
    answer: fn(u32) -> Answer,
    /// The attempts that began, less the events that end one. Not loom's, so it costs no schedules.
    gauge: Arc<AtomicI32>,
}

impl Service {
    fn new(answer: fn(u32) -> Answer) -> Arc<Self> {
        Self::observed(answer, || ())
    }

    /// Calls `observe` before each event is counted.
    fn observed(answer: fn(u32) -> Answer, observe: fn()) -> Arc<Self> {
        let mut config = Config::default();
        config.attempts = 1;
        let exchange = Exchange::new(Endpoint::default(), credentials("a"));
        let gauge = Arc::new(AtomicI32::new(0));
        let observed = Arc::clone(&gauge);
        let observer = move |event: &Event| {
            observe();
            let change = i32::from(matches!(event, Event::Attempt { .. }));
            observed.fetch_add(change - i32::from(event.ends_attempt()), SeqCst);
        };
        let machine = Machine::new(config, exchange, 1);
        Arc::new(Self {
            shared: Shared::new(machine, Some(Box::new(observer))),
            sent: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            answer,
            gauge,
        })
    }

    /// Makes one call as a transport does, without the look at the snapshot.
    fn call(&self, now: Moment, need: Need) -> Result<Token, Error> {
        let ticket = self.shared.ticket(need);
        loop {
            match self.shared.poll(now, &ticket) {
                SharedStep::Ready(token) => return Ok(token),
                SharedStep::Failed(error) => return Err(error),
                SharedStep::Send(attempt) => self.send(now, attempt),
                SharedStep::Wait(waiter) => block_on(waiter.changed()),
            }
        }
    }

    fn send(&self, now: Moment, attempt: Attempt) {
        let number = self.sent.fetch_add(1, SeqCst) + 1;
        assert_eq!(self.in_flight.fetch_add(1, SeqCst), 0, "two live flights");
        let answer = (self.answer)(number);
        self.in_flight.fetch_sub(1, SeqCst);
        attempt.finish(now, answer);
    }

    /// Begins an attempt, which the caller finishes or drops.
    fn attempt(&self) -> Attempt {
        match self.shared.poll(NOW, &self.shared.ticket(Need::Usable)) {
            SharedStep::Send(attempt) => attempt,
            next => panic!("{next:?}"),
        }
    }

    /// Begins to wait for the flight of another call.
    fn waiter(&self) -> Option<Waiter> {
        match self.shared.poll(NOW, &self.shared.ticket(Need::Usable)) {
            SharedStep::Wait(waiter) => Some(waiter),
            SharedStep::Ready(_) => None,
            next => panic!("{next:?}"),
        }
    }

    fn sent(&self) -> u32 {
        self.sent.load(SeqCst)
    }

    /// Returns the token of the snapshot.
    fn ready(&self) -> Option<Token> {
        self.shared.ready(NOW, Need::Usable, || ())
    }

    /// Checks that the snapshot agrees with the machine, and that no attempt is in flight.
    fn end(&self) {
        let cached = self
            .shared
            .cached_token()
            .map(|cached| cached.token().clone());
        assert_eq!(self.ready(), cached);
        assert_eq!(self.gauge.load(SeqCst), 0, "attempts in flight");
    }
}

fn credentials(id: &str) -> Credentials {
    Credentials::new(id, "secret").unwrap()
}

fn granted(number: u32) -> Answer {
    let body =
        format!(r#"{{"status":"ok","content":{{"id_token":"token-{number}","expires_in":3600}}}}"#);
    Ok(Response::new(body.into_bytes()))
}

fn refused(_: u32) -> Answer {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::FORBIDDEN;
    Ok(response)
}

fn schedules(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    if env::var_os("SCHEDULES").is_none_or(|which| which != "all") {
        builder.preemption_bound = builder.preemption_bound.or(Some(2));
    }
    builder.check(run);
}

fn spawn<T: Send + 'static>(
    service: &Arc<Service>,
    run: impl FnOnce(&Service) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let service = Arc::clone(service);
    thread::spawn(move || run(&service))
}

#[test]
fn one_of_three_callers_sends_and_all_are_served() {
    schedules(|| {
        let service = Service::new(granted);
        let others = [0; 2].map(|_| spawn(&service, |service| service.call(NOW, Need::Usable)));
        let mine = service.call(NOW, Need::Usable).unwrap();
        for other in others {
            assert_eq!(other.join().unwrap().unwrap(), mine);
        }
        assert_eq!(service.sent(), 1);
        service.end();
    });
}

#[test]
fn another_caller_sends_after_a_dropped_attempt() {
    schedules(|| {
        let service = Service::new(granted);
        let attempt = service.attempt();
        let others = [0; 2].map(|_| spawn(&service, |service| service.call(NOW, Need::Usable)));
        drop(attempt);
        for other in others {
            other.join().unwrap().unwrap();
        }
        assert_eq!(service.sent(), 1);
        service.end();
    });
}

#[test]
fn all_callers_get_the_error_of_one_request() {
    schedules(|| {
        let service = Service::new(refused);
        let others = [0; 2].map(|_| spawn(&service, |service| service.call(NOW, Need::Usable)));
        let mine = service.call(NOW, Need::Usable).unwrap_err();
        for other in others {
            let error = other.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), mine.kind());
        }
        assert_eq!(service.sent(), 1);
        service.end();
    });
}

#[test]
fn a_rejected_token_is_not_served_again() {
    schedules(|| {
        let service = Service::new(granted);
        let old = service.call(NOW, Need::Usable).unwrap();
        let rejected = old.clone();
        let rejecting = spawn(&service, move |service| {
            service.shared.reject(NOW, &rejected);
            assert!(service.ready().is_none_or(|token| token != rejected));
            service.call(NOW, Need::Usable).unwrap()
        });
        let rejected = old.clone();
        let also = spawn(&service, move |service| {
            service.shared.reject(NOW, &rejected);
            service.call(NOW, Need::Usable).unwrap()
        });
        // A call in the meantime gets the old token or the new one, or has to wait.
        let ready = service.ready();
        assert!(ready.is_none_or(|token| token == old || token.id_token() == "token-2"));
        for token in [rejecting.join().unwrap(), also.join().unwrap()] {
            assert_ne!(token, old);
        }
        assert_eq!(service.sent(), 2, "a newer token was thrown away");
        service.end();
    });
}

#[test]
fn new_credentials_wake_the_waiters() {
    schedules(|| {
        let service = Service::new(granted);
        let attempt = service.attempt();
        let waiting = spawn(&service, |service| service.call(NOW, Need::Usable));
        let rotating = spawn(&service, |service| {
            service.shared.set_credentials(credentials("b"));
        });
        rotating.join().unwrap();
        waiting.join().unwrap().unwrap();
        let late = TransportError::with_detail(TransportErrorKind::Timeout, "late");
        attempt.finish(NOW, Err::<Response<Vec<u8>>, _>(late.into()));
        assert_eq!(service.sent(), 1);
        service.end();
    });
}

#[test]
fn a_refresh_ahead_is_sent_once_and_serves_a_need_for_newer() {
    schedules(|| {
        let service = Service::new(granted);
        let old = service.call(NOW, Need::Usable).unwrap();
        let others = [0; 2].map(|_| {
            spawn(&service, |service| {
                if let Some(attempt) = service.shared.refresh(LATER) {
                    service.send(LATER, attempt);
                }
            })
        });
        assert_ne!(service.call(LATER, Need::Newer).unwrap(), old);
        for other in others {
            other.join().unwrap();
        }
        // One refresh ahead, and one for the call, unless the call was there first.
        assert!((2..=3).contains(&service.sent()));
        service.end();
    });
}

#[test]
fn the_observer_is_called_before_a_waiter_wakes() {
    schedules(|| {
        let service = Service::observed(granted, thread::yield_now);
        let attempt = service.attempt();
        let waiting = spawn(&service, |service| {
            let Some(waiter) = service.waiter() else {
                return;
            };
            block_on(waiter.changed());
            assert_eq!(service.gauge.load(SeqCst), 0, "woken before the observer");
        });
        attempt.finish(NOW, granted(1));
        waiting.join().unwrap();
        service.end();
    });
}

#[test]
fn a_take_over_wakes_the_other_waiters() {
    schedules(|| {
        let service = Service::new(granted);
        // Its event loop has stopped.
        let stopped = service.attempt();
        let waiter = service.waiter().unwrap();
        let other = spawn(&service, |service| service.call(NOW, Need::Usable));
        // This call is cancelled after that.
        service.shared.take_over(&waiter);
        assert_eq!(other.join().unwrap().unwrap().id_token(), "token-1");
        drop(stopped);
        service.end();
    });
}

#[test]
fn two_waiters_take_over_one_flight_once() {
    schedules(|| {
        let service = Service::new(granted);
        // Its event loop has stopped.
        let stopped = service.attempt();
        let waiters = [0; 2].map(|_| service.waiter().unwrap());
        let others = waiters.map(|waiter| {
            spawn(&service, move |service| {
                service.shared.take_over(&waiter);
                service.call(NOW, Need::Usable).unwrap()
            })
        });
        for other in others {
            assert_eq!(other.join().unwrap().id_token(), "token-1");
        }
        assert_eq!(service.sent(), 1);
        drop(stopped);
        service.end();
    });
}

#[test]
fn a_waiter_takes_over_a_flight_that_finishes() {
    schedules(|| {
        let service = Service::new(granted);
        let attempt = service.attempt();
        let waiter = service.waiter().unwrap();
        let others = [
            spawn(&service, move |service| {
                service.shared.take_over(&waiter);
                service.call(NOW, Need::Usable)
            }),
            spawn(&service, |service| service.call(NOW, Need::Usable)),
        ];
        attempt.finish(NOW, granted(0));
        for other in others {
            other.join().unwrap().unwrap();
        }
        assert!(service.sent() <= 1);
        service.end();
    });
}

#[test]
fn an_attempt_that_new_credentials_supersede_does_not_start() {
    schedules(|| {
        let service = Service::new(granted);
        let attempt = service.attempt();
        let rotated = Arc::new(AtomicBool::new(false));
        let is_rotated = Arc::clone(&rotated);
        let starting = spawn(&service, move |_| {
            let is_rotated = is_rotated.load(SeqCst);
            let started = attempt.start(NOW);
            assert!(!is_rotated || started.is_none(), "sent for nobody");
            if started.is_some() {
                attempt.finish(NOW, granted(0));
            }
        });
        let rotating = spawn(&service, move |service| {
            service.shared.set_credentials(credentials("b"));
            rotated.store(true, SeqCst);
            service.call(NOW, Need::Usable).unwrap()
        });
        starting.join().unwrap();
        let token = rotating.join().unwrap();
        assert_eq!(token.id_token(), "token-1", "a token of the old client");
        service.end();
    });
}
