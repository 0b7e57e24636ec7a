//! The memory of a waiter and of a client, and its independence of the number of refreshes.
//! `--nocapture` prints the figures, which count the bytes allocated by the measuring thread.

use std::env;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use allocation_counter::{AllocationInfo, measure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use meshconnect_auth::shared::{Attempt, Shared, SharedStep};
use meshconnect_auth::{
    Client, Config, Credentials, Endpoint, Exchange, Machine, Moment, Need, Token, blocking,
};

use crate::support::process::in_own_process;
use crate::support::server::{Server, response};
use crate::support::tls::Ca;
use crate::support::{EXAMPLE_200, runtime};

fn credentials() -> Credentials {
    Credentials::new("a-client-id", "a-client-secret").unwrap()
}

fn shared() -> Shared {
    let exchange = Exchange::new(Endpoint::default(), credentials());
    Shared::new(Machine::new(Config::default(), exchange, 1), None)
}

fn token() -> Token {
    let expiry = SystemTime::now() + Duration::from_secs(3600);
    Token::new("handed.in.token", expiry).unwrap()
}

/// Returns the bytes that each of `count` values occupies while it exists, its own size included.
fn bytes_each<T>(count: usize, mut make: impl FnMut() -> T) -> usize {
    let mut kept = Vec::with_capacity(count);
    let info = measure(|| kept.extend((0..count).map(|_| make())));
    usize::try_from(info.bytes_current).unwrap() / count + size_of::<T>()
}

/// Asserts that each of 100 and of 10,000 values occupies the same, and at most `limit`.
fn bytes_each_of_many<T>(what: &str, limit: usize, mut make: impl FnMut() -> T) {
    let each = [100, 10_000].map(|count| bytes_each(count, &mut make));
    println!("{what}: {each:?} bytes each of 100 and of 10,000, at most {limit}");
    let [few, many] = each;
    assert!(few.abs_diff(many) <= few / 50, "{what}: {few} {many}");
    assert!(many <= limit, "{what}: {many}");
}

const NOW: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

/// The memory of a blocked thread besides its stack.
#[test]
fn waiter_takes_at_most_128_bytes() {
    let shared = shared();
    let ticket = shared.ticket(Need::Usable);
    let SharedStep::Send(_attempt) = shared.poll(NOW, &ticket) else {
        panic!("expected to send");
    };
    bytes_each_of_many("waiter", 128, || match shared.poll(NOW, &ticket) {
        SharedStep::Wait(waiter) => waiter,
        next => panic!("{next:?}"),
    });
}

#[test]
fn waiting_async_call_takes_at_most_1_kib() {
    // The runtime is entered but not run, so no request is sent.
    let runtime = runtime();
    let _entered = runtime.enter();
    let client = Client::builder(credentials()).build().unwrap();
    let call = || -> Pin<Box<dyn Future<Output = _>>> {
        let client = client.clone();
        let mut call = Box::pin(async move { client.token().await });
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
        call
    };
    let _sender = call();
    bytes_each_of_many("async call that waits", 1024, call);
}

#[test]
fn idle_client_takes_few_kib() {
    let asynchronous = || {
        let client = Client::builder(credentials()).initial_token(token());
        client.build().unwrap()
    };
    let blocking = || {
        let client = blocking::Client::builder(credentials()).initial_token(token());
        client.build().unwrap()
    };
    // Initializes statics and thread-locals.
    drop((asynchronous(), blocking()));
    bytes_each_of_many("idle async client", 4096, asynchronous);
    bytes_each_of_many("idle blocking client", 6144, blocking);
}

/// Starts a server that responds with a token, over https if `ca` is given.
fn serving(ca: Option<&Ca>) -> (Server, Endpoint) {
    let response = response("200 OK", "", EXAMPLE_200);
    let (server, base_url) = match ca {
        None => {
            let server = Server::respond(response);
            let base_url = server.http();
            (server, base_url)
        }
        Some(ca) => {
            let server = Server::respond_over_tls(ca.server("localhost"), response);
            let base_url = server.https();
            (server, base_url)
        }
    };
    (server, Endpoint::parse(&base_url).unwrap())
}

/// Builds a client of the given type. A macro, because the builders share method names but no
/// trait.
macro_rules! build {
    ($client:ty, $endpoint:expr, $ca:expr) => {{
        let (endpoint, ca): (&Endpoint, Option<&Ca>) = ($endpoint, $ca);
        let mut config = Config::default();
        config.attempts = 1;
        let builder = <$client>::builder(credentials()).config(config);
        let builder = builder.endpoint(endpoint.clone());
        match ca {
            Some(ca) => builder.root_certificate_der(&ca.der),
            None => builder,
        }
        .build()
        .unwrap()
    }};
}

/// Over https with one CA. The next test covers the platform's certificates.
#[test]
fn client_after_a_request_takes_at_most_32_kib() {
    let runtime = runtime();
    let ca = Ca::new();
    for (scheme, ca, limit) in [
        ("http", None, [32 * 1024, 8 * 1024]),
        ("https", Some(&ca), [32 * 1024, 32 * 1024]),
    ] {
        let (_server, endpoint) = serving(ca);
        let asynchronous = || {
            let client = build!(Client, &endpoint, ca);
            runtime.block_on(async {
                client.token().await.unwrap();
                // The connection's task notices that the connection is no longer in use.
                tokio::time::sleep(Duration::from_millis(10)).await;
            });
            client
        };
        let blocking = || {
            let client = build!(blocking::Client, &endpoint, ca);
            client.token().unwrap();
            client
        };
        drop((asynchronous(), blocking()));
        for (name, limit, each) in [
            ("async", limit[0], bytes_each(20, asynchronous)),
            ("blocking", limit[1], bytes_each(20, blocking)),
        ] {
            println!(
                "{name} client after a request over {scheme}: {each} bytes each of 20, at most {limit}"
            );
            assert!(each <= limit, "{name} over {scheme}: {each}");
        }
    }
}

/// The memory of the platform's certificates, if there are any. A thread of their own loads them, so
/// this measures the process. The server closes each connection, so the clients keep what they loaded.
#[test]
#[cfg(target_os = "linux")]
fn platform_certificates_take_at_most_1_mib() {
    if !in_own_process(platform_certificates_take_at_most_1_mib) {
        return;
    }
    let server = Server::raw(|_closed| Ok(()));
    let endpoint = Endpoint::parse(&server.https()).unwrap();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: usize = line
            .unwrap()
            .trim()
            .strip_suffix(" kB")
            .unwrap()
            .parse()
            .unwrap();
        kib * 1024
    };
    let runtime = runtime();
    let asynchronous = || {
        let client = build!(Client, &endpoint, None);
        runtime.block_on(client.token()).unwrap_err();
        client
    };
    let blocking = || {
        let client = build!(blocking::Client, &endpoint, None);
        client.token().unwrap_err();
        client
    };
    let each = [each_of(resident, asynchronous), each_of(resident, blocking)];
    println!("client with the platform's certificates: {each:?} bytes each of 20");
    assert!(each.iter().all(|each| *each <= 1024 * 1024), "{each:?}");
}

