//! Heads with too many headers, too large, too slow or malformed.

use std::time::Duration;

use crate::faults::row::Library::{Reqwest, Ureq};
use crate::faults::row::{BROKEN, GRANTED, NOT_HTTP, Row, TIMEOUT, refused};
use crate::support::EXAMPLE_200;
use crate::support::server::response;
use crate::support::{SECRET, TOKEN};

pub fn rows() -> Vec<Row> {
    [
        counts_and_sizes(),
        floods(),
        speeds(),
        syntax(),
        semantics(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn with(headers: &str) -> String {
    response("200 OK", headers, EXAMPLE_200)
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
        // Content-Type and Content-Length are two more.
        Row::responds("100 headers", with(&numbered(98)), GRANTED),
        Row::responds("128 headers", with(&numbered(126)), GRANTED),
        Row::responds("129 headers", with(&numbered(127)), NOT_HTTP),
        Row::responds("10,000 headers", with(&numbered(10_000)), NOT_HTTP).checks_memory(),
        Row::responds(
            "one header 100 times",
            with(&"X-Same: y\r\n".repeat(100)),
            GRANTED,
        ),
        Row::responds("a value of 32 KiB", value(32 * 1024), GRANTED),
        Row::after_request("a value of 128 KiB", GRANTED, move |peer| {
            peer.send(value(128 * 1024))
        })
        .except(
            Ureq,
            NOT_HTTP,
            "ureq limits a head to 64 KiB, hyper to about 400 KiB",
        ),
        Row::after_request("a value of 1 MiB", NOT_HTTP, move |peer| {
            peer.send(value(1024 * 1024))
        })
        .checks_memory(),
        Row::responds("a name of 32 KiB", name(32 * 1024), GRANTED),
        Row::after_request("a name of 1 MiB", NOT_HTTP, move |peer| {
            peer.send(name(1024 * 1024))
        })
        .checks_memory(),
        Row::after_request("a reason phrase of 1 MiB", NOT_HTTP, |peer| {
            peer.send(with("").replacen("OK", &"k".repeat(1024 * 1024), 1))
        })
        .checks_memory(),
    ]
}

/// The size of these two floods. A debug build needs too long to read more. It is less than the
/// limit for memory, so the rows show only that the bytes are not multiplied in memory.
const SMALL_FLOOD: usize = 2 * 1024 * 1024;
const NO_YIELD: &str = "hyper reads 1xx without yielding, so no timer fires, \
                        usually not even on a multi-threaded runtime";

fn floods() -> Vec<Row> {
    let head = |name, piece: &'static str| {
        Row::after_request(name, NOT_HTTP, move |peer| {
            peer.send("HTTP/1.1 200 OK\r\n")?;
            peer.flood(piece)
        })
        .checks_memory()
    };
    let informational = |name, piece: &'static str| {
        Row::after_request(name, TIMEOUT, move |peer| {
            peer.flood_with(SMALL_FLOOD, piece)
        })
        .short_timeout()
        .multi_threaded(NO_YIELD)
        .exceeds_deadline(Reqwest, Duration::from_secs(10), NO_YIELD)
        .except(
            Ureq,
            NOT_HTTP,
            "ureq's limit for a head includes all 1xx before it",
        )
        .checks_memory()
    };
    vec![
        head("endless headers", "X-Flood: y\r\n"),
        head(
            "endless large headers",
            concat!("X-Flood: ", "0123456789abcdef0123456789abcdef", "\r\n"),
        ),
        head("endless cookies", "Set-Cookie: a=b; Path=/\r\n"),
        head("an endless value", "vvvvvvvvvvvvvvvv"),
        head("an endless value of tokens", TOKEN),
        Row::after_request("an endless name", NOT_HTTP, |peer| {
            peer.send("HTTP/1.1 200 OK\r\nX")?;
            peer.flood("n")
        })
        .checks_memory(),
        Row::after_request("an endless reason phrase", NOT_HTTP, |peer| {
            peer.send("HTTP/1.1 200 ")?;
            peer.flood("OK")
        })
        .checks_memory(),
        Row::after_request("an endless status line of one letter", NOT_HTTP, |peer| {
            peer.flood("H")
        })
        .checks_memory(),
        Row::after_request("endless zeros", NOT_HTTP, |peer| peer.flood([0])).checks_memory(),
        Row::after_request("endless line ends", NOT_HTTP, |peer| peer.flood("\r\n"))
            .checks_memory(),
        informational("endless 100s", "HTTP/1.1 100 Continue\r\n\r\n"),
        informational(
            "endless 103s with headers",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
        ),
        Row::after_request("a 103 with a header of 1 MiB", NOT_HTTP, |peer| {
            peer.send(format!(
                "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
                "l".repeat(1024 * 1024)
            ))?;
            peer.send(with(""))
        })
        .checks_memory(),
        Row::after_request("a 103 with endless headers", NOT_HTTP, |peer| {
            peer.send("HTTP/1.1 103 Early Hints\r\n")?;
            peer.flood("Link: </a>\r\n")
        })
        .checks_memory(),
    ]
}

