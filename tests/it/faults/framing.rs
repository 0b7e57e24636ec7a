//! Transfer-Encoding: chunks, extensions, trailers, both framings at once.

use std::time::Duration;

use crate::faults::row::Which::{Reqwest, Ureq};
use crate::faults::row::{
    MALFORMED, MISFRAMED, NOT_HTTP, Row, STALLED, Seen, TIMEOUT, TOKEN_SEEN, TORN, rejected,
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

/// The token as one chunk, and the last one.
fn one_chunk() -> String {
    format!("{:x}\r\n{EXAMPLE_200}\r\n0\r\n\r\n", EXAMPLE_200.len())
}

const ANYWHERE: &str = "it asks whether chunked is there, not whether it comes last";

/// Without chunks a body goes on until the connection ends (RFC 9112 §6.3), and theirs are no JSON.
fn encodings() -> Vec<Row> {
    let of = |name: &str, headers: &str, seen| {
        Row::answers(
            name,
            format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{}", one_chunk()),
            seen,
        )
    };
    let length = one_chunk().len();
    vec![
        of("chunked", "Transfer-Encoding: chunked", TOKEN_SEEN),
        of(
            "Chunked in capitals",
            "TRANSFER-ENCODING: CHUNKED",
            TOKEN_SEEN,
        ),
        of(
            "chunked with white space",
            "Transfer-Encoding: \t chunked \t",
            TOKEN_SEEN,
        ),
        of(
            "chunked twice",
            "Transfer-Encoding: chunked, chunked",
            TOKEN_SEEN,
        ),
        of(
            "chunked and nothing",
            "Transfer-Encoding: chunked, ",
            MALFORMED,
        )
        .but(Ureq, TOKEN_SEEN, ANYWHERE),
        of(
            "chunked in two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            TOKEN_SEEN,
        ),
        of(
            "chunked but not last",
            "Transfer-Encoding: chunked, gzip",
            MALFORMED,
        )
        .but(Ureq, TOKEN_SEEN, ANYWHERE),
        of(
            "chunked with a parameter",
            "Transfer-Encoding: chunked;q=1",
            MALFORMED,
        ),
        of("nearly chunked", "Transfer-Encoding: xchunked", MALFORMED),
        of(
            "a transfer encoding that nobody knows",
            &format!("Transfer-Encoding: {SECRET}"),
            MALFORMED,
        ),
        of(
            "an empty transfer encoding",
            "Transfer-Encoding:",
            MALFORMED,
        ),
        of(
            "gzip for a transfer encoding",
            "Transfer-Encoding: gzip",
            MALFORMED,
        ),
        of(
            "gzip, chunked that is not compressed",
            "Transfer-Encoding: gzip, chunked",
            TOKEN_SEEN,
        ),
        of(
            "identity for a transfer encoding",
            "Transfer-Encoding: identity",
            MALFORMED,
        ),
        of(
            "both framings, the length of all",
            &format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
            TOKEN_SEEN,
        ),
        of(
            "both framings, the length too short",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            TOKEN_SEEN,
        ),
        of(
            "both framings, the length over the limit",
            "Transfer-Encoding: chunked\r\nContent-Length: 65537",
            MALFORMED,
        )
        .saying("longer than 65536 bytes"),
        of(
            "both framings, the length no number",
            "Transfer-Encoding: chunked\r\nContent-Length: x",
            TOKEN_SEEN,
        )
        .but(
            Ureq,
            NOT_HTTP,
            "it reads the length, hyper does not where there are chunks",
        ),
        Row::answers(
            "chunked in HTTP/1.0",
            format!(
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                one_chunk()
            ),
            NOT_HTTP,
        )
        .but(
            Ureq,
            MALFORMED,
            "it knows of no chunks in HTTP/1.0, where hyper refuses them",
        ),
    ]
}

/// A body that begins with `begin`, after a head that is fine.
fn chunked(name: &str, body: impl AsRef<str>, seen: Seen) -> Row {
    Row::answers(name, format!("{CHUNKED}{}", body.as_ref()), seen)
}

const LENIENT: &str = "it reads a size as Rust reads a number, after trimming it";
const TIRELESS: &str = "hyper reads zeros for as long as there are any; no timer fires meanwhile, and of \
                        those that are late, ours and its own, any may be the first";
const FULL: &str = "it looks for a line end in what it has read, and calls its lack a stall";
const TWENTY: &str = "it takes no line of a chunk's size that is longer than 20 bytes";
const UNREAD: &str = "it passes over trailers, whatever they are and however many";

fn sizes() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let sized = |size: &str| format!("{size}\r\n{EXAMPLE_200}\r\n0\r\n\r\n");
    let bad = |name: &str, size: &str| chunked(name, sized(size), MISFRAMED);
    vec![
        chunked(
            "a size in capitals",
            sized(&format!("{length:X}")),
            TOKEN_SEEN,
        ),
        chunked(
            "a size with zeros before it",
            sized(&format!("000{length:x}")),
            TOKEN_SEEN,
        ),
        chunked(
            "a size with white space after it",
            sized(&format!("{length:x} ")),
            TOKEN_SEEN,
        ),
        bad("an empty size", ""),
        bad("a size that is no number", "many"),
        bad("a size of the secret", SECRET),
        bad("a negative size", "-1"),
        bad("a size with a sign", &format!("+{length:x}")).but(Ureq, TOKEN_SEEN, LENIENT),
        bad("a size with 0x", &format!("0x{length:x}")),
        bad("a size with white space before it", &format!(" {length:x}"))
            .but(Ureq, TOKEN_SEEN, LENIENT),
        bad("a size of 2^64", "10000000000000000"),
        bad("a size of 2^64 and a few", &format!("1{length:016x}")),
        chunked("a size of 2^64 - 1", sized("ffffffffffffffff"), TORN),
        chunked("a size of 2^63", sized("8000000000000000"), TORN),
        chunked(
            "a size that is one too small",
            sized(&format!("{:x}", length - 1)),
            MISFRAMED,
        ),
        chunked(
            "a size that is one too large",
            sized(&format!("{:x}", length + 1)),
            MISFRAMED,
        ),
        Row::goes_on("zeros of a size without end", STALLED, |peer| {
            peer.say(CHUNKED)?;
            // Enough to see that they are not kept.
            peer.flood_with(2 * 1024 * 1024, "0")
        })
        .soon()
        .late(Reqwest, Duration::from_secs(10), TIRELESS)
        .or(Reqwest, TIMEOUT, TIRELESS)
        .but(Ureq, TORN, FULL)
        .hungry(),
        Row::goes_on("digits of a size without end", MISFRAMED, |peer| {
            peer.say(CHUNKED)?;
            peer.flood("7")
        })
        .but(Ureq, TORN, FULL)
        .hungry(),
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
        chunked(
            "chunks of one byte",
            format!("{bytes}0\r\n\r\n"),
            TOKEN_SEEN,
        ),
        Row::goes_on(
            "chunks of one byte, byte by byte",
            TOKEN_SEEN,
            move |peer| peer.drip(format!("{CHUNKED}{bytes}0\r\n\r\n"), 1, Duration::ZERO),
        )
        .patiently(),
        Row::goes_on("a chunk in pieces", TOKEN_SEEN, move |peer| {
            peer.drip(&whole, 7, Duration::from_millis(1))
        })
        .patiently(),
        chunked("no chunk at all", "", TORN),
        chunked("the last chunk alone", "0\r\n\r\n", MALFORMED).saying("it is empty"),
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
        .but(Ureq, TOKEN_SEEN, "it takes the last chunk for the end"),
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
            "LF for line ends of chunks",
            one_chunk().replace("\r\n", "\n"),
            MISFRAMED,
        )
        .but(Ureq, TORN, FULL),
        chunked(
            "bytes after the last chunk",
            format!("{}{SECRET}", one_chunk()),
            TOKEN_SEEN,
        ),
        chunked(
            "another answer after the last chunk",
            format!("{}HTTP/1.1 403 Forbidden\r\n\r\n", one_chunk()),
            TOKEN_SEEN,
        ),
        Row::goes_on(
            "an open connection after the last chunk",
            TOKEN_SEEN,
            |peer| {
                peer.say(format!("{CHUNKED}{}", one_chunk()))?;
                peer.stall()
            },
        ),
        Row::goes_on("a last chunk that does not come", STALLED, move |peer| {
            peer.say(format!("{CHUNKED}{length:x}\r\n{EXAMPLE_200}\r\n"))?;
            peer.stall()
        })
        .soon(),
        Row::goes_on("chunks without end", MALFORMED, |peer| {
            peer.say(CHUNKED)?;
            peer.flood("10\r\n                \r\n")
        })
        .saying("longer than 65536 bytes")
        .hungry(),
        Row::goes_on("chunks of one byte without end", MALFORMED, |peer| {
            peer.say(CHUNKED)?;
            peer.flood("1\r\n \r\n")
        })
        // Tens of thousands of chunks take a debug build a while.
        .patiently()
        .saying("longer than 65536 bytes")
        .hungry(),
        Row::answers(
            "an error that is chunked against the rules",
            format!(
                "HTTP/1.1 503 Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n{SECRET}"
            ),
            rejected(503),
        ),
    ]
}

