//! What holds for any input: property bodies as plain functions, which panic where it does not.
//!
//! The property tests, the fuzz targets and the corpus replay all call these, so that a find of
//! one is a test of the others. Where a body needs a second opinion it reads for itself, by other
//! means than the code that it judges.

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a panic is how a broken invariant is reported"
)]

mod claims;
mod envelope;
pub mod machine;
mod retry_after;
mod reveal;
mod second_reader;

use std::error::Error as _;
use std::iter;
use std::net::IpAddr;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};

pub use self::claims::{claims, claims_bytes};
pub use self::envelope::{Newer, envelope, envelope_bytes};
pub use self::retry_after::{retry_after, retry_after_bytes};
pub use self::reveal::{echoes, reveals};
use self::second_reader::Verdict;
use crate::protocol::End;
use crate::{
    AuthenticationStatus, BodyBuffer, Credentials, Endpoint, Error, ErrorKind, Exchange, Grant,
    Moment, Token, TransportError, TransportErrorKind,
};

/// The secrets that [`decode`] exchanges: one that needs no escape anywhere, and one with
/// something to escape for each encoding.
pub const SECRETS: [&str; 2] = ["canary-secret-7fQ2xW", "c4n&ry/+\"\\\n \u{e9}<\u{1f600}>=s"];

/// The token that [`decode`] sends along.
pub const BEARER: &str = "canary-bearer-9dLmE0";

/// When every answer here comes in: 2026-11-24T00:00:00Z.
pub const RECEIVED: Moment = Moment {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_795_478_400),
};

/// Text of a server is cut to 1 KiB or 8 KiB, plus the sign that it was.
const LONGEST_EXCERPT: usize = 1024 + '…'.len_utf8();
const LONGEST_FIELD: usize = 8 * 1024 + '…'.len_utf8();

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A property over plain bytes.
pub type Property = fn(&[u8]);

/// Every such property, by the name of its fuzz target and of the folder of its seeds.
pub const TARGETS: [(&str, Property); 8] = [
    ("claims", claims_bytes),
    ("decode", decode),
    ("differential", differential),
    ("endpoint", endpoint_bytes),
    ("envelope", envelope_bytes),
    ("machine", machine::machine),
    ("request", request_bytes),
    ("retry_after", retry_after_bytes),
];

/// Any answer is read without a panic, the same however it was chunked, into a usable token or
/// an error, neither of which shows a secret. `data` is read by [`response`].
pub fn decode(data: &[u8]) {
    let (head, body) = response(data).into_parts();
    chunks_add_up(&body);
    for secret in SECRETS {
        let exchange = exchange(secret);
        let parse =
            |body: BodyBuffer| exchange.parse(Response::from_parts(head.clone(), body), RECEIVED);
        let checked = |result: Result<Grant, Error>| match result {
            Ok(grant) => {
                assert!(head.status.is_success(), "{} granted a token", head.status);
                Ok(granted(grant, &exchange, &[secret, BEARER]))
            }
            Err(error) => {
                check_error(&error, head.status);
                hidden_in(&error, &[secret, BEARER]);
                Err(format!("{error:?}"))
            }
        };

        let whole = checked(parse(body.as_slice().into()));
        let mut by_byte = BodyBuffer::new(body.len(), &HeaderMap::new());
        assert!(body.chunks(1).all(|byte| by_byte.push(byte)));
        let by_byte = parse(by_byte)
            .map(Reading::of)
            .map_err(|error| format!("{error:?}"));
        assert_eq!(by_byte, whole, "byte by byte, it is read differently");

        let mut limited = BodyBuffer::new(body.len().saturating_sub(1), &HeaderMap::new());
        assert_eq!(
            limited.push(&body),
            body.is_empty(),
            "the limit does not hold"
        );
        let limited = checked(parse(limited));
        assert!(
            limited.is_err() || limited == whole,
            "an overlong body granted a token"
        );

        let mut torn = BodyBuffer::new(BodyBuffer::DEFAULT_LIMIT, &head.headers);
        torn.push(&body);
        torn.broken(TransportError::with_detail(
            TransportErrorKind::Broken,
            secret,
        ));
        assert!(checked(parse(torn)).is_err(), "a torn body granted a token");

        let result = exchange.parse_as::<serde_json::Value>(Response::from_parts(
            head.clone(),
            BodyBuffer::from(body.as_slice()),
        ));
        if let Err(error) = result {
            check_error(&error, head.status);
            hidden_in(&error, &[secret, BEARER]);
        }
    }
}