/// Returns by how much `resident` grows with each of 20 values, after the first.
#[cfg(target_os = "linux")]
fn each_of<T>(resident: impl Fn() -> usize, make: impl Fn() -> T) -> usize {
    let mut kept = vec![make()];
    let before = resident();
    kept.extend((0..20).map(|_| make()));
    resident().saturating_sub(before) / 20
}

/// Returns the body of a granting response with a JWT that is different for each number.
fn grant_body(number: u64) -> Vec<u8> {
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"iat":1800000000,"jti":"{number:09}"}}"#));
    let id_token = format!("eyJhbGciOiJIUzI1NiJ9.{claims}.c2lnbmF0dXJl");
    let body = format!(
        r#"{{"content":{{"id_token":"{id_token}","expires_in":3600,"status":"available"}},"status":"ok","message":"","errorHash":"e47df370","errorType":""}}"#
    );
    body.into_bytes()
}

/// A client uses the same memory after a hundred years as after a month.
#[test]
fn memory_does_not_grow_with_refreshes() {
    const EARLY: u64 = 1000;
    let rounds = env::var("GROWTH_REFRESHES").map_or(100_000, |rounds| rounds.parse().unwrap());
    let shared = shared();
    let (mut number, mut now) = (0_u64, NOW);
    let mut refresh = || {
        number += 1;
        now = now.after(Duration::from_secs(3300));
        let attempt: Attempt = match shared.refresh(now) {
            Some(attempt) => attempt,
            None => match shared.poll(now, &shared.ticket(Need::Usable)) {
                SharedStep::Send(attempt) => attempt,
                next => panic!("{next:?}"),
            },
        };
        // Every third refresh fails. Every fifth token of the others is rejected.
        let mut response = Response::new(grant_body(number));
        if number.is_multiple_of(3) {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        attempt.finish(now, Ok(response));
        if number.is_multiple_of(5)
            && let Some(token) = shared.ready(now, Need::Usable, || {})
        {
            shared.reject(now, &token);
        }
    };
    let mut live_bytes =
        |rounds: u64| -> AllocationInfo { measure(|| (0..rounds).for_each(|_| refresh())) };
    // Both counts end at the same point of the repeating pattern.
    assert!(
        rounds > EARLY && rounds % 15 == EARLY % 15,
        "GROWTH_REFRESHES should be a power of ten, larger than {EARLY}; it is {rounds}"
    );
    let early = live_bytes(EARLY);
    let late = live_bytes(rounds - EARLY);
    println!(
        "after {EARLY} refreshes: {} bytes in {} pieces; after {rounds}: {} and {} more",
        early.bytes_current, early.count_current, late.bytes_current, late.count_current
    );
    assert_eq!((late.bytes_current, late.count_current), (0, 0));
    assert!(late.bytes_max <= early.bytes_max, "{early:?} {late:?}");
}