fn speeds() -> Vec<Row> {
    let pause = Duration::from_millis(1);
    vec![
        Row::after_request(
            "a head byte by byte, within the time-out",
            GRANTED,
            move |peer| peer.drip(with(""), 1, pause),
        )
        .long_timeout(),
        Row::after_request("a head byte by byte, too slowly", TIMEOUT, |peer| {
            peer.drip(with(""), 1, Duration::from_millis(50))
        })
        .short_timeout(),
        Row::after_request("endless headers byte by byte", TIMEOUT, |peer| {
            peer.send("HTTP/1.1 200 OK\r\n")?;
            peer.drip_forever("X: y\r\n")
        })
        .short_timeout(),
        Row::after_request("endless 1xx byte by byte", TIMEOUT, |peer| {
            peer.drip_forever("HTTP/1.1 100 Continue\r\n\r\n")
        })
        .short_timeout(),
        Row::after_request("half a status line, then a stall", TIMEOUT, |peer| {
            peer.send("HTTP/1.1 2")?;
            peer.stall()
        })
        .short_timeout(),
        Row::after_request("half a head, then a stall", TIMEOUT, |peer| {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-")?;
            peer.stall()
        })
        .short_timeout(),
        Row::after_request("a 100, then a stall", TIMEOUT, |peer| {
            peer.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            peer.stall()
        })
        .short_timeout(),
        Row::after_request("half a head, then a close", BROKEN, |peer| {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-")
        }),
    ]
}

fn syntax() -> Vec<Row> {
    let bad = |name: &str, line: &str| Row::responds(name, with(&format!("{line}\r\n")), NOT_HTTP);
    vec![
        bad("a header without a colon", "X-None"),
        bad("the secret as a header without a colon", SECRET),
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
        bad("a folded header", "X: a\r\n b"),
        bad("a space before the first header", " X: a"),
        Row::responds(
            "a header with non-ASCII bytes in its value",
            with("X: \u{80}\u{fe}\u{202e}\r\n"),
            GRANTED,
        ),
        Row::responds("a header without a value", with("X:\r\n"), GRANTED),
        Row::responds(
            "a header with white space around its value",
            with("X: \t v \t\r\n"),
            GRANTED,
        ),
        Row::responds(
            "a header in capitals",
            with("").replace("Content-Length", "CONTENT-LENGTH"),
            GRANTED,
        ),
    ]
}

fn semantics() -> Vec<Row> {
    let echo = format!(
        "Set-Cookie: {SECRET}={TOKEN}\r\nX-Request-Id: {SECRET}\r\nTraceparent: {TOKEN}\r\n\
         Date: {SECRET}\r\nWWW-Authenticate: Bearer {TOKEN}\r\nServer: {SECRET}\r\n"
    );
    let typed = |media_type: &str| with("").replace("application/json", media_type);
    vec![
        Row::responds(
            "an error whose headers echo secrets",
            response("403 Forbidden", &echo, EXAMPLE_200),
            refused(403),
        )
        .reporting("[masked]"),
        Row::responds("a token whose headers echo secrets", with(&echo), GRANTED),
        Row::responds(
            "an error whose Content-Type echoes the secret",
            response("403 Forbidden", "", SECRET).replace("application/json", SECRET),
            refused(403),
        )
        .reporting("[masked]"),
        Row::responds(
            "a token with another Content-Type",
            typed("text/html; charset=utf-16"),
            GRANTED,
        ),
        Row::responds("a token with an empty Content-Type", typed(""), GRANTED),
        Row::responds(
            "two Content-Type headers",
            with("Content-Type: text/plain\r\n"),
            GRANTED,
        ),
        Row::responds("a malformed Date", with("Date: yesterday\r\n"), GRANTED),
        Row::responds(
            "an upgrade without a request for it",
            with("Connection: upgrade\r\nUpgrade: websocket\r\n"),
            GRANTED,
        ),
        Row::responds(
            "a proxy's headers",
            with("Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\nVia: 1.0 x\r\n"),
            GRANTED,
        ),
    ]
}
