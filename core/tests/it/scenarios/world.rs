//! Runs a scenario: one machine, with its named tickets and flights.

use std::collections::BTreeMap;
use std::iter;
use std::time::{Duration, SystemTime};

use meshconnect_auth_core::{
    BodyBuffer, Config, Credentials, Endpoint, Exchange, Flight, Machine, Moment, Need,
    Step as Answer, Ticket, Token, Transmit, TransportError, TransportErrorKind,
};
use serde_json::{Value, json};

use crate::scenarios::format::{self, At, Given, Response, Step};
use crate::scenarios::output;

pub(crate) struct World {
    machine: Machine,
    start: Moment,
    config: Config,
    /// The expected body of a request.
    body: Value,
    tickets: BTreeMap<String, Ticket>,
    flights: BTreeMap<String, Flight>,
    /// The number of the current step.
    step: usize,
    pub(crate) ranges: Vec<Range>,
}

/// The expected bounds of a value, and the range of its results.
pub(crate) struct Range {
    pub(crate) step: usize,
    pub(crate) at_least: f64,
    pub(crate) at_most: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl World {
    pub(crate) fn new(given: &Given, seed: u64) -> Result<Self, String> {
        let mut config = Config::default();
        for (name, number) in &given.config {
            set(&mut config, name, *number)?;
        }
        config.check().map_err(|error| format!("given: {error}"))?;
        let credentials = Credentials::new("client", "secret").map_err(text)?;
        let exchange = Exchange::new(Endpoint::default(), credentials);
        Ok(Self {
            machine: Machine::new(config.clone(), exchange, seed),
            start: Moment {
                mono: Duration::from_secs_f64(given.start.mono),
                wall: Duration::from_secs_f64(given.start.wall),
            },
            config,
            body: json!({"clientId": "client", "clientSecret": "secret"}),
            tickets: BTreeMap::new(),
            flights: BTreeMap::new(),
            step: 0,
            ranges: Vec::new(),
        })
    }

    /// Takes the steps. The error describes the first step with another result.
    pub(crate) fn steps(&mut self, steps: &[Step]) -> Result<(), String> {
        for (number, step) in (1..).zip(steps) {
            self.step = number;
            self.take(step)
                .map_err(|why| format!("step {number}: {why}\n  in {step:?}"))?;
        }
        Ok(())
    }

    fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Ticket { name, need } => {
                let ticket = self.machine.ticket(match need {
                    format::Need::Usable => Need::Usable,
                    format::Need::For(time) => Need::For(Duration::from_secs_f64(*time)),
                    format::Need::Newer => Need::Newer,
                });
                fresh(self.tickets.insert(name.clone(), ticket))
            }
            Step::Poll { at, ticket, expect } => {
                let now = self.moment(*at);
                let ticket = self.tickets.get(ticket).ok_or("there is no such ticket")?;
                let answer = match self.machine.poll(now, ticket) {
                    Answer::Ready(token) => json!({"ready": token.id_token()}),
                    Answer::Send(transmit) => return self.send(transmit, expect),
                    Answer::Wait(time) => json!({"wait": time.as_secs_f64()}),
                    Answer::Failed(error) => json!({"failed": output::error(&error)}),
                };
                self.agree(&answer, expect)
            }
            Step::PollRefresh { at, expect } => match self.machine.poll_refresh(self.moment(*at)) {
                Some(transmit) => self.send(transmit, expect),
                None => self.agree(&json!("nothing"), expect),
            },
            Step::Answer {
                at,
                flight,
                response,
            } => {
                let (now, flight) = (self.moment(*at), self.land(flight)?);
                let outcome = flight.parse(self.response(response)?, now);
                self.machine.handle_outcome(now, flight, outcome);
                Ok(())
            }
            Step::Fail { at, flight, kind } => {
                let (now, flight) = (self.moment(*at), self.land(flight)?);
                let error = failure(transport_kind(kind)?).into();
                self.machine.handle_outcome(now, flight, Err(error));
                Ok(())
            }
            Step::Abandon { flight } => {
                let flight = self.land(flight)?;
                self.machine.handle_abandon(flight);
                Ok(())
            }
            Step::TimeLeft { at, flight, expect } => {
                let now = self.moment(*at);
                let flight = self.flights.get(flight).ok_or("there is no such flight")?;
                let left = self.machine.time_left(now, flight);
                let left = left.map_or(json!("nothing"), |left| json!(left.as_secs_f64()));
                self.agree(&left, expect)
            }
            Step::Reject { at, token, expect } => {
                let token = Token::new(token, SystemTime::UNIX_EPOCH).map_err(text)?;
                let repeat = self.machine.handle_rejection(self.moment(*at), &token);
                self.agree(&json!(repeat), &json!(expect))
            }
            Step::SetCredentials {
                client_id,
                client_secret,
            } => {
                let credentials = Credentials::new(&**client_id, &**client_secret);
                self.machine.set_credentials(credentials.map_err(text)?);
                self.body = json!({"clientId": client_id, "clientSecret": client_secret});
                Ok(())
            }
            Step::HandIn {
                at,
                token,
                expires_at,
            } => {
                let expiry = self.moment(At::Both(*expires_at)).system_time();
                let token = Token::new(token, expiry.ok_or("that is too late")?);
                let now = self.moment(*at);
                self.machine.handle_token(now, token.map_err(text)?);
                Ok(())
            }
            Step::CachedToken { expect } => {
                let cached = self.machine.cached_token();
                let cached = cached.map(|cached| output::cached_token(cached, self.start));
                self.agree(
                    &cached.unwrap_or(json!("nothing")),
                    &output::both_clocks(expect),
                )
            }
            Step::Events { expect } => {
                let events = iter::from_fn(|| self.machine.poll_event());
                let events = events.map(|event| output::event(&event)).collect();
                self.agree(&Value::Array(events), expect)
            }
            Step::Repeat { times, steps } => (0..*times).try_for_each(|_| self.steps(steps)),
        }
    }

    fn moment(&self, at: At) -> Moment {
        let (mono, wall) = match at {
            At::Both(at) => (at, at),
            At::Apart(at) => (at.mono, at.wall),
        };
        Moment {
            mono: shifted(self.start.mono, mono),
            wall: shifted(self.start.wall, wall),
        }
    }

    /// Checks a request, and names its flight as the expectation does.
    fn send(&mut self, transmit: Transmit, expect: &Value) -> Result<(), String> {
        let timeout = transmit.timeout.as_secs_f64();
        let Some(name) = expect.pointer("/send/flight").and_then(Value::as_str) else {
            return Err(format!("expected {expect}, got a request with {timeout} s"));
        };
        let whole = json!(self.config.attempt_timeout.as_secs_f64());
        let expected = expect.pointer("/send/timeout").unwrap_or(&whole);
        self.agree(&json!(timeout), expected)?;
        let body = serde_json::from_slice(transmit.request.body().as_ref()).map_err(text)?;
        self.agree(&body, &self.body.clone())?;
        self.agree(&json!(transmit.max_body), &json!(self.config.max_body))?;
        fresh(self.flights.insert(name.to_owned(), transmit.flight))
    }

    fn land(&mut self, flight: &str) -> Result<Flight, String> {
        let flight = self.flights.remove(flight);
        flight.ok_or_else(|| "there is no such flight".to_owned())
    }

    fn response(&self, response: &Response) -> Result<http::Response<BodyBuffer>, String> {
        let mut builder = http::Response::builder().status(response.status);
        for (name, value) in &response.headers {
            builder = builder.header(name, value);
        }
        let body = match (&response.json, &response.text) {
            (Some(json), None) => json.to_string(),
            (None, text) => text.clone().unwrap_or_default(),
            (Some(_), Some(_)) => return Err("a body is either JSON or text".to_owned()),
        };
        let headers = builder.headers_ref().ok_or("a header is invalid")?;
        let mut buffer = BodyBuffer::new(self.config.max_body, headers);
        buffer.push(body.as_bytes());
        if response.torn {
            buffer.broken(failure(TransportErrorKind::Broken));
        }
        builder.body(buffer).map_err(text)
    }

    /// Compares a result with its expectation: to the millisecond, or within bounds.
    fn agree(&mut self, actual: &Value, expected: &Value) -> Result<(), String> {
        if self.fits(actual, expected) {
            return Ok(());
        }
        Err(format!("expected {expected}, got {actual}"))
    }

    fn fits(&mut self, actual: &Value, expected: &Value) -> bool {
        match (actual, expected) {
            (Value::Number(actual), Value::Number(expected)) => {
                let both = actual.as_f64().zip(expected.as_f64());
                both.is_some_and(|(actual, expected)| (actual - expected).abs() < 0.001)
            }
            (Value::Number(actual), Value::Object(bounds)) => {
                let bound = |name| bounds.get(name).and_then(Value::as_f64);
                let (Some(at_least), Some(at_most), Some(actual)) =
                    (bound("at_least"), bound("at_most"), actual.as_f64())
                else {
                    return false;
                };
                self.ranges.push(Range {
                    step: self.step,
                    at_least,
                    at_most,
                    least: actual,
                    most: actual,
                });
                (at_least - 0.001..at_most + 0.001).contains(&actual)
            }
            (Value::Object(actual), Value::Object(expected)) => {
                let mut pairs = actual
                    .iter()
                    .map(|(name, actual)| (actual, expected.get(name)));
                actual.len() == expected.len()
                    && pairs.all(|(actual, expected)| {
                        expected.is_some_and(|expected| self.fits(actual, expected))
                    })
            }
            (Value::Array(actual), Value::Array(expected)) => {
                let mut pairs = actual.iter().zip(expected);
                actual.len() == expected.len()
                    && pairs.all(|(actual, expected)| self.fits(actual, expected))
            }
            _ => actual == expected,
        }
    }
}

