//! Bodies of the wrong shape, of any size and speed, and torn.

use std::time::Duration;

use meshconnect_auth::ErrorKind;

use crate::faults::row::Library::Ureq;
use crate::faults::row::{GRANTED, MALFORMED, Outcome, Row, STALLED, TORN, refused};
use crate::support::EXAMPLE_200;
use crate::support::server::response;
use crate::support::{SECRET, TOKEN};

pub fn rows() -> Vec<Row> {
    [documents(), contents(), texts(), sizes(), speeds()]
        .into_iter()
        .flatten()
        .collect()
}

fn ok_body(name: impl Into<String>, body: &str, outcome: Outcome) -> Row {
    Row::responds(name, response("200 OK", "", body), outcome)
}

pub fn bytes(name: &str, headers: &str, body: &[u8], outcome: Outcome) -> Row {
    Row::responds(name, with_bytes(headers, body), outcome)
}

pub fn with_bytes(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// Why ureq accepts a body without a length that was cut. A cut body is no longer valid JSON, so
/// the client does not accept a wrong token.
pub const ANY_END: &str =
    "ureq takes any close of the connection for the end of a body without a length";

fn documents() -> Vec<Row> {
    let half = EXAMPLE_200.len() / 2;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let with_unknown_field =
        |value: &str| EXAMPLE_200.replacen('{', &format!(r#"{{"unknown":{value},"#), 1);
    vec![
        ok_body("an empty body", "", MALFORMED).reporting("it is empty"),
        ok_body("white space", " \r\n\t ", MALFORMED).reporting("it is empty"),
        ok_body("null", "null", MALFORMED),
        ok_body("true", "true", MALFORMED),
        ok_body("a number", "200", MALFORMED),
        ok_body("a string", "\"ok\"", MALFORMED),
        ok_body("a list", "[]", MALFORMED),
        ok_body(
            "a list with the envelope",
            &format!("[{EXAMPLE_200}]"),
            MALFORMED,
        ),
        ok_body("an empty object", "{}", MALFORMED).reporting("it has no status"),
        ok_body(
            "an envelope without a status",
            &EXAMPLE_200.replace("\"status\": \"ok\"", "\"state\": \"ok\""),
            MALFORMED,
        ),
        ok_body("the bare token", TOKEN, MALFORMED),
        ok_body(
            "the bare token in quotes",
            &format!("\"{TOKEN}\""),
            MALFORMED,
        ),
        ok_body("half of the envelope", &EXAMPLE_200[..half], MALFORMED),
        ok_body("the envelope twice", &EXAMPLE_200.repeat(2), MALFORMED),
        ok_body(
            "text after the envelope",
            &format!("{EXAMPLE_200}{SECRET}"),
            MALFORMED,
        ),
        ok_body(
            "a NUL after the envelope",
            &format!("{EXAMPLE_200}\0"),
            MALFORMED,
        ),
        ok_body(
            "a comma after the envelope",
            &format!("{EXAMPLE_200},"),
            MALFORMED,
        ),
        ok_body(
            "line ends around the envelope",
            &format!("\r\n\n{EXAMPLE_200}\n\n"),
            GRANTED,
        ),
        ok_body(
            "a form-encoded body",
            &format!("status=ok&id_token={TOKEN}"),
            MALFORMED,
        ),
        ok_body(
            "an HTML page",
            &format!("<html><p>{SECRET} {TOKEN}</p></html>"),
            MALFORMED,
        ),
        ok_body(
            "an XML document",
            &format!("<?xml version=\"1.0\"?><t>{TOKEN}</t>"),
            MALFORMED,
        ),
        ok_body(
            "problem details",
            r#"{"type":"about:blank","title":"No","status":403}"#,
            MALFORMED,
        ),
        ok_body(
            "JSON after an anti-hijacking prefix",
            &format!(")]}}'\n{EXAMPLE_200}"),
            MALFORMED,
        ),
        ok_body(
            "a comment in JSON",
            &format!("/* {SECRET} */{EXAMPLE_200}"),
            MALFORMED,
        ),
        ok_body(
            "100 levels in an unknown field",
            &with_unknown_field(&deep(100)),
            GRANTED,
        ),
        ok_body(
            "128 levels in an unknown field",
            &with_unknown_field(&deep(128)),
            GRANTED,
        ),
        ok_body("30,000 levels", &deep(30_000), MALFORMED).checks_memory(),
        ok_body("60,000 unclosed levels", &"[".repeat(60_000), MALFORMED).checks_memory(),
        ok_body(
            "10,000 levels of objects",
            &"{\"a\":".repeat(10_000),
            MALFORMED,
        )
        .checks_memory(),
        ok_body(
            "a number over the range of f64",
            &with_unknown_field("1e999999"),
            GRANTED,
        ),
        ok_body(
            "a number of 300 digits",
            &with_unknown_field(&"9".repeat(300)),
            GRANTED,
        ),
        ok_body(
            "a number of 20,000 digits",
            &with_unknown_field(&"9".repeat(20_000)),
            GRANTED,
        ),
        ok_body(
            "5,000 unknown fields",
            &with_unknown_field(&format!("[{}0]", "{\"a\":{}},".repeat(5000))),
            GRANTED,
        )
        .checks_memory(),
        ok_body(
            "a duplicate status",
            &EXAMPLE_200.replacen('{', r#"{"status":"ok","#, 1),
            MALFORMED,
        ),
        ok_body(
            "a refusal within a 200",
            r#"{"status":"badRequest","message":"no"}"#,
            refused(200),
        )
        .reporting("badRequest"),
        ok_body(
            "a refusal within a 200 that echoes its token",
            &format!(
                r#"{{"status":"{TOKEN}","message":"{TOKEN}","content":{{"id_token":"{TOKEN}"}}}}"#
            ),
            refused(200),
        )
        .reporting("[masked]"),
    ]
}

fn contents() -> Vec<Row> {
    let content = |name: &str, content: &str| {
        ok_body(
            name,
            &format!(r#"{{"status":"ok","content":{content}}}"#),
            MALFORMED,
        )
    };
    let token = |name: &str, token: &str| {
        content(name, &format!(r#"{{"id_token":{token},"expires_in":60}}"#))
    };
    let lifetime = |name: &str, lifetime: &str, outcome| {
        let body = format!(
            r#"{{"status":"ok","content":{{"id_token":"{TOKEN}","expires_in":{lifetime}}}}}"#
        );
        ok_body(name, &body, outcome)
    };
    vec![
        content("no content", "null"),
        content("a string as the content", &format!("\"{TOKEN}\"")),
        content("a list as the content", &format!("[\"{TOKEN}\"]")),
        content("an empty content", "{}"),
        content(
            "a content of many fields and no token",
            &format!(r#"{{"token":"{TOKEN}","idToken":"{TOKEN}"}}"#),
        ),
        token("a number as the token", "5"),
        token("an object as the token", &format!(r#"{{"jwt":"{TOKEN}"}}"#)),
        token("an empty token", "\"\""),
        token(
            "a token with a line end",
            &format!(r#""{TOKEN}\r\nX-Evil: 1""#),
        ),
        token("a token with a NUL", &format!(r#""{TOKEN}\u0000""#)),
        token("a token with a space", &format!(r#""Bearer {TOKEN}""#)),
        token("a token with an umlaut", &format!("\"{TOKEN}\u{fc}\"")),
        token("half of a surrogate pair as the token", r#""\ud800""#),
        content(
            "a duplicate token",
            &format!(r#"{{"id_token":"{TOKEN}","id_token":"{TOKEN}","expires_in":60}}"#),
        ),
        lifetime("a lifetime of zero", "0", MALFORMED),
        lifetime("a negative lifetime", "-1", MALFORMED),
        lifetime("a fractional lifetime", "0.5", MALFORMED),
        lifetime("a list as the lifetime", "[60]", MALFORMED),
        lifetime(
            "a word as the lifetime",
            &format!("\"{SECRET}\"").replace("\"x", "\\\"x"),
            MALFORMED,
        ),
        lifetime("a lifetime in quotes", "\"60\"", GRANTED),
        lifetime(
            "a lifetime over the range of u64",
            "99999999999999999999999",
            GRANTED,
        ),
        ok_body(
            "a failed authentication",
            r#"{"status":"ok","content":{"status":"failed"}}"#,
            Outcome::Error(ErrorKind::AuthenticationFailed, Some(200)),
        ),
        ok_body(
            "a second factor",
            r#"{"status":"ok","content":{"status":"mfaRequired"}}"#,
            Outcome::Error(ErrorKind::MfaRequired, Some(200)),
        ),
    ]
}

fn texts() -> Vec<Row> {
    let utf16: Vec<u8> = EXAMPLE_200
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [b"\xef\xbb\xbf", EXAMPLE_200.as_bytes()].concat();
    let with_unknown_field = |bytes: &[u8]| {
        let (begin, rest) = EXAMPLE_200.as_bytes().split_at(1);
        [begin, b"\"unknown\":\"", bytes, b"\",", rest].concat()
    };
    vec![
        bytes("a byte order mark", "", &marked, GRANTED),
        bytes("UTF-16", "", &utf16, MALFORMED),
        bytes(
            "UTF-16 with a byte order mark",
            "",
            &[&b"\xff\xfe"[..], &utf16].concat(),
            MALFORMED,
        )
        .reporting("it is not UTF-8"),
        bytes("Latin-1", "", &with_unknown_field(b"Zur\xfcck"), MALFORMED)
            .reporting("it is not UTF-8"),
        bytes(
            "an overlong NUL",
            "",
            &with_unknown_field(b"\xc0\x80"),
            MALFORMED,
        )
        .reporting("it is not UTF-8"),
        bytes(
            "a surrogate in UTF-8",
            "",
            &with_unknown_field(b"\xed\xa0\x80"),
            MALFORMED,
        )
        .reporting("it is not UTF-8"),
        bytes(
            "a control character in a string",
            "",
            &with_unknown_field(b"a\nb"),
            MALFORMED,
        ),
        bytes(
            "every byte value",
            "",
            &(0..=255).collect::<Vec<u8>>(),
            MALFORMED,
        ),
        bytes("zeros", "", &[0; 4096], MALFORMED),
    ]
}

fn sizes() -> Vec<Row> {
    const LIMIT: usize = 64 * 1024;
    let padded = |length: usize| format!("{EXAMPLE_200}{}", " ".repeat(length - EXAMPLE_200.len()));
    let until_the_end = |body: &str| format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    let too_long = |row: Row| row.reporting("longer than 65536 bytes");
    vec![
        ok_body("a body at the limit", &padded(LIMIT), GRANTED),
        too_long(ok_body(
            "a body one byte over the limit",
            &padded(LIMIT + 1),
            MALFORMED,
        )),
        Row::responds(
            "a body without a length",
            until_the_end(EXAMPLE_200),
            GRANTED,
        ),
        Row::responds(
            "a body without a length at the limit",
            until_the_end(&padded(LIMIT)),
            GRANTED,
        ),
        too_long(Row::responds(
            "a body without a length one byte over the limit",
            until_the_end(&padded(LIMIT + 1)),
            MALFORMED,
        )),
        too_long(Row::after_request("a body of 100 MB", MALFORMED, |peer| {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")?;
            peer.flood(" ")
        }))
        .checks_memory(),
        too_long(Row::after_request("an endless body", MALFORMED, |peer| {
            peer.send("HTTP/1.1 200 OK\r\n\r\n")?;
            peer.flood(" ")
        }))
        .checks_memory(),
        too_long(Row::after_request("an endless string", MALFORMED, |peer| {
            peer.send("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"")?;
            peer.flood(TOKEN)
        }))
        .checks_memory(),
        Row::after_request("an endless error body", refused(500), |peer| {
            peer.send("HTTP/1.1 500 Internal Server Error\r\n\r\n")?;
            peer.flood(SECRET)
        })
        .checks_memory(),
        ok_body(
            "a message of 60 KB within a 200",
            &format!(
                r#"{{"status":"badRequest","message":"{}"}}"#,
                "m".repeat(60_000)
            ),
            refused(200),
        )
        .checks_memory(),
        ok_body(
            "a message of escapes only",
            &format!(
                r#"{{"status":"badRequest","message":"{}"}}"#,
                r"\u001b".repeat(10_000)
            ),
            refused(200),
        )
        .checks_memory(),
        // The largest limit that can be set. Memory stays bounded, and the token is read.
        Row::after_request(
            "a body of 1 MiB with a limit of 1 MiB",
            GRANTED,
            move |peer| peer.send(response("200 OK", "", &padded(1024 * 1024))),
        )
        .config(|config| config.max_body = 1024 * 1024)
        .checks_memory(),
    ]
}

fn speeds() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let half = format!("{head}{}", &EXAMPLE_200[..length / 2]);
    let [at_once, slowly] = [head.clone(), head.clone()];
    let [stalled, torn, reset] = [half.clone(), half.clone(), half.clone()];
    let broken = |status: &str| half.replace("200 OK", status);
    let (unavailable, late) = (broken("503 Unavailable"), broken("503 Unavailable"));
    vec![
        Row::after_request(
            "a body byte by byte, within the time-out",
            GRANTED,
            move |peer| {
                peer.send(&at_once)?;
                peer.drip(EXAMPLE_200, 1, Duration::from_millis(1))
            },
        )
        .long_timeout(),
        Row::after_request("a body byte by byte, too slowly", STALLED, move |peer| {
            peer.send(&slowly)?;
            peer.drip(EXAMPLE_200, 1, Duration::from_millis(50))
        })
        .short_timeout(),
        Row::after_request("an endless body byte by byte", STALLED, |peer| {
            peer.send("HTTP/1.1 200 OK\r\n\r\n")?;
            peer.drip_forever(" ")
        })
        .short_timeout(),
        Row::after_request("a head, then a stall", STALLED, move |peer| {
            peer.send(&head)?;
            peer.stall()
        })
        .short_timeout(),
        Row::after_request("half of a body, then a stall", STALLED, move |peer| {
            peer.send(&stalled)?;
            peer.stall()
        })
        .short_timeout(),
        Row::after_request(
            "a whole body without a length, then a stall",
            STALLED,
            |peer| {
                peer.send(format!("HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}"))?;
                peer.stall()
            },
        )
        .short_timeout(),
        Row::responds("half of a body, then a close", torn, TORN),
        Row::serves("half of a body, then a reset", TORN, move |mut peer| {
            peer.request()?;
            peer.send(&reset)?;
            peer.reset()
        }),
        Row::serves(
            "a whole body without a length, then a reset",
            TORN,
            |mut peer| {
                peer.request()?;
                peer.send(format!("HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}"))?;
                peer.reset()
            },
        )
        .except(Ureq, GRANTED, ANY_END),
        Row::serves("half of a chunk, then a reset", TORN, |mut peer| {
            peer.request()?;
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{EXAMPLE_200}"
            ))?;
            peer.reset()
        }),
        Row::responds("half of an error, then a close", unavailable, refused(503)),
        Row::serves(
            "half of an error, then a reset",
            refused(503),
            move |mut peer| {
                peer.request()?;
                peer.send(&late)?;
                peer.reset()
            },
        ),
        Row::after_request(
            "half of an error, then a stall",
            refused(503),
            move |peer| {
                peer.send(half.replace("200 OK", "503 Unavailable"))?;
                peer.stall()
            },
        )
        .short_timeout(),
    ]
}
