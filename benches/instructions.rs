//! The operations that callgrind counts, each in a function of its own, repeated as often as the
//! second argument says. `.ci/instructions` runs them. Without valgrind the program only runs the
//! operation.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::env;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, Response};
use meshconnect_auth::shared::{Attempt, Shared, SharedStep};
use meshconnect_auth::{
    BodyBuffer, Client, Config, Credentials, Endpoint, Exchange, Machine, Moment, Need,
    RequestBody, Token,
};

/// The contract's example response as one line.
const BODY: &[u8] = br#"{"content":{"id_token":"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWUsImlhdCI6MTUxNjIzOTAyMn0.KMUFsIDTnFmyG3nMiGM6H9FNFUROf3wh7SmqJp-QV30","expires_in":3600,"status":"available"},"status":"ok","message":"","errorHash":"e47df370","errorType":""}"#;

const NOW: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

fn exchange() -> Exchange {
    let secret = "a secret of about the usual length, which is 64 characters or so";
    Exchange::new(
        Endpoint::default(),
        Credentials::new("11111111-2222-3333-4444-555555555555", secret).unwrap(),
    )
}

fn shared() -> Shared {
    Shared::new(Machine::new(Config::default(), exchange(), 1), None)
}

/// Returns a machine with a cached token that is fresh at [`NOW`].
fn with_token() -> Shared {
    let shared = shared();
    attempt(&shared).finish(NOW, Ok(response(BODY)));
    shared
}

/// Returns a client with a cached token that needs no refresh during the run.
fn client() -> Client {
    let expiry = SystemTime::now() + Duration::from_secs(12 * 60 * 60);
    let builder = Client::builder(exchange().credentials().clone());
    let cached = builder.initial_token(Token::new("a.b.c", expiry).unwrap());
    cached.build().unwrap()
}

fn attempt(shared: &Shared) -> Attempt {
    match shared.poll(NOW, &shared.ticket(Need::Newer)) {
        SharedStep::Send(attempt) => attempt,
        next => panic!("{next:?}"),
    }
}

fn response(bytes: &[u8]) -> Response<BodyBuffer> {
    let response = Response::builder()
        .header("content-type", "application/json; charset=utf-8")
        .header("date", "Fri, 15 Jan 2027 08:00:00 GMT")
        .header("content-length", bytes.len())
        .header("server", "Kestrel");
    let mut response = response.body(()).unwrap();
    let mut body = BodyBuffer::new(64 * 1024, response.headers());
    assert!(body.push(bytes));
    let headers = std::mem::take(response.headers_mut());
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// Includes reading both clocks in user space. Valgrind has no vDSO.
#[inline(never)]
fn measured_hit(client: &Client) -> HeaderValue {
    match pin!(client.token()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(token) => token.unwrap().header_value().clone(),
        Poll::Pending => panic!("the cached token was not ready"),
    }
}

/// Returns a header without reading the clocks.
#[inline(never)]
fn measured_timed_hit(shared: &Shared) -> HeaderValue {
    let token = shared.ready(NOW, Need::Usable, || panic!("the token is fresh"));
    token.unwrap().header_value().clone()
}

#[inline(never)]
fn measured_request(exchange: &Exchange) -> Request<RequestBody> {
    exchange.request()
}

#[inline(never)]
fn measured_parse(exchange: &Exchange, response: Response<BodyBuffer>) -> Token {
    exchange.parse(response, NOW).unwrap().into_token(NOW)
}

/// The floor: serde alone into a typed struct, without checks.
#[derive(serde::Deserialize)]
struct Bare<'a> {
    status: &'a str,
    content: BareContent<'a>,
}

#[derive(serde::Deserialize)]
struct BareContent<'a> {
    id_token: &'a str,
    expires_in: u64,
}

#[inline(never)]
fn measured_bare(body: &[u8]) -> usize {
    let bare: Bare<'_> = serde_json::from_slice(body).unwrap();
    bare.status.len()
        + bare.content.id_token.len()
        + usize::try_from(bare.content.expires_in).unwrap()
}

/// Parses into a tree, without checks. Includes dropping the tree.
#[inline(never)]
fn measured_value(body: &[u8]) -> usize {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap();
    value["content"]["id_token"].as_str().unwrap().len()
}

#[inline(never)]
fn measured_finish(attempt: Attempt, response: Response<BodyBuffer>) {
    attempt.finish(NOW, Ok(response));
}

/// Returns the example response with an unknown field: arrays, 100 deep, up to 64 KiB.
fn nested() -> Vec<u8> {
    let one = format!("{}{}", "[".repeat(99), "]".repeat(99));
    let many = vec![one; (64 * 1024 - BODY.len() - 20) / 199].join(",");
    let rest = str::from_utf8(&BODY[1..]).unwrap();
    format!(r#"{{"details":[{many}],{rest}"#).into_bytes()
}

fn main() {
    let mut arguments = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let operation = arguments.next().unwrap_or_default();
    let times: u32 = arguments.next().map_or(1, |times| times.parse().unwrap());
    let shared = shared();
    let with_token = with_token();
    let exchange = exchange();
    let client = client();
    let (operation, body) = match operation.strip_prefix("nested-") {
        Some(operation) => (operation, nested()),
        None => (operation.as_str(), BODY.to_vec()),
    };
    for _ in 0..times {
        match operation {
            "hit" => drop(black_box(measured_hit(&client))),
            "timed_hit" => drop(black_box(measured_timed_hit(&with_token))),
            "request" => drop(black_box(measured_request(&exchange))),
            "parse" => drop(black_box(measured_parse(&exchange, response(&body)))),
            "bare" => drop(black_box(measured_bare(&body))),
            "value" => drop(black_box(measured_value(&body))),
            "finish" => measured_finish(attempt(&shared), response(&body)),
            _ => {
                println!(
                    "usage: hit|timed_hit|request|parse|finish|bare|value|nested-parse|nested-bare|\
                     nested-value [TIMES]"
                );
            }
        }
    }
}
