//! Every schedule of three threads over one [`Shared`], by loom: no lost wake-up (which loom reports
//! as a deadlock), no second flight, no rejected token.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p meshconnect-auth-core --features shared --lib
//! schedules`. By default a schedule has at most two preemptions; with `LOOM_MAX_PREEMPTIONS` as
//! many as it says, and `SCHEDULES=all` bounds nothing. Time stands still, and so nothing ever runs
//! out: whoever is not woken sleeps for ever.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::thread;

use super::{Lead, Next, Shared};
use crate::{
    Config, Credentials, Endpoint, Error, Exchange, Machine, Moment, Need, Token, TransportError,
    TransportErrorKind,
};

const NOW: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

type Answer = Result<Response<Vec<u8>>, Error>;

/// What a service does, and how often it was asked.
struct Service {
    shared: Shared,
    sent: AtomicU32,
    in_the_air: AtomicU32,
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
            in_the_air: AtomicU32::new(0),
            answer,
        })
    }

    /// One call, as a transport makes it, less the hit.
    fn call(&self, need: Need) -> Result<Token, Error> {
        let ticket = self.shared.ticket(need);
        loop {
            match self.shared.poll(NOW, &ticket) {
                Next::Ready(token) => return Ok(token),
                Next::Failed(error) => return Err(error),
                Next::Lead(lead) => self.send(lead),
                Next::Wait(waiter) => block_on(waiter.changed()),
            }
        }
    }

    fn send(&self, lead: Lead) {
        let number = self.sent.fetch_add(1, SeqCst) + 1;
        assert_eq!(self.in_the_air.fetch_add(1, SeqCst), 0, "two live flights");
        let answer = (self.answer)(number);
        self.in_the_air.fetch_sub(1, SeqCst);
        lead.finish(NOW, answer);
    }

    /// A flight that whoever calls this may bring back, or not.
    fn lead(&self) -> Lead {
        match self.shared.poll(NOW, &self.shared.ticket(Need::Usable)) {
            Next::Lead(lead) => lead,
            next => panic!("{next:?}"),
        }
    }

    fn sent(&self) -> u32 {
        self.sent.load(SeqCst)
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
        let others = [0; 2].map(|_| spawn(&service, |service| service.call(Need::Usable)));
        let mine = service.call(Need::Usable).unwrap();
        for other in others {
            assert_eq!(other.join().unwrap().unwrap(), mine);
        }
        assert_eq!(service.sent(), 1);
    });
}

#[test]
fn a_lead_that_is_dropped_is_taken_up_by_another() {
    schedules(|| {
        let service = Service::new(granted);
        let lead = service.lead();
        let others = [0; 2].map(|_| spawn(&service, |service| service.call(Need::Usable)));
        drop(lead);
        for other in others {
            other.join().unwrap().unwrap();
        }
        assert_eq!(service.sent(), 1);
    });
}

#[test]
fn of_a_failure_all_who_waited_are_told_and_the_hold_tells_the_rest() {
    schedules(|| {
        let service = Service::new(refused);
        let others = [0; 2].map(|_| spawn(&service, |service| service.call(Need::Usable)));
        let mine = service.call(Need::Usable).unwrap_err();
        for other in others {
            let error = other.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), mine.kind());
        }
        assert_eq!(service.sent(), 1);
    });
}

#[test]
fn a_rejected_token_is_given_to_nobody_who_asks_later() {
    schedules(|| {
        let service = Service::new(granted);
        let old = service.call(Need::Usable).unwrap();
        let rejected = old.clone();
        let rejecting = spawn(&service, move |service| {
            service.shared.reject(NOW, &rejected);
            let hit = service.shared.hit(NOW);
            assert!(hit.is_none_or(|hit| hit.token != rejected));
            service.call(Need::Usable).unwrap()
        });
        let rejected = old.clone();
        let also = spawn(&service, move |service| {
            service.shared.reject(NOW, &rejected);
            service.call(Need::Usable).unwrap()
        });
        // Whoever asks meanwhile is given the one or the other, or has to wait.
        let hit = service.shared.hit(NOW);
        assert!(hit.is_none_or(|hit| hit.token == old || hit.token.id_token() == "token-2"));
        for token in [rejecting.join().unwrap(), also.join().unwrap()] {
            assert_ne!(token, old);
        }
        assert_eq!(service.sent(), 2, "a newer token was thrown away");
    });
}

#[test]
fn new_credentials_wake_those_who_wait_for_the_old() {
    schedules(|| {
        let service = Service::new(granted);
        // A flight that nobody brings back.
        let lead = service.lead();
        let waiting = spawn(&service, |service| service.call(Need::Usable));
        let rotating = spawn(&service, |service| {
            service.shared.set_credentials(credentials("b"));
        });
        rotating.join().unwrap();
        waiting.join().unwrap().unwrap();
        let late = TransportError::with_detail(TransportErrorKind::Timeout, "late");
        lead.finish(NOW, Err::<Response<Vec<u8>>, _>(late.into()));
        assert_eq!(service.sent(), 1);
    });
}

#[test]
fn a_refresh_ahead_and_a_call_for_a_newer_token_share_the_air() {
    schedules(|| {
        let service = Service::new(granted);
        let old = service.call(Need::Usable).unwrap();
        let others = [0; 2].map(|_| {
            let old = old.clone();
            spawn(&service, move |service| {
                assert_ne!(service.call(Need::Newer).unwrap(), old);
            })
        });
        service.call(Need::Usable).unwrap();
        for other in others {
            other.join().unwrap();
        }
        assert!((2..=3).contains(&service.sent()));
    });
}