fn set(config: &mut Config, name: &str, number: f64) -> Result<(), String> {
    let time = Duration::from_secs_f64(number);
    match name {
        "attempt_timeout" => config.attempt_timeout = time,
        "acquisition_timeout" => config.acquisition_timeout = time,
        "max_body" => config.max_body = number as usize,
        "attempts" => config.attempts = number as u32,
        "backoff" => config.backoff = time,
        "throttled_backoff" => config.throttled_backoff = time,
        "max_retry_after" => config.max_retry_after = time,
        "first_cooldown" => config.first_cooldown = time,
        "max_cooldown" => config.max_cooldown = time,
        "settled_after" => config.settled_after = time,
        "fallback_lifetime" => config.fallback_lifetime = time,
        "max_lifetime" => config.max_lifetime = time,
        "refresh_ahead_percent" => config.refresh_ahead_percent = number as u8,
        "max_refresh_ahead" => config.max_refresh_ahead = time,
        "refresh_jitter_percent" => config.refresh_jitter_percent = number as u8,
        "margin_percent" => config.margin_percent = number as u8,
        "max_margin" => config.max_margin = time,
        _ => return Err(format!("given: there is no setting {name:?}")),
    }
    Ok(())
}

fn transport_kind(name: &str) -> Result<TransportErrorKind, String> {
    Ok(match name {
        "Dns" => TransportErrorKind::Dns,
        "Connect" => TransportErrorKind::Connect,
        "Tls" => TransportErrorKind::Tls,
        "Certificate" => TransportErrorKind::Certificate,
        "Timeout" => TransportErrorKind::Timeout,
        "NotHttp" => TransportErrorKind::NotHttp,
        "Broken" => TransportErrorKind::Broken,
        "Client" => TransportErrorKind::Client,
        _ => return Err(format!("there is no kind {name:?}")),
    })
}

fn failure(kind: TransportErrorKind) -> TransportError {
    TransportError::with_detail(kind, "from the scenario")
}

/// Checks that a name is new. The name of a flight can be used again after its end.
fn fresh<T>(old: Option<T>) -> Result<(), String> {
    old.map_or(Ok(()), |_| Err("the name is taken".to_owned()))
}

fn shifted(start: Duration, seconds: f64) -> Duration {
    let distance = Duration::from_secs_f64(seconds.abs());
    let end = if seconds < 0.0 {
        start.checked_sub(distance)
    } else {
        start.checked_add(distance)
    };
    end.unwrap_or_else(|| panic!("{start:?} plus {seconds} s overflows"))
}

#[allow(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn text(error: impl ToString) -> String {
    error.to_string()
}
