//! Heads: too many, too large, too slow, and against the rules.

use std::time::Duration;

use crate::faults::row::Which::{Reqwest, Ureq};
use crate::faults::row::{BROKEN, NOT_HTTP, Row, TIMEOUT, TOKEN_SEEN, rejected};
use crate::support::EXAMPLE_200;
use crate::support::server::answer;
use crate::support::{SECRET, TOKEN};

pub fn rows() -> Vec<Row> {
    [counts_and_sizes(), floods(), paces(), syntax(), meanings()]
        .into_iter()
        .flatten()
        .collect()
}

fn with(headers: &str) -> String {
    answer("200 OK", headers, EXAMPLE_200)
}

fn numbered(count: usize) -> String {
    (0..count)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect()
}

fn counts_and_sizes() -> Vec<Row> {
    let value = |bytes: usize| with(&format!("X-Large: {}\r\n", "v".repeat(bytes)));
    let name = |bytes: usize| with(&format!("{}: v\r\n", "n".repeat(bytes)));
    vec![
        // Two more are Content-Type and Content-Length.
        Row::answers("100 headers", with(&numbered(98)), TOKEN_SEEN),
        Row::answers("128 headers", with(&numbered(126)), TOKEN_SEEN),
        Row::answers("129 headers", with(&numbered(127)), NOT_HTTP),
        Row::answers("10,000 headers", with(&numbered(10_000)), NOT_HTTP).hungry(),
        Row::answers(
            "one name 100 times",
            with(&"X-Same: y\r\n".repeat(100)),
            TOKEN_SEEN,
        ),
        Row::answers("a value of 32 KiB", value(32 * 1024), TOKEN_SEEN),
        Row::goes_on("a value of 128 KiB", TOKEN_SEEN, move |peer| {
            peer.say(value(128 * 1024))
        })
        .but(
            Ureq,
            NOT_HTTP,
            "its limit for a head is 64 KiB, hyper's is about 400 KiB",
        ),
        Row::goes_on("a value of 1 MiB", NOT_HTTP, move |peer| {
            peer.say(value(1024 * 1024))
        })
        .hungry(),
        Row::answers("a name of 32 KiB", name(32 * 1024), TOKEN_SEEN),
        Row::goes_on("a name of 1 MiB", NOT_HTTP, move |peer| {
            peer.say(name(1024 * 1024))
        })
        .hungry(),
        Row::goes_on("a reason of 1 MiB", NOT_HTTP, |peer| {
            peer.say(with("").replacen("OK", &"k".repeat(1024 * 1024), 1))
        })
        .hungry(),
    ]
}

/// Reading more would take a debug build longer than a test may. It is less than the limit for memory,
/// so what these two rows show of that is only that nothing multiplies.
const A_LITTLE: usize = 2 * 1024 * 1024;
const TIRELESS: &str = "hyper reads 1xx for as long as there are any, and no timer fires meanwhile, \
                        most of the time not even on a runtime of several threads";

fn floods() -> Vec<Row> {
    let head = |name, piece: &'static str| {
        Row::goes_on(name, NOT_HTTP, move |peer| {
            peer.say("HTTP/1.1 200 OK\r\n")?;
            peer.flood(piece)
        })
        .hungry()
    };
    let informational = |name, piece: &'static str| {
        Row::goes_on(name, TIMEOUT, move |peer| peer.flood_with(A_LITTLE, piece))
            .soon()
            .on_threads(TIRELESS)
            .late(Reqwest, Duration::from_secs(10), TIRELESS)
            .but(
                Ureq,
                NOT_HTTP,
                "its limit for a head counts all 1xx before it too",
            )
            .hungry()
    };
    vec![
        head("headers without end", "X-Flood: y\r\n"),
        head(
            "large headers without end",
            concat!("X-Flood: ", "0123456789abcdef0123456789abcdef", "\r\n"),
        ),
        head("cookies without end", "Set-Cookie: a=b; Path=/\r\n"),
        head("a value without end", "vvvvvvvvvvvvvvvv"),
        head("a value of the token without end", TOKEN),
        Row::goes_on("a name without end", NOT_HTTP, |peer| {
            peer.say("HTTP/1.1 200 OK\r\nX")?;
            peer.flood("n")
        })
        .hungry(),
        Row::goes_on("a reason without end", NOT_HTTP, |peer| {
            peer.say("HTTP/1.1 200 ")?;
            peer.flood("OK")
        })
        .hungry(),
        Row::goes_on(
            "a status line of one letter without end",
            NOT_HTTP,
            |peer| peer.flood("H"),
        )
        .hungry(),
        Row::goes_on("zeros without end", NOT_HTTP, |peer| peer.flood([0])).hungry(),
        Row::goes_on("line ends without end", NOT_HTTP, |peer| peer.flood("\r\n")).hungry(),
        informational("100 without end", "HTTP/1.1 100 Continue\r\n\r\n"),
        informational(
            "103 with headers without end",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
        ),
        Row::goes_on("a 103 with a header of 1 MiB", NOT_HTTP, |peer| {
            peer.say(format!(
                "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
                "l".repeat(1024 * 1024)
            ))?;
            peer.say(with(""))
        })
        .hungry(),
        Row::goes_on("a 103 with headers without end", NOT_HTTP, |peer| {
            peer.say("HTTP/1.1 103 Early Hints\r\n")?;
            peer.flood("Link: </a>\r\n")
        })
        .hungry(),
    ]
}

