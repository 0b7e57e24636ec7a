//! Status lines: every class of status, redirects, versions, and what is no status line at all.

use crate::faults::row::Which::Ureq;
use crate::faults::row::{BROKEN, MALFORMED, NOT_HTTP, Row, TOKEN_SEEN, malformed, rejected};
use crate::support::EXAMPLE_200;
use crate::support::SECRET;
use crate::support::server::answer;

pub fn rows() -> Vec<Row> {
    [
        informational(),
        successes(),
        redirects(),
        refusals(),
        versions(),
        garbage(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn ok() -> String {
    answer("200 OK", "", EXAMPLE_200)
}

fn informational() -> Vec<Row> {
    let after = |head: &str| format!("{head}{}", ok());
    vec![
        Row::answers(
            "100 before the answer",
            after("HTTP/1.1 100 Continue\r\n\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "102 before the answer",
            after("HTTP/1.1 102 Processing\r\n\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "103 with headers before the answer",
            after("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "199 before the answer",
            after("HTTP/1.1 199 Any\r\n\r\n"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "ten 1xx before the answer",
            after(&"HTTP/1.1 102 P\r\n\r\n".repeat(10)),
            TOKEN_SEEN,
        ),
        Row::answers(
            "a 100 with a Content-Length before the answer",
            after("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"),
            TOKEN_SEEN,
        )
        .but(Ureq, NOT_HTTP, "it takes no 100 that has headers"),
        Row::answers(
            "a 100 and nothing more",
            "HTTP/1.1 100 Continue\r\n\r\n",
            BROKEN,
        ),
        Row::answers(
            "101, which nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            rejected(101),
        ),
    ]
}

fn successes() -> Vec<Row> {
    let mut rows: Vec<_> = [200, 201, 202, 203, 206, 207, 226, 299]
        .map(|code| {
            let status = format!("{code} Fine");
            Row::answers(
                format!("{code} with a token"),
                answer(&status, "", EXAMPLE_200),
                TOKEN_SEEN,
            )
        })
        .into();
    let part = format!("Content-Range: bytes 0-49/{}\r\n", EXAMPLE_200.len());
    rows.extend([
        Row::answers(
            "204 without a body",
            "HTTP/1.1 204 No Content\r\n\r\n",
            malformed(204),
        )
        .saying("it is empty"),
        Row::answers(
            "204 with a body, which it cannot have",
            answer("204 No Content", "", EXAMPLE_200),
            malformed(204),
        )
        .saying("it is empty"),
        Row::answers(
            "205 without a body",
            answer("205 Reset Content", "", ""),
            malformed(205),
        ),
        Row::answers(
            "205 with a token",
            answer("205 Reset Content", "", EXAMPLE_200),
            TOKEN_SEEN,
        ),
        Row::answers(
            "206 with a part",
            answer("206 Partial Content", &part, &EXAMPLE_200[..50]),
            malformed(206),
        ),
    ]);
    rows
}

/// Each would lead back to the same server, which would count a second connection.
fn redirects() -> Vec<Row> {
    let mut rows: Vec<_> = [300, 301, 302, 303, 305, 307, 308]
        .map(|code| {
            Row::goes_on(
                format!("{code} to another path"),
                rejected(code),
                move |peer| {
                    let location = format!("Location: http://{}/elsewhere\r\n", peer.address());
                    peer.say(answer(&format!("{code} Elsewhere"), &location, EXAMPLE_200))
                },
            )
            .saying("a redirect, which is never followed")
        })
        .into();
    let to = |name: &str, headers: &str| {
        Row::answers(
            name,
            answer("307 Temporary Redirect", headers, ""),
            rejected(307),
        )
        .saying("a redirect, which is never followed")
    };
    rows.extend([
        to("a redirect to a relative path", "Location: elsewhere\r\n"),
        to("a redirect to nowhere", ""),
        to(
            "a redirect to two places",
            "Location: /a\r\nLocation: /b\r\n",
        ),
        to("a redirect to no URL", "Location: http://[::1:/ \t%zz\r\n"),
        to(
            "a redirect with bytes in its URL",
            "Location: /\u{80}\u{ff}\u{202e}\r\n",
        ),
        to("a redirect to a file", "Location: file:///etc/passwd\r\n"),
        to(
            "a redirect with the secret in it",
            &format!("Location: https://x:{SECRET}@a.invalid/?{SECRET}\r\n"),
        ),
        to("a redirect to itself", "Location: /admin/api/v1/Token\r\n"),
        to(
            "a redirect that refreshes",
            "Refresh: 0; url=/elsewhere\r\nLocation: /elsewhere\r\n",
        ),
        Row::answers(
            "304",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            rejected(304),
        ),
        Row::answers(
            "304 with the length of what it does not send",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
            rejected(304),
        ),
        Row::answers(
            "304 with a body, which it cannot have",
            answer("304 Not Modified", "", EXAMPLE_200),
            rejected(304),
        ),
        Row::answers(
            "306, which is no more",
            answer("306 Switch Proxy", "", EXAMPLE_200),
            rejected(306),
        ),
    ]);
    rows
}

/// Each with a body that would be a yes, were it not for the status.
fn refusals() -> Vec<Row> {
    let codes = (400..=418).chain([421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499]);
    let codes = codes.chain(500..=508).chain([510, 511, 520, 599, 600, 999]);
    let mut rows: Vec<_> = codes
        .map(|code| {
            let answer = answer(&format!("{code} {SECRET}"), "", EXAMPLE_200);
            Row::answers(format!("{code} with a token"), answer, rejected(code))
        })
        .collect();
    let echo = format!("WWW-Authenticate: Basic realm=\"{SECRET}\"\r\nX-Request-Id: {SECRET}\r\n");
    rows.extend([
        Row::answers(
            "401 that echoes",
            answer("401 Unauthorized", &echo, SECRET),
            rejected(401),
        )
        .saying("[masked]"),
        Row::answers(
            "407 that echoes",
            answer("407 Proxy Authentication Required", &echo, SECRET),
            rejected(407),
        )
        .saying("[masked]"),
        Row::answers(
            "500 without anything",
            "HTTP/1.1 500 Internal Server Error\r\n\r\n",
            rejected(500),
        ),
    ]);
    rows
}

fn versions() -> Vec<Row> {
    let version = |version: &str| ok().replacen("HTTP/1.1", version, 1);
    vec![
        Row::answers("HTTP/1.0 with a length", version("HTTP/1.0"), TOKEN_SEEN),
        Row::answers(
            "HTTP/1.0 until the end",
            format!("HTTP/1.0 200 OK\r\n\r\n{EXAMPLE_200}"),
            TOKEN_SEEN,
        ),
        Row::answers(
            "HTTP/1.0 that keeps the connection",
            ok().replacen(
                "HTTP/1.1 200 OK",
                "HTTP/1.0 200 OK\r\nConnection: keep-alive",
                1,
            ),
            TOKEN_SEEN,
        ),
        Row::answers("HTTP/1.2", version("HTTP/1.2"), NOT_HTTP),
        Row::answers("HTTP/2.0 in words", version("HTTP/2.0"), NOT_HTTP),
        Row::answers("HTTP/9.9", version("HTTP/9.9"), NOT_HTTP),
        Row::answers("HTTP/1", version("HTTP/1"), NOT_HTTP),
        Row::answers("http/1.1 in small letters", version("http/1.1"), NOT_HTTP),
        Row::answers("HTTP/0.9", EXAMPLE_200, NOT_HTTP),
        Row::answers(
            "HTTP/0.9 of a page",
            format!("<html>\r\n\r\n{SECRET}</html>"),
            NOT_HTTP,
        ),
        Row::answers(
            "HTTP/2 frames",
            &b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01"[..],
            NOT_HTTP,
        ),
        Row::answers(
            "a status without a reason",
            ok().replacen("200 OK", "200", 1),
            TOKEN_SEEN,
        ),
        Row::answers(
            "a status with an empty reason",
            ok().replacen("200 OK", "200 ", 1),
            TOKEN_SEEN,
        ),
        Row::answers(
            "a reason in Latin-1",
            [&b"HTTP/1.1 403 Zur\xfcck\r\nContent-Length: 0\r\n\r\n"[..]].concat(),
            rejected(403),
        ),
        Row::answers(
            "a reason of 8 KiB",
            ok().replacen("OK", &"k".repeat(8 * 1024), 1),
            TOKEN_SEEN,
        ),
    ]
}

fn garbage() -> Vec<Row> {
    let line = |name: &str, line: &str| {
        Row::answers(
            name,
            format!("{line}\r\nContent-Length: 0\r\n\r\n"),
            NOT_HTTP,
        )
    };
    vec![
        line("no status", "HTTP/1.1"),
        line("a status of letters", "HTTP/1.1 abc"),
        line("a status of one digit", "HTTP/1.1 2 OK"),
        line("a status of two digits", "HTTP/1.1 20 OK"),
        line("a status of four digits", "HTTP/1.1 2000 OK"),
        line("a status of nothing", "HTTP/1.1 000 OK"),
        line("a status under 100", "HTTP/1.1 099 OK"),
        line("a negative status", "HTTP/1.1 -20 OK"),
        line(
            "a status of Arabic digits",
            "HTTP/1.1 \u{662}\u{660}\u{660} OK",
        ),
        line("a NUL in the reason", "HTTP/1.1 200 O\0K"),
        line("two spaces before the status", "HTTP/1.1  200 OK"),
        line("tabs for spaces", "HTTP/1.1\t200\tOK"),
        line("a space before the version", " HTTP/1.1 200 OK"),
        line("the secret for a status line", SECRET),
        line("another protocol that looks alike", "RTSP/1.0 200 OK"),
        line(
            "a request for an answer",
            "POST /admin/api/v1/Token HTTP/1.1",
        ),
        Row::answers(
            "an SSH server",
            format!("SSH-2.0-OpenSSH_9.6 {SECRET}\r\n"),
            NOT_HTTP,
        ),
        Row::answers(
            "an SMTP server",
            "220 mail.example ESMTP ready\r\n",
            NOT_HTTP,
        ),
        Row::answers("binary", (0..=255).collect::<Vec<u8>>(), NOT_HTTP),
        Row::answers("zeros for an answer", vec![0; 4096], NOT_HTTP),
        Row::answers(
            "a TLS alert",
            &b"\x15\x03\x01\x00\x02\x02\x46"[..],
            NOT_HTTP,
        ),
        Row::answers(
            "line ends before the answer",
            format!("\r\n\r\n{}", ok()),
            TOKEN_SEEN,
        ),
        Row::answers("LF for line ends", ok().replace("\r\n", "\n"), TOKEN_SEEN),
        Row::answers("CR for line ends", ok().replace("\r\n", "\r"), NOT_HTTP),
        Row::answers(
            "an answer to an answer",
            format!("HTTP/1.1 HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}"),
            NOT_HTTP,
        ),
        Row::answers("a status line and no more", "HTTP/1.1 200 OK\r\n", BROKEN),
        Row::answers("half a status line", "HTTP/1.1 20", BROKEN),
        Row::answers("one byte", "H", BROKEN),
        Row::answers("a head alone", "HTTP/1.1 200 OK\r\n\r\n", MALFORMED).saying("it is empty"),
    ]
}
