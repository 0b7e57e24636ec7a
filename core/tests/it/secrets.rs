//! Canary tests: no type and no error shows a secret or a token, not even a part of it or an encoded
//! form.

use std::collections::HashSet;
use std::error::Error as _;
use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use meshconnect_auth_core::{
    ApiResult, BodyBuffer, ClientId, ClientSecret, Config, Credentials, Endpoint, Error, ErrorKind,
    Exchange, Grant, Machine, MediaType, Moment, Need, OAuthTokenResponse, Rejection, Step, Token,
    TransportError, TransportErrorKind,
};

const SECRET: &str = "s3cr3t-Canary+7/\" \u{fc}\\&q-XkT90dLmEw2";
const TOKEN: &str = "t0k3n-Canary.b8Rn~Vq/4+ZsYh-2JcGxPo6==";
const NOW: Moment = Moment {
    mono: Duration::from_secs(1),
    wall: Duration::from_secs(1_800_000_000),
};

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn percent(text: &str) -> String {
    let bytes: Vec<_> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    bytes.concat()
}

/// Pieces of this length must not be shown; in percent encoding, three times as long.
const PIECE: usize = 12;

/// The pieces of each encoding of both canaries, which must not be shown.
static PIECES: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let mut pieces = HashSet::new();
    let mut cut = |text: &str, length: usize| {
        pieces.extend(text.as_bytes().windows(length).map(<[u8]>::to_vec));
    };
    for canary in [SECRET, TOKEN] {
        cut(canary, PIECE);
        cut(&json(canary), PIECE);
        cut(&STANDARD.encode(canary), PIECE);
        cut(&URL_SAFE_NO_PAD.encode(canary), PIECE);
        cut(&STANDARD.encode(format!("i:{canary}"))[4..], PIECE);
        cut(&percent(canary), 3 * PIECE);
        cut(&percent(canary).to_lowercase(), 3 * PIECE);
    }
    pieces
});

/// Asserts that `value` prints no piece of a canary.
fn hides(what: &str, value: &dyn Debug) {
    hides_text(what, &format!("{value:?} {value:#?}"));
}

fn hides_text(what: &str, text: &str) {
    for length in [PIECE, 3 * PIECE] {
        for piece in text.as_bytes().windows(length) {
            let shown = PIECES.contains(piece);
            assert!(
                !shown,
                "{what} shows {:?}: {text}",
                String::from_utf8_lossy(piece)
            );
        }
    }
}

fn exchange() -> Exchange {
    let bearer = Token::new(TOKEN, SystemTime::UNIX_EPOCH).unwrap();
    Exchange::new(
        Endpoint::default(),
        Credentials::new("client", SECRET).unwrap(),
    )
    .with_bearer(&bearer)
}

