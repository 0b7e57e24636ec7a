//! TLS: certificates that must not be taken, and handshakes and streams that end badly.

use std::io::{self, Read};
use std::sync::{Arc, LazyLock};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, SanType, date_time_ymd};

use crate::faults::body::ANY_END;
use crate::faults::peer::Peer;
use crate::faults::row::Which::Ureq;
use crate::faults::row::{BROKEN, CERTIFICATE, MALFORMED, Row, TIMEOUT, TLS, TOKEN_SEEN, TORN};
use crate::support::EXAMPLE_200;
use crate::support::server::answer;
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
    answer("200 OK", "", EXAMPLE_200)
}

fn certificates() -> Vec<Row> {
    let bad = |name: &str, shown: &str, change: fn(&mut CertificateParams)| {
        Row::answers(name, ok(), CERTIFICATE)
            .encrypted(OURS.server_with(shown, change))
            .unasked()
    };
    vec![
        Row::answers("a good certificate", ok(), TOKEN_SEEN).encrypted(OURS.server("localhost")),
        Row::answers("a good certificate for an address", ok(), TOKEN_SEEN)
            .encrypted(OURS.server("127.0.0.1"))
            .at("127.0.0.1"),
        Row::answers("a certificate of an unknown CA", ok(), CERTIFICATE)
            .encrypted(Ca::new().server("localhost"))
            .unasked(),
        bad("a certificate that has expired", "localhost", |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }),
        bad(
            "a certificate that is not valid yet",
            "localhost",
            |params| {
                params.not_before = date_time_ymd(2200, 1, 1);
                params.not_after = date_time_ymd(2201, 1, 1);
            },
        ),
        bad("a certificate for another name", "other.example", |_| ()),
        bad(
            "a certificate for a name that begins alike",
            "localhost.example",
            |_| (),
        ),
        bad(
            "a certificate for an address in place of a name",
            "127.0.0.1",
            |_| (),
        ),
        bad("a certificate for everything", "*", |_| ()),
        bad("a certificate for every name below", "*.localhost", |_| ()),
        bad("a certificate for a part of the name", "local*", |_| ()),
        bad(
            "a certificate for a name in its subject alone",
            "other.example",
            |params| {
                params
                    .distinguished_name
                    .push(DnType::CommonName, "localhost");
            },
        ),
        bad("a certificate without any name", "localhost", |params| {
            params.subject_alt_names.clear();
            params
                .distinguished_name
                .push(DnType::CommonName, "localhost");
        }),
        bad(
            "a certificate for the name as a URI",
            "localhost",
            |params| {
                params.subject_alt_names =
                    vec![SanType::URI("https://localhost".try_into().unwrap())];
            },
        ),
        bad("a certificate for clients", "localhost", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }),
        bad("a certificate of a CA", "localhost", |params| {
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }),
        bad(
            "a certificate for a name, at an address",
            "localhost",
            |_| (),
        )
        .at("127.0.0.1"),
        bad("a certificate for another address", "127.0.0.2", |_| ()).at("127.0.0.1"),
    ]
}

fn handshakes() -> Vec<Row> {
    let raw = |name: &str, seen, serve: fn(Peer) -> io::Result<()>| {
        Row::serves(name, seen, serve).unasked()
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
        raw("a refusal by alert", TLS, |peer| {
            after_hello(peer, b"\x15\x03\x03\x00\x02\x02\x28")
        }),
        raw("a record larger than there may be", TLS, |peer| {
            after_hello(peer, b"\x16\x03\x03\xff\xff\x02\x00\x00")
        }),
        raw("data in place of a handshake", TLS, |peer| {
            after_hello(peer, b"\x17\x03\x03\x00\x05hello")
        }),
        raw("a handshake that stalls at once", TIMEOUT, |mut peer| {
            peer.stall()
        })
        .soon(),
        raw("a handshake that stalls in a record", TIMEOUT, |peer| {
            after_hello(peer, b"\x16\x03\x03\x00\x7a\x02")
        })
        .soon(),
        raw(
            "a handshake byte by byte without end",
            TIMEOUT,
            |mut peer| {
                peer.say(b"\x16\x03\x03\x40\x00")?;
                peer.drip_forever([0])
            },
        )
        .soon(),
        raw("a close in place of a handshake", BROKEN, |mut peer| {
            peer.read_exact(&mut [0; 5])
        }),
        raw("a close at once", BROKEN, |_peer| Ok(())),
        raw("a close in the handshake", BROKEN, |mut peer| {
            read_hello(&mut peer)?;
            peer.say(b"\x16\x03\x03\x00\x7a\x02\x00\x00")
        }),
        raw("a reset in the handshake", BROKEN, |mut peer| {
            read_hello(&mut peer)?;
            peer.say(b"\x16\x03\x03\x00\x7a\x02\x00\x00")?;
            peer.reset()
        }),
        raw("handshake records without end", TLS, |mut peer| {
            read_hello(&mut peer)?;
            let record = [&b"\x16\x03\x03\x10\x00\x02\xff\xff\xff"[..], &[0; 4093]].concat();
            peer.flood(record)
        })
        .hungry(),
        raw("empty records without end", TLS, |mut peer| {
            read_hello(&mut peer)?;
            peer.flood(b"\x16\x03\x03\x00\x00")
        })
        .hungry(),
    ]
}

