//! Which failures are retried, with three attempts and waits of milliseconds.

use std::io;
use std::time::Duration;

use meshconnect_auth::{Config, ErrorKind};

use crate::faults::peer::Peer;
use crate::faults::row::{
    BROKEN, CERTIFICATE, GRANTED, MALFORMED, MISFRAMED, NOT_HTTP, Outcome, Row, STALLED, TIMEOUT,
    TLS, TORN, malformed, refused,
};
use crate::support::EXAMPLE_200;
use crate::support::server::response;
use crate::support::tls::Ca;

pub fn rows() -> Vec<Row> {
    [
        by_status(),
        by_envelope(),
        by_wire(),
        recoveries(),
        by_retry_after(),
    ]
    .into_iter()
    .flatten()
    .map(|row| row.config(three_attempts))
    .collect()
}

fn three_attempts(config: &mut Config) {
    config.attempts = 3;
    config.backoff = Duration::from_millis(5);
    config.throttled_backoff = Duration::from_millis(5);
    // A retry needs a second of the acquisition time-out.
    config.acquisition_timeout = Duration::from_secs(8);
}

fn by_status() -> Vec<Row> {
    let retried = [408, 425, 429, 500, 502, 503, 504];
    let once = [
        300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411,
        413, 415, 418, 421, 422, 423, 424, 426, 428, 431, 451, 499, 501, 505, 507, 508, 511, 520,
        599, 600, 999,
    ];
    let row = |times: usize, code: u16| {
        let response = response(&format!("{code} No"), "", EXAMPLE_200);
        Row::responds(
            format!("{}: {code}", in_words(times)),
            response,
            refused(code),
        )
        .attempts(times)
    };
    let retried = retried.into_iter().map(|code| row(3, code));
    retried
        .chain(once.into_iter().map(|code| row(1, code)))
        .collect()
}

fn in_words(times: usize) -> &'static str {
    match times {
        1 => "1 attempt",
        3 => "3 attempts",
        _ => unreachable!(),
    }
}

fn by_envelope() -> Vec<Row> {
    let within = |http: u16, status: &str, attempts| {
        let body = EXAMPLE_200.replace("\"ok\"", &format!("\"{status}\""));
        let name = format!("{}: {status} within a {http}", in_words(attempts));
        let outcome = match (http, status) {
            (200, "serverFailure") => Outcome::Error(ErrorKind::Unavailable, Some(200)),
            (200, "tooManyRequest") => Outcome::Error(ErrorKind::Throttled, Some(200)),
            _ => refused(http),
        };
        Row::responds(name, response(&format!("{http} Said"), "", &body), outcome)
            .attempts(attempts)
    };
    vec![
        within(200, "serverFailure", 3),
        within(200, "tooManyRequest", 3),
        within(200, "badRequest", 1),
        within(200, "permissionDenied", 1),
        within(200, "newStatus", 1),
        within(400, "serverFailure", 1),
        within(403, "tooManyRequest", 1),
        within(503, "badRequest", 3),
    ]
}

fn by_wire() -> Vec<Row> {
    let half = response("200 OK", "", EXAMPLE_200).replace(EXAMPLE_200, &EXAMPLE_200[..40]);
    let once = |name: &str, response: &str, outcome: Outcome| {
        Row::responds(format!("1 attempt: {name}"), response, outcome)
    };
    let ca = Ca::new();
    vec![
        Row::after_request("3 attempts: closed without a response", BROKEN, |_peer| {
            Ok(())
        })
        .attempts(3),
        Row::serves("3 attempts: reset", BROKEN, |mut peer| {
            peer.request()?;
            peer.reset()
        })
        .attempts(3),
        Row::after_request("3 attempts: no response", TIMEOUT, Peer::stall)
            .short_timeout()
            .attempts(3),
        Row::responds("3 attempts: a torn body", half.clone(), TORN).attempts(3),
        Row::after_request("3 attempts: a stalled body", STALLED, move |peer| {
            peer.send(&half)?;
            peer.stall()
        })
        .short_timeout()
        .attempts(3),
        Row::serves("3 attempts: plaintext instead of TLS", TLS, plaintext)
            .trusting(&ca.pem)
            .attempts(3)
            .no_request(),
        once(
            "a malformed chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
            MISFRAMED,
        ),
        Row::after_request("1 attempt: a 403 whose body stalls", refused(403), |peer| {
            peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n")?;
            peer.stall()
        })
        .short_timeout(),
        once("not HTTP", "SSH-2.0-OpenSSH_9.6\r\n", NOT_HTTP),
        once("a malformed body", &response("200 OK", "", "{}"), MALFORMED),
        once(
            "an empty body",
            &response("204 No Content", "", ""),
            malformed(204),
        ),
        once(
            "a body over the limit",
            "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
            MALFORMED,
        ),
        Row::responds("1 attempt: a certificate of an unknown CA", "", CERTIFICATE)
            .encrypted(Ca::new().server("localhost"))
            .trusting(&ca.pem)
            .no_request(),
    ]
}

fn plaintext(mut peer: Peer) -> io::Result<()> {
    io::Read::read_exact(&mut peer, &mut [0; 5])?;
    peer.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
    peer.half_close()
}

/// Servers that fail a few times and then respond with a token.
fn recoveries() -> Vec<Row> {
    let after = |name: &str, failures: usize, failure: fn(Peer) -> io::Result<()>| {
        Row::serves(format!("a token after {name}"), GRANTED, move |mut peer| {
            peer.request()?;
            if peer.number() < failures {
                return failure(peer);
            }
            peer.send(response("200 OK", "", EXAMPLE_200))
        })
        .attempts(failures + 1)
    };
    vec![
        after("a 503", 1, |mut peer| peer.send(response("503 No", "", ""))),
        after("two 503s", 2, |mut peer| {
            peer.send(response("503 No", "", ""))
        }),
        after("two resets", 2, Peer::reset),
        after("a torn body", 1, |mut peer| {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        }),
        after("a stall", 1, |mut peer| peer.stall()).short_timeout(),
    ]
}

fn by_retry_after() -> Vec<Row> {
    let row = |seconds: &str, attempts| {
        let headers = format!("Retry-After: {seconds}\r\n");
        let name = format!("{}: a 503 with Retry-After {seconds}", in_words(attempts));
        Row::responds(name, response("503 No", &headers, ""), refused(503)).attempts(attempts)
    };
    vec![
        // Jitter adds up to a second to each wait.
        row("0", 3),
        row("soon", 3),
        // The delays exceed the time that is left.
        row("60", 1),
        row("99999999999999999999", 1),
    ]
}