fn grant() -> Grant {
    let body = format!(r#"{{"status":"ok","content":{{"id_token":"{TOKEN}","expires_in":60}}}}"#);
    exchange()
        .parse(Response::new(body.into_bytes()), NOW)
        .unwrap()
}

#[test]
fn no_type_shows_a_secret() {
    hides("ClientSecret", &ClientSecret::new(SECRET).unwrap());
    hides("Credentials", &Credentials::new("client", SECRET).unwrap());
    hides("Exchange", &exchange());
    hides("Request", &exchange().request());
    hides("its headers", exchange().request().headers());
    hides("RequestBody", exchange().request().body());
    hides("Grant", &grant());
    hides("Token", &grant().into_token(NOW));
    hides("a header value", &grant().into_token(NOW).header_value());
    let mut content = OAuthTokenResponse::default();
    content.id_token = Some(TOKEN.to_owned());
    hides("OAuthTokenResponse", &content);
    let mut envelope = ApiResult::default();
    envelope.content = Some(content);
    hides("ApiResult", &envelope);
    let mut buffer = BodyBuffer::new(999, &HeaderMap::new());
    assert!(buffer.push(TOKEN.as_bytes()) && buffer.push(SECRET.as_bytes()));
    hides("BodyBuffer", &buffer);
    buffer.broken(TransportError::with_detail(
        TransportErrorKind::Broken,
        SECRET,
    ));
    hides("a torn BodyBuffer", &buffer);
    hides("a Response", &Response::new(buffer));
    hides(
        "a body of bytes",
        &BodyBuffer::from(Bytes::from_static(SECRET.as_bytes())),
    );
}

#[test]
fn no_refusal_shows_a_secret() {
    let url = format!("https://user:{}@host", percent(SECRET));
    for error in [
        Credentials::new("", SECRET).unwrap_err(),
        ClientId::new("").unwrap_err(),
        ClientSecret::new("").unwrap_err(),
        Token::new(SECRET, SystemTime::UNIX_EPOCH).unwrap_err(),
        Token::new(&format!("{TOKEN}\n"), SystemTime::UNIX_EPOCH).unwrap_err(),
        MediaType::application_suffix(SECRET).unwrap_err(),
        Endpoint::parse(&url).unwrap_err(),
        Endpoint::parse(&format!("https://host?{TOKEN}")).unwrap_err(),
    ] {
        hides_error("a refusal", &error);
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}

fn hides_error(what: &str, error: &Error) {
    let mut texts = vec![format!("{error} {} {error:?}", error.report())];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(format!("{error} {error:?}"));
        source = error.source();
    }
    // The texts above have these escaped.
    let fields = [
        error.rejection().and_then(Rejection::message),
        error.rejection().and_then(Rejection::error_data),
        error.excerpt(),
        error.www_authenticate(),
    ];
    texts.extend(fields.into_iter().flatten().map(str::to_owned));
    hides_text(what, &texts.join(" "));
}

/// Returns both canaries in each encoding, within text that is not masked.
fn echoes() -> Vec<String> {
    let both =
        |encode: &dyn Fn(&str) -> String| format!("<{}> <{}>", encode(SECRET), encode(TOKEN));
    vec![
        both(&str::to_owned),
        both(&json),
        both(&percent),
        both(&|text| percent(text).to_lowercase()),
        both(&|text| STANDARD.encode(text)),
        both(&|text| URL_SAFE_NO_PAD.encode(format!("i:{text}"))),
        both(&|text| format!("{text}{text}")),
    ]
}

/// Returns an echo as the text of a JSON string. One that is already encoded stays, because nested
/// encodings are not masked.
fn in_json(echo: &str) -> String {
    if echo == echoes()[1] {
        echo.to_owned()
    } else {
        json(echo)
    }
}

#[test]
fn no_error_shows_what_a_server_echoes() {
    let token = json(TOKEN);
    let mut kinds = Vec::new();
    for echo in echoes() {
        let word = in_json(&echo);
        let fields = format!(
            r#""message":"{word}","displayMessage":"{word}","errorHash":"{word}","errorType":"{word}",
            "errorData":{{"{word}":["{word}"]}},"teamCode":"{word}","newer":"{word}""#
        );
        let content = |rest: &str| format!(r#"{{"status":"ok","content":{{{rest}}},{fields}}}"#);
        let bodies = [
            format!(r#"{{"status":"badRequest",{fields}}}"#),
            format!(r#"{{"status":"{word}",{fields}}}"#),
            format!("{{{fields}}}"),
            content(r#""status":"failed""#),
            content(r#""status":"mfaRequired""#),
            content(&format!(r#""id_token":"{token}","expires_in":0"#)),
            content(&format!(r#""id_token":"{token}","expires_in":"{word}""#)),
            content(&format!(r#""id_token":"{token} {word}""#)),
            content(&format!(r#""id_token":"{token}","id_token":"{token}""#)),
            format!(r#"{{"status":"badRequest","content":"{word}"}}"#),
            format!(r#"{{"status":"ok","content":"{word}"}}"#),
            format!(r#"{{"status":{{"{word}":1}}}}"#),
            format!("\"{word}\""),
            format!("<p>{echo}</p>"),
            format!("{echo} \u{fffd}"),
            format!(r#"{{"status":"ok","content":{{"id_token":"{token}"#),
        ];
        for body in bodies {
            for status in [200, 403, 500] {
                let torn = TransportError::with_detail(TransportErrorKind::Broken, echo.clone());
                for torn in [None, Some(torn)] {
                    let mut buffer = BodyBuffer::from(body.as_bytes());
                    if let Some(error) = torn {
                        buffer.broken(error);
                    }
                    let mut response = Response::new(buffer);
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    for name in [
                        "content-type",
                        "date",
                        "www-authenticate",
                        "x-request-id",
                        "traceparent",
                        "retry-after",
                    ] {
                        response.headers_mut().append(name, echo.parse().unwrap());
                    }
                    let (head, body) = response.into_parts();
                    let error = exchange()
                        .parse(Response::from_parts(head, body), NOW)
                        .unwrap_err();
                    kinds.push(error.kind());
                    hides_error(&format!("{status} {:?}", error.kind()), &error);
                }
            }
        }
    }
    for kind in [
        ErrorKind::Refused,
        ErrorKind::AuthenticationFailed,
        ErrorKind::MfaRequired,
        ErrorKind::Malformed,
        ErrorKind::Transport(TransportErrorKind::Broken),
    ] {
        assert!(kinds.contains(&kind), "{kind:?} was not tried");
    }
}

#[test]
fn errors_of_other_endpoints_show_no_secret() {
    for echo in echoes() {
        for body in [
            format!(
                r#"{{"status":"badRequest","message":"{}"}}"#,
                in_json(&echo)
            ),
            format!(r#"{{"status":"ok","content":"{}"}}"#, in_json(&echo)),
            echo.clone(),
        ] {
            let error = exchange()
                .parse_as::<u8>(Response::new(body.into_bytes()))
                .unwrap_err();
            hides_error("parse_as", &error);
        }
    }
}

#[test]
fn a_body_that_breaks_off_within_a_secret_shows_none_of_it() {
    for canary in [SECRET, TOKEN] {
        for encoded in [
            canary.to_owned(),
            json(canary),
            percent(canary),
            STANDARD.encode(canary),
        ] {
            for (end, _) in encoded.char_indices() {
                for status in [200, 403] {
                    let mut body = BodyBuffer::from(format!("<p>{}", &encoded[..end]).as_bytes());
                    body.broken(TransportError::with_detail(
                        TransportErrorKind::Broken,
                        "reset",
                    ));
                    let mut response = Response::new(body);
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    let error = exchange().parse(response, NOW).unwrap_err();
                    hides_error("a torn body", &error);
                }
            }
        }
    }
}

#[test]
fn the_status_of_a_grant_is_masked() {
    for echo in echoes() {
        let body = format!(
            r#"{{"status":"ok","content":{{"id_token":"{TOKEN}","expires_in":60,"status":"{}"}}}}"#,
            json(&echo)
        );
        let grant = exchange()
            .parse(Response::new(body.into_bytes()), NOW)
            .unwrap();
        hides("Grant", &grant);
        hides("Token", &grant.into_token(NOW));
    }
}

/// `serde` quotes a string of the body as Rust would write it, which the mask does not decode.
#[test]
fn no_error_of_serde_quotes_a_secret() {
    for secret in [
        "correct horse \u{a0}12",
        "correct\0horse",
        "correct horse \u{feff}",
        "it's\tcorrect",
    ] {
        let exchange = Exchange::new(Endpoint::default(), Credentials::new("id", secret).unwrap());
        for content in [
            r#""<>""#,
            r#"{"id_token":"a","expires_in":"<>"}"#,
            r#"{"id_token":"a","status":["<>"]}"#,
            r#"{"id_token":["<>"]}"#,
        ] {
            let body =
                format!(r#"{{"status":"ok","content":{content}}}"#).replace("<>", &json(secret));
            let error = exchange
                .parse(Response::new(body.into_bytes()), NOW)
                .unwrap_err();
            let shown = format!("{error} {error:?} {}", error.report());
            assert!(!shown.contains("correct"), "{shown}");
        }
    }
}

#[test]
fn the_check_finds_each_canary() {
    for echo in echoes() {
        for (at, _) in echo.match_indices('<') {
            let shown = std::panic::catch_unwind(|| hides_text("", &echo[at..]));
            assert!(shown.is_err(), "{echo}");
        }
    }
}

/// An HTTP client's error may quote what it sent or received.
#[test]
fn a_failed_flight_shows_no_secret() {
    let mut machine = Machine::new(Config::default(), exchange(), 1);
    let ticket = machine.ticket(Need::Usable);
    let Step::Send(transmit) = machine.poll(NOW, &ticket) else {
        panic!("nothing to send");
    };
    let detail = format!("malformed header: {SECRET}");
    let failure = TransportError::with_detail(TransportErrorKind::NotHttp, detail);
    machine.handle_outcome(NOW, transmit.flight, Err(failure.into()));
    let Step::Failed(error) = machine.poll(NOW, &ticket) else {
        panic!("no failure");
    };
    let shown = format!("{} {error:?}", error.report());
    assert!(
        shown.contains("malformed header: [masked]") && !shown.contains(SECRET),
        "{shown}"
    );
}
