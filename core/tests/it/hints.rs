//! What an error says beyond the server's own words: about the credentials, the base URL, a claimed
//! encoding and the spelling of a status.

use std::time::Duration;

use http::header::CONTENT_ENCODING;
use http::{HeaderValue, Response, StatusCode};
use meshconnect_auth_core::{Credentials, Endpoint, Error, ErrorKind, Exchange, Grant, Moment};

const NOW: Moment = Moment {
    mono: Duration::ZERO,
    wall: Duration::from_secs(1_800_000_000),
};

const GOOD: &str = r#"{"status":"ok","content":{"id_token":"a.b.c","expires_in":3600}}"#;
const DENIED: &str = r#"{"status":"permissionDenied","message":"No such client."}"#;

fn answer(status: u16, body: impl AsRef<[u8]>) -> Response<Vec<u8>> {
    let mut response = Response::new(body.as_ref().to_vec());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn with_credentials(id: &str, secret: &str) -> Exchange {
    Exchange::new(Endpoint::default(), Credentials::new(id, secret).unwrap())
}

/// Returns the error of a 403 for these credentials.
fn denied(id: &str, secret: &str) -> Error {
    let parsed = with_credentials(id, secret).parse(answer(403, DENIED), NOW);
    parsed.unwrap_err()
}

/// The ends of credentials, as files, shells, editors and word processors leave them.
#[test]
fn a_refusal_names_stray_characters_at_the_ends_of_credentials() {
    for (before, after, says) in [
        ("", "\n", "ends with a line feed (U+000A)"),
        ("", "\n\n", "ends with a line feed (U+000A)"),
        ("", "\r", "ends with a carriage return (U+000D)"),
        ("", "\r\n", "ends with a line feed (U+000A)"),
        ("", "\t", "ends with a tab (U+0009)"),
        (" ", "", "begins with a space (U+0020)"),
        ("", " ", "ends with a space (U+0020)"),
        (" ", " ", "begins and ends with a space (U+0020)"),
        ("", "\u{a0}", "ends with a no-break space (U+00A0)"),
        ("\u{feff}", "", "begins with a byte order mark (U+FEFF)"),
        (
            "\u{feff}",
            "\n",
            "begins with a byte order mark (U+FEFF) and ends with a line feed (U+000A)",
        ),
        ("\"", "\"", "begins and ends with a double quote (U+0022)"),
        ("'", "'", "begins and ends with a single quote (U+0027)"),
        ("'", "", "begins with a single quote (U+0027)"),
        ("`", "`", "begins and ends with a backtick (U+0060)"),
        (
            "\u{201c}",
            "\u{201d}",
            "begins with a quotation mark (U+201C) and ends with a quotation mark (U+201D)",
        ),
        ("\u{ab}", "", "begins with a quotation mark (U+00AB)"),
        ("", "\u{200b}", "ends with a zero-width space (U+200B)"),
        (
            "\u{2060}",
            "",
            "begins with an invisible character (U+2060)",
        ),
        ("", "\u{ad}", "ends with an invisible character (U+00AD)"),
        ("", "\u{fe0f}", "ends with an invisible character (U+FE0F)"),
        (
            "\u{202a}",
            "",
            "begins with an invisible character (U+202A)",
        ),
        (
            "",
            "\u{e0041}",
            "ends with an invisible character (U+E0041)",
        ),
        ("", "\u{2003}", "ends with a white space character (U+2003)"),
        ("", "\u{3000}", "ends with a white space character (U+3000)"),
        ("", "\u{2028}", "ends with a white space character (U+2028)"),
        ("", "\u{85}", "ends with a white space character (U+0085)"),
        ("", "\0", "ends with a NUL (U+0000)"),
        ("", "\u{1a}", "ends with a control character (U+001A)"),
        ("\u{1b}", "", "begins with a control character (U+001B)"),
        ("", "\u{7f}", "ends with a control character (U+007F)"),
    ] {
        let text = format!("{before}wx\"y z{after}");
        let error = denied("an-id", &text);
        let line = error.to_string();
        let expected = format!(
            ": No such client; the client secret {says}; it is sent as given, so remove that"
        );
        assert!(line.contains(&expected), "{expected} is not in {line}");
        assert!(!line.contains("the client id"), "{line}");
        assert!(error.report().to_string().starts_with(&line), "{error:?}");
        for shown in [line, format!("{error:?}")] {
            for part in ["wx", "y z"] {
                assert!(!shown.contains(part), "{part} is in {shown}");
            }
        }
        let line = denied(&text, "a-secret").to_string();
        let expected = format!("; the client id {says}; it is sent as given, so remove that");
        assert!(line.contains(&expected), "{expected} is not in {line}");
        assert!(!line.contains("the client secret"), "{line}");
        let line = denied(&text, &text).to_string();
        assert!(line.contains("the client id") && line.contains("the client secret"));
    }
    for text in [
        "x",
        "a secret",
        "a\"b",
        "a\u{200b}b",
        "-a-",
        "é",
        "例",
        "a.",
        "€",
    ] {
        let line = denied(text, text).to_string();
        assert!(line.contains(": No such client. (https://"), "{line}");
        assert!(!line.contains("the client"), "{line}");
    }
}

#[test]
fn only_a_refusal_of_credentials_tells_of_stray_characters() {
    let failed = r#"{"status":"ok","content":{"status":"failed"}}"#;
    let mfa = r#"{"status":"ok","content":{"status":"mfaRequired"}}"#;
    for (status, body, tells) in [
        (400, "", true),
        (401, "", true),
        (403, DENIED, true),
        (404, "", true),
        (200, DENIED, true),
        (200, r#"{"status":"badRequest"}"#, true),
        (200, failed, true),
        (200, mfa, false),
        (200, r#"{"status":"serverFailure"}"#, false),
        (200, "{}", false),
        (302, "", false),
        (429, "", false),
        (500, "", false),
        (503, DENIED, false),
    ] {
        let exchange = with_credentials("an-id", "a-secret\n");
        let error = exchange.parse(answer(status, body), NOW).unwrap_err();
        let line = error.to_string();
        assert_eq!(line.contains("U+000A"), tells, "{status} {body}: {line}");
    }
}

/// The secret is sent as it is, and masked with and without what does not belong to it.
#[test]
fn stray_characters_are_sent_and_their_secret_is_masked() {
    let exchange = with_credentials("an-id", "\u{feff}long-secret\r\n");
    let body = exchange.request();
    let body: serde_json::Value = serde_json::from_slice(body.body().as_ref()).unwrap();
    assert_eq!(body["clientSecret"], "\u{feff}long-secret\r\n");
    let echo = r#"{"status":"badRequest","message":"no client has the key 'long-secret'"}"#;
    let error = exchange.parse(answer(400, echo), NOW).unwrap_err();
    let message = error.rejection().unwrap().message().unwrap();
    assert_eq!(message, "no client has the key '[masked]'");
}

#[test]
fn a_base_url_with_a_path_too_many_is_explained() {
    for (base, repeats) in [
        ("https://host.example", false),
        ("https://host.example/mesh", false),
        ("https://host.example/tokens", false),
        ("https://host.example/administration", false),
        ("https://host.example/admin", true),
        ("https://host.example/admin/", true),
        ("https://host.example/ADMIN", true),
        ("https://host.example/admin/api", true),
        ("https://host.example/admin/api/v1", true),
        ("https://host.example/mesh/admin/api/v1", true),
        ("https://host.example/api/v1", true),
        ("https://host.example/Token", true),
        ("https://host.example/token", true),
    ] {
        let endpoint = Endpoint::parse(base).unwrap();
        let path = endpoint.token_uri().path().to_owned();
        let exchange = Exchange::new(endpoint, Credentials::new("id", "secret").unwrap());
        for (status, body, explains) in [
            // The service answers a path that it does not have like this.
            (401, r#"{"statusCode":401}"#, true),
            (404, "", true),
            (405, "", true),
            (301, "", true),
            (308, "", true),
            (200, "<html>", true),
            (200, "", true),
            (403, "", false),
            (503, "", false),
            (429, "", false),
        ] {
            let error = exchange.parse(answer(status, body), NOW).unwrap_err();
            let line = error.to_string();
            let hint = format!(
                "; the request went to {path}; leave the API's own path (/admin/api/v1/Token), or a \
                 part of it, out of the base URL ("
            );
            assert_eq!(
                line.contains(&hint),
                repeats && explains,
                "{status}: {line}"
            );
        }
    }
    let whole = Endpoint::parse("https://host.example/admin/api/v1/Token").unwrap_err();
    assert_eq!(whole.kind(), ErrorKind::Configuration);
    assert!(whole.to_string().contains("leave that path out"), "{whole}");
}

/// Returns the outcome of an answer with these lines of `Content-Encoding`.
fn encoded(lines: &[&str], status: u16, body: &[u8]) -> Result<Grant, Error> {
    let mut response = answer(status, body);
    for line in lines {
        let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
        response.headers_mut().append(CONTENT_ENCODING, line);
    }
    with_credentials("an-id", "secret-of-ten").parse(response, NOW)
}

#[test]
fn a_plain_body_is_read_whatever_encoding_is_claimed() {
    for lines in [
        &[][..],
        &[""],
        &["identity"],
        &["Identity"],
        &["identity, identity"],
        &["identity", "identity"],
        &["UTF-8"],
        &["none"],
        &["aws-chunked"],
        &["gzip"],
        &["x-gzip"],
        &["gzip, br"],
        &["gzip", ""],
        &[","],
        &["\u{e9}"],
        &["a b;q=1"],
    ] {
        assert!(encoded(lines, 200, GOOD.as_bytes()).is_ok(), "{lines:?}");
        // A refusal with an envelope needs no explanation.
        let line = encoded(lines, 403, DENIED.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(!line.contains("Content-Encoding"), "{line}");
        // Nor does valid JSON that is not a token.
        let line = encoded(lines, 200, b"{}").unwrap_err().to_string();
        assert!(!line.contains("Content-Encoding"), "{line}");
    }
}

#[test]
fn a_claimed_encoding_is_named_if_the_body_cannot_be_read() {
    let gzip = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xab, 0x56, 0x2a, 0x2e, 0x49,
    ];
    let deflate = [0x78, 0x9c, 0xab, 0x56, 0x2a, 0x2e, 0x49];
    let brotli = [0x0b, 0x20, 0x80, 0x7b, 0x22, 0x73];
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x49];
    for (lines, body, claim) in [
        (&["gzip"][..], &gzip[..], Some("gzip")),
        (&["deflate"], &deflate, Some("deflate")),
        (&["br"], &brotli, Some("br")),
        (&["zstd"], &zstd, Some("zstd")),
        (&["gzip", "br"], &gzip, Some("gzip, br")),
        (&["identity, GZIP"], &gzip, Some("identity, GZIP")),
        (&["gzip"], b"<html>", Some("gzip")),
        (&["a secret-of-ten b"], &gzip, Some("a [masked] b")),
        (&["\u{e9}"], &gzip, Some("\u{e9}")),
        (&["identity"], &gzip, None),
        (&["", " "], &gzip, None),
        (&[], &gzip, None),
        (&["gzip"], b"", None),
        (&["gzip"], b"  ", None),
    ] {
        for (status, kind) in [
            (200, ErrorKind::Malformed),
            (403, ErrorKind::Refused),
            (502, ErrorKind::Unavailable),
        ] {
            let error = encoded(lines, status, body).unwrap_err();
            assert_eq!(error.kind(), kind);
            let line = error.to_string();
            let hint = claim.map(|claim| {
                format!(
                    "; the header Content-Encoding claims \"{claim}\", which the request did not \
                     allow ("
                )
            });
            match hint {
                Some(hint) => assert!(line.contains(&hint), "{hint} is not in {line}"),
                None => assert!(!line.contains("Content-Encoding"), "{line}"),
            }
        }
    }
}

/// The contract's value is `ok`, in lower case. Another one is not accepted.
#[test]
fn a_misspelt_ok_is_explained() {
    for (status, explains) in [
        ("OK", true),
        ("Ok", true),
        ("oK", true),
        (" ok", true),
        ("success", true),
        ("Success", true),
        ("succeeded", true),
        ("okay", false),
        ("notOk", false),
        ("newStatus", false),
        ("permissionDenied", false),
    ] {
        let body = GOOD.replace("\"ok\"", &format!("\"{status}\""));
        let parsed = with_credentials("an-id", "a-secret").parse(answer(200, &body), NOW);
        let error = parsed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{status}");
        let line = error.to_string();
        let hint = format!(
            "; the envelope's status is \"{status}\", where the contract has exactly \"ok\""
        );
        assert_eq!(line.contains(&hint), explains, "{line}");
    }
}
