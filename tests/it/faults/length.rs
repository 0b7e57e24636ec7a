//! Content-Length: lying, doubled, overflowing, no number; and what comes after the body.

use crate::faults::row::Which::Reqwest;
use crate::faults::row::{MALFORMED, NOT_HTTP, Row, STALLED, TOKEN_SEEN, TORN, rejected};
use crate::support::EXAMPLE_200;
use crate::support::SECRET;
use crate::support::server::answer;

pub fn rows() -> Vec<Row> {
    let mut rows = numbers();
    rows.extend(lies());
    rows
}

/// A token under these length headers.
fn under(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{EXAMPLE_200}")
}

const RESERVED: &str = "hyper keeps the two largest lengths for its own use";

fn numbers() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let of = |name: &str, value: &str, seen| {
        Row::answers(name, under(&format!("Content-Length: {value}\r\n")), seen)
    };
    vec![
        of("no number", "many", NOT_HTTP),
        of("an empty length", "", NOT_HTTP),
        of("a negative length", "-1", NOT_HTTP),
        of("a length with a sign", &format!("+{length}"), NOT_HTTP),
        of("a hexadecimal length", &format!("0x{length:x}"), NOT_HTTP),
        of("a fraction for a length", &format!("{length}.0"), NOT_HTTP),
        of("a length with an exponent", "1e3", NOT_HTTP),
        of("a length and a word", &format!("{length} bytes"), NOT_HTTP),
        of("the secret for a length", SECRET, NOT_HTTP),
        of(
            "a length with zeros before it",
            &format!("000000{length}"),
            TOKEN_SEEN,
        ),
        of("a length in Arabic digits", "\u{661}\u{662}", NOT_HTTP),
        of("a length of 2^63", "9223372036854775808", MALFORMED).saying("longer than 65536 bytes"),
        of("a length of 2^64 - 1", "18446744073709551615", MALFORMED)
            .saying("longer than 65536 bytes")
            .but(Reqwest, NOT_HTTP, RESERVED),
        of("a length of 2^64", "18446744073709551616", NOT_HTTP),
        of(
            "a length of 2^64 and a few",
            &(u128::from(u64::MAX) + 1 + length as u128).to_string(),
            NOT_HTTP,
        ),
        of("a length of 1,000 digits", &"9".repeat(1000), NOT_HTTP),
        of(
            "two lengths in one line that agree",
            &format!("{length}, {length}"),
            TOKEN_SEEN,
        ),
        of(
            "two lengths in one line that do not",
            &format!("{length}, 5"),
            NOT_HTTP,
        ),
        Row::answers(
            "two lengths that agree",
            under(&format!("Content-Length: {length}\r\n").repeat(2)),
            TOKEN_SEEN,
        ),
        Row::answers(
            "two lengths that do not, the good one first",
            under(&format!(
                "Content-Length: {length}\r\nContent-Length: 5\r\n"
            )),
            NOT_HTTP,
        ),
        Row::answers(
            "two lengths that do not, the good one last",
            under(&format!(
                "Content-Length: 5\r\nContent-Length: {length}\r\n"
            )),
            NOT_HTTP,
        ),
        Row::answers(
            "two lengths of which one is none",
            under(&format!(
                "Content-Length: {length}\r\nContent-Length: x\r\n"
            )),
            NOT_HTTP,
        ),
    ]
}

fn lies() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let announced = |length: usize| under(&format!("Content-Length: {length}\r\n"));
    let error = |status: &str, length: u64| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{EXAMPLE_200}")
    };
    vec![
        Row::answers("a length of 0 before a token", announced(0), MALFORMED).saying("it is empty"),
        Row::answers(
            "one byte less than there is",
            announced(EXAMPLE_200.trim_end().len() - 1),
            MALFORMED,
        ),
        Row::answers("one byte more than there is", announced(length + 1), TORN),
        Row::goes_on(
            "one byte more than there is, and then nothing",
            STALLED,
            move |peer| {
                peer.say(announced(length + 1))?;
                peer.stall()
            },
        )
        .soon(),
        Row::goes_on(
            "more than is read is announced, and then nothing",
            MALFORMED,
            |peer| {
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n")?;
                peer.stall()
            },
        )
        .saying("longer than 65536 bytes"),
        Row::goes_on("a whole body and an open connection", TOKEN_SEEN, |peer| {
            peer.say(answer("200 OK", "Connection: keep-alive\r\n", EXAMPLE_200))?;
            peer.stall()
        }),
        Row::answers(
            "bytes after the body",
            format!("{}{SECRET}", announced(length)),
            TOKEN_SEEN,
        ),
        Row::answers(
            "another answer after the body",
            format!("{}{}", announced(length), answer("403 Forbidden", "", "")),
            TOKEN_SEEN,
        ),
        Row::goes_on(
            "bytes after the body without end",
            TOKEN_SEEN,
            move |peer| {
                peer.say(announced(length))?;
                peer.flood("HTTP/1.1 200 OK\r\n\r\n")
            },
        )
        .hungry(),
        Row::answers(
            "an error that is shorter than announced",
            error("503 Unavailable", length as u64 + 1),
            rejected(503),
        ),
        Row::answers(
            "an error of 2^64 - 1 bytes",
            error("403 Forbidden", u64::MAX),
            rejected(403),
        )
        .but(Reqwest, NOT_HTTP, RESERVED),
        Row::goes_on(
            "an error that does not come to its end",
            rejected(403),
            move |peer| {
                peer.say(error("403 Forbidden", length as u64 + 1))?;
                peer.stall()
            },
        )
        .soon(),
    ]
}
