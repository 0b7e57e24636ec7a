//! What is asked for again, and what never is: three attempts, with waits of milliseconds.

use std::io;
use std::time::Duration;

use meshconnect_auth::Config;

use crate::faults::peer::Peer;
use crate::faults::row::{
    BROKEN, CERTIFICATE, MALFORMED, MISFRAMED, NOT_HTTP, Row, STALLED, Seen, TIMEOUT, TLS,
    TOKEN_SEEN, TORN, malformed, rejected,
};
use crate::support::EXAMPLE_200;
use crate::support::server::answer;
use crate::support::tls::Ca;

pub fn rows() -> Vec<Row> {
    [
        by_status(),
        by_envelope(),
        by_wire(),
        recoveries(),
        when_asked_to_wait(),
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
    // A retry needs a second of it.
    config.acquisition_timeout = Duration::from_secs(8);
}

fn by_status() -> Vec<Row> {
    let three = [408, 425, 429, 500, 502, 503, 504];
    let once = [
        300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411,
        413, 415, 418, 421, 422, 423, 424, 426, 428, 431, 451, 499, 501, 505, 507, 508, 511, 520,
        599, 600, 999,
    ];
    let asked = |times: usize, code: u16| {
        let answer = answer(&format!("{code} No"), "", EXAMPLE_200);
        Row::answers(
            format!("asked {}: {code}", in_words(times)),
            answer,
            rejected(code),
        )
        .times(times)
    };
    let three = three.into_iter().map(|code| asked(3, code));
    three
        .chain(once.into_iter().map(|code| asked(1, code)))
        .collect()
}

fn in_words(times: usize) -> &'static str {
    match times {
        1 => "once",
        3 => "3 times",
        _ => unreachable!(),
    }
}

fn by_envelope() -> Vec<Row> {
    let within = |http: u16, status: &str, attempts| {
        let body = EXAMPLE_200.replace("\"ok\"", &format!("\"{status}\""));
        let name = format!("asked {}: {status} within a {http}", in_words(attempts));
        Row::answers(
            name,
            answer(&format!("{http} Said"), "", &body),
            rejected(http),
        )
        .times(attempts)
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
    let half = answer("200 OK", "", EXAMPLE_200).replace(EXAMPLE_200, &EXAMPLE_200[..40]);
    let never = |name: &str, answer: &str, seen: Seen| {
        Row::answers(format!("asked once: {name}"), answer, seen)
    };
    let ca = Ca::new();
    vec![
        Row::goes_on("asked 3 times: closed without an answer", BROKEN, |_peer| {
            Ok(())
        })
        .times(3),
        Row::serves("asked 3 times: reset", BROKEN, |mut peer| {
            peer.request()?;
            peer.reset()
        })
        .times(3),
        Row::goes_on("asked 3 times: never answered", TIMEOUT, |peer| {
            peer.stall()
        })
        .soon()
        .times(3),
        Row::answers("asked 3 times: a torn body", half.clone(), TORN).times(3),
        Row::goes_on("asked 3 times: a stalled body", STALLED, move |peer| {
            peer.say(&half)?;
            peer.stall()
        })
        .soon()
        .times(3),
        Row::serves(
            "asked 3 times: plaintext where TLS is wanted",
            TLS,
            plaintext,
        )
        .trusting(&ca.pem)
        .times(3)
        .unasked(),
        never(
            "a chunk against the rules",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
            MISFRAMED,
        ),
        Row::goes_on(
            "asked once: a 403 whose body stalls",
            rejected(403),
            |peer| {
                peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n")?;
                peer.stall()
            },
        )
        .soon(),
        never("not HTTP", "SSH-2.0-OpenSSH_9.6\r\n", NOT_HTTP),
        never("a malformed body", &answer("200 OK", "", "{}"), MALFORMED),
        never(
            "an empty body",
            &answer("204 No Content", "", ""),
            malformed(204),
        ),
        never(
            "a body over the limit",
            "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
            MALFORMED,
        ),
        Row::answers("asked once: a certificate of nobody", "", CERTIFICATE)
            .encrypted(Ca::new().server("localhost"))
            .trusting(&ca.pem)
            .unasked(),
    ]
}

fn plaintext(mut peer: Peer) -> io::Result<()> {
    io::Read::read_exact(&mut peer, &mut [0; 5])?;
    peer.say("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
    peer.half_close()
}

/// Fails a number of times, and then has a token.
fn recoveries() -> Vec<Row> {
    let after = |name: &str, failures: usize, failure: fn(Peer) -> io::Result<()>| {
        Row::serves(
            format!("a token after {name}"),
            TOKEN_SEEN,
            move |mut peer| {
                peer.request()?;
                if peer.number() < failures {
                    return failure(peer);
                }
                peer.say(answer("200 OK", "", EXAMPLE_200))
            },
        )
        .times(failures + 1)
    };
    vec![
        after("a 503", 1, |mut peer| peer.say(answer("503 No", "", ""))),
        after("two 503", 2, |mut peer| peer.say(answer("503 No", "", ""))),
        after("two resets", 2, Peer::reset),
        after("a torn body", 1, |mut peer| {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        }),
        after("a stall", 1, |mut peer| peer.stall()).soon(),
    ]
}

fn when_asked_to_wait() -> Vec<Row> {
    let asked = |seconds: &str, attempts| {
        let headers = format!("Retry-After: {seconds}\r\n");
        let name = format!(
            "asked {}: a 503 with Retry-After {seconds}",
            in_words(attempts)
        );
        Row::answers(name, answer("503 No", &headers, ""), rejected(503)).times(attempts)
    };
    vec![
        // Each wait is drawn out by up to a second.
        asked("0", 3),
        asked("soon", 3),
        // Longer than there is time left.
        asked("60", 1),
        asked("99999999999999999999", 1),
    ]
}
