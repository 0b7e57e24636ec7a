//! Bodies: of the wrong shape, of any size and pace, and torn.

use std::time::Duration;

use meshconnect_auth::ErrorKind;

use crate::faults::row::Which::Ureq;
use crate::faults::row::{MALFORMED, Row, STALLED, Seen, TOKEN_SEEN, TORN, rejected};
use crate::support::EXAMPLE_200;
use crate::support::server::answer;
use crate::support::{SECRET, TOKEN};

pub fn rows() -> Vec<Row> {
    [documents(), contents(), texts(), sizes(), paces()]
        .into_iter()
        .flatten()
        .collect()
}

fn says(name: impl Into<String>, body: &str, seen: Seen) -> Row {
    Row::answers(name, answer("200 OK", "", body), seen)
}

pub fn bytes(name: &str, headers: &str, body: &[u8], seen: Seen) -> Row {
    Row::answers(name, with_bytes(headers, body), seen)
}

pub fn with_bytes(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// Of a body without a length. One that was cut is no JSON any more, so nothing wrong is taken.
pub const ANY_END: &str = "it takes every end of the connection for the end of such a body";

fn documents() -> Vec<Row> {
    let half = EXAMPLE_200.len() / 2;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let beside = |value: &str| EXAMPLE_200.replacen('{', &format!(r#"{{"beside":{value},"#), 1);
    vec![
        says("an empty body", "", MALFORMED).saying("it is empty"),
        says("white space", " \r\n\t ", MALFORMED).saying("it is empty"),
        says("null", "null", MALFORMED),
        says("true", "true", MALFORMED),
        says("a number", "200", MALFORMED),
        says("a string", "\"ok\"", MALFORMED),
        says("a list", "[]", MALFORMED),
        says(
            "a list of the answer",
            &format!("[{EXAMPLE_200}]"),
            MALFORMED,
        ),
        says("an empty object", "{}", MALFORMED).saying("it has no status"),
        says(
            "an answer without a status",
            &EXAMPLE_200.replace("\"status\": \"ok\"", "\"state\": \"ok\""),
            MALFORMED,
        ),
        says("the bare token", TOKEN, MALFORMED),
        says(
            "the bare token in quotes",
            &format!("\"{TOKEN}\""),
            MALFORMED,
        ),
        says("half of the answer", &EXAMPLE_200[..half], MALFORMED),
        says("the answer twice", &EXAMPLE_200.repeat(2), MALFORMED),
        says(
            "something after the answer",
            &format!("{EXAMPLE_200}{SECRET}"),
            MALFORMED,
        ),
        says(
            "a NUL after the answer",
            &format!("{EXAMPLE_200}\0"),
            MALFORMED,
        ),
        says(
            "a comma after the answer",
            &format!("{EXAMPLE_200},"),
            MALFORMED,
        ),
        says(
            "line ends around the answer",
            &format!("\r\n\n{EXAMPLE_200}\n\n"),
            TOKEN_SEEN,
        ),
        says("a form", &format!("status=ok&id_token={TOKEN}"), MALFORMED),
        says(
            "a page",
            &format!("<html><p>{SECRET} {TOKEN}</p></html>"),
            MALFORMED,
        ),
        says(
            "an XML document",
            &format!("<?xml version=\"1.0\"?><t>{TOKEN}</t>"),
            MALFORMED,
        ),
        says(
            "problem details",
            r#"{"type":"about:blank","title":"No","status":403}"#,
            MALFORMED,
        ),
        says(
            "JSON behind a guard",
            &format!(")]}}'\n{EXAMPLE_200}"),
            MALFORMED,
        ),
        says(
            "a comment in JSON",
            &format!("/* {SECRET} */{EXAMPLE_200}"),
            MALFORMED,
        ),
        says(
            "100 levels beside the token",
            &beside(&deep(100)),
            TOKEN_SEEN,
        ),
        says(
            "128 levels beside the token",
            &beside(&deep(128)),
            TOKEN_SEEN,
        ),
        says("30,000 levels", &deep(30_000), MALFORMED).hungry(),
        says(
            "60,000 levels that do not close",
            &"[".repeat(60_000),
            MALFORMED,
        )
        .hungry(),
        says(
            "10,000 levels of objects",
            &"{\"a\":".repeat(10_000),
            MALFORMED,
        )
        .hungry(),
        says(
            "a number beyond all numbers",
            &beside("1e999999"),
            TOKEN_SEEN,
        ),
        says(
            "a number of 300 digits",
            &beside(&"9".repeat(300)),
            TOKEN_SEEN,
        ),
        says(
            "a number of 20,000 digits",
            &beside(&"9".repeat(20_000)),
            TOKEN_SEEN,
        ),
        says(
            "5,000 fields that nobody knows",
            &beside(&format!("[{}0]", "{\"a\":{}},".repeat(5000))),
            TOKEN_SEEN,
        )
        .hungry(),
        says(
            "a status that stands twice",
            &EXAMPLE_200.replacen('{', r#"{"status":"ok","#, 1),
            MALFORMED,
        ),
        says(
            "a no within a 200",
            r#"{"status":"badRequest","message":"no"}"#,
            rejected(200),
        )
        .saying("badRequest"),
        says(
            "a no that echoes the token beside it within a 200",
            &format!(
                r#"{{"status":"{TOKEN}","message":"{TOKEN}","content":{{"id_token":"{TOKEN}"}}}}"#
            ),
            rejected(200),
        )
        .saying("[masked]"),
    ]
}

fn contents() -> Vec<Row> {
    let content = |name: &str, content: &str| {
        says(
            name,
            &format!(r#"{{"status":"ok","content":{content}}}"#),
            MALFORMED,
        )
    };
    let token = |name: &str, token: &str| {
        content(name, &format!(r#"{{"id_token":{token},"expires_in":60}}"#))
    };
    let lifetime = |name: &str, lifetime: &str, seen| {
        let body = format!(
            r#"{{"status":"ok","content":{{"id_token":"{TOKEN}","expires_in":{lifetime}}}}}"#
        );
        says(name, &body, seen)
    };
    vec![
        content("no content", "null"),
        content("a string for the content", &format!("\"{TOKEN}\"")),
        content("a list for the content", &format!("[\"{TOKEN}\"]")),
        content("an empty content", "{}"),
        content(
            "a content of many fields and no token",
            &format!(r#"{{"token":"{TOKEN}","idToken":"{TOKEN}"}}"#),
        ),
        token("a number for a token", "5"),
        token("an object for a token", &format!(r#"{{"jwt":"{TOKEN}"}}"#)),
        token("an empty token", "\"\""),
        token(
            "a token with a line end",
            &format!(r#""{TOKEN}\r\nX-Evil: 1""#),
        ),
        token("a token with a NUL", &format!(r#""{TOKEN}\u0000""#)),
        token("a token with a space", &format!(r#""Bearer {TOKEN}""#)),
        token("a token with an umlaut", &format!("\"{TOKEN}\u{fc}\"")),
        token("half of a surrogate pair for a token", r#""\ud800""#),
        content(
            "a token that stands twice",
            &format!(r#"{{"id_token":"{TOKEN}","id_token":"{TOKEN}","expires_in":60}}"#),
        ),
        lifetime("a lifetime of nothing", "0", MALFORMED),
        lifetime("a negative lifetime", "-1", MALFORMED),
        lifetime("a fraction for a lifetime", "0.5", MALFORMED),
        lifetime("a list for a lifetime", "[60]", MALFORMED),
        lifetime(
            "a word for a lifetime",
            &format!("\"{SECRET}\"").replace("\"x", "\\\"x"),
            MALFORMED,
        ),
        lifetime("a lifetime in quotes", "\"60\"", TOKEN_SEEN),
        lifetime(
            "a lifetime beyond all numbers",
            "99999999999999999999999",
            TOKEN_SEEN,
        ),
        says(
            "a failed authentication",
            r#"{"status":"ok","content":{"status":"failed"}}"#,
            Seen::No(ErrorKind::AuthenticationFailed, Some(200)),
        ),
        says(
            "a second factor",
            r#"{"status":"ok","content":{"status":"mfaRequired"}}"#,
            Seen::No(ErrorKind::MfaRequired, Some(200)),
        ),
    ]
}

fn texts() -> Vec<Row> {
    let utf16: Vec<u8> = EXAMPLE_200
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [b"\xef\xbb\xbf", EXAMPLE_200.as_bytes()].concat();
    let beside = |bytes: &[u8]| {
        let (begin, rest) = EXAMPLE_200.as_bytes().split_at(1);
        [begin, b"\"beside\":\"", bytes, b"\",", rest].concat()
    };
    vec![
        bytes("a byte order mark", "", &marked, TOKEN_SEEN),
        bytes("UTF-16", "", &utf16, MALFORMED),
        bytes(
            "UTF-16 with a mark",
            "",
            &[&b"\xff\xfe"[..], &utf16].concat(),
            MALFORMED,
        )
        .saying("it is not UTF-8"),
        bytes("Latin-1", "", &beside(b"Zur\xfcck"), MALFORMED).saying("it is not UTF-8"),
        bytes("an overlong NUL", "", &beside(b"\xc0\x80"), MALFORMED).saying("it is not UTF-8"),
        bytes(
            "a surrogate in UTF-8",
            "",
            &beside(b"\xed\xa0\x80"),
            MALFORMED,
        )
        .saying("it is not UTF-8"),
        bytes(
            "a control character in a string",
            "",
            &beside(b"a\nb"),
            MALFORMED,
        ),
        bytes(
            "every byte there is",
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
    let too_long = |row: Row| row.saying("longer than 65536 bytes");
    vec![
        says("a body at the limit", &padded(LIMIT), TOKEN_SEEN),
        too_long(says(
            "a body over the limit by one byte",
            &padded(LIMIT + 1),
            MALFORMED,
        )),
        Row::answers(
            "a body without a length",
            until_the_end(EXAMPLE_200),
            TOKEN_SEEN,
        ),
        Row::answers(
            "a body without a length at the limit",
            until_the_end(&padded(LIMIT)),
            TOKEN_SEEN,
        ),
        too_long(Row::answers(
            "a body without a length over the limit by one byte",
            until_the_end(&padded(LIMIT + 1)),
            MALFORMED,
        )),
        too_long(Row::goes_on("a body of 100 MB", MALFORMED, |peer| {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")?;
            peer.flood(" ")
        }))
        .hungry(),
        too_long(Row::goes_on("a body without end", MALFORMED, |peer| {
            peer.say("HTTP/1.1 200 OK\r\n\r\n")?;
            peer.flood(" ")
        }))
        .hungry(),
        too_long(Row::goes_on("a string without end", MALFORMED, |peer| {
            peer.say("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"")?;
            peer.flood(TOKEN)
        }))
        .hungry(),
        Row::goes_on("an error without end", rejected(500), |peer| {
            peer.say("HTTP/1.1 500 Internal Server Error\r\n\r\n")?;
            peer.flood(SECRET)
        })
        .hungry(),
        says(
            "a message of 60 KB within a 200",
            &format!(
                r#"{{"status":"badRequest","message":"{}"}}"#,
                "m".repeat(60_000)
            ),
            rejected(200),
        )
        .hungry(),
        says(
            "escapes alone",
            &format!(
                r#"{{"status":"badRequest","message":"{}"}}"#,
                r"\u001b".repeat(10_000)
            ),
            rejected(200),
        )
        .hungry(),
        // The largest that can be set: still bounded, and still a token.
        Row::goes_on(
            "a body of 1 MiB where that is the limit",
            TOKEN_SEEN,
            move |peer| peer.say(answer("200 OK", "", &padded(1024 * 1024))),
        )
        .config(|config| config.max_body = 1024 * 1024)
        .hungry(),
    ]
}

fn paces() -> Vec<Row> {
    let length = EXAMPLE_200.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let half = format!("{head}{}", &EXAMPLE_200[..length / 2]);
    let [at_once, slowly] = [head.clone(), head.clone()];
    let [stalled, torn, reset] = [half.clone(), half.clone(), half.clone()];
    let broken = |status: &str| half.replace("200 OK", status);
    let (unavailable, late) = (broken("503 Unavailable"), broken("503 Unavailable"));
    vec![
        Row::goes_on("a body byte by byte, in time", TOKEN_SEEN, move |peer| {
            peer.say(&at_once)?;
            peer.drip(EXAMPLE_200, 1, Duration::from_millis(1))
        })
        .patiently(),
        Row::goes_on("a body byte by byte, too slowly", STALLED, move |peer| {
            peer.say(&slowly)?;
            peer.drip(EXAMPLE_200, 1, Duration::from_millis(50))
        })
        .soon(),
        Row::goes_on("a body byte by byte without end", STALLED, |peer| {
            peer.say("HTTP/1.1 200 OK\r\n\r\n")?;
            peer.drip_forever(" ")
        })
        .soon(),
        Row::goes_on("a head, and then nothing", STALLED, move |peer| {
            peer.say(&head)?;
            peer.stall()
        })
        .soon(),
        Row::goes_on("half of a body, and then nothing", STALLED, move |peer| {
            peer.say(&stalled)?;
            peer.stall()
        })
        .soon(),
        Row::goes_on(
            "a whole body without a length, and then nothing",
            STALLED,
            |peer| {
                peer.say(format!("HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}"))?;
                peer.stall()
            },
        )
        .soon(),
        Row::answers("half of a body, and then the end", torn, TORN),
        Row::serves("half of a body, and then a reset", TORN, move |mut peer| {
            peer.request()?;
            peer.say(&reset)?;
            peer.reset()
        }),
        Row::serves(
            "a whole body without a length, and then a reset",
            TORN,
            |mut peer| {
                peer.request()?;
                peer.say(format!("HTTP/1.1 200 OK\r\n\r\n{EXAMPLE_200}"))?;
                peer.reset()
            },
        )
        .but(Ureq, TOKEN_SEEN, ANY_END),
        Row::serves("half of a chunk, and then a reset", TORN, |mut peer| {
            peer.request()?;
            peer.say(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{EXAMPLE_200}"
            ))?;
            peer.reset()
        }),
        Row::answers(
            "half of an error, and then the end",
            unavailable,
            rejected(503),
        ),
        Row::serves(
            "half of an error, and then a reset",
            rejected(503),
            move |mut peer| {
                peer.request()?;
                peer.say(&late)?;
                peer.reset()
            },
        ),
        Row::goes_on(
            "half of an error, and then nothing",
            rejected(503),
            move |peer| {
                peer.say(half.replace("200 OK", "503 Unavailable"))?;
                peer.stall()
            },
        )
        .soon(),
    ]
}
