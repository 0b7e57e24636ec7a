//! TLS: certificates that must be refused, and handshakes and streams that fail.

use std::io::{self, Read};
use std::sync::{Arc, LazyLock};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, SanType, date_time_ymd};

use crate::faults::body::ANY_END;
use crate::faults::peer::Peer;
use crate::faults::row::Library::Ureq;
use crate::faults::row::{BROKEN, CERTIFICATE, GRANTED, MALFORMED, Row, TIMEOUT, TLS, TORN};
use crate::support::EXAMPLE_200;
use crate::support::server::response;
use crate::support::tls::Ca;

static OURS: LazyLock<Ca> = LazyLock::new(Ca::new);

pub fn rows() -> Vec<Row> {
    let mut rows = certificates();
    rows.extend(handshakes());
    rows.extend(streams());
    rows.into_iter()
        .map(|row| row.trusting(&OURS.pem))
        .collect()
}

fn ok() -> String {
    response("200 OK", "", EXAMPLE_200)
}

fn certificates() -> Vec<Row> {
    let bad = |name: &str, shown: &str, change: fn(&mut CertificateParams)| {
        Row::responds(name, ok(), CERTIFICATE)
            .encrypted(OURS.server_with(shown, change))
            .no_request()
    };
    vec![
        Row::responds("a valid certificate", ok(), GRANTED).encrypted(OURS.server("localhost")),
        Row::responds("a valid certificate for an address", ok(), GRANTED)
            .encrypted(OURS.server("127.0.0.1"))
            .at("127.0.0.1"),
        Row::responds("a certificate of an unknown CA", ok(), CERTIFICATE)
            .encrypted(Ca::new().server("localhost"))
            .no_request(),
        bad("an expired certificate", "localhost", |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }),
        bad(
            "a certificate that is not yet valid",
            "localhost",
            |params| {
                params.not_before = date_time_ymd(2200, 1, 1);
                params.not_after = date_time_ymd(2201, 1, 1);
            },
        ),
        bad("a certificate for another name", "other.example", |_| ()),
        bad(
            "a certificate for a name with the same prefix",
            "localhost.example",
            |_| (),
        ),
        bad(
            "a certificate for an address instead of the name",
            "127.0.0.1",
            |_| (),
        ),
        bad("a certificate for *", "*", |_| ()),
        bad("a certificate for all subdomains", "*.localhost", |_| ()),
        bad("a certificate with a partial wildcard", "local*", |_| ()),
        bad(
            "a certificate with the name only in its subject",
            "other.example",
            |params| {
                params
                    .distinguished_name
                    .push(DnType::CommonName, "localhost");
            },
        ),
        bad(
            "a certificate without alternative names",
            "localhost",
            |params| {
                params.subject_alt_names.clear();
                params
                    .distinguished_name
                    .push(DnType::CommonName, "localhost");
            },
        ),
        bad(
            "a certificate for the name as a URI",
            "localhost",
            |params| {
                params.subject_alt_names =
                    vec![SanType::URI("https://localhost".try_into().unwrap())];
            },
        ),
        bad("a client certificate", "localhost", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }),
        bad("a CA certificate", "localhost", |params| {
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }),
        bad(
            "a certificate for a name at an address",
            "localhost",
            |_| (),
        )
        .at("127.0.0.1"),
        bad("a certificate for another address", "127.0.0.2", |_| ()).at("127.0.0.1"),
    ]
}

