//! Compressed responses, none of which is accepted, and plain ones that claim to be compressed.

use crate::faults::body::{bytes, with_bytes};
use crate::faults::row::{GRANTED, MALFORMED, Row, refused};
use crate::support::EXAMPLE_200;
use crate::support::SECRET;

/// A gzip stream that expands each byte to about a thousand spaces and does not end.
const BOMB: [u8; 25] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xec, 0xc1, 0x81, 0x00, 0x00, 0x00,
    0x00, 0x80, 0x20, 0x95, 0xfd, 0x29, 0x17, 0xa9, 0x0a,
];

/// Returns the rows. Neither client requests compression, so the clients decompress none of these
/// bodies.
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
        .reporting("the header Content-Encoding claims")
    };
    let plain_as = |name: &str, encoding: &str| {
        let header = format!("Content-Encoding: {encoding}\r\n");
        bytes(name, &header, plain, GRANTED)
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
        plain_as("gzip that is not compressed", "gzip"),
        encoded("deflate", "deflate", b"\x78\x9c\x03\x00\x00\x00\x00\x01"),
        encoded("br", "br", b"\x06"),
        encoded(
            "zstd",
            "zstd",
            b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51",
        ),
        encoded("two encodings", "gzip, br", &bomb()[..200]),
        encoded("an unknown encoding", SECRET, &bomb()[..200]),
        encoded("a decompression bomb", "gzip", &bomb()).checks_memory(),
        encoded("a decompression bomb in two layers", "gzip, gzip", &bomb()).checks_memory(),
        Row::after_request("an endless decompression bomb", MALFORMED, |peer| {
            peer.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")?;
            peer.send(BOMB)?;
            peer.flood([0])
        })
        .checks_memory(),
        bytes(
            "a decompression bomb without Content-Encoding",
            "",
            &bomb(),
            MALFORMED,
        )
        .reporting("it is not UTF-8")
        .checks_memory(),
        Row::responds(
            "a decompression bomb as a transfer encoding",
            chunked(&bomb()),
            MALFORMED,
        )
        .reporting("it is not UTF-8")
        .checks_memory(),
        Row::after_request(
            "a decompression bomb as an error",
            refused(502),
            move |peer| {
                let head = "502 Bad Gateway\r\nContent-Encoding: gzip";
                let response = with_bytes("", &bomb());
                peer.send(
                    [
                        format!("HTTP/1.1 {head}").as_bytes(),
                        &response[b"HTTP/1.1 200 OK".len()..],
                    ]
                    .concat(),
                )
            },
        )
        .checks_memory(),
        plain_as("identity", "identity"),
        plain_as("identity twice", "identity, identity"),
        plain_as("an empty encoding", ""),
        plain_as("a character set as an encoding", "UTF-8"),
        plain_as("none as an encoding", "none"),
        plain_as("aws-chunked as an encoding", "aws-chunked"),
        plain_as("the secret as an encoding", SECRET),
    ]
}
