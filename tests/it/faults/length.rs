//! Content-Length: wrong, repeated, overflowing or malformed, and bytes after the body.

use crate::faults::row::Library::Reqwest;
use crate::faults::row::{GRANTED, MALFORMED, NOT_HTTP, Row, STALLED, TORN, refused};
use crate::support::EXAMPLE_200;
use crate::support::SECRET;
use crate::support::server::response;

pub fn rows() -> Vec<Row> {
    let mut rows = numbers();
    rows.extend(mismatches());
    rows
}

/// Returns a token response with these length headers.
fn with_headers(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{EXAMPLE_200}")
}

const RESERVED: &str = "hyper reserves the two largest lengths";

fn numbers() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let of = |name: &str, value: &str, outcome| {
        Row::responds(
            name,
            with_headers(&format!("Content-Length: {value}\r\n")),
            outcome,
        )
    };
    vec![
        of("a length that is not a number", "many", NOT_HTTP),
        of("an empty length", "", NOT_HTTP),
        of("a negative length", "-1", NOT_HTTP),
        of("a length with a sign", &format!("+{length}"), NOT_HTTP),
        of("a hexadecimal length", &format!("0x{length:x}"), NOT_HTTP),
        of("a fractional length", &format!("{length}.0"), NOT_HTTP),
        of("a length with an exponent", "1e3", NOT_HTTP),
        of("a length with a unit", &format!("{length} bytes"), NOT_HTTP),
        of("the secret as a length", SECRET, NOT_HTTP),
        of(
            "a length with leading zeros",
            &format!("000000{length}"),
            GRANTED,
        ),
        of("a length in Arabic digits", "\u{661}\u{662}", NOT_HTTP),
        of("a length of 2^63", "9223372036854775808", MALFORMED)
            .reporting("longer than 65536 bytes"),
        of("a length of 2^64 - 1", "18446744073709551615", MALFORMED)
            .reporting("longer than 65536 bytes")
            .except(Reqwest, NOT_HTTP, RESERVED),
        of("a length of 2^64", "18446744073709551616", NOT_HTTP),
        of(
            "a length of 2^64 plus the actual length",
            &(u128::from(u64::MAX) + 1 + length as u128).to_string(),
            NOT_HTTP,
        ),
        of("a length of 1,000 digits", &"9".repeat(1000), NOT_HTTP),
        of(
            "two equal lengths in one header",
            &format!("{length}, {length}"),
            GRANTED,
        ),
        of(
            "two different lengths in one header",
            &format!("{length}, 5"),
            NOT_HTTP,
        ),
        Row::responds(
            "two equal lengths",
            with_headers(&format!("Content-Length: {length}\r\n").repeat(2)),
            GRANTED,
        ),
        Row::responds(
            "two different lengths, the correct one first",
            with_headers(&format!(
                "Content-Length: {length}\r\nContent-Length: 5\r\n"
            )),
            NOT_HTTP,
        ),
        Row::responds(
            "two different lengths, the correct one last",
            with_headers(&format!(
                "Content-Length: 5\r\nContent-Length: {length}\r\n"
            )),
            NOT_HTTP,
        ),
        Row::responds(
            "two lengths, one malformed",
            with_headers(&format!(
                "Content-Length: {length}\r\nContent-Length: x\r\n"
            )),
            NOT_HTTP,
        ),
    ]
}

fn mismatches() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let announced = |length: usize| with_headers(&format!("Content-Length: {length}\r\n"));
    let error = |status: &str, length: u64| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{EXAMPLE_200}")
    };
    vec![
        Row::responds("a length of 0 before a token", announced(0), MALFORMED)
            .reporting("it is empty"),
        Row::responds(
            "a length that is one byte short",
            announced(EXAMPLE_200.trim_end().len() - 1),
            MALFORMED,
        ),
        Row::responds(
            "a length that is one byte long, then the end",
            announced(length + 1),
            TORN,
        ),
        Row::after_request(
            "a length that is one byte long, then a stall",
            STALLED,
            move |peer| {
                peer.send(announced(length + 1))?;
                peer.stall()
            },
        )
        .short_timeout(),
        Row::after_request("a length over the limit, then a stall", MALFORMED, |peer| {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n")?;
            peer.stall()
        })
        .reporting("longer than 65536 bytes"),
        Row::after_request("a whole body, then an open connection", GRANTED, |peer| {
            peer.send(response(
                "200 OK",
                "Connection: keep-alive\r\n",
                EXAMPLE_200,
            ))?;
            peer.stall()
        }),
        Row::responds(
            "bytes after the body",
            format!("{}{SECRET}", announced(length)),
            GRANTED,
        ),
        Row::responds(
            "another response after the body",
            format!("{}{}", announced(length), response("403 Forbidden", "", "")),
            GRANTED,
        ),
        Row::after_request("endless bytes after the body", GRANTED, move |peer| {
            peer.send(announced(length))?;
            peer.flood("HTTP/1.1 200 OK\r\n\r\n")
        })
        .checks_memory(),
        Row::responds(
            "an error shorter than its length",
            error("503 Unavailable", length as u64 + 1),
            refused(503),
        ),
        Row::responds(
            "an error with a length of 2^64 - 1",
            error("403 Forbidden", u64::MAX),
            refused(403),
        )
        .except(Reqwest, NOT_HTTP, RESERVED),
        Row::after_request(
            "an error that stalls before its end",
            refused(403),
            move |peer| {
                peer.send(error("403 Forbidden", length as u64 + 1))?;
                peer.stall()
            },
        )
        .short_timeout(),
    ]
}
