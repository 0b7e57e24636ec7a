//! The public values: construction, getters and `Debug`.

use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use meshconnect_auth_core::{
    AuthenticationStatus, BlockingTokenSource, Config, Credentials, Endpoint, Error, ErrorKind,
    Exchange, Grant, Machine, MediaType, Moment, Need, OAuthTokenResponse, Phase, StaticToken,
    Step, Token, TokenSource,
};

const NOW: Moment = Moment {
    mono: Duration::from_secs(5),
    wall: Duration::from_secs(1_800_000_000),
};

fn exchange() -> Exchange {
    Exchange::new(
        Endpoint::default(),
        Credentials::new("id", "secret").unwrap(),
    )
}

fn token(id: &str) -> Token {
    Token::new(id, SystemTime::UNIX_EPOCH).unwrap()
}

#[test]
fn a_static_token_ignores_its_rejection() {
    let source = StaticToken::new(token("abc"));
    let blocking: &dyn BlockingTokenSource = &source;
    assert_eq!(blocking.token().unwrap(), token("abc"));
    assert!(!blocking.reject(&token("abc")) && !blocking.reject(&token("abd")));
    assert_eq!(blocking.token().unwrap(), token("abc"));

    let source: &dyn TokenSource = &source;
    let mut ready = pin!(source.token());
    let mut context = Context::from_waker(Waker::noop());
    match ready.as_mut().poll(&mut context) {
        Poll::Ready(given) => assert_eq!(given.unwrap(), token("abc")),
        Poll::Pending => panic!("a static token needs no wait"),
    }
    assert!(!source.reject(&token("abc")) && !source.reject(&token("abd")));
}

#[test]
fn an_endpoint_parses_from_a_string() {
    let endpoint: Endpoint = "https://example.com/base".parse().unwrap();
    assert_eq!(
        endpoint,
        Endpoint::parse("https://example.com/base").unwrap()
    );
    let error = "http://example.com".parse::<Endpoint>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let endless = format!("https://example.com/{}", "a".repeat(70_000));
    let error = endless.parse::<Endpoint>().unwrap_err();
    assert!(error.to_string().contains("is not a URL: "), "{error}");
}

#[test]
fn a_request_has_the_configured_media_type() {
    let sent_as = |exchange: Exchange| exchange.request().headers()[CONTENT_TYPE].clone();
    assert_eq!(sent_as(exchange()), "application/json");
    assert_eq!(
        sent_as(exchange().with_media_type(MediaType::TEXT_JSON)),
        "text/json"
    );
    let vendor = MediaType::application_suffix("vnd.x").unwrap();
    let exchange = exchange();
    assert_eq!(
        sent_as(exchange.clone().with_media_type(vendor)),
        "application/vnd.x+json"
    );
    assert_eq!(
        format!("{:?}", exchange.request().body()),
        "RequestBody(41 bytes)"
    );
    assert_eq!(
        sent_as(exchange),
        "application/json",
        "a clone is independent"
    );
}