/// Whatever the chunks are that a body comes in, and whether its size was announced or not, they
/// add up to it.
fn chunks_add_up(body: &[u8]) {
    let announced = HeaderMap::from_iter([(CONTENT_LENGTH, body.len().into())]);
    let sizes = (1..64).chain(iter::successors(Some(64_usize), |size| size.checked_mul(2)));
    for size in sizes.take_while(|size| *size <= body.len()) {
        for headers in [&announced, &HeaderMap::new()] {
            let mut chunked = BodyBuffer::new(body.len(), headers);
            assert!(
                body.chunks(size).all(|chunk| chunked.push(chunk)),
                "a body that fits was refused in chunks of {size} bytes"
            );
            let (bytes, _, end) = chunked.into_parts();
            assert!(
                matches!(end, End::Complete) && **bytes == *body,
                "chunks of {size} bytes do not add up"
            );
        }
    }
}

/// A raw HTTP response out of any bytes: a status line, header lines and an empty line, each
/// ended by LF, then the body to the last byte. A head line that is none is left out, and
/// without a status line all of it is the body of a 200.
#[must_use]
pub fn response(data: &[u8]) -> Response<Vec<u8>> {
    let split = data.windows(2).position(|pair| pair == b"\n\n");
    let parts = split.and_then(|at| Some((data.get(..at)?, data.get(at.checked_add(2)?..)?)));
    let Some((head, body)) = parts else {
        return Response::new(data.to_vec());
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        words.next().filter(|word| word.starts_with(b"HTTP/"))?;
        StatusCode::from_bytes(words.next()?).ok()
    });
    let Some(status) = status else {
        return Response::new(data.to_vec());
    };
    let mut response = Response::new(body.to_vec());
    *response.status_mut() = status;
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(at);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Any credentials become a request whose body an independent reader reads back exactly, and
/// nothing that is printed depends on the secret.
pub fn request(id: &str, secret: &str) {
    let credentials = match Credentials::new(id, secret) {
        Ok(credentials) => credentials,
        Err(error) => {
            assert!(id.is_empty() || secret.is_empty(), "refused: {error}");
            assert_eq!(error.kind(), ErrorKind::Configuration);
            return;
        }
    };
    assert!(!id.is_empty() && !secret.is_empty(), "took an empty half");
    assert_eq!(credentials.client_id().as_str(), id);
    assert_eq!(credentials.client_secret().expose(), secret);

    let exchange = Exchange::new(Endpoint::default(), credentials);
    let request = exchange.request();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), exchange.endpoint().token_uri());
    assert_eq!(
        request.headers().get(CONTENT_TYPE),
        Some(&HeaderValue::from_static("application/json"))
    );
    assert!(!request.headers().contains_key(AUTHORIZATION));
    let read = serde_json::from_slice::<serde_json::Value>(request.body().as_ref()).ok();
    let written = serde_json::json!({ "clientId": id, "clientSecret": secret });
    assert_eq!(read, Some(written), "the body reads back differently");
    assert_eq!(
        exchange.request().into_body().into_bytes(),
        request.body().as_ref()
    );

    // Nothing printed depends on the secret, except by the length of the body that it stands in.
    let size = |secret: &str| serde_json::to_string(secret).map_or(0, |json| json.len());
    let other = "x".repeat(size(secret).saturating_sub(size("")));
    if let Ok(other) = Credentials::new(id, other) {
        let other = Exchange::new(Endpoint::default(), other);
        assert_eq!(format!("{exchange:?}"), format!("{other:?}"));
        assert_eq!(
            format!("{:?}", exchange.credentials()),
            format!("{:?}", other.credentials())
        );
        assert_eq!(format!("{request:#?}"), format!("{:#?}", other.request()));
    }
}

/// [`request`] with the client id to the first line feed of `data`, and the secret after it.
pub fn request_bytes(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let (id, secret) = text.split_once('\n').unwrap_or((text, ""));
        request(id, secret);
    }
}

