//! Pins the number of allocations of each operation, because a gradual increase would go unnoticed.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use allocation_counter::{AllocationInfo, measure};
use http::{HeaderMap, Response, StatusCode};
use meshconnect_auth::shared::{Shared, SharedStep};
use meshconnect_auth::{
    BodyBuffer, Client, Config, Credentials, Endpoint, Exchange, Machine, Moment, Need, Token,
    blocking,
};

const NOW: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

fn credentials() -> Credentials {
    Credentials::new("a-client-id", "a-client-secret").unwrap()
}

fn exchange() -> Exchange {
    Exchange::new(Endpoint::default(), credentials())
}

fn token() -> Token {
    let expiry = SystemTime::now() + Duration::from_secs(3600);
    Token::new("handed.in.token", expiry).unwrap()
}

fn counted<T>(run: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut result = None;
    let info = measure(|| result = Some(run()));
    (result.unwrap(), info)
}

/// Returns the body of a granting response with this token.
fn grant_body(id_token: &str) -> Vec<u8> {
    format!(
        r#"{{"content":{{"id_token":"{id_token}","expires_in":3600,"status":"available"}},"status":"ok","message":"","errorHash":"e47df370","errorType":""}}"#
    )
    .into_bytes()
}

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMzYwMH0.sig";

fn response(status: StatusCode, body: &[u8]) -> Response<BodyBuffer> {
    let mut response = Response::new(BodyBuffer::from(body));
    *response.status_mut() = status;
    response
}

#[test]
fn cached_token_allocates_nothing() {
    let cached = |client: &Client| {
        let mut call = pin!(client.token());
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(token) => token.unwrap().header_value().clone(),
            Poll::Pending => panic!("a cached token was not ready"),
        }
    };
    let client = Client::builder(credentials())
        .initial_token(token())
        .build()
        .unwrap();
    let (header, info) = counted(|| cached(&client));
    assert_eq!(
        (header, info.count_total),
        (token().header_value().clone(), 0)
    );

    let client = blocking::Client::builder(credentials())
        .initial_token(token())
        .build()
        .unwrap();
    let (header, info) = counted(|| client.token().unwrap().header_value().clone());
    assert_eq!(
        (header, info.count_total),
        (token().header_value().clone(), 0)
    );
}

#[test]
fn request_allocates_its_uri_and_headers() {
    let exchange = exchange();
    let (request, info) = counted(|| exchange.request());
    assert!(request.body().as_ref().starts_with(b"{\"clientId\""));
    assert!(info.count_total <= 2, "{info:?}");
}

/// Allocated: the token's buffer, its owner, the state shared by clones, and the decoded claims of
/// a JWT.
#[test]
fn grant_allocates_the_token_and_its_claims() {
    let exchange = exchange();
    for (id_token, allocations) in [("opaque", 3), (JWT, 4)] {
        let response = response(StatusCode::OK, &grant_body(id_token));
        let (token, info) = counted(|| exchange.parse(response, NOW).unwrap().into_token(NOW));
        assert_eq!(token.id_token(), id_token);
        assert!(info.count_total <= allocations, "{info:?}");
        assert!(
            info.bytes_total < 512 + 2 * id_token.len() as u64,
            "{info:?}"
        );
    }
}

