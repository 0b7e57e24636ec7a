//! Measures parsing a response into a token.

use std::fmt::{self, Write};
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderValue, Response};
use meshconnect_auth::{Credentials, Endpoint, Exchange, Moment, Token};
use serde::Deserialize;
use serde_json::Value;

use crate::TOKEN;
use crate::rounds::Rounds;

/// The time of the request: half a minute after the token's `iat`.
const SENT: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_030),
};

/// The client's cap of ten years.
const LONGEST_LIFETIME: u64 = 10 * 365 * 24 * 60 * 60;

/// A response, and how often it is parsed in one round.
pub struct Case {
    pub name: &'static str,
    pub body: Vec<u8>,
    pub calls: usize,
}

/// Returns a typical response and two worst cases of 64 KiB.
pub fn cases() -> [Case; 3] {
    [
        Case {
            name: "a token's response",
            body: response_body(""),
            calls: 2000,
        },
        Case {
            name: "arrays, 100 deep, in an unknown field",
            body: deep("[", "", "]"),
            calls: 20,
        },
        Case {
            name: "objects, 100 deep, in an unknown field",
            body: deep(r#"{"a":"#, "0", "}"),
            calls: 20,
        },
    ]
}

fn response_body(first: &str) -> Vec<u8> {
    format!(
        r#"{{{first}"content":{{"id_token":"{TOKEN}","expires_in":3600,"status":"available"}},"status":"ok","message":"","errorHash":"e47df370","errorType":""}}"#
    )
    .into_bytes()
}

/// Returns a response of 64 KiB with an unknown field of values nested 100 deep, including the
/// outer array.
fn deep(open: &str, core: &str, close: &str) -> Vec<u8> {
    let one = format!("{}{core}{}", open.repeat(99), close.repeat(99));
    let room = 64 * 1024 - response_body(r#""details":[],"#).len();
    let all = vec![one.as_str(); (room + 1) / (one.len() + 1)];
    response_body(&format!(r#""details":[{}],"#, all.join(",")))
}

/// Returns a response in memory.
pub fn response(body: &[u8]) -> Response<Vec<u8>> {
    Response::builder()
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .header(DATE, "Fri, 15 Jan 2027 08:00:30 GMT")
        .body(body.to_vec())
        .unwrap()
}

/// Returns the exchange that parses the responses.
pub fn exchange() -> Exchange {
    let credentials = Credentials::new("id", "secret").unwrap();
    Exchange::new(Endpoint::default(), credentials)
}

/// Parses a response with this project.
pub fn ours(exchange: &Exchange, response: Response<Vec<u8>>) -> Token {
    exchange.parse(response, SENT).unwrap().into_token(SENT)
}

#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(borrow)]
    content: BareContent<'a>,
    status: &'a str,
}

#[derive(Deserialize)]
struct BareContent<'a> {
    id_token: &'a str,
    expires_in: u64,
}

/// Parses into a typed struct of borrowed text, without checks and without a token. This is the
/// floor.
pub fn bare(response: &Response<Vec<u8>>) -> (usize, u64) {
    let bare: Bare<'_> = serde_json::from_slice(response.body()).unwrap();
    (
        bare.status.len() + bare.content.id_token.len(),
        bare.content.expires_in,
    )
}

/// Parses a response through `serde_json::Value` with the checks of [`ours`]. It wipes nothing and
/// reports no reason for an error.
pub fn by_value(response: Response<Vec<u8>>) -> Option<(HeaderValue, SystemTime)> {
    let (head, body) = response.into_parts();
    let value: Value = serde_json::from_slice(&body).ok()?;
    if !head.status.is_success() || value["status"] != "ok" {
        return None;
    }
    let content = value.get("content")?;
    let id_token = content.get("id_token")?.as_str()?;
    let letters = id_token.trim_end_matches('=');
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if letters.is_empty() || !letters.bytes().all(good) {
        return None;
    }
    let expires_in = match content.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(Value::String(digits)) => Some(digits.parse().ok()?),
        Some(number) => Some(number.as_i64()?),
    };
    if expires_in.is_some_and(|seconds| seconds <= 0) {
        return None;
    }
    let (expires, issued) = claims(id_token).unwrap_or_default();
    let left = expires.and_then(|expires| {
        let date = head.headers.get(DATE)?.to_str().ok()?;
        let date = httpdate::parse_http_date(date).ok()?;
        let date = date.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        Some(expires - i64::try_from(date).ok()?)
    });
    let seconds = match (expires_in, left) {
        (Some(expires_in), Some(left)) => expires_in.min(left),
        (Some(seconds), None) | (None, Some(seconds)) => seconds,
        (None, None) => expires.zip(issued).map_or(300, |(end, begin)| end - begin),
    };
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    let lifetime = Duration::from_secs(seconds.min(LONGEST_LIFETIME));
    let mut header = HeaderValue::try_from(format!("Bearer {id_token}")).ok()?;
    header.set_sensitive(true);
    Some((header, SystemTime::UNIX_EPOCH + SENT.wall + lifetime))
}

/// Returns `exp` and `iat` of a JWT.
fn claims(id_token: &str) -> Option<(Option<i64>, Option<i64>)> {
    let mut parts = id_token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    let number = |name: &str| payload.get(name).and_then(Value::as_i64);
    Some((number("exp"), number("iat")))
}

/// Responses that are built before the clock starts.
struct Batch(Vec<Response<Vec<u8>>>);

impl Batch {
    fn of(body: &[u8], count: usize) -> Self {
        Self((0..count).map(|_| response(body)).collect())
    }
}

struct Row {
    case: usize,
    name: &'static str,
    read: Box<dyn Fn(Batch) -> Duration>,
    rounds: Rounds,
}

const OURS: &str = "`Exchange::parse` and `into_token`";

/// Measures all parsers on all responses over `rounds` rounds, and returns a table.
pub fn table(rounds: usize) -> String {
    let cases = cases();
    let mut rows = Vec::new();
    for case in 0..cases.len() {
        let exchange = exchange();
        let mut row = |name, read| {
            let rounds = Rounds::default();
            rows.push(Row {
                case,
                name,
                read,
                rounds,
            });
        };
        row(
            "`serde_json` into a bare struct",
            timed(|response| bare(&response)),
        );
        row(OURS, timed(move |response| ours(&exchange, response)));
        row("`serde_json::Value`, checked by hand", timed(by_value));
    }
    // As in the other table, the first round is a warm-up and the order changes each round.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for round in 0..=rounds {
        fastrand::shuffle(&mut order);
        for index in &order {
            let row = &mut rows[*index];
            let case = &cases[row.case];
            let mut time = Duration::ZERO;
            // Small batches keep most responses in the CPU caches.
            let batch = case.calls.min(100);
            for _ in 0..case.calls / batch {
                time += (row.read)(Batch::of(&case.body, batch));
            }
            if round > 0 {
                row.rounds
                    .push(time.as_secs_f64() * 1e9 / case.calls as f64);
            }
        }
    }
    print(&cases, &rows).unwrap()
}

/// Measures parsing and dropping each response, not building it.
fn timed<T: 'static>(
    read: impl Fn(Response<Vec<u8>>) -> T + 'static,
) -> Box<dyn Fn(Batch) -> Duration> {
    Box::new(move |batch| {
        let begin = Instant::now();
        for response in batch.0 {
            black_box(read(black_box(response)));
        }
        begin.elapsed()
    })
}

fn print(cases: &[Case], rows: &[Row]) -> Result<String, fmt::Error> {
    let mut table = String::new();
    writeln!(
        table,
        "| body | bytes | how | ns | middle half | × ours |\n|---|--:|---|--:|--:|--:|"
    )?;
    for (index, case) in cases.iter().enumerate() {
        let of_case = || rows.iter().filter(|row| row.case == index);
        let ours = &of_case().find(|row| row.name == OURS).unwrap().rounds;
        for row in of_case() {
            let median = row.rounds.median();
            let (low, high) = row.rounds.middle_half();
            writeln!(
                table,
                "| {} | {} | {} | {median:.0} | {low:.0} to {high:.0} | {:.2} |",
                case.name,
                case.body.len(),
                row.name,
                row.rounds.times(ours),
            )?;
        }
    }
    Ok(table)
}