fn handshakes() -> Vec<Row> {
    let raw = |name: &str, outcome, serve: fn(Peer) -> io::Result<()>| {
        Row::serves(name, outcome, serve).no_request()
    };
    vec![
        raw("plaintext on a TLS port", TLS, |peer| {
            after_hello(
                peer,
                b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            )
        }),
        raw("another protocol on a TLS port", TLS, |peer| {
            after_hello(peer, b"SSH-2.0-OpenSSH_9.6\r\n")
        }),
        raw("zeros on a TLS port", TLS, |peer| {
            after_hello(peer, &[0; 64])
        }),
        raw("a fatal alert", TLS, |peer| {
            after_hello(peer, b"\x15\x03\x03\x00\x02\x02\x28")
        }),
        raw("an oversized record", TLS, |peer| {
            after_hello(peer, b"\x16\x03\x03\xff\xff\x02\x00\x00")
        }),
        raw("application data instead of a handshake", TLS, |peer| {
            after_hello(peer, b"\x17\x03\x03\x00\x05hello")
        }),
        raw(
            "a handshake that stalls immediately",
            TIMEOUT,
            |mut peer| peer.stall(),
        )
        .short_timeout(),
        raw("a handshake that stalls in a record", TIMEOUT, |peer| {
            after_hello(peer, b"\x16\x03\x03\x00\x7a\x02")
        })
        .short_timeout(),
        raw("an endless handshake byte by byte", TIMEOUT, |mut peer| {
            peer.send(b"\x16\x03\x03\x40\x00")?;
            peer.drip_forever([0])
        })
        .short_timeout(),
        raw("a close instead of a handshake", BROKEN, |mut peer| {
            peer.read_exact(&mut [0; 5])
        }),
        raw("an immediate close", BROKEN, |_peer| Ok(())),
        raw("a close within the handshake", BROKEN, |mut peer| {
            read_hello(&mut peer)?;
            peer.send(b"\x16\x03\x03\x00\x7a\x02\x00\x00")
        }),
        raw("a reset within the handshake", BROKEN, |mut peer| {
            read_hello(&mut peer)?;
            peer.send(b"\x16\x03\x03\x00\x7a\x02\x00\x00")?;
            peer.reset()
        }),
        raw("endless handshake records", TLS, |mut peer| {
            read_hello(&mut peer)?;
            let record = [&b"\x16\x03\x03\x10\x00\x02\xff\xff\xff"[..], &[0; 4093]].concat();
            peer.flood(record)
        })
        .checks_memory(),
        raw("endless empty records", TLS, |mut peer| {
            read_hello(&mut peer)?;
            peer.flood(b"\x16\x03\x03\x00\x00")
        })
        .checks_memory(),
    ]
}

/// Reads the whole first record. Unread bytes would turn a close into a reset.
fn read_hello(peer: &mut Peer) -> io::Result<()> {
    let mut head = [0; 5];
    peer.read_exact(&mut head)?;
    let length = u16::from_be_bytes([head[3], head[4]]);
    peer.read_exact(&mut vec![0; length.into()])
}

fn after_hello(mut peer: Peer, bytes: &[u8]) -> io::Result<()> {
    read_hello(&mut peer)?;
    peer.send(bytes)?;
    peer.stall()
}

fn streams() -> Vec<Row> {
    let config = OURS.server("localhost");
    let encrypted = |row: Row| row.encrypted(Arc::clone(&config));
    vec![
        encrypted(Row::after_request(
            "a whole response without a close_notify",
            GRANTED,
            |peer| peer.send(ok()),
        )),
        encrypted(
            Row::after_request(
                "a body without a length and without a close_notify",
                TORN,
                |peer| peer.send(format!("HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}")),
            )
            .except(Ureq, GRANTED, ANY_END),
        ),
        encrypted(Row::responds(
            "a body without a length, with a close_notify",
            format!("HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}"),
            GRANTED,
        )),
        encrypted(Row::after_request(
            "half of a body without a close_notify",
            TORN,
            |peer| peer.send(&ok()[..ok().len() - 20]),
        )),
        encrypted(Row::responds(
            "half of a body with a close_notify",
            &ok()[..ok().len() - 20],
            TORN,
        )),
        encrypted(Row::after_request(
            "chunks without a last one and without a close_notify",
            TORN,
            |peer| {
                peer.send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{EXAMPLE_200}\r\n", EXAMPLE_200.len()))
            },
        )),
        encrypted(Row::after_request(
            "half of a head without a close_notify",
            BROKEN,
            |peer| peer.send("HTTP/1.1 200 OK\r\nX-"),
        )),
        encrypted(Row::serves(
            "a close_notify instead of a response",
            BROKEN,
            |mut peer| {
                peer.request()?;
                peer.close()
            },
        )),
        encrypted(Row::after_request(
            "plaintext after the handshake",
            TLS,
            |peer| {
                io::Write::write_all(&mut peer.tcp(), ok().as_bytes())?;
                peer.half_close()
            },
        )),
        encrypted(Row::after_request("a tampered record", TLS, |peer| {
            io::Write::write_all(
                &mut peer.tcp(),
                b"\x17\x03\x03\x00\x20tampered tampered tampered tampe",
            )?;
            peer.half_close()
        })),
        encrypted(Row::serves(
            "a reset instead of an encrypted response",
            BROKEN,
            |mut peer| {
                peer.request()?;
                peer.reset()
            },
        )),
        encrypted(
            Row::after_request(
                "an encrypted connection without a response",
                TIMEOUT,
                Peer::stall,
            )
            .short_timeout(),
        ),
        encrypted(Row::after_request(
            "an endless encrypted body",
            MALFORMED,
            |peer| {
                peer.send("HTTP/1.1 200 OK\r\n\r\n")?;
                peer.flood(" ")
            },
        ))
        .checks_memory(),
    ]
}