fn extensions() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let extended = move |extension: &str| {
        format!("{length:x}{extension}\r\n{EXAMPLE_200}\r\n0{extension}\r\n\r\n")
    };
    vec![
        chunked("a chunk extension", extended(";a=b"), TOKEN_SEEN),
        chunked(
            "a chunk extension in quotes",
            extended(&format!("; a=\"{}\"", SECRET.replace('"', "\\\""))),
            TOKEN_SEEN,
        )
        .but(Ureq, MISFRAMED, TWENTY),
        chunked(
            "a chunk extension of 1 KiB",
            extended(&format!(";{}", "e".repeat(1024))),
            TOKEN_SEEN,
        )
        .but(Ureq, MISFRAMED, TWENTY),
        Row::goes_on("a chunk extension of 1 MiB", MISFRAMED, move |peer| {
            peer.say(format!(
                "{CHUNKED}{}",
                extended(&format!(";{}", "e".repeat(1024 * 1024)))
            ))
        })
        .but(Ureq, TORN, FULL)
        .hungry(),
        Row::goes_on("a chunk extension without end", MISFRAMED, |peer| {
            peer.say(format!("{CHUNKED}5;"))?;
            peer.flood("extension")
        })
        .but(Ureq, TORN, FULL)
        .hungry(),
        Row::goes_on("chunk extensions without end", MISFRAMED, |peer| {
            peer.say(CHUNKED)?;
            peer.flood(format!("1;{}\r\n \r\n", "e".repeat(8 * 1024)))
        })
        .hungry(),
    ]
}

