//! Transfer-Encoding: chunks, extensions, trailers, and Content-Length beside it.

use std::time::Duration;

use crate::faults::row::Library::{Reqwest, Ureq};
use crate::faults::row::{
    GRANTED, MALFORMED, MISFRAMED, NOT_HTTP, Outcome, Row, STALLED, TIMEOUT, TORN, refused,
};
use crate::support::EXAMPLE_200;
use crate::support::{SECRET, TOKEN};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

pub fn rows() -> Vec<Row> {
    [encodings(), sizes(), chunks(), extensions(), trailers()]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns the token as one chunk, followed by the last chunk.
fn one_chunk() -> String {
    format!("{:x}\r\n{EXAMPLE_200}\r\n0\r\n\r\n", EXAMPLE_200.len())
}

const ANYWHERE: &str = "ureq checks whether chunked is present, not whether it is last";

/// Returns rows with different transfer encodings. Without chunks a body ends with the connection
/// (RFC 9112 §6.3). A chunked body read that way is not JSON.
fn encodings() -> Vec<Row> {
    let of = |name: &str, headers: &str, outcome| {
        Row::responds(
            name,
            format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{}", one_chunk()),
            outcome,
        )
    };
    let length = one_chunk().len();
    vec![
        of("chunked", "Transfer-Encoding: chunked", GRANTED),
        of("Chunked in capitals", "TRANSFER-ENCODING: CHUNKED", GRANTED),
        of(
            "chunked with white space",
            "Transfer-Encoding: \t chunked \t",
            GRANTED,
        ),
        of(
            "chunked twice",
            "Transfer-Encoding: chunked, chunked",
            GRANTED,
        ),
        of(
            "chunked and an empty encoding",
            "Transfer-Encoding: chunked, ",
            MALFORMED,
        )
        .except(Ureq, GRANTED, ANYWHERE),
        of(
            "chunked in two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            GRANTED,
        ),
        of(
            "chunked but not last",
            "Transfer-Encoding: chunked, gzip",
            MALFORMED,
        )
        .except(Ureq, GRANTED, ANYWHERE),
        of(
            "chunked with a parameter",
            "Transfer-Encoding: chunked;q=1",
            MALFORMED,
        ),
        of("xchunked", "Transfer-Encoding: xchunked", MALFORMED),
        of(
            "an unknown transfer encoding",
            &format!("Transfer-Encoding: {SECRET}"),
            MALFORMED,
        ),
        of(
            "an empty transfer encoding",
            "Transfer-Encoding:",
            MALFORMED,
        ),
        of(
            "gzip as a transfer encoding",
            "Transfer-Encoding: gzip",
            MALFORMED,
        ),
        of(
            "gzip, chunked that is not compressed",
            "Transfer-Encoding: gzip, chunked",
            GRANTED,
        ),
        of(
            "identity as a transfer encoding",
            "Transfer-Encoding: identity",
            MALFORMED,
        ),
        of(
            "both framings, the correct length",
            &format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
            GRANTED,
        ),
        of(
            "both framings, a length too short",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            GRANTED,
        ),
        of(
            "both framings, a length over the limit",
            "Transfer-Encoding: chunked\r\nContent-Length: 65537",
            MALFORMED,
        )
        .reporting("longer than 65536 bytes"),
        of(
            "both framings, a malformed length",
            "Transfer-Encoding: chunked\r\nContent-Length: x",
            GRANTED,
        )
        .except(
            Ureq,
            NOT_HTTP,
            "ureq reads the length, hyper ignores it with chunks",
        ),
        Row::responds(
            "chunked in HTTP/1.0",
            format!(
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                one_chunk()
            ),
            NOT_HTTP,
        )
        .except(
            Ureq,
            MALFORMED,
            "ureq ignores chunks in HTTP/1.0, hyper refuses them",
        ),
    ]
}

/// Returns a row with a valid head and this chunked body.
fn chunked(name: &str, body: impl AsRef<str>, outcome: Outcome) -> Row {
    Row::responds(name, format!("{CHUNKED}{}", body.as_ref()), outcome)
}

const LENIENT: &str = "ureq trims a size and parses it as Rust parses a number";
const NO_YIELD: &str = "hyper reads zeros without yielding, so no timer fires; afterwards our timer \
                             or reqwest's may fire first";
const FULL_BUFFER: &str =
    "ureq searches its buffer for a line end and reports a full buffer without one as broken";
const SIZE_LINE_LIMIT: &str = "ureq limits the line of a chunk's size to 20 bytes";
const SKIPS_TRAILERS: &str = "ureq skips trailers without a limit";

fn sizes() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let sized = |size: &str| format!("{size}\r\n{EXAMPLE_200}\r\n0\r\n\r\n");
    let bad = |name: &str, size: &str| chunked(name, sized(size), MISFRAMED);
    vec![
        chunked("a size in capitals", sized(&format!("{length:X}")), GRANTED),
        chunked(
            "a size with leading zeros",
            sized(&format!("000{length:x}")),
            GRANTED,
        ),
        chunked(
            "a size with trailing white space",
            sized(&format!("{length:x} ")),
            GRANTED,
        ),
        bad("an empty size", ""),
        bad("a size that is not a number", "many"),
        bad("the secret as a size", SECRET),
        bad("a negative size", "-1"),
        bad("a size with a sign", &format!("+{length:x}")).except(Ureq, GRANTED, LENIENT),
        bad("a size with 0x", &format!("0x{length:x}")),
        bad("a size with leading white space", &format!(" {length:x}"))
            .except(Ureq, GRANTED, LENIENT),
        bad("a size of 2^64", "10000000000000000"),
        bad(
            "a size of 2^64 plus the actual size",
            &format!("1{length:016x}"),
        ),
        chunked("a size of 2^64 - 1", sized("ffffffffffffffff"), TORN),
        chunked("a size of 2^63", sized("8000000000000000"), TORN),
        chunked(
            "a size that is one byte short",
            sized(&format!("{:x}", length - 1)),
            MISFRAMED,
        ),
        chunked(
            "a size that is one byte long",
            sized(&format!("{:x}", length + 1)),
            MISFRAMED,
        ),
        Row::after_request("endless zeros in a size", STALLED, |peer| {
            peer.send(CHUNKED)?;
            // Enough to show that the zeros are not buffered.
            peer.flood_with(2 * 1024 * 1024, "0")
        })
        .short_timeout()
        .exceeds_deadline(Reqwest, Duration::from_secs(10), NO_YIELD)
        .or(Reqwest, TIMEOUT, NO_YIELD)
        .except(Ureq, TORN, FULL_BUFFER)
        .checks_memory(),
        Row::after_request("endless digits in a size", MISFRAMED, |peer| {
            peer.send(CHUNKED)?;
            peer.flood("7")
        })
        .except(Ureq, TORN, FULL_BUFFER)
        .checks_memory(),
    ]
}

