//! The schedules of three threads over one [`Shared`], by loom: no lost wake-up (which loom reports
//! as a deadlock), no second flight, no rejected token, and in the end a snapshot that says what the
//! machine says.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p meshconnect-auth-core --features shared --lib
//! schedules`. A schedule has at most two preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says;
//! `SCHEDULES=all` bounds nothing. Time stands still, and so nothing ever runs
//! out: whoever is not woken sleeps for ever.
//!
//! Broken once each to see them fail: `notify(1)`; a snapshot published outside the lock; a attempt
//! without its `Drop`; a listener registered after the lock; a rejection, and new credentials, of
//! which nobody is told.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::thread;

use super::{Attempt, Shared, SharedStep};
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

/// What a service does, and how often it was asked.
struct Service {
    shared: Shared,
    sent: AtomicU32,
    is_in_flight: AtomicU32,
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
            is_in_flight: AtomicU32::new(0),
            answer,
        })
    }

    /// One call, as a transport makes it, less the hit.
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
        assert_eq!(
            self.is_in_flight.fetch_add(1, SeqCst),
            0,
            "two live flights"
        );
        let answer = (self.answer)(number);
        self.is_in_flight.fetch_sub(1, SeqCst);
        attempt.finish(now, answer);
    }

    /// A flight that whoever calls this may bring back, or not.
    fn attempt(&self) -> Attempt {
        match self.shared.poll(NOW, &self.shared.ticket(Need::Usable)) {
            SharedStep::Send(attempt) => attempt,
            next => panic!("{next:?}"),
        }
    }

    fn sent(&self) -> u32 {
        self.sent.load(SeqCst)
    }

    /// What hits see when all is over is what the machine holds.
    fn end(&self) {
        let cached = self
            .shared
            .cached_token()
            .map(|cached| cached.token().clone());
        assert_eq!(self.shared.hit(NOW).map(|hit| hit.token), cached);
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
fn of_three_callers_one_sends_and_all_are_served() {
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
fn a_lead_that_is_dropped_is_taken_up_by_another() {
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
fn of_a_failure_all_who_waited_are_told_and_the_cooldown_tells_the_rest() {
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
fn a_rejected_token_is_given_to_nobody_who_asks_later() {
    schedules(|| {
        let service = Service::new(granted);
        let old = service.call(NOW, Need::Usable).unwrap();
        let rejected = old.clone();
        let rejecting = spawn(&service, move |service| {
            service.shared.reject(NOW, &rejected);
            let hit = service.shared.hit(NOW);
            assert!(hit.is_none_or(|hit| hit.token != rejected));
            service.call(NOW, Need::Usable).unwrap()
        });
        let rejected = old.clone();
        let also = spawn(&service, move |service| {
            service.shared.reject(NOW, &rejected);
            service.call(NOW, Need::Usable).unwrap()
        });
        // Whoever asks meanwhile is given the one or the other, or has to wait.
        let hit = service.shared.hit(NOW);
        assert!(hit.is_none_or(|hit| hit.token == old || hit.token.id_token() == "token-2"));
        for token in [rejecting.join().unwrap(), also.join().unwrap()] {
            assert_ne!(token, old);
        }
        assert_eq!(service.sent(), 2, "a newer token was thrown away");
        service.end();
    });
}

#[test]
fn new_credentials_wake_those_who_wait_for_the_old() {
    schedules(|| {
        let service = Service::new(granted);
        // A flight that nobody brings back.
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
fn a_refresh_ahead_is_sent_once_and_serves_who_needs_a_newer_token() {
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
