//! Compression, of which no answer may make use.

use crate::faults::body::{bytes, with_bytes};
use crate::faults::row::{MALFORMED, Row, TOKEN_SEEN, rejected};
use crate::support::EXAMPLE_200;
use crate::support::SECRET;

/// A gzip stream that gives about a thousand spaces for each of its bytes, and does not end.
const BOMB: [u8; 25] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xec, 0xc1, 0x81, 0x00, 0x00, 0x00,
    0x00, 0x80, 0x20, 0x95, 0xfd, 0x29, 0x17, 0xa9, 0x0a,
];

/// Neither client ever asks for any compression, so none of these was asked for, and none is
/// undone.
pub fn rows() -> Vec<Row> {
    let bomb = || [&BOMB[..], &vec![0; 60_000]].concat();
    let plain = EXAMPLE_200.as_bytes();
    let encoded = |name: &str, encoding: &str, body: &[u8]| {
        bytes(
            name,
            &format!("Content-Encoding: {encoding}\r\n"),
            body,
            MALFORMED,
        )
        .saying("it is compressed, although the request did not allow that")
    };
    let chunked = |bytes: &[u8]| {
        let size = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{:x}\r\n",
            bytes.len()
        );
        [size.as_bytes(), bytes, b"\r\n0\r\n\r\n"].concat()
    };
    vec![
        encoded("gzip", "gzip", &bomb()[..200]),
        encoded("x-gzip", "x-gzip", &bomb()[..200]),
        encoded("gzip that is none", "gzip", plain),
        encoded("deflate", "deflate", b"\x78\x9c\x03\x00\x00\x00\x00\x01"),
        encoded("br", "br", b"\x06"),
        encoded(
            "zstd",
            "zstd",
            b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51",
        ),
        encoded("two encodings", "gzip, br", plain),
        encoded("an encoding that nobody knows", SECRET, plain),
        encoded("a decompression bomb", "gzip", &bomb()).hungry(),
        encoded("a decompression bomb in two layers", "gzip, gzip", &bomb()).hungry(),
        Row::goes_on("a decompression bomb without end", MALFORMED, |peer| {
            peer.say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")?;
            peer.say(BOMB)?;
            peer.flood([0])
        })
        .hungry(),
        bytes(
            "a decompression bomb that does not say so",
            "",
            &bomb(),
            MALFORMED,
        )
        .saying("it is not UTF-8")
        .hungry(),
        Row::answers(
            "a decompression bomb for a transfer encoding",
            chunked(&bomb()),
            MALFORMED,
        )
        .saying("it is not UTF-8")
        .hungry(),
        Row::goes_on(
            "an error that is a decompression bomb",
            rejected(502),
            move |peer| {
                let head = "502 Bad Gateway\r\nContent-Encoding: gzip";
                let answer = with_bytes("", &bomb());
                peer.say(
                    [
                        format!("HTTP/1.1 {head}").as_bytes(),
                        &answer[b"HTTP/1.1 200 OK".len()..],
                    ]
                    .concat(),
                )
            },
        )
        .hungry(),
        bytes(
            "identity",
            "Content-Encoding: identity\r\n",
            plain,
            TOKEN_SEEN,
        ),
        bytes(
            "an empty encoding",
            "Content-Encoding:\r\n",
            plain,
            MALFORMED,
        ),
    ]
}