fn paces() -> Vec<Row> {
    let pause = Duration::from_millis(1);
    vec![
        Row::goes_on("a head byte by byte, in time", TOKEN_SEEN, move |peer| {
            peer.drip(with(""), 1, pause)
        })
        .patiently(),
        Row::goes_on("a head byte by byte, too slowly", TIMEOUT, |peer| {
            peer.drip(with(""), 1, Duration::from_millis(50))
        })
        .soon(),
        Row::goes_on("headers byte by byte without end", TIMEOUT, |peer| {
            peer.say("HTTP/1.1 200 OK\r\n")?;
            peer.drip_forever("X: y\r\n")
        })
        .soon(),
        Row::goes_on("1xx byte by byte without end", TIMEOUT, |peer| {
            peer.drip_forever("HTTP/1.1 100 Continue\r\n\r\n")
        })
        .soon(),
        Row::goes_on("half a status line, and then nothing", TIMEOUT, |peer| {
            peer.say("HTTP/1.1 2")?;
            peer.stall()
        })
        .soon(),
        Row::goes_on("half a head, and then nothing", TIMEOUT, |peer| {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-")?;
            peer.stall()
        })
        .soon(),
        Row::goes_on("a 100, and then nothing", TIMEOUT, |peer| {
            peer.say("HTTP/1.1 100 Continue\r\n\r\n")?;
            peer.stall()
        })
        .soon(),
        Row::goes_on("half a head, and then the end", BROKEN, |peer| {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-")
        }),
    ]
}

fn syntax() -> Vec<Row> {
    let bad = |name: &str, line: &str| Row::answers(name, with(&format!("{line}\r\n")), NOT_HTTP);
    vec![
        bad("a header without a colon", "X-None"),
        bad("a header of the secret without a colon", SECRET),
        bad("a header without a name", ": v"),
        bad("a header with a space in its name", "X Y: v"),
        bad("a header with a space before its colon", "X : v"),
        bad("a header with an umlaut in its name", "X-\u{fc}: v"),
        bad("a header with a NUL in its name", "X\0: v"),
        bad("a header with a NUL in its value", "X: a\0b"),
        bad("a header with a CR in its value", "X: a\rY: b"),
        bad(
            "a header with a control character in its value",
            "X: \x1b[2J",
        ),
        bad("a header over two lines", "X: a\r\n b"),
        bad("a space before the first header", " X: a"),
        Row::answers(
            "a header with bytes in its value",
            with("X: \u{80}\u{fe}\u{202e}\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers("a header without a value", with("X:\r\n"), TOKEN_SEEN),
        Row::answers(
            "a header with white space around its value",
            with("X: \t v \t\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "a header in capitals",
            with("").replace("Content-Length", "CONTENT-LENGTH"),
            TOKEN_SEEN,
        ),
    ]
}

fn meanings() -> Vec<Row> {
    let echo = format!(
        "Set-Cookie: {SECRET}={TOKEN}\r\nX-Request-Id: {SECRET}\r\nTraceparent: {TOKEN}\r\n\
         Date: {SECRET}\r\nWWW-Authenticate: Bearer {TOKEN}\r\nServer: {SECRET}\r\n"
    );
    let typed = |media_type: &str| with("").replace("application/json", media_type);
    vec![
        Row::answers(
            "an error whose headers all echo",
            answer("403 Forbidden", &echo, EXAMPLE_200),
            rejected(403),
        )
        .saying("[masked]"),
        Row::answers("a token whose headers all echo", with(&echo), TOKEN_SEEN),
        Row::answers(
            "an error whose type echoes",
            answer("403 Forbidden", "", SECRET).replace("application/json", SECRET),
            rejected(403),
        )
        .saying("[masked]"),
        Row::answers(
            "a token of another type",
            typed("text/html; charset=utf-16"),
            TOKEN_SEEN,
        ),
        Row::answers("a token of no type", typed(""), TOKEN_SEEN),
        Row::answers(
            "two types",
            with("Content-Type: text/plain\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "a Date that is none",
            with("Date: yesterday\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "an upgrade that nobody asked for",
            with("Connection: upgrade\r\nUpgrade: websocket\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "a proxy's headers",
            with("Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\nVia: 1.0 x\r\n"),
            TOKEN_SEEN,
        ),
    ]
}
