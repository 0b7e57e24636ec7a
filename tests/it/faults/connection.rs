//! Connections that are refused, reset, half-closed or silent.

use std::io::Read;
use std::time::Duration;

use meshconnect_auth::{ErrorKind, TransportErrorKind};

use crate::faults::peer::Peer;
use crate::faults::row::{BROKEN, GRANTED, NOT_HTTP, Outcome, Row, TIMEOUT, refused};
use crate::support::EXAMPLE_200;
use crate::support::server::response;

pub fn rows() -> Vec<Row> {
    let ok = || response("200 OK", "", EXAMPLE_200);
    vec![
        Row::serves("closed immediately", BROKEN, |_peer| Ok(())).no_request(),
        Row::serves("reset immediately", BROKEN, Peer::reset).no_request(),
        // The server reads first. If it sent garbage before the request, hyper would sometimes
        // report a broken connection instead.
        Row::serves(
            "garbage before the request was read",
            NOT_HTTP,
            |mut peer| {
                peer.read_exact(&mut [0; 16])?;
                peer.send("SSH-2.0-OpenSSH_9.6\r\n")?;
                peer.stall()
            },
        )
        .no_request(),
        Row::serves("closed with an unread request", BROKEN, |mut peer| {
            // Unread bytes turn the close into a reset.
            peer.read_exact(&mut [0; 16])
        })
        .no_request(),
        Row::after_request("closed after the request", BROKEN, |_peer| Ok(())),
        Row::serves("reset after the request", BROKEN, |mut peer| {
            peer.request()?;
            peer.reset()
        }),
        Row::serves("reset within the status line", BROKEN, |mut peer| {
            peer.request()?;
            peer.send("HTTP/1.1 2")?;
            peer.reset()
        }),
        Row::serves("reset within the head", BROKEN, |mut peer| {
            peer.request()?;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-")?;
            peer.reset()
        }),
        Row::serves("reset after a 1xx", BROKEN, |mut peer| {
            peer.request()?;
            peer.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            peer.reset()
        }),
        Row::serves(
            "reset after the whole response",
            GRANTED,
            move |mut peer| {
                peer.request()?;
                peer.send(ok())?;
                peer.reset()
            },
        ),
        Row::after_request("half-closed after the response", GRANTED, move |peer| {
            peer.send(ok())?;
            peer.half_close()
        }),
        Row::after_request("half-closed instead of a response", BROKEN, |peer| {
            peer.half_close()
        }),
        Row::serves("request not read", TIMEOUT, |peer| {
            peer.ignore();
            Ok(())
        })
        .short_timeout()
        .no_request(),
        Row::after_request("request read, no response", TIMEOUT, Peer::stall).short_timeout(),
        Row::after_request("response after the time-out", TIMEOUT, move |peer| {
            std::thread::sleep(Duration::from_secs(2));
            peer.send(ok())
        })
        .short_timeout(),
        Row::after_request("slow response within the time-out", GRANTED, move |peer| {
            std::thread::sleep(Duration::from_millis(500));
            peer.send(ok())
        }),
        Row::serves(
            "refusal before the body was read",
            refused(413),
            |mut peer| {
                read_head(&mut peer)?;
                peer.send(response(
                    "413 Content Too Large",
                    "Connection: close\r\n",
                    "",
                ))?;
                peer.half_close()
            },
        )
        .no_request(),
        Row::serves(
            "token before the body was read",
            GRANTED,
            move |mut peer| {
                read_head(&mut peer)?;
                peer.send(ok())?;
                peer.stall()
            },
        )
        .no_request(),
        Row::after_request("one segment per byte", GRANTED, move |peer| {
            peer.drip(ok(), 1, Duration::ZERO)
        })
        .long_timeout(),
        // Nothing listens on port 1, and only root could bind it.
        Row::serves("refused", REFUSED, |_peer| Ok(())).on_closed_port(1),
        Row::serves("refused with TLS", REFUSED, |_peer| Ok(()))
            .on_closed_port(1)
            .trusting(&crate::support::tls::Ca::new().pem),
    ]
}

const REFUSED: Outcome = Outcome::Error(ErrorKind::Transport(TransportErrorKind::Connect), None);

/// Reads byte by byte so that the body stays unread.
fn read_head(peer: &mut impl Read) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        peer.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(())
}