/// Returns bodies at the limit of 64 KiB that are expensive to parse.
fn expensive_bodies() -> Vec<(&'static str, Vec<u8>)> {
    const SIZE: usize = 64 * 1024;
    let good = |before: &str, piece: &str, after: &str| {
        let fixed = before.len() + after.len();
        let body = [before, &piece.repeat((SIZE - fixed) / piece.len()), after].concat();
        body.into_bytes()
    };
    let rest = r#""status":"ok","content":{"id_token":"a.b.c","expires_in":60}}"#;
    let member = |piece: &str| good(r#"{"x":["#, piece, &format!("0],{rest}"));
    vec![
        ("objects", member("{},")),
        ("numbers", member("1,")),
        ("strings", member("\"\",")),
        ("members", good("{", r#""x":0,"#, rest)),
        ("escaped members", good("{", r#""\u0078":0,"#, rest)),
        (
            "escaped members, skipped",
            good(r#"{"x":{"#, r#""\u0078":0,"#, &format!("\"y\":0}},{rest}")),
        ),
        (
            "escaped members of the content",
            good(
                r#"{"status":"ok","content":{"id_token":"a.b.c","expires_in":60"#,
                r#","\u0078":0"#,
                "}}",
            ),
        ),
        ("a string", good(r#"{"x":""#, "x", &format!("\",{rest}"))),
        ("nesting", {
            let deep = format!("{}{},", "[".repeat(100), "]".repeat(100));
            member(&deep)
        }),
        ("space", good("{", " ", rest)),
        (
            "a token",
            good(
                r#"{"status":"ok","content":{"id_token":""#,
                "x",
                r#"","expires_in":60}}"#,
            ),
        ),
        (
            "a message",
            good(r#"{"message":""#, "x", &format!("\",{rest}")),
        ),
        (
            "an escaped message",
            good(r#"{"message":""#, r"\n", &format!("\",{rest}")),
        ),
        (
            "an escaped string",
            good(r#"{"x":""#, r"\u0041", &format!("\",{rest}")),
        ),
        (
            "data of an error",
            good(r#"{"errorData":[""#, "x", &format!("\"],{rest}")),
        ),
    ]
}

/// `serde_json` skips nested values with a stack on the heap, which grows by doubling. It unescapes
/// a field into the same buffer, which costs up to twice the body.
#[test]
fn expensive_grants_allocate_little() {
    let exchange = exchange();
    for (name, body) in expensive_bodies() {
        let response = response(StatusCode::OK, &body);
        let (token, info) = counted(|| exchange.parse(response, NOW).unwrap().into_token(NOW));
        let (allocations, unescaped) = match name {
            "an escaped message" => (18, 2 * 64 * 1024),
            _ => (10, 0),
        };
        assert!(info.count_total <= allocations, "{name}: {info:?}");
        let limit = 1024 + unescaped + 2 * token.id_token().len() as u64;
        assert!(info.bytes_total <= limit, "{name}: {info:?}");
    }
}

/// Allocated: the token as above, the snapshot that callers share, and the events.
#[test]
fn caching_a_token_allocates_little_more() {
    let shared = Shared::new(Machine::new(Config::default(), exchange(), 1), None);
    let mut now = NOW;
    for id_token in ["the-first", "the-second", "the-third"] {
        now = now.after(Duration::from_secs(3500));
        let attempt = match shared.poll(now, &shared.ticket(Need::Newer)) {
            SharedStep::Send(attempt) => attempt,
            next => panic!("{next:?}"),
        };
        let response = response(StatusCode::OK, &grant_body(id_token));
        let ((), info) = counted(|| attempt.finish(now, Ok(response)));
        assert_eq!(
            shared.ready(now, Need::Usable, || {}).unwrap().id_token(),
            id_token
        );
        assert!(info.count_total <= 4, "{info:?}");
    }
}

/// Errors may allocate more, because their text is searched for secrets: up to twenty times the
/// body, and no allocation per member.
#[test]
fn expensive_refusals_allocate_within_bounds() {
    let exchange = exchange();
    let mut refused = Vec::new();
    for (name, mut body) in expensive_bodies() {
        refused.push((name, StatusCode::INTERNAL_SERVER_ERROR, body.clone()));
        body.pop();
        refused.push((name, StatusCode::OK, body));
    }
    let unknown = [
        br#"{"status":"ok","content":{"id_token":"a.b.c","status":""#,
        "x".repeat(64 * 1000).as_bytes(),
        br#""}}"#,
    ]
    .concat();
    refused.push(("an unknown status", StatusCode::OK, unknown));
    for (name, status, body) in refused {
        let size = body.len() as u64;
        let response = response(status, &body);
        let (result, info) = counted(|| exchange.parse(response, NOW));
        let is_grant = name == "an unknown status";
        assert_eq!(result.is_ok(), is_grant, "{name}, {status}");
        assert!(info.count_total <= 100, "{name}, {status}: {info:?}");
        assert!(info.bytes_max <= 20 * size, "{name}, {status}: {info:?}");
    }
}

/// A body without a known length is copied as it grows. One with a `Content-Length` is not.
#[test]
fn body_with_content_length_is_one_allocation() {
    let body = grant_body(JWT);
    let headers: HeaderMap = [(http::header::CONTENT_LENGTH, body.len().into())]
        .into_iter()
        .collect();
    let (buffer, info) = counted(|| {
        let mut buffer = BodyBuffer::new(64 * 1024, &headers);
        assert!(body.chunks(16).all(|piece| buffer.push(piece)));
        buffer
    });
    assert!(buffer.wants_more());
    assert_eq!(info.count_total, 1, "{info:?}");
}