/// Whatever is taken as a base URL is https or loopback, without userinfo, and prints to
/// something that is read as the same; a refusal does not repeat a password.
pub fn endpoint(text: &str) {
    let lenient = Endpoint::parse_dangerously_allowing_plaintext(text);
    let endpoint = match Endpoint::parse(text) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(
                lenient.is_err()
                    || lenient.is_ok_and(|lenient| !lenient.is_https() && !lenient.is_loopback()),
                "refused for something else than plain http, but only by one of the two"
            );
            refusal_hides_userinfo(text, &error);
            return;
        }
    };
    assert_eq!(
        lenient.ok().as_ref(),
        Some(&endpoint),
        "the lenient reading takes less or other"
    );

    let printed = endpoint.to_string();
    let Ok(uri) = printed.parse::<Uri>() else {
        panic!("{printed:?} is no URL");
    };
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost",
    };
    assert_eq!(endpoint.is_loopback(), loopback, "{printed:?}");
    match uri.scheme_str() {
        Some("https") => assert!(endpoint.is_https(), "{printed:?}"),
        Some("http") => assert!(
            !endpoint.is_https() && loopback,
            "{printed:?} goes out in clear"
        ),
        scheme => panic!("{printed:?} has the scheme {scheme:?}"),
    }
    assert_eq!(
        endpoint.allows_proxy(),
        endpoint.is_https() && !loopback,
        "{printed:?}"
    );
    assert!(!host.is_empty(), "{printed:?} has no host");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    assert!(!authority.contains('@'), "{printed:?} has userinfo");
    assert!(
        uri.query().is_none() && !printed.contains(['?', '#']),
        "{printed:?} has a query"
    );
    assert!(!printed.ends_with('/'), "{printed:?} ends in a slash");

    assert_eq!(
        endpoint.token_uri().to_string(),
        format!("{printed}{}", Endpoint::TOKEN_PATH)
    );
    let again = Endpoint::parse(&printed);
    assert_eq!(
        again.as_ref().ok(),
        Some(&endpoint),
        "{printed:?} is not read as what printed it"
    );
    assert_eq!(again.map(|again| again.to_string()).ok(), Some(printed));
}

/// [`endpoint`] where `data` is text.
pub fn endpoint_bytes(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        endpoint(text);
    }
}

/// A refusal is the same whatever the userinfo was, so it can hold nothing of it.
fn refusal_hides_userinfo(text: &str, error: &Error) {
    let parts = text.split_once("://").and_then(|(scheme, rest)| {
        let (userinfo, rest) = rest.split_once('@')?;
        (!userinfo.contains(['/', '?', '#'])).then_some((scheme, rest))
    });
    if let Some((scheme, rest)) = parts
        && text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        let other = Endpoint::parse(&format!("{scheme}://other@{rest}"));
        assert_eq!(
            other.map_err(|other| other.to_string()).err(),
            Some(error.to_string()),
            "a refusal depends on the userinfo"
        );
    }
}

/// The body of a 200 means to [`Exchange::parse`] what it means to a second reader, which
/// builds the whole document first and then judges it by the table of answers.
pub fn differential(body: &[u8]) {
    let parsed = exchange(SECRETS[0]).parse(Response::new(body), RECEIVED);
    let ours = match parsed {
        Ok(grant) => Verdict::Granted(Reading::of(grant)),
        Err(error) => Verdict::Refused(error.kind()),
    };
    let text = String::from_utf8_lossy(body);
    match (ours, Verdict::on(body)) {
        (Verdict::Granted(reading), Verdict::Undecided) => {
            assert_eq!(reading.lifetime, TEN_YEARS, "a reading of {text:?}");
        }
        (Verdict::Refused(kind), Verdict::Undecided) => {
            assert_ne!(kind, ErrorKind::Rejected, "a reading of {text:?}");
        }
        (Verdict::Granted(ours), Verdict::Granted(mut theirs)) => {
            let [shown, sent] =
                [&ours, &theirs].map(|reading| status_text(reading.status.as_ref()));
            if is_masked(shown, sent) {
                theirs.status.clone_from(&ours.status);
            }
            assert_eq!(ours, theirs, "two readings of {text:?}");
        }
        (ours, theirs) => assert_eq!(ours, theirs, "two readings of {text:?}"),
    }
}

fn status_text(status: Option<&AuthenticationStatus>) -> &str {
    status.map_or("", AuthenticationStatus::as_str)
}

/// Whether `shown` is what was `sent`, with something taken out of it. What has to be taken out, and
/// that nothing else is, is for others to say.
fn is_masked(shown: &str, sent: &str) -> bool {
    let mut pieces = shown.split("[masked]");
    let Some(mut rest) = pieces.next().and_then(|first| sent.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        (rest, last) = (after, Some(piece));
    }
    last.is_some_and(|piece| sent.ends_with(piece))
}

fn exchange(secret: &str) -> Exchange {
    let credentials = Credentials::new("canary-client", secret);
    let bearer = Token::new(BEARER, std::time::SystemTime::UNIX_EPOCH);
    match (credentials, bearer) {
        (Ok(credentials), Ok(bearer)) => {
            Exchange::new(Endpoint::default(), credentials).with_bearer(&bearer)
        }
        _ => panic!("the canaries are good credentials"),
    }
}

/// All that a grant tells.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    id_token: String,
    lifetime: Duration,
    status: Option<AuthenticationStatus>,
}

impl Reading {
    fn of(grant: Grant) -> Self {
        let lifetime = grant.lifetime();
        let token = grant.into_token(RECEIVED);
        Self {
            id_token: token.id_token().to_owned(),
            lifetime,
            status: token.status().cloned(),
        }
    }
}

