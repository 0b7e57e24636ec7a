//! Golden answers: raw HTTP responses in `golden/`, and their expected results.
//!
//! `name.http` is the response: a status line, header lines and an empty line, each ended by LF, then
//! the body. `name.json` has the expected result and, under `documentation`, its reason. An
//! expectation is complete: a field that it does not name has to be absent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, DATE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use meshconnect_auth_core::{
    ApiResultStatus, BodyBuffer, Credentials, Endpoint, Error, Exchange, Grant, Moment, Rejection,
    Token, TransportError, TransportErrorKind,
};
use serde::Deserialize;

/// Needs an escape in every encoding.
const SECRET: &str = r#"golden/s3cr3t+"7\ é&key"#;

const PRODUCTION: &str = Endpoint::PRODUCTION;

/// 2026-11-24T00:00:00Z.
const RECEIVED: Moment = Moment {
    mono: Duration::from_secs(500),
    wall: Duration::from_secs(1_795_478_400),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    documentation: String,
    /// The client secret, if it is not [`SECRET`].
    secret: Option<String>,
    /// A token to send with the request.
    bearer: Option<String>,
    /// The body limit, if it is not the default.
    limit: Option<usize>,
    /// Whether the connection breaks at the end of the body.
    #[serde(default)]
    torn: bool,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Expected {
    Token(ExpectedToken),
    Error(ExpectedError),
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct ExpectedToken {
    id_token: String,
    lifetime: u64,
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    kind: String,
    /// The whole of `{}` …
    line: Option<String>,
    /// … or a part of it, if a dependency words it.
    says: Option<String>,
    #[serde(default)]
    rejection: Option<BTreeMap<String, String>>,
    excerpt: Option<String>,
    /// The seconds from the answer to `retry_at`.
    retry_after: Option<u64>,
    www_authenticate: Option<String>,
    #[serde(default)]
    trace_ids: BTreeMap<String, String>,
}

#[test]
fn every_answer_has_its_expected_result() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names = BTreeMap::<String, BTreeSet<String>>::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(extension) = path.extension() else {
            continue;
        };
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        names
            .entry(name)
            .or_default()
            .insert(extension.to_str().unwrap().to_owned());
    }
    assert!(names.len() >= 219, "only {} answers are left", names.len());

    let mut failures = Vec::new();
    for (name, extensions) in &names {
        assert!(
            extensions.iter().eq(["http", "json"]),
            "{name} has {extensions:?}"
        );
        let raw = fs::read(folder.join(format!("{name}.http"))).unwrap();
        let case = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let case: Case =
            serde_json::from_str(&case).unwrap_or_else(|error| panic!("{name}.json: {error}"));
        assert!(
            !case.documentation.is_empty(),
            "{name}.json has no documentation"
        );
        if let Err(why) = check(&case, &raw) {
            failures.push(format!("{name}: {why}\n  because: {}", case.documentation));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        names.len(),
        failures.join("\n")
    );
}

fn check(case: &Case, raw: &[u8]) -> Result<(), String> {
    let secret = case.secret.as_deref().unwrap_or(SECRET);
    let credentials = Credentials::new("golden-client", secret).unwrap();
    let mut exchange = Exchange::new(Endpoint::default(), credentials);
    if let Some(bearer) = &case.bearer {
        exchange = exchange.with_bearer(&Token::new(bearer, SystemTime::UNIX_EPOCH).unwrap());
    }
    let (head, body) = response(raw).into_parts();
    let mut buffer = BodyBuffer::new(
        case.limit.unwrap_or(BodyBuffer::DEFAULT_LIMIT),
        &head.headers,
    );
    buffer.push(&body);
    if case.torn {
        buffer.broken(TransportError::with_detail(
            TransportErrorKind::Broken,
            "reset by peer",
        ));
    }
    let headers = head.headers.clone();
    let status = head.status;
    match (
        exchange.parse(Response::from_parts(head, buffer), RECEIVED),
        &case.expected,
    ) {
        (Ok(grant), Expected::Token(expected)) => check_token(grant, expected),
        (Err(error), Expected::Error(expected)) => {
            same("the HTTP status", error.http_status(), Some(status))?;
            let text = |name| {
                headers
                    .get(name)
                    .map(|value: &HeaderValue| value.to_str().unwrap())
            };
            same("the content type", error.content_type(), text(CONTENT_TYPE))?;
            same("the date", error.date(), text(DATE))?;
            check_error(&error, expected)
        }
        (Ok(grant), Expected::Error(_)) => Err(format!("granted {grant:?}")),
        (Err(error), Expected::Token(_)) => Err(format!("no token: {error}")),
    }
}

fn check_token(grant: Grant, expected: &ExpectedToken) -> Result<(), String> {
    let lifetime = grant.lifetime();
    let token = grant.into_token(RECEIVED);
    let actual = ExpectedToken {
        id_token: token.id_token().to_owned(),
        lifetime: lifetime.as_secs(),
        status: token.status().map(ToString::to_string),
    };
    same("the token", &actual, expected)?;
    same("the fraction of the lifetime", lifetime.subsec_nanos(), 0)?;
    let header = format!("Bearer {}", expected.id_token);
    same(
        "the header",
        token.header_value().to_str().unwrap(),
        &header,
    )
}

fn check_error(error: &Error, expected: &ExpectedError) -> Result<(), String> {
    same(
        "the kind",
        format!("{:?}", error.kind()),
        expected.kind.clone(),
    )?;
    same("the endpoint", error.endpoint(), Some(PRODUCTION))?;
    let line = error.to_string();
    if let Some(expected) = &expected.line {
        // Every error names the endpoint.
        let expected = format!("{expected} ({PRODUCTION})");
        same("the line", &line, &expected)?;
    }
    if let Some(part) = &expected.says {
        same("the line contains it", line.contains(part), true)
            .map_err(|_| format!("{line:?} does not contain {part:?}"))?;
    }
    same(
        "line or says",
        expected.line.is_some() || expected.says.is_some(),
        true,
    )?;
    same(
        "the rejection",
        error.rejection().map(fields),
        expected.rejection.clone(),
    )?;
    same("the excerpt", error.excerpt(), expected.excerpt.as_deref())?;
    let retry_at = expected
        .retry_after
        .and_then(|seconds| RECEIVED.after(Duration::from_secs(seconds)).system_time());
    same("when to retry", error.retry_at(), retry_at)?;
    same(
        "WWW-Authenticate",
        error.www_authenticate(),
        expected.www_authenticate.as_deref(),
    )?;
    let ids = error
        .trace_ids()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    same("the trace ids", ids.collect(), expected.trace_ids.clone())
}

/// Returns the fields of a rejection by the names of the contract.
fn fields(rejection: &Rejection) -> BTreeMap<String, String> {
    let fields = [
        ("status", rejection.status().map(ApiResultStatus::as_str)),
        ("message", rejection.message()),
        ("displayMessage", rejection.display_message()),
        ("errorHash", rejection.error_hash()),
        ("errorType", rejection.error_type()),
        ("errorData", rejection.error_data()),
        ("teamCode", rejection.team_code()),
    ];
    let present = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    present.collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, actual: T, expected: T) -> Result<(), String> {
    if actual == expected {
        Ok(())
    } else {
        Err(format!("{what} is {actual:?}, not {expected:?}"))
    }
}

/// Parses the response in a file. It panics if the head is invalid.
fn response(raw: &[u8]) -> Response<Vec<u8>> {
    let end = raw.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let mut lines = std::str::from_utf8(&raw[..end]).unwrap().split('\n');
    let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap();
    let mut response = Response::new(raw[end + 2..].to_vec());
    *response.status_mut() = StatusCode::from_bytes(&status.as_bytes()[..3]).unwrap();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        response
            .headers_mut()
            .append(name, value.trim().parse().unwrap());
    }
    response
}
