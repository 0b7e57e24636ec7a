//! The outcome of a flight, as a client parses it and as the tables define it.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use meshconnect_auth_core::{
    Config, Credentials, Endpoint, Error, ErrorKind, Exchange, Flight, Grant, Machine, Moment,
    Need, Step, Token, TransportError, TransportErrorKind,
};

use super::model::{Checked, Outcome, Problem};
use super::ops::{Answer, Which};
use crate::naive_reader::refused_as;

/// Returns an exchange with the credentials of a client and a generation.
pub(super) fn exchange(client: usize, generation: usize) -> Exchange {
    match Credentials::new(format!("client-{client}"), format!("secret-{generation}")) {
        Ok(credentials) => Exchange::new(Endpoint::default(), credentials),
        Err(error) => panic!("the credentials are valid, but got {error}"),
    }
}

pub(super) fn token(name: &str, expires_at: SystemTime) -> Checked<Token> {
    Token::new(name, expires_at).map_err(|error| error.to_string())
}

/// Returns the share of the jitter that a machine with this seed applies, from 0 to 1. It is the
/// same for each of its tokens, so one token is enough to measure it.
pub(super) fn jitter(seed: u64) -> f64 {
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
    // The refresh is due half an hour before the end, minus a jitter of up to a tenth of the
    // lifetime.
    let early = lifetime.saturating_sub(next_refresh).as_secs_f64() - 1_800.0;
    let jitter = early / 100_000.0;
    assert!(
        (0.0..=1.0).contains(&jitter),
        "the jitter {jitter} is out of range"
    );
    jitter
}

/// Returns the outcome that a client gets from this answer.
pub(super) fn outcome(
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

/// Returns the outcome of the same answer by the tables.
pub(super) fn expected_outcome(answer: Answer, name: &str, mark: u32, now: Moment) -> Outcome {
    let problem = |kind, retried| Problem {
        mark: Some(mark),
        retried,
        ..Problem::new(kind, 1)
    };
    Outcome::Problem(match answer {
        Answer::Token(_, Some(0)) | Answer::Malformed => problem(ErrorKind::Malformed, false),
        Answer::Token(_, seconds) => return Outcome::token(name.to_owned(), seconds),
        Answer::Status(status, retry_after) => Problem {
            throttled: [408, 425, 429].contains(&status) || (500..600).contains(&status),
            retry_at: retry_after
                .map(|seconds| now.mono.saturating_add(Duration::from_secs(seconds.into()))),
            ..problem(
                match status {
                    429 => ErrorKind::Throttled,
                    408 | 425 | 500..=599 => ErrorKind::Unavailable,
                    _ => ErrorKind::Refused,
                },
                [408, 425, 429, 500, 502, 503, 504].contains(&status),
            )
        },
        Answer::Envelope(status) => {
            let throttled = ["serverFailure", "tooManyRequest"].contains(&status);
            Problem {
                throttled,
                ..problem(refused_as(status), throttled)
            }
        }
        Answer::Wire(kind) => problem(
            ErrorKind::Transport(kind),
            kind != TransportErrorKind::Certificate && kind != TransportErrorKind::NotHttp,
        ),
    })
}
