//! Rejections over minutes of virtual time: how many tokens they cost, and which calls fail.

use std::time::Duration;

use http::{Response, StatusCode};
use meshconnect_auth_core::{
    Config, Credentials, Endpoint, Error, Exchange, Machine, Moment, Need, Step, Token, Transmit,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A client in virtual time, and a token endpoint that answers at once.
struct Client {
    machine: Machine,
    now: Duration,
    /// The time of each granted token. The first is `token-0`.
    granted: Vec<Duration>,
    is_down: bool,
}

impl Client {
    fn new(seed: u64) -> Self {
        let credentials = Credentials::new("client", "secret").unwrap();
        let exchange = Exchange::new(Endpoint::default(), credentials);
        Self {
            machine: Machine::new(Config::default(), exchange, seed),
            now: Duration::ZERO,
            granted: Vec::new(),
            is_down: false,
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            mono: self.now,
            wall: Duration::from_secs(1_800_000_000) + self.now,
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let response = if self.is_down {
            let mut response = Response::new(String::new());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        } else {
            let number = self.granted.len();
            self.granted.push(self.now);
            Response::new(format!(
                r#"{{"status":"ok","content":{{"id_token":"token-{number}","expires_in":3600}}}}"#
            ))
        };
        let outcome = transmit
            .flight
            .parse(response.map(String::into_bytes), self.moment());
        let now = self.moment();
        self.machine.handle_outcome(now, transmit.flight, outcome);
    }

    /// Returns a token as a transport does: it starts a refresh if one is due, and waits if it has to.
    fn token(&mut self) -> Result<Token, Error> {
        if let Some(transmit) = self.machine.poll_refresh(self.moment()) {
            self.send(transmit);
        }
        let ticket = self.machine.ticket(Need::Usable);
        loop {
            match self.machine.poll(self.moment(), &ticket) {
                Step::Ready(token) => return Ok(token),
                Step::Failed(error) => return Err(error),
                Step::Send(transmit) => self.send(transmit),
                Step::Wait(time) => self.now += time,
            }
        }
    }

    /// Makes one authorized call to an endpoint, and repeats it once if that is worth it. Returns whether
    /// the endpoint accepted a token.
    fn call(&mut self, accepts: impl Fn(&Self, &Token) -> bool) -> Result<bool, Error> {
        let token = self.token()?;
        if accepts(self, &token) {
            return Ok(true);
        }
        if !self.machine.handle_rejection(self.moment(), &token) {
            return Ok(false);
        }
        let other = self.token()?;
        if other == token {
            return Ok(false);
        }
        let accepted = accepts(self, &other);
        if !accepted {
            self.machine.handle_rejection(self.moment(), &other);
        }
        Ok(accepted)
    }

    fn granted_in(&self, start: Duration) -> usize {
        let minute = start..start + MINUTE;
        let granted = self.granted.iter();
        granted.filter(|time| minute.contains(time)).count()
    }

    fn granted_at(&self, token: &Token) -> Duration {
        let number = token.id_token().strip_prefix("token-").unwrap();
        self.granted[number.parse::<usize>().unwrap()]
    }
}

#[test]
fn an_endpoint_that_refuses_every_token_costs_few_tokens() {
    // Milliseconds between the calls, and seeds.
    for (pause, seeds) in [
        (10, 3),
        (100, 30),
        (1_000, 300),
        (7_000, 300),
        (45_000, 300),
        (61_000, 300),
    ] {
        for seed in 0..seeds {
            let mut client = Client::new(seed);
            while client.now < 10 * MINUTE {
                let accepted = client.call(|_, _| false);
                assert!(!accepted.expect("a call got no token"));
                client.token().expect("a call to another endpoint failed");
                client.now += Duration::from_millis(pause);
            }
            for minute in 0..10 {
                let tokens = client.granted_in(minute * MINUTE);
                let most = if minute == 0 { 8 } else { 2 };
                assert!(
                    tokens <= most,
                    "{tokens} tokens in minute {minute}, a call each {pause} ms, seed {seed}"
                );
            }
        }
    }
}

#[test]
fn an_endpoint_that_refuses_every_token_and_an_outage_fail_no_other_call() {
    // An outage before the first rejection, and one after many.
    for outage in [Duration::ZERO, MINUTE] {
        for seed in 0..300 {
            let mut client = Client::new(seed);
            client.token().unwrap();
            while client.now < 20 * MINUTE {
                client.is_down = client.now >= outage;
                let accepted = client.call(|_, _| false);
                assert!(!accepted.expect("a call got no token"));
                client.token().expect("a call to another endpoint failed");
                client.now += Duration::from_secs(1);
            }
        }
    }
}

#[test]
fn a_revocation_costs_one_token_and_a_second_one_fails_calls_for_the_interval() {
    let revoked = [Duration::from_secs(100), Duration::from_millis(100_200)];
    for seed in 0..300 {
        let mut client = Client::new(seed);
        let mut failed = Vec::new();
        while client.now < 3 * MINUTE {
            let now = client.now;
            let accepts = |client: &Client, token: &Token| {
                let granted = client.granted_at(token);
                !revoked
                    .iter()
                    .any(|at| (granted..=now).contains(at) && granted < *at)
            };
            if !client.call(accepts).unwrap() {
                failed.push(now);
            }
            client.now += Duration::from_millis(10);
        }
        assert_eq!(client.granted.len(), 3, "seed {seed}");
        let during = revoked[1]..revoked[0] + Duration::from_millis(1_010);
        assert!(!failed.is_empty() && failed.iter().all(|time| during.contains(time)));
    }
}
