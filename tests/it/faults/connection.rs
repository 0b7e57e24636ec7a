//! Connections: refused, reset, half-closed, and those on which nothing comes.

use std::io::Read;
use std::time::Duration;

use meshconnect_auth::{ErrorKind, TransportErrorKind};

use crate::faults::peer::Peer;
use crate::faults::row::{BROKEN, NOT_HTTP, Row, Seen, TIMEOUT, TOKEN_SEEN, rejected};
use crate::support::EXAMPLE_200;
use crate::support::server::answer;

pub fn rows() -> Vec<Row> {
    let ok = || answer("200 OK", "", EXAMPLE_200);
    vec![
        Row::serves("closed at once", BROKEN, |_peer| Ok(())).unasked(),
        Row::serves("reset at once", BROKEN, Peer::reset).unasked(),
        // Before a request is on its way, hyper takes the same for a broken connection; which of the
        // two it is would be a race.
        Row::serves(
            "garbage before the request was read",
            NOT_HTTP,
            |mut peer| {
                peer.read_exact(&mut [0; 16])?;
                peer.say("SSH-2.0-OpenSSH_9.6\r\n")?;
                peer.stall()
            },
        )
        .unasked(),
        Row::serves(
            "closed while the request is not read",
            BROKEN,
            |mut peer| {
                // What is left unread makes a reset of the close.
                peer.read_exact(&mut [0; 16])
            },
        )
        .unasked(),
        Row::goes_on("closed after the request", BROKEN, |_peer| Ok(())),
        Row::serves("reset after the request", BROKEN, |mut peer| {
            peer.request()?;
            peer.reset()
        }),
        Row::serves("reset within the status line", BROKEN, |mut peer| {
            peer.request()?;
            peer.say("HTTP/1.1 2")?;
            peer.reset()
        }),
        Row::serves("reset within the head", BROKEN, |mut peer| {
            peer.request()?;
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-")?;
            peer.reset()
        }),
        Row::serves("reset after a 1xx", BROKEN, |mut peer| {
            peer.request()?;
            peer.say("HTTP/1.1 100 Continue\r\n\r\n")?;
            peer.reset()
        }),
        Row::serves(
            "reset after the whole answer",
            TOKEN_SEEN,
            move |mut peer| {
                peer.request()?;
                peer.say(ok())?;
                peer.reset()
            },
        ),
        Row::goes_on("half-closed after the answer", TOKEN_SEEN, move |peer| {
            peer.say(ok())?;
            peer.half_close()
        }),
        Row::goes_on("half-closed in place of an answer", BROKEN, |peer| {
            peer.half_close()
        }),
        Row::serves("never read, never answered", TIMEOUT, |peer| {
            peer.ignore();
            Ok(())
        })
        .soon()
        .unasked(),
        Row::goes_on("read and never answered", TIMEOUT, Peer::stall).soon(),
        Row::goes_on("answered after too long", TIMEOUT, move |peer| {
            std::thread::sleep(Duration::from_secs(2));
            peer.say(ok())
        })
        .soon(),
        Row::goes_on("answered late, but in time", TOKEN_SEEN, move |peer| {
            std::thread::sleep(Duration::from_millis(500));
            peer.say(ok())
        }),
        Row::serves(
            "a no before the body was read",
            rejected(413),
            |mut peer| {
                read_head(&mut peer)?;
                peer.say(answer("413 Content Too Large", "Connection: close\r\n", ""))?;
                peer.half_close()
            },
        )
        .unasked(),
        Row::serves(
            "a yes before the body was read",
            TOKEN_SEEN,
            move |mut peer| {
                read_head(&mut peer)?;
                peer.say(ok())?;
                peer.stall()
            },
        )
        .unasked(),
        Row::goes_on(
            "answered in one segment each byte",
            TOKEN_SEEN,
            move |peer| peer.drip(ok(), 1, Duration::ZERO),
        )
        .patiently(),
        // Nobody listens on the port of the service multiplexer, and only root could.
        Row::serves("refused", REFUSED, |_peer| Ok(())).at_dead_port(1),
        Row::serves("refused where TLS is wanted", REFUSED, |_peer| Ok(()))
            .at_dead_port(1)
            .trusting(&crate::support::tls::Ca::new().pem),
    ]
}

const REFUSED: Seen = Seen::No(ErrorKind::Transport(TransportErrorKind::Connect), None);

/// Reads byte by byte, so that the body stays where it is.
fn read_head(peer: &mut impl Read) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        peer.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(())
}