/// Takes a grant apart, and checks it and what it shows on the way.
fn granted(grant: Grant, exchange: &Exchange, secrets: &[&str]) -> Reading {
    let lifetime = grant.lifetime();
    assert!(
        lifetime > Duration::ZERO && lifetime <= TEN_YEARS,
        "a lifetime of {lifetime:?}"
    );
    let status = grant.status().cloned();
    let shown = format!("{grant:?}");
    let token = grant.into_token(RECEIVED);
    let id_token = token.id_token();

    // RFC 6750, section 2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
    let characters = id_token.trim_end_matches('=');
    assert!(!characters.is_empty(), "{id_token:?} is no Bearer token");
    for c in characters.chars() {
        assert!(
            c.is_ascii_alphanumeric() || "-._~+/".contains(c),
            "{c:?} in a Bearer token"
        );
    }
    assert_eq!(token.header_value(), &format!("Bearer {id_token}"));
    assert!(token.header_value().is_sensitive());

    // What is shown depends on the lifetime and the status alone, and the status shows nothing.
    let document = serde_json::json!({
        "status": "ok",
        "content": { "id_token": "twin", "expires_in": lifetime.as_secs(), "status": status },
    });
    let twin = exchange.parse(Response::new(document.to_string().into_bytes()), RECEIVED);
    match twin {
        Ok(twin) => {
            assert_eq!(shown, format!("{twin:?}"));
            assert_eq!(
                format!("{token:?}"),
                format!("{:?}", twin.into_token(RECEIVED))
            );
        }
        Err(error) => panic!("no twin of {shown}: {error}"),
    }
    let words = status.as_ref().map_or("", |status| status.as_str());
    for secret in iter::once(id_token).chain(secrets.iter().copied()) {
        let short = secret.len() < 8
            || AuthenticationStatus::KNOWN
                .iter()
                .any(|known| known.as_str() == words);
        assert!(
            short || !reveals(words, secret),
            "the status {words:?} shows a secret"
        );
    }
    Reading {
        id_token: id_token.to_owned(),
        lifetime,
        status,
    }
}

fn check_error(error: &Error, status: StatusCode) {
    assert_eq!(error.http_status(), Some(status));
    assert!(
        status.is_success() || error.kind() == ErrorKind::Rejected,
        "{status} is {:?}",
        error.kind()
    );
    assert_eq!(error.attempts(), 1);
    assert!(
        error
            .excerpt()
            .is_none_or(|text| text.len() <= LONGEST_EXCERPT)
    );
    let fields = error.rejection().into_iter().flat_map(|rejection| {
        [
            rejection.message(),
            rejection.display_message(),
            rejection.error_hash(),
            rejection.error_type(),
            rejection.error_data(),
            rejection.team_code(),
        ]
    });
    for field in fields.flatten() {
        assert!(!field.is_empty(), "an empty field is not left out");
        assert!(
            field.len() <= LONGEST_FIELD,
            "a field of {} bytes",
            field.len()
        );
    }
    let line = error.to_string();
    assert!(
        !line.chars().any(char::is_control),
        "a control character in {line:?}"
    );
    let report = format!("{error:#}").replace("\n  ", "");
    assert!(
        !report.chars().any(char::is_control),
        "a forged line in {report:?}"
    );
}

/// Nothing that an error shows or tells holds one of the secrets.
fn hidden_in(error: &Error, secrets: &[&str]) {
    let mut told = vec![
        error.to_string(),
        format!("{error:#}"),
        format!("{error:?}"),
    ];
    let mut source = error.source();
    while let Some(error) = source {
        told.extend([error.to_string(), format!("{error:?}")]);
        source = error.source();
    }
    let rejection = error.rejection();
    let fields = [
        rejection.and_then(|rejection| Some(rejection.status()?.as_str())),
        rejection.and_then(|rejection| rejection.message()),
        rejection.and_then(|rejection| rejection.display_message()),
        rejection.and_then(|rejection| rejection.error_hash()),
        rejection.and_then(|rejection| rejection.error_type()),
        rejection.and_then(|rejection| rejection.error_data()),
        rejection.and_then(|rejection| rejection.team_code()),
        error.excerpt(),
        error.content_type(),
        error.date(),
        error.www_authenticate(),
    ];
    told.extend(fields.into_iter().flatten().map(str::to_owned));
    told.extend(error.trace_ids().map(|(_, value)| value.to_owned()));
    for text in told {
        for secret in secrets {
            assert!(!reveals(&text, secret), "{secret:?} shows in {text:?}");
        }
    }
}