fn trailers() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let begin = format!("{CHUNKED}{length:x}\r\n{EXAMPLE_200}\r\n0\r\n");
    let with = |name: &str, trailers: &str, seen| {
        Row::answers(name, format!("{begin}{trailers}\r\n"), seen)
    };
    let (large, many, long) = (begin.clone(), begin.clone(), begin.clone());
    vec![
        with("a trailer", "X-Sum: 5\r\n", TOKEN_SEEN),
        with(
            "a trailer that echoes",
            &format!("X-Request-Id: {SECRET}\r\nX-Token: {TOKEN}\r\n"),
            TOKEN_SEEN,
        ),
        with(
            "a trailer that cannot be one",
            "Content-Length: 5\r\nTransfer-Encoding: x\r\n",
            TOKEN_SEEN,
        ),
        with(
            "a trailer without a colon",
            &format!("{SECRET}\r\n"),
            MISFRAMED,
        )
        .but(Ureq, TOKEN_SEEN, UNREAD),
        Row::goes_on("a trailer of 1 MiB", MISFRAMED, move |peer| {
            peer.say(format!("{large}X: {}\r\n\r\n", "t".repeat(1024 * 1024)))
        })
        .but(Ureq, TORN, FULL)
        .hungry(),
        Row::goes_on("trailers without end", MISFRAMED, move |peer| {
            peer.say(&many)?;
            peer.flood("X-Flood: y\r\n")
        })
        .but(Ureq, STALLED, UNREAD)
        .hungry(),
        Row::goes_on("a trailer without end", MISFRAMED, move |peer| {
            peer.say(format!("{long}X: "))?;
            peer.flood("t")
        })
        .but(Ureq, TORN, FULL)
        .hungry(),
        Row::goes_on("a trailer that does not come", STALLED, move |peer| {
            peer.say(&begin)?;
            peer.stall()
        })
        .soon(),
    ]
}