fn chunks() -> Vec<Row> {
    let bytes: String = EXAMPLE_200
        .chars()
        .map(|byte| format!("1\r\n{byte}\r\n"))
        .collect();
    let whole = format!("{CHUNKED}{}", one_chunk());
    let length = EXAMPLE_200.len();
    vec![
        chunked("chunks of one byte", format!("{bytes}0\r\n\r\n"), GRANTED),
        Row::after_request("chunks of one byte, byte by byte", GRANTED, move |peer| {
            peer.drip(format!("{CHUNKED}{bytes}0\r\n\r\n"), 1, Duration::ZERO)
        })
        .long_timeout(),
        Row::after_request("a chunk in pieces", GRANTED, move |peer| {
            peer.drip(&whole, 7, Duration::from_millis(1))
        })
        .long_timeout(),
        chunked("no chunks", "", TORN),
        chunked("only the last chunk", "0\r\n\r\n", MALFORMED).reporting("it is empty"),
        chunked(
            "no last chunk",
            format!("{length:x}\r\n{EXAMPLE_200}\r\n"),
            TORN,
        ),
        chunked(
            "no last line end",
            format!("{length:x}\r\n{EXAMPLE_200}\r\n0\r\n"),
            TORN,
        )
        .except(Ureq, GRANTED, "ureq takes the last chunk for the end"),
        chunked(
            "half a chunk",
            format!("{length:x}\r\n{}", &EXAMPLE_200[..length / 2]),
            TORN,
        ),
        chunked("half a size", "f", TORN),
        chunked(
            "no line end after the data",
            format!("{length:x}\r\n{EXAMPLE_200}0\r\n\r\n"),
            MISFRAMED,
        ),
        chunked(
            "two line ends after the data",
            format!("{length:x}\r\n{EXAMPLE_200}\r\n\r\n0\r\n\r\n"),
            MISFRAMED,
        ),
        chunked(
            "LF as line ends of chunks",
            one_chunk().replace("\r\n", "\n"),
            MISFRAMED,
        )
        .except(Ureq, TORN, FULL_BUFFER),
        chunked(
            "bytes after the last chunk",
            format!("{}{SECRET}", one_chunk()),
            GRANTED,
        ),
        chunked(
            "another response after the last chunk",
            format!("{}HTTP/1.1 403 Forbidden\r\n\r\n", one_chunk()),
            GRANTED,
        ),
        Row::after_request("an open connection after the last chunk", GRANTED, |peer| {
            peer.send(format!("{CHUNKED}{}", one_chunk()))?;
            peer.stall()
        }),
        Row::after_request("a stall before the last chunk", STALLED, move |peer| {
            peer.send(format!("{CHUNKED}{length:x}\r\n{EXAMPLE_200}\r\n"))?;
            peer.stall()
        })
        .short_timeout(),
        Row::after_request("endless chunks", MALFORMED, |peer| {
            peer.send(CHUNKED)?;
            peer.flood("10\r\n                \r\n")
        })
        .reporting("longer than 65536 bytes")
        .checks_memory(),
        Row::after_request("endless chunks of one byte", MALFORMED, |peer| {
            peer.send(CHUNKED)?;
            peer.flood("1\r\n \r\n")
        })
        // A debug build needs long for tens of thousands of chunks.
        .long_timeout()
        .reporting("longer than 65536 bytes")
        .checks_memory(),
        Row::responds(
            "an error with malformed chunks",
            format!(
                "HTTP/1.1 503 Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n{SECRET}"
            ),
            refused(503),
        ),
    ]
}