/// All of a first record, so that no close becomes a reset.
fn read_hello(peer: &mut Peer) -> io::Result<()> {
    let mut head = [0; 5];
    peer.read_exact(&mut head)?;
    let length = u16::from_be_bytes([head[3], head[4]]);
    peer.read_exact(&mut vec![0; length.into()])
}

fn after_hello(mut peer: Peer, bytes: &[u8]) -> io::Result<()> {
    read_hello(&mut peer)?;
    peer.say(bytes)?;
    peer.stall()
}

fn streams() -> Vec<Row> {
    let config = OURS.server("localhost");
    let encrypted = |row: Row| row.encrypted(Arc::clone(&config));
    vec![
        encrypted(Row::goes_on(
            "a whole answer without a close_notify",
            TOKEN_SEEN,
            |peer| peer.say(ok()),
        )),
        encrypted(
            Row::goes_on(
                "a body without a length and without a close_notify",
                TORN,
                |peer| peer.say(format!("HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}")),
            )
            .but(Ureq, TOKEN_SEEN, ANY_END),
        ),
        encrypted(Row::answers(
            "a body without a length, with a close_notify",
            format!("HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}"),
            TOKEN_SEEN,
        )),
        encrypted(Row::goes_on(
            "half of a body without a close_notify",
            TORN,
            |peer| peer.say(&ok()[..ok().len() - 20]),
        )),
        encrypted(Row::answers(
            "half of a body with a close_notify",
            &ok()[..ok().len() - 20],
            TORN,
        )),
        encrypted(Row::goes_on(
            "chunks without a last one and without a close_notify",
            TORN,
            |peer| {
                peer.say(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{EXAMPLE_200}\r\n", EXAMPLE_200.len()))
            },
        )),
        encrypted(Row::goes_on(
            "half of a head without a close_notify",
            BROKEN,
            |peer| peer.say("HTTP/1.1 200 OK\r\nX-"),
        )),
        encrypted(Row::serves(
            "a close_notify in place of an answer",
            BROKEN,
            |mut peer| {
                peer.request()?;
                peer.close()
            },
        )),
        encrypted(Row::goes_on("plaintext after the handshake", TLS, |peer| {
            io::Write::write_all(&mut peer.tcp(), ok().as_bytes())?;
            peer.half_close()
        })),
        encrypted(Row::goes_on(
            "a record that was tampered with",
            TLS,
            |peer| {
                io::Write::write_all(
                    &mut peer.tcp(),
                    b"\x17\x03\x03\x00\x20tampered tampered tampered tampe",
                )?;
                peer.half_close()
            },
        )),
        encrypted(Row::serves(
            "a reset in place of an encrypted answer",
            BROKEN,
            |mut peer| {
                peer.request()?;
                peer.reset()
            },
        )),
        encrypted(
            Row::goes_on("an encrypted answer that never comes", TIMEOUT, |peer| {
                peer.stall()
            })
            .soon(),
        ),
        encrypted(Row::goes_on(
            "an encrypted body without end",
            MALFORMED,
            |peer| {
                peer.say("HTTP/1.1 200 OK\r\n\r\n")?;
                peer.flood(" ")
            },
        ))
        .hungry(),
    ]
}