#[test]
fn an_exchange_prints_its_endpoint_and_no_secret() {
    let endpoint = Endpoint::parse("https://example.com/base").unwrap();
    let exchange = Exchange::new(
        endpoint.clone(),
        Credentials::new("an-id", "hidden").unwrap(),
    );
    assert_eq!(exchange.endpoint(), &endpoint);
    let printed = format!("{exchange:?}");
    for part in [
        "Exchange { endpoint: ",
        "example.com/base",
        "an-id",
        "RequestBody(",
    ] {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
    assert!(!printed.contains("hidden"), "{printed}");
}

fn granted(content: &str) -> Grant {
    let body = format!(r#"{{"status":"ok","content":{{{content}}}}}"#);
    exchange()
        .parse(Response::new(body.into_bytes()), NOW)
        .unwrap()
}

#[test]
fn a_grant_and_its_token_print_no_secret() {
    let grant = granted(r#""id_token":"hidden","expires_in":60,"status":"available""#);
    assert_eq!(grant.status(), Some(&AuthenticationStatus::Available));
    assert_eq!(grant.lifetime(), Duration::from_secs(60));
    assert_eq!(
        format!("{grant:?}"),
        "Grant { lifetime: 60s, status: Some(Available), .. }"
    );
    let token = grant.into_token(NOW);
    let printed = format!("{token:?}");
    assert!(
        printed.starts_with("Token { expires_at: SystemTime"),
        "{printed}"
    );
    assert!(
        printed.ends_with("status: Some(Available), .. }"),
        "{printed}"
    );
}

#[test]
fn the_fallback_lifetime_applies_without_a_lifetime() {
    let mut config = Config::default();
    config.fallback_lifetime = Duration::from_secs(100);
    for (content, lifetime) in [
        (r#""id_token":"a","expires_in":60"#, 60),
        (r#""id_token":"a""#, 100),
    ] {
        let mut machine = Machine::new(config.clone(), exchange(), 1);
        let Step::Send(transmit) = machine.poll(NOW, &machine.ticket(Need::Usable)) else {
            panic!("nothing is cached")
        };
        machine.handle_outcome(NOW, transmit.flight, Ok(granted(content)));
        let end = NOW.after(Duration::from_secs(lifetime)).system_time();
        assert_eq!(machine.status(NOW).expires_at, end, "{content}");
    }
}

#[test]
fn a_malformed_answer_names_the_expected_type() {
    for (json, text) in [
        ("[]", "expected a JSON object"),
        (r#"{"status":"ok","content":[]}"#, "expected a JSON object"),
        (
            r#"{"status":"ok","content":{"expires_in":[]}}"#,
            "expected a number of seconds",
        ),
        (r#"{"status":1}"#, "expected a string"),
    ] {
        let error = exchange().parse(Response::new(json.as_bytes()), NOW);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn the_token_content_prints_no_token() {
    let mut content = OAuthTokenResponse::default();
    content.id_token = Some("hidden".to_owned());
    content.expires_in = Some(60);
    assert_eq!(
        format!("{content:?}"),
        "OAuthTokenResponse { expires_in: Some(60), status: None, .. }"
    );
}

fn refused() -> Error {
    let body = r#"{"status":"badRequest","message":"a message","displayMessage":"for a person",
        "errorHash":"hash","errorType":"type","errorData":{"a":1},"teamCode":"code"}"#;
    let response = Response::builder()
        .status(StatusCode::BAD_REQUEST)
        .header(CONTENT_TYPE, "application/json")
        .header(DATE, "Fri, 15 Jan 2027 08:00:00 GMT")
        .header(RETRY_AFTER, "60")
        .header(WWW_AUTHENTICATE, "Bearer realm=\"x\"")
        .header("x-request-id", "an-id")
        .body(body.as_bytes())
        .unwrap();
    exchange().parse(response, NOW).unwrap_err()
}

#[test]
fn a_report_has_the_details_for_a_support_ticket() {
    let error = refused();
    assert_eq!(error.content_type(), Some("application/json"));
    assert_eq!(error.date(), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
    assert_eq!(
        error.retry_at(),
        NOW.after(Duration::from_secs(60)).system_time()
    );
    assert_eq!(
        error.report().to_string(),
        [
            &error.to_string(),
            "display message: for a person",
            "error type: type",
            "error hash: hash",
            "error data: {\"a\":1}",
            "team code: code",
            "retry at: Fri, 15 Jan 2027 08:01:00 GMT",
            "www-authenticate: Bearer realm=\"x\"",
            "date: Fri, 15 Jan 2027 08:00:00 GMT",
            "x-request-id: an-id",
        ]
        .join("\n  ")
    );

    let page = Response::builder()
        .status(StatusCode::BAD_GATEWAY)
        .header(CONTENT_TYPE, "text/html")
        .body(&b"<p>down</p>"[..])
        .unwrap();
    let error = exchange().parse(page, NOW).unwrap_err();
    assert_eq!(
        error.report().to_string(),
        format!("{error}\n  content-type: text/html\n  body: <p>down</p>")
    );
}

#[test]
fn an_error_prints_its_kind_and_attempts() {
    let error = refused();
    assert_eq!(error.attempts(), 1);
    assert_eq!(Error::configuration("x").attempts(), 0);
    let printed = format!("{error:?}");
    for part in ["Error { kind: Refused", "a message", "attempts: 1"] {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }

    let mut machine = Machine::new(Config::default(), exchange(), 1);
    let ticket = machine.ticket(Need::Usable);
    let mut now = NOW;
    let error = loop {
        match machine.poll(now, &ticket) {
            Step::Send(transmit) => {
                let answer = Response::builder().status(500).body(Vec::new()).unwrap();
                let outcome = transmit.flight.parse(answer, now);
                machine.handle_outcome(now, transmit.flight, outcome);
            }
            Step::Wait(time) => now = now.after(time),
            Step::Failed(error) => break error,
            Step::Ready(token) => panic!("{token:?}"),
        }
    };
    assert_eq!(error.attempts(), 3);
}

/// An HTTP-date has no year after 9999, and httpdate panics on one.
#[test]
fn a_report_omits_a_date_after_the_year_9999() {
    const LAST: Duration = Duration::from_secs(253_370_764_800);
    for (wait, is_shown) in [(59, true), (60, false), (61, false)] {
        let received = Moment {
            wall: LAST - Duration::from_secs(60),
            ..NOW
        };
        let response = Response::builder()
            .status(StatusCode::TOO_MANY_REQUESTS)
            .header(RETRY_AFTER, wait)
            .body(Vec::new())
            .unwrap();
        let error = exchange().parse(response, received).unwrap_err();
        let retry_at = received.after(Duration::from_secs(wait));
        assert_eq!(error.retry_at(), retry_at.system_time());
        assert_eq!(
            error.report().to_string().contains("retry at"),
            is_shown,
            "{wait}"
        );
    }
}

#[test]
fn a_status_does_not_go_back_in_time() {
    let endpoint = Endpoint::parse("https://example.com/base").unwrap();
    let exchange = Exchange::new(endpoint.clone(), Credentials::new("id", "secret").unwrap());
    let mut machine = Machine::new(Config::default(), exchange, 1);
    assert_eq!(machine.endpoint(), &endpoint);

    let Step::Send(transmit) = machine.poll(NOW, &machine.ticket(Need::Usable)) else {
        panic!("nothing is cached")
    };
    let answer = Response::builder().status(500).body(Vec::new()).unwrap();
    let outcome = transmit.flight.parse(answer, NOW);
    machine.handle_outcome(NOW, transmit.flight, outcome);
    let earlier = Moment {
        mono: Duration::ZERO,
        ..NOW
    };
    assert!(matches!(
        machine.status(NOW).phase,
        Phase::BackingOff { .. }
    ));
    assert_eq!(machine.status(earlier).phase, machine.status(NOW).phase);
}

#[test]
fn a_machine_prints_its_counts_and_no_secret() {
    let mut machine = Machine::new(Config::default(), exchange(), 1);
    let printed = format!("{machine:?}");
    assert!(printed.starts_with("Machine { cached: None, flights: 0, failures: 0"));
    let Step::Send(transmit) = machine.poll(NOW, &machine.ticket(Need::Usable)) else {
        panic!("nothing is cached")
    };
    let printed = format!("{machine:?} {:?}", transmit.flight);
    assert!(printed.contains("flights: 1") && printed.contains("Flight { number: 1, sent: "));
    assert!(!printed.contains("secret"));
}

/// A source that records the tokens that it is asked for, and accepts the rejection of `abc`.
#[derive(Default)]
struct Recording(AtomicU32);

impl TokenSource for Recording {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Error>> + Send + '_>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(ready(Ok(token("abc"))))
    }

    fn reject(&self, rejected: &Token) -> bool {
        *rejected == token("abc")
    }
}

impl BlockingTokenSource for Recording {
    fn token(&self) -> Result<Token, Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(token("abc"))
    }

    fn reject(&self, rejected: &Token) -> bool {
        *rejected == token("abc")
    }
}

fn awaited(source: impl TokenSource) {
    assert!(source.reject(&token("abc")));
    assert!(!source.reject(&token("other")));
    let future = pin!(source.token());
    let Poll::Ready(given) = future.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the source needs no wait");
    };
    assert_eq!(given.unwrap(), token("abc"));
}

fn blocked(source: impl BlockingTokenSource) {
    assert!(source.reject(&token("abc")));
    assert!(!source.reject(&token("other")));
    assert_eq!(source.token().unwrap(), token("abc"));
}

#[test]
fn pointers_to_sources_are_sources() {
    let source = Arc::new(Recording::default());
    let dynamic: &dyn TokenSource = &*source;
    let shared: Arc<dyn TokenSource> = source.clone();
    let boxed: Box<dyn TokenSource> = Box::new(Arc::clone(&shared));
    awaited(&*source);
    awaited(dynamic);
    awaited(shared);
    awaited(&boxed);
    awaited(boxed);
    assert_eq!(source.0.load(Ordering::Relaxed), 5);

    let dynamic: &dyn BlockingTokenSource = &*source;
    let shared: Arc<dyn BlockingTokenSource> = source.clone();
    let boxed: Box<dyn BlockingTokenSource> = Box::new(Arc::clone(&shared));
    blocked(&*source);
    blocked(dynamic);
    blocked(shared);
    blocked(&boxed);
    blocked(boxed);
    assert_eq!(source.0.load(Ordering::Relaxed), 10);
}

#[test]
fn a_moment_combines_two_clocks() {
    let (mono, wall) = (Duration::from_secs(3), Duration::from_secs(1_800_000_000));
    let moment = Moment::new(mono, SystemTime::UNIX_EPOCH + wall);
    assert_eq!(moment, Moment { mono, wall });
    assert_eq!(moment.system_time(), Some(SystemTime::UNIX_EPOCH + wall));

    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(Moment::new(mono, before_1970).wall, Duration::ZERO);

    let end = moment.after(Duration::MAX);
    assert_eq!((end.mono, end.wall), (Duration::MAX, Duration::MAX));
    assert_eq!(end.system_time(), None);
}

#[test]
fn credentials_name_the_empty_half() {
    for (id, secret, word) in [("", "s", "client id"), ("i", "", "client secret")] {
        let error = Credentials::new(id, secret).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn credentials_are_not_trimmed() {
    let credentials = Credentials::new(" id ", " s\n").unwrap();
    assert_eq!(credentials.client_id().as_str(), " id ");
    assert_eq!(credentials.client_secret().expose(), " s\n");
    assert_eq!(
        format!("{credentials:?}"),
        "Credentials { client_id: ClientId(\" id \"), client_secret: ClientSecret([secret]) }"
    );
}

#[test]
fn a_media_type_has_a_restricted_name() {
    let value = |name| {
        let media_type = MediaType::application_suffix(name)?;
        let request = exchange().with_media_type(media_type).request();
        Ok::<_, Error>(request.headers()[CONTENT_TYPE].clone())
    };
    assert_eq!(
        value("vnd.mesh.v1").unwrap(),
        "application/vnd.mesh.v1+json"
    );
    for name in ["", "*", ".x", "a b", "a\r\nx: y", "a;q=1", "a/b", "é"] {
        assert!(value(name).is_err(), "{name:?}");
    }
    let (longest, too_long) = ("a".repeat(122), "a".repeat(123));
    assert!(value(&longest).is_ok() && value(&too_long).is_err());
}