fn extensions() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let extended = move |extension: &str| {
        format!("{length:x}{extension}\r\n{EXAMPLE_200}\r\n0{extension}\r\n\r\n")
    };
    vec![
        chunked("a chunk extension", extended(";a=b"), GRANTED),
        chunked(
            "a chunk extension in quotes",
            extended(&format!("; a=\"{}\"", SECRET.replace('"', "\\\""))),
            GRANTED,
        )
        .except(Ureq, MISFRAMED, SIZE_LINE_LIMIT),
        chunked(
            "a chunk extension of 1 KiB",
            extended(&format!(";{}", "e".repeat(1024))),
            GRANTED,
        )
        .except(Ureq, MISFRAMED, SIZE_LINE_LIMIT),
        Row::after_request("a chunk extension of 1 MiB", MISFRAMED, move |peer| {
            peer.send(format!(
                "{CHUNKED}{}",
                extended(&format!(";{}", "e".repeat(1024 * 1024)))
            ))
        })
        .except(Ureq, TORN, FULL_BUFFER)
        .checks_memory(),
        Row::after_request("an endless chunk extension", MISFRAMED, |peer| {
            peer.send(format!("{CHUNKED}5;"))?;
            peer.flood("extension")
        })
        .except(Ureq, TORN, FULL_BUFFER)
        .checks_memory(),
        Row::after_request("endless chunk extensions", MISFRAMED, |peer| {
            peer.send(CHUNKED)?;
            peer.flood(format!("1;{}\r\n \r\n", "e".repeat(8 * 1024)))
        })
        .checks_memory(),
    ]
}

fn trailers() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let begin = format!("{CHUNKED}{length:x}\r\n{EXAMPLE_200}\r\n0\r\n");
    let with = |name: &str, trailers: &str, outcome| {
        Row::responds(name, format!("{begin}{trailers}\r\n"), outcome)
    };
    let (large, many, long) = (begin.clone(), begin.clone(), begin.clone());
    vec![
        with("a trailer", "X-Sum: 5\r\n", GRANTED),
        with(
            "a trailer that echoes secrets",
            &format!("X-Request-Id: {SECRET}\r\nX-Token: {TOKEN}\r\n"),
            GRANTED,
        ),
        with(
            "a trailer with forbidden headers",
            "Content-Length: 5\r\nTransfer-Encoding: x\r\n",
            GRANTED,
        ),
        with(
            "a trailer without a colon",
            &format!("{SECRET}\r\n"),
            MISFRAMED,
        )
        .except(Ureq, GRANTED, SKIPS_TRAILERS),
        Row::after_request("a trailer of 1 MiB", MISFRAMED, move |peer| {
            peer.send(format!("{large}X: {}\r\n\r\n", "t".repeat(1024 * 1024)))
        })
        .except(Ureq, TORN, FULL_BUFFER)
        .checks_memory(),
        Row::after_request("endless trailers", MISFRAMED, move |peer| {
            peer.send(&many)?;
            peer.flood("X-Flood: y\r\n")
        })
        .except(Ureq, STALLED, SKIPS_TRAILERS)
        .checks_memory(),
        Row::after_request("an endless trailer", MISFRAMED, move |peer| {
            peer.send(format!("{long}X: "))?;
            peer.flood("t")
        })
        .except(Ureq, TORN, FULL_BUFFER)
        .checks_memory(),
        Row::after_request("a stall before the trailers end", STALLED, move |peer| {
            peer.send(&begin)?;
            peer.stall()
        })
        .short_timeout(),
    ]
}
