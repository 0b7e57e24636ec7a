//! Status lines: every class of status, redirects, versions, and malformed status lines.

use crate::faults::row::Library::Ureq;
use crate::faults::row::{BROKEN, GRANTED, MALFORMED, NOT_HTTP, Row, malformed, refused};
use crate::support::EXAMPLE_200;
use crate::support::SECRET;
use crate::support::server::response;

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
    response("200 OK", "", EXAMPLE_200)
}

fn informational() -> Vec<Row> {
    let after = |head: &str| format!("{head}{}", ok());
    vec![
        Row::responds(
            "a 100 before the response",
            after("HTTP/1.1 100 Continue\r\n\r\n"),
            GRANTED,
        ),
        Row::responds(
            "a 102 before the response",
            after("HTTP/1.1 102 Processing\r\n\r\n"),
            GRANTED,
        ),
        Row::responds(
            "a 103 with headers before the response",
            after("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
            GRANTED,
        ),
        Row::responds(
            "a 199 before the response",
            after("HTTP/1.1 199 Any\r\n\r\n"),
            GRANTED,
        ),
        Row::responds(
            "ten 1xx before the response",
            after(&"HTTP/1.1 102 P\r\n\r\n".repeat(10)),
            GRANTED,
        ),
        Row::responds(
            "a 100 with a Content-Length before the response",
            after("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"),
            GRANTED,
        )
        .except(Ureq, NOT_HTTP, "ureq refuses a 100 with headers"),
        Row::responds(
            "a 100, then a close",
            "HTTP/1.1 100 Continue\r\n\r\n",
            BROKEN,
        ),
        Row::responds(
            "a 101 without a request for it",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            refused(101),
        ),
    ]
}

fn successes() -> Vec<Row> {
    let mut rows: Vec<_> = [200, 201, 202, 203, 206, 207, 226, 299]
        .map(|code| {
            let status = format!("{code} Fine");
            Row::responds(
                format!("{code} with a token"),
                response(&status, "", EXAMPLE_200),
                GRANTED,
            )
        })
        .into();
    let part = format!("Content-Range: bytes 0-49/{}\r\n", EXAMPLE_200.len());
    rows.extend([
        Row::responds(
            "204 without a body",
            "HTTP/1.1 204 No Content\r\n\r\n",
            malformed(204),
        )
        .reporting("it is empty"),
        Row::responds(
            "204 with a body",
            response("204 No Content", "", EXAMPLE_200),
            malformed(204),
        )
        .reporting("it is empty"),
        Row::responds(
            "205 without a body",
            response("205 Reset Content", "", ""),
            malformed(205),
        ),
        Row::responds(
            "205 with a token",
            response("205 Reset Content", "", EXAMPLE_200),
            GRANTED,
        ),
        Row::responds(
            "206 with a partial body",
            response("206 Partial Content", &part, &EXAMPLE_200[..50]),
            malformed(206),
        ),
    ]);
    rows
}

/// Returns rows that redirect to the same server, which would count a second connection.
fn redirects() -> Vec<Row> {
    let mut rows: Vec<_> = [300, 301, 302, 303, 305, 307, 308]
        .map(|code| {
            Row::after_request(
                format!("{code} to another path"),
                refused(code),
                move |peer| {
                    let location = format!("Location: http://{}/elsewhere\r\n", peer.address());
                    peer.send(response(
                        &format!("{code} Elsewhere"),
                        &location,
                        EXAMPLE_200,
                    ))
                },
            )
            .reporting("a redirect, which is never followed")
        })
        .into();
    let to = |name: &str, headers: &str| {
        Row::responds(
            name,
            response("307 Temporary Redirect", headers, ""),
            refused(307),
        )
        .reporting("a redirect, which is never followed")
    };
    rows.extend([
        to("a redirect to a relative path", "Location: elsewhere\r\n"),
        to("a redirect without Location", ""),
        to(
            "a redirect with two Locations",
            "Location: /a\r\nLocation: /b\r\n",
        ),
        to(
            "a redirect to a malformed URL",
            "Location: http://[::1:/ \t%zz\r\n",
        ),
        to(
            "a redirect with non-ASCII bytes in its URL",
            "Location: /\u{80}\u{ff}\u{202e}\r\n",
        ),
        to("a redirect to a file", "Location: file:///etc/passwd\r\n"),
        to(
            "a redirect with the secret in its URL",
            &format!("Location: https://x:{SECRET}@a.invalid/?{SECRET}\r\n"),
        ),
        to("a redirect to itself", "Location: /admin/api/v1/Token\r\n"),
        to(
            "a redirect with a Refresh header",
            "Refresh: 0; url=/elsewhere\r\nLocation: /elsewhere\r\n",
        ),
        Row::responds(
            "304",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            refused(304),
        ),
        Row::responds(
            "304 with a Content-Length",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
            refused(304),
        ),
        Row::responds(
            "304 with a body",
            response("304 Not Modified", "", EXAMPLE_200),
            refused(304),
        ),
        Row::responds(
            "the obsolete 306",
            response("306 Switch Proxy", "", EXAMPLE_200),
            refused(306),
        ),
    ]);
    rows
}

/// Returns rows with error statuses whose bodies would be a token with a 2xx.
fn refusals() -> Vec<Row> {
    let codes = (400..=418).chain([421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499]);
    let codes = codes.chain(500..=508).chain([510, 511, 520, 599, 600, 999]);
    let mut rows: Vec<_> = codes
        .map(|code| {
            let response = response(&format!("{code} {SECRET}"), "", EXAMPLE_200);
            Row::responds(format!("{code} with a token"), response, refused(code))
        })
        .collect();
    let echo = format!("WWW-Authenticate: Basic realm=\"{SECRET}\"\r\nX-Request-Id: {SECRET}\r\n");
    rows.extend([
        Row::responds(
            "401 that echoes the secret",
            response("401 Unauthorized", &echo, SECRET),
            refused(401),
        )
        .reporting("[masked]"),
        Row::responds(
            "407 that echoes the secret",
            response("407 Proxy Authentication Required", &echo, SECRET),
            refused(407),
        )
        .reporting("[masked]"),
        Row::responds(
            "500 without headers and body",
            "HTTP/1.1 500 Internal Server Error\r\n\r\n",
            refused(500),
        ),
    ]);
    rows
}

fn versions() -> Vec<Row> {
    let version = |version: &str| ok().replacen("HTTP/1.1", version, 1);
    vec![
        Row::responds("HTTP/1.0 with a length", version("HTTP/1.0"), GRANTED),
        Row::responds(
            "HTTP/1.0 without a length",
            format!("HTTP/1.0 200 OK\r\n\r\n{EXAMPLE_200}"),
            GRANTED,
        ),
        Row::responds(
            "HTTP/1.0 with keep-alive",
            ok().replacen(
                "HTTP/1.1 200 OK",
                "HTTP/1.0 200 OK\r\nConnection: keep-alive",
                1,
            ),
            GRANTED,
        ),
        Row::responds("HTTP/1.2", version("HTTP/1.2"), NOT_HTTP),
        Row::responds("HTTP/2.0 as text", version("HTTP/2.0"), NOT_HTTP),
        Row::responds("HTTP/9.9", version("HTTP/9.9"), NOT_HTTP),
        Row::responds("HTTP/1", version("HTTP/1"), NOT_HTTP),
        Row::responds("http/1.1 in lower case", version("http/1.1"), NOT_HTTP),
        Row::responds("HTTP/0.9", EXAMPLE_200, NOT_HTTP),
        Row::responds(
            "an HTML page over HTTP/0.9",
            format!("<html>\r\n\r\n{SECRET}</html>"),
            NOT_HTTP,
        ),
        Row::responds(
            "HTTP/2 frames",
            &b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01"[..],
            NOT_HTTP,
        ),
        Row::responds(
            "a status without a reason phrase",
            ok().replacen("200 OK", "200", 1),
            GRANTED,
        ),
        Row::responds(
            "a status with an empty reason phrase",
            ok().replacen("200 OK", "200 ", 1),
            GRANTED,
        ),
        Row::responds(
            "a reason phrase in Latin-1",
            [&b"HTTP/1.1 403 Zur\xfcck\r\nContent-Length: 0\r\n\r\n"[..]].concat(),
            refused(403),
        ),
        Row::responds(
            "a reason phrase of 8 KiB",
            ok().replacen("OK", &"k".repeat(8 * 1024), 1),
            GRANTED,
        ),
    ]
}

fn garbage() -> Vec<Row> {
    let line = |name: &str, line: &str| {
        Row::responds(
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
        line("a status of 000", "HTTP/1.1 000 OK"),
        line("a status under 100", "HTTP/1.1 099 OK"),
        line("a negative status", "HTTP/1.1 -20 OK"),
        line(
            "a status of Arabic digits",
            "HTTP/1.1 \u{662}\u{660}\u{660} OK",
        ),
        line("a NUL in the reason phrase", "HTTP/1.1 200 O\0K"),
        line("two spaces before the status", "HTTP/1.1  200 OK"),
        line("tabs instead of spaces", "HTTP/1.1\t200\tOK"),
        line("a space before the version", " HTTP/1.1 200 OK"),
        line("the secret as a status line", SECRET),
        line("RTSP", "RTSP/1.0 200 OK"),
        line(
            "a request instead of a response",
            "POST /admin/api/v1/Token HTTP/1.1",
        ),
        Row::responds(
            "an SSH server",
            format!("SSH-2.0-OpenSSH_9.6 {SECRET}\r\n"),
            NOT_HTTP,
        ),
        Row::responds(
            "an SMTP server",
            "220 mail.example ESMTP ready\r\n",
            NOT_HTTP,
        ),
        Row::responds(
            "every byte value once",
            (0..=255).collect::<Vec<u8>>(),
            NOT_HTTP,
        ),
        Row::responds("zeros instead of a response", vec![0; 4096], NOT_HTTP),
        Row::responds(
            "a TLS alert",
            &b"\x15\x03\x01\x00\x02\x02\x46"[..],
            NOT_HTTP,
        ),
        Row::responds(
            "line ends before the response",
            format!("\r\n\r\n{}", ok()),
            GRANTED,
        ),
        Row::responds("LF as line ends", ok().replace("\r\n", "\n"), GRANTED),
        Row::responds("CR as line ends", ok().replace("\r\n", "\r"), NOT_HTTP),
        Row::responds(
            "two versions in the status line",
            format!("HTTP/1.1 HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}"),
            NOT_HTTP,
        ),
        Row::responds("only a status line", "HTTP/1.1 200 OK\r\n", BROKEN),
        Row::responds("half a status line", "HTTP/1.1 20", BROKEN),
        Row::responds("one byte", "H", BROKEN),
        Row::responds("only a head", "HTTP/1.1 200 OK\r\n\r\n", MALFORMED).reporting("it is empty"),
    ]
}
