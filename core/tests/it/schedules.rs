//! The schedules of three threads over one [`Shared`], by loom: no lost wake-up (which loom reports
//! as a deadlock), no second flight, no rejected token, and in the end a snapshot that agrees with
//! the machine.
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
//! credentials that wake no waiter.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::thread;

use crate::shared::{Attempt, Shared, SharedStep};
use crate::{
    Config, Credentials, Endpoint, Error, Exchange, Machine, Moment, Need, Token, TransportError,
    TransportErrorKind,
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
}

impl Service {
    fn new(answer: fn(u32) -> Answer) -> Arc<Self> {
        let mut config = Config::default();
        config.attempts = 1;
        let exchange = Exchange::new(Endpoint::default(), credentials("a"));
        Arc::new(Self {
            shared: Shared::new(Machine::new(config, exchange, 1), None),
            sent: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            answer,
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

    fn sent(&self) -> u32 {
        self.sent.load(SeqCst)
    }

    /// Returns the token of the snapshot.
    fn ready(&self) -> Option<Token> {
        self.shared.ready(NOW, Need::Usable, || ())
    }

    /// Checks that the snapshot agrees with the machine.
    fn end(&self) {
        let cached = self
            .shared
            .cached_token()
            .map(|cached| cached.token().clone());
        assert_eq!(self.ready(), cached);
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
