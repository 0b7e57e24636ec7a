//! The behaviour that callers observe, over real sockets. It is the same for both transports.

use std::io::{Read, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::support::server::{Server, read_request, response};
use crate::support::tls::Ca;
use crate::support::{
    Async, Blocking, EXAMPLE_200, SECRET, Settings, TOKEN, Transport, all_text, credentials,
    runtime,
};
use http::{HeaderValue, StatusCode, header};
use meshconnect_auth::emulator::{Emulator, Reply};
use meshconnect_auth::{
    ApiResultStatus, AuthenticationStatus, Config, Endpoint, Error, ErrorKind, Exchange, MediaType,
    Token, TransportErrorKind,
};
use rustls::{HandshakeKind, ServerConnection, StreamOwned};

const EXAMPLE_400: &str = include_str!("../contract/400.json");
const EXAMPLE_403: &str = include_str!("../contract/403.json");

for_both! { Async, Blocking:
    emulator_returns_distinct_tokens,
    reads_the_contract_example,
    reports_all_fields_of_the_contract_refusals,
    request_matches_the_contract,
    every_media_type_of_the_contract_is_accepted,
    non_2xx_is_refused,
    any_2xx_with_a_valid_envelope_is_accepted,
    refusal_in_the_envelope_of_a_200_is_an_error,
    does_not_follow_redirects,
    stops_reading_a_body_over_the_limit,
    stalled_response_times_out,
    torn_2xx_is_broken_and_torn_error_keeps_its_status,
    reads_a_slow_body_to_its_end,
    missing_response_is_classified_by_cause,
    connect_timeout_includes_the_tls_handshake,
    lifetime_counts_from_before_the_request,
    timeout_closes_the_connection,
    reads_many_headers,
    reports_non_http_responses,
    error_reports_response_headers,
    echoed_secret_is_masked,
    does_not_request_compression,
    root_certificate_replaces_the_platform_trust,
    wrong_host_name_is_a_certificate_error,
    plaintext_on_a_tls_port_is_a_tls_error,
    custom_http_client_behaves_the_same,
    invalid_configuration_is_refused,
}

fn fails<T: Transport>(settings: &Settings) -> Error {
    T::token(settings).expect_err("expected an error")
}

fn emulator() -> Emulator {
    let builder = Emulator::builder().credentials(credentials());
    builder.start().unwrap()
}

fn emulator_returns_distinct_tokens<T: Transport>() {
    let emulator = Emulator::builder()
        .credentials(credentials())
        .expires_in(Duration::from_secs(600))
        .start()
        .unwrap();
    let settings = Settings::new(&emulator.endpoint().to_string());
    let before = SystemTime::now();
    let first = T::token(&settings).unwrap();
    let second = T::token(&settings).unwrap();
    assert_ne!(first.id_token(), second.id_token());
    assert_eq!(first.status(), Some(&AuthenticationStatus::Available));
    assert_eq!(
        first.header_value().to_str().unwrap(),
        format!("Bearer {}", first.id_token())
    );
    assert!(first.header_value().is_sensitive());
    let lifetime = first.expires_at().duration_since(before).unwrap();
    assert!((595..=605).contains(&lifetime.as_secs()), "{lifetime:?}");
    assert_eq!(emulator.requests(), 2);
}

fn reads_the_contract_example<T: Transport>() {
    let server = Server::respond(response("200 OK", "", EXAMPLE_200));
    let before = SystemTime::now();
    let token = T::token(&Settings::new(&server.http())).unwrap();
    let after = SystemTime::now();
    assert_eq!(token.id_token(), TOKEN);
    assert_eq!(token.status(), Some(&AuthenticationStatus::Available));
    // The lifetime counts from before the request, so the token never expires later than an hour
    // after the response.
    let hour = Duration::from_secs(3600);
    let second = Duration::from_secs(1);
    assert!(token.expires_at() >= before + hour - second && token.expires_at() <= after + hour);
    assert_eq!(server.connections(), 1);
}

fn reports_all_fields_of_the_contract_refusals<T: Transport>() {
    for (status, body, envelope) in [
        ("400 Bad Request", EXAMPLE_400, ApiResultStatus::BadRequest),
        (
            "403 Forbidden",
            EXAMPLE_403,
            ApiResultStatus::PermissionDenied,
        ),
    ] {
        let server = Server::respond(response(status, "", body));
        let error = fails::<T>(&Settings::new(&server.http()));
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.http_status().unwrap().as_str(), &status[..3]);
        let rejection = error.rejection().unwrap();
        assert_eq!(rejection.status(), Some(&envelope));
        assert_eq!(rejection.message(), Some("Error message"));
        assert_eq!(
            rejection.display_message(),
            Some("Optional display message")
        );
        assert_eq!(rejection.error_hash(), Some("cd59bd31"));
        assert_eq!(rejection.error_type(), Some("missingField"));
        let report = error.report().to_string();
        for word in [
            status,
            "Error message",
            "Optional display message",
            "cd59bd31",
            "missingField",
        ] {
            assert!(report.contains(word), "{report}");
        }
    }
}

fn request_matches_the_contract<T: Transport>() {
    let server = Server::respond(response("200 OK", "", EXAMPLE_200));
    let settings = Settings::new(&format!("{}/prefix/", server.http()));
    T::token(&settings).unwrap();
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(
        lines.next(),
        Some("POST /prefix/admin/api/v1/Token HTTP/1.1")
    );
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let only = |name: &str| {
        let mut values = headers.iter().filter(|(given, _)| given == name);
        let value = values.next().map(|(_, value)| *value);
        assert!(values.next().is_none(), "duplicate {name}: {head}");
        value
    };
    assert_eq!(only("content-type"), Some("application/json"));
    assert_eq!(only("accept"), Some("application/json"));
    assert_eq!(only("host"), Some(server.address.to_string().as_str()));
    assert_eq!(
        only("content-length"),
        Some(body.len().to_string().as_str())
    );
    let agent = only("user-agent").unwrap();
    assert_eq!(
        agent,
        concat!("meshconnect-auth/", env!("CARGO_PKG_VERSION"))
    );
    for absent in [
        "authorization",
        "cookie",
        "referer",
        "transfer-encoding",
        "expect",
    ] {
        assert_eq!(only(absent), None);
    }
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let expected = serde_json::json!({"clientId": "canary-client", "clientSecret": SECRET});
    assert_eq!(body, expected);
}

fn every_media_type_of_the_contract_is_accepted<T: Transport>() {
    let emulator = Emulator::start().unwrap();
    let exchange = Exchange::new(emulator.endpoint(), emulator.credentials().clone());
    let bearer = Token::new("abc", SystemTime::UNIX_EPOCH).unwrap();
    for media_type in [
        MediaType::APPLICATION_JSON,
        MediaType::TEXT_JSON,
        MediaType::application_suffix("vnd.example").unwrap(),
    ] {
        let exchange = exchange.clone().with_media_type(media_type);
        T::exchange(&exchange).unwrap();
        T::exchange(&exchange.with_bearer(&bearer)).unwrap();
    }
    assert_eq!(emulator.requests(), 6);
}

fn non_2xx_is_refused<T: Transport>() {
    let emulator = emulator();
    let settings = Settings::new(&emulator.endpoint().to_string());
    // 304 has no body. The others carry a body that would be a token with a 2xx.
    for code in (300..=308)
        .chain(400..=431)
        .chain([451, 499])
        .chain(500..=511)
        .chain([599])
    {
        let status = StatusCode::from_u16(code).unwrap();
        for body in [EXAMPLE_200, ""] {
            emulator.script([Reply::status(status).body(body)]);
            let error = fails::<T>(&settings);
            let kind = match code {
                429 => ErrorKind::Throttled,
                408 | 425 | 500..=599 => ErrorKind::Unavailable,
                _ => ErrorKind::Refused,
            };
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!(error.http_status(), Some(status), "{code}");
            assert!(error.to_string().contains(&code.to_string()), "{error}");
            assert_eq!(error.attempts(), 1);
        }
    }
}

fn any_2xx_with_a_valid_envelope_is_accepted<T: Transport>() {
    let emulator = emulator();
    let settings = Settings::new(&emulator.endpoint().to_string());
    for code in [200, 201, 202, 203, 206, 226, 299] {
        let status = StatusCode::from_u16(code).unwrap();
        emulator.script([Reply::status(status).body(EXAMPLE_200)]);
        assert_eq!(T::token(&settings).unwrap().id_token(), TOKEN, "{code}");
    }
    for code in [204, 205] {
        let status = StatusCode::from_u16(code).unwrap();
        emulator.script([Reply::status(status)]);
        assert_eq!(fails::<T>(&settings).kind(), ErrorKind::Malformed, "{code}");
    }
}

fn refusal_in_the_envelope_of_a_200_is_an_error<T: Transport>() {
    let emulator = emulator();
    let settings = Settings::new(&emulator.endpoint().to_string());
    for status in ApiResultStatus::KNOWN
        .iter()
        .filter(|status| **status != ApiResultStatus::Ok)
        .chain([&ApiResultStatus::Unknown("newStatus".into())])
    {
        // The token in the refused envelope must neither be used nor leak.
        let body = EXAMPLE_200.replace("\"ok\"", &format!("\"{status}\""));
        emulator.script([Reply::status(StatusCode::OK).body(body)]);
        let error = fails::<T>(&settings);
        let kind = match status {
            ApiResultStatus::TooManyRequest => ErrorKind::Throttled,
            ApiResultStatus::ServerFailure => ErrorKind::Unavailable,
            _ => ErrorKind::Refused,
        };
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.http_status(), Some(StatusCode::OK));
        assert_eq!(error.rejection().unwrap().status(), Some(status));
    }
    for (content, kind) in [
        (r#"{"status":"failed"}"#, ErrorKind::AuthenticationFailed),
        (
            r#"{"status":"mfaRequired","id_token":""}"#,
            ErrorKind::MfaRequired,
        ),
        (r#"{"status":"available"}"#, ErrorKind::Malformed),
        ("null", ErrorKind::Malformed),
    ] {
        let body = format!(r#"{{"status":"ok","content":{content}}}"#);
        emulator.script([Reply::status(StatusCode::OK).body(body)]);
        assert_eq!(fails::<T>(&settings).kind(), kind, "{content}");
    }
}

fn does_not_follow_redirects<T: Transport>() {
    let elsewhere = Server::respond(response("200 OK", "", EXAMPLE_200));
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        for target in [
            format!("{}/admin/api/v1/Token", elsewhere.http()),
            "/elsewhere".to_owned(),
        ] {
            let location = format!("Location: {target}\r\n");
            let server = Server::respond(response(status, &location, ""));
            let error = fails::<T>(&Settings::new(&server.http()));
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert_eq!(error.http_status().unwrap().as_str(), &status[..3]);
            assert!(error.to_string().contains("redirect"), "{error}");
            assert_eq!(server.connections(), 1, "{status}");
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

fn stops_reading_a_body_over_the_limit<T: Transport>() {
    let padded = |length: usize| {
        let padding = " ".repeat(length - EXAMPLE_200.len());
        format!("{EXAMPLE_200}{padding}")
    };
    let limit = 2000;
    let chunked = |body: &str| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    for whole in [
        response("200 OK", "", &padded(limit)),
        chunked(&padded(limit)),
    ] {
        let server = Server::respond(whole);
        T::token(&Settings::new(&server.http()).max_body(limit)).unwrap();
    }
    let endless = Server::start(None, |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[b' '; 4096])?;
        }
    });
    let announced = Server::start(None, |stream| {
        // No body follows, so a client that waits for it runs into the time-out.
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2001\r\n\r\n")?;
        thread::park_timeout(Duration::from_secs(10));
        Ok(())
    });
    let one_more = Server::respond(chunked(&padded(limit + 1)));
    for server in [&endless, &announced, &one_more] {
        let started = Instant::now();
        let error = fails::<T>(&Settings::new(&server.http()).max_body(limit));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error:?}");
        assert!(error.to_string().contains("2000 bytes"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(4));
    }
    // The length of an error's body does not change the error.
    let server = Server::respond(response("503 Unavailable", "", &padded(limit + 1)));
    let error = fails::<T>(&Settings::new(&server.http()).max_body(limit));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.http_status(), Some(StatusCode::SERVICE_UNAVAILABLE));
}

fn stalled_response_times_out<T: Transport>() {
    let emulator = emulator();
    let timeout = Duration::from_millis(300);
    let settings = Settings::new(&emulator.endpoint().to_string()).timeout(timeout);
    let dripping = Reply::token().drip(1, Duration::from_millis(50));
    for reply in [
        Reply::stalled(),
        Reply::token().delay(timeout * 10),
        dripping,
    ] {
        emulator.script([reply]);
        let started = Instant::now();
        let error = fails::<T>(&settings);
        let timed_out = ErrorKind::Transport(TransportErrorKind::Timeout);
        assert_eq!(error.kind(), timed_out, "{error:?}");
        assert!(started.elapsed() < timeout + Duration::from_secs(1));
    }
    // A server that accepts connections and never responds, not even to a TLS hello.
    let silent = Server::raw(|_stream| {
        thread::park_timeout(Duration::from_secs(10));
        Ok(())
    });
    for url in [silent.http(), silent.https()] {
        let settings = Settings::new(&url).pem(&Ca::new().pem);
        let error = fails::<T>(&settings.timeout(timeout));
        let timed_out = ErrorKind::Transport(TransportErrorKind::Timeout);
        assert_eq!(error.kind(), timed_out, "{url}: {error:?}");
    }
}

fn torn_2xx_is_broken_and_torn_error_keeps_its_status<T: Transport>() {
    let emulator = emulator();
    let settings = Settings::new(&emulator.endpoint().to_string());
    emulator.script([
        Reply::token().torn_after(20),
        Reply::status(StatusCode::FORBIDDEN)
            .body(EXAMPLE_403)
            .torn_after(20),
    ]);
    let error = fails::<T>(&settings);
    let broken = ErrorKind::Transport(TransportErrorKind::Broken);
    assert_eq!(error.kind(), broken, "{error:?}");
    assert_eq!(error.http_status(), Some(StatusCode::OK));
    let error = fails::<T>(&settings);
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.http_status(), Some(StatusCode::FORBIDDEN));
}

fn reads_a_slow_body_to_its_end<T: Transport>() {
    let emulator = emulator();
    let slow = Reply::token().drip(16, Duration::from_millis(2));
    emulator.script([slow.delay(Duration::from_millis(30))]);
    T::token(&Settings::new(&emulator.endpoint().to_string())).unwrap();
}

fn missing_response_is_classified_by_cause<T: Transport>() {
    let hung_up = Server::start(None, |_| Ok(()));
    let half = Server::respond("HTTP/1.1 200 OK\r\nContent-Le");
    for (url, kind) in [
        // Nothing listens on port 1, and only root could bind it.
        ("http://127.0.0.1:1".to_owned(), TransportErrorKind::Connect),
        (
            "https://127.0.0.1:1".to_owned(),
            TransportErrorKind::Connect,
        ),
        (hung_up.http(), TransportErrorKind::Broken),
        (half.http(), TransportErrorKind::Broken),
    ] {
        let error = fails::<T>(&Settings::new(&url).pem(&Ca::new().pem));
        assert_eq!(error.kind(), ErrorKind::Transport(kind), "{url}: {error:?}");
        assert_eq!(error.http_status(), None);
        assert_eq!(error.attempts(), 1);
    }
}

fn connect_timeout_includes_the_tls_handshake<T: Transport>() {
    // A server that accepts connections and never responds to the TLS hello.
    let silent = Server::raw(|_stream| {
        thread::park_timeout(Duration::from_secs(10));
        Ok(())
    });
    let mut settings = Settings::new(&silent.https()).pem(&Ca::new().pem);
    settings.config.connect_timeout = Duration::from_millis(200);
    let started = Instant::now();
    let error = fails::<T>(&settings);
    let timed_out = ErrorKind::Transport(TransportErrorKind::Timeout);
    assert_eq!(error.kind(), timed_out, "{error:?}");
    assert!(
        started.elapsed() < Duration::from_millis(1200),
        "the attempt's time-out of 5 s elapsed instead"
    );
}

fn lifetime_counts_from_before_the_request<T: Transport>() {
    let emulator = emulator();
    let late = Duration::from_millis(500);
    emulator.script([Reply::token().delay(late)]);
    let before = SystemTime::now();
    let token = T::token(&Settings::new(&emulator.endpoint().to_string())).unwrap();
    let hour = Duration::from_secs(3600);
    assert!(token.expires_at() < before + hour + late / 2);
}

fn reads_many_headers<T: Transport>() {
    let headers = "X-Some: thing\r\n".repeat(100) + "X-Request-Id: last\r\n";
    let server = Server::respond(response("503 Service Unavailable", &headers, ""));
    let error = fails::<T>(&Settings::new(&server.http()));
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let ids: Vec<_> = error.trace_ids().collect();
    assert_eq!(ids, [("x-request-id", "last")]);
}

fn reports_non_http_responses<T: Transport>() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n\r\n"[..],
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"{\"status\":\"ok\"}\r\n\r\n",
    ] {
        let server = Server::respond(bytes);
        let error = fails::<T>(&Settings::new(&server.http()));
        let kind = ErrorKind::Transport(TransportErrorKind::NotHttp);
        assert_eq!(error.kind(), kind, "{bytes:?}: {error:?}");
    }
}

fn error_reports_response_headers<T: Transport>() {
    let headers = "Date: Tue, 24 Nov 2026 00:00:00 GMT\r\nRetry-After: 7\r\nRetry-After: 120\r\n\
                   WWW-Authenticate: Bearer error=\"invalid_token\"\r\nX-Request-Id: r-1\r\n\
                   Traceparent: 00-aa-bb-01\r\n";
    let server = Server::respond(response(
        "429 Too Many Requests",
        headers,
        "{\"statusCode\":429}",
    ));
    let before = SystemTime::now();
    let error = fails::<T>(&Settings::new(&server.http()));
    let retry_at = error.retry_at().unwrap();
    let delay = retry_at.duration_since(before).unwrap().as_secs();
    assert!((119..=125).contains(&delay), "{delay}");
    assert_eq!(error.date(), Some("Tue, 24 Nov 2026 00:00:00 GMT"));
    assert_eq!(
        error.www_authenticate(),
        Some("Bearer error=\"invalid_token\"")
    );
    assert_eq!(error.content_type(), Some("application/json"));
    assert_eq!(error.excerpt(), Some("{\"statusCode\":429}"));
    assert!(error.rejection().is_none());
    let ids: Vec<_> = error.trace_ids().collect();
    assert_eq!(
        ids,
        [("x-request-id", "r-1"), ("traceparent", "00-aa-bb-01")]
    );
}

/// [`Transport::token`] searches the error for secrets. These responses contain some.
fn echoed_secret_is_masked<T: Transport>() {
    let json = serde_json::to_string(SECRET).unwrap();
    let envelope =
        format!(r#"{{"status":"badRequest","message":{json},"errorData":{{"x":{json}}}}}"#);
    let html = format!("<p>{SECRET} {json} Bearer {TOKEN}</p>");
    let header = format!("WWW-Authenticate: Basic {SECRET}\r\nX-Request-Id: {SECRET}\r\n");
    let mut masked = 0;
    for status in ["200 OK", "400 Bad Request", "502 Bad Gateway"] {
        for body in [&envelope, &html] {
            let server = Server::respond(response(status, &header, body));
            let error = fails::<T>(&Settings::new(&server.http()));
            masked += all_text(&error).matches("[masked]").count();
        }
    }
    assert!(masked >= 6 * 2, "{masked}");
}

fn does_not_request_compression<T: Transport>() {
    let headers = "Content-Encoding: gzip\r\n";
    let server = Server::respond(response("200 OK", headers, "\u{1f}\u{8b}not really"));
    let error = fails::<T>(&Settings::new(&server.http()));
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("claims \"gzip\""), "{error}");
    let request = server.requests().remove(0).to_ascii_lowercase();
    let requested = request
        .lines()
        .find_map(|line| line.strip_prefix("accept-encoding: "));
    assert!(
        matches!(requested, None | Some("identity")),
        "{requested:?}"
    );
}

fn root_certificate_replaces_the_platform_trust<T: Transport>() {
    let ca = Ca::new();
    for tls in [
        ca.server("localhost"),
        ca.server_of("localhost", &[&rustls::version::TLS12]),
    ] {
        let server = Server::respond_over_tls(tls, response("200 OK", "", EXAMPLE_200));
        let platform = Settings::new(&server.https());
        let trusting = platform.clone().pem(&ca.pem);
        assert_eq!(T::token(&trusting).unwrap().id_token(), TOKEN);
        let der = Settings {
            der: Some(ca.der.clone()),
            ..platform.clone()
        };
        assert_eq!(T::token(&der).unwrap().id_token(), TOKEN);

        let another = platform.clone().pem(&Ca::new().pem);
        let webpki = Settings {
            webpki_roots: true,
            ..platform.clone()
        };
        for distrusting in [another, webpki] {
            let error = fails::<T>(&distrusting);
            let kind = ErrorKind::Transport(TransportErrorKind::Certificate);
            assert_eq!(error.kind(), kind, "{error:?}");
        }
        // Two of the four sender complete and carry a request.
        assert_eq!((server.connections(), server.requests().len()), (4, 2));
    }
}

fn wrong_host_name_is_a_certificate_error<T: Transport>() {
    let ca = Ca::new();
    let tls = ca.server("other.example");
    let server = Server::respond_over_tls(tls, response("200 OK", "", EXAMPLE_200));
    let error = fails::<T>(&Settings::new(&server.https()).pem(&ca.pem));
    let kind = ErrorKind::Transport(TransportErrorKind::Certificate);
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(server.requests().is_empty());
}

fn plaintext_on_a_tls_port_is_a_tls_error<T: Transport>() {
    let server = Server::raw(|mut stream| {
        stream.read_exact(&mut [0; 5])?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    });
    let error = fails::<T>(&Settings::new(&server.https()).pem(&Ca::new().pem));
    let kind = ErrorKind::Transport(TransportErrorKind::Tls);
    assert_eq!(error.kind(), kind, "{error:?}");
}

fn custom_http_client_behaves_the_same<T: Transport>() {
    let emulator = emulator();
    let mut settings = Settings::new(&emulator.endpoint().to_string());
    settings.custom_client = true;
    settings.config.attempt_timeout = Duration::from_millis(500);
    T::token(&settings).unwrap();
    let location = HeaderValue::from_static("/elsewhere");
    emulator.script([
        Reply::status(StatusCode::FORBIDDEN).body(EXAMPLE_403),
        Reply::status(StatusCode::TEMPORARY_REDIRECT).header(header::LOCATION, location),
        Reply::stalled(),
    ]);
    let kinds = [(); 3].map(|()| fails::<T>(&settings).kind());
    let timed_out = ErrorKind::Transport(TransportErrorKind::Timeout);
    assert_eq!(kinds, [ErrorKind::Refused, ErrorKind::Refused, timed_out]);
    assert_eq!(emulator.requests(), 4);
    // A client of the caller's own and a root certificate exclude each other.
    settings.pem = Some(Ca::new().pem);
    assert_eq!(fails::<T>(&settings).kind(), ErrorKind::Configuration);
}

fn invalid_configuration_is_refused<T: Transport>() {
    type Change = fn(&mut Settings);
    let changes: [(Change, &str); 7] = [
        (
            |settings| settings.config.attempt_timeout = Duration::ZERO,
            "attempt_timeout",
        ),
        (
            |settings| settings.config.connect_timeout = Duration::ZERO,
            "connect_timeout",
        ),
        (|settings| settings.config.max_body = 0, "max_body"),
        (
            |settings| settings.config.max_body = Config::LARGEST_MAX_BODY + 1,
            "max_body",
        ),
        (
            |settings| settings.pem = Some(String::new()),
            "BEGIN CERTIFICATE",
        ),
        (
            |settings| settings.pem = Some("-----BEGIN CERTIFICATE-----\n!".into()),
            "PEM",
        ),
        (
            |settings| settings.der = Some(b"not a certificate".to_vec()),
            "cannot be read",
        ),
    ];
    for (change, word) in changes {
        let mut settings = Settings::new(Endpoint::PRODUCTION);
        change(&mut settings);
        let error = fails::<T>(&settings);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(error.attempts(), 0);
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

/// The server sees the connection close after a time-out, while the client still exists.
fn timeout_closes_the_connection<T: Transport>() {
    let (closed, closing) = std::sync::mpsc::channel();
    let closed = std::sync::Mutex::new(closed);
    let silent = Server::start(None, move |stream| {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        closed.lock().unwrap().send(()).unwrap();
        Ok(())
    });
    let settings = Settings::new(&silent.http()).timeout(Duration::from_millis(200));
    let closed = T::token_then(&settings, || closing.recv_timeout(Duration::from_secs(3)));
    assert!(closed.is_ok(), "the connection was left open");
}

/// The transport overrides an agent's proxy and `accept-encoding`.
#[test]
fn custom_agent_bypasses_proxy_on_loopback_and_panic_is_an_error() {
    use meshconnect_auth::blocking::{Client, ureq};
    let emulator = emulator();
    let proxy = Server::respond(response("200 OK", "", EXAMPLE_200));
    let agent = ureq::Agent::config_builder()
        .proxy(Some(ureq::Proxy::new(&proxy.http()).unwrap()))
        .build()
        .new_agent();
    let client = Client::builder(credentials()).endpoint(emulator.endpoint());
    client.http_client(agent).build().unwrap().token().unwrap();
    assert_eq!((proxy.connections(), emulator.requests()), (0, 1));

    let server = Server::respond(response("200 OK", "", EXAMPLE_200));
    let agent = ureq::Agent::config_builder().accept_encoding("gzip");
    let client = Client::builder(credentials()).endpoint(Endpoint::parse(&server.http()).unwrap());
    let client = client.http_client(agent.build().into()).build().unwrap();
    client.token().unwrap();
    let request = server.requests().remove(0);
    assert!(
        request
            .to_lowercase()
            .contains("\r\naccept-encoding: identity\r\n"),
        "{request}"
    );

    // The agent has no TLS provider, so ureq panics.
    let server = Server::respond_over_tls(Ca::new().server("localhost"), "");
    let endpoint = Endpoint::parse(&server.https()).unwrap();
    let client = Client::builder(credentials()).endpoint(endpoint);
    let client = client
        .http_client(ureq::Agent::new_with_defaults())
        .build()
        .unwrap();
    let error = client.token().unwrap_err();
    let expected = ErrorKind::Transport(TransportErrorKind::Client);
    assert_eq!(error.kind(), expected, "{error:?}");
    assert!(
        all_text(&error).contains("No CryptoProvider for Rustls"),
        "{error:?}"
    );
}

/// A host name with invalid Punycode, which ureq would resolve and reqwest refuses.
#[test]
fn endpoint_that_reqwest_cannot_parse_is_refused_at_build() {
    let endpoint = Endpoint::parse("https://xn--a.example").unwrap();
    let client = meshconnect_auth::Client::builder(credentials()).endpoint(endpoint.clone());
    let error = client.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("invalid base URL"), "{error}");
    let client = meshconnect_auth::blocking::Client::builder(credentials()).endpoint(endpoint);
    assert!(client.build().is_ok());
}

/// Async only: the blocking client needs no runtime.
#[test]
fn call_outside_a_runtime_is_an_error() {
    let client = meshconnect_auth::Client::builder(credentials())
        .build()
        .unwrap();
    let mut call = std::pin::pin!(client.token());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match call.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::NoRuntime),
        other => panic!("{other:?}"),
    }
}

/// A TLS configuration per request would lose the session.
#[test]
fn second_exchange_resumes_the_tls_session() {
    let ca = Ca::new();
    let config = ca.server("localhost");
    let (sender, kinds) = mpsc::channel();
    let server = Server::raw(move |tcp| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, tcp);
        read_request(&mut stream)?;
        sender.send(stream.conn.handshake_kind().unwrap()).unwrap();
        stream.write_all(response("200 OK", "", EXAMPLE_200).as_bytes())?;
        stream.conn.send_close_notify();
        stream.flush()
    });
    let endpoint = Endpoint::parse(&server.https()).unwrap();
    let twice = [HandshakeKind::Full, HandshakeKind::Resumed];

    let client = meshconnect_auth::Client::builder(credentials()).endpoint(endpoint.clone());
    let client = client.root_certificates_pem(&ca.pem).build().unwrap();
    runtime().block_on(async {
        client.token().await.unwrap();
        client.refresh().await.unwrap();
    });
    assert_eq!(kinds.try_iter().collect::<Vec<_>>(), twice);

    let client = meshconnect_auth::blocking::Client::builder(credentials()).endpoint(endpoint);
    let client = client.root_certificates_pem(&ca.pem).build().unwrap();
    client.token().unwrap();
    client.refresh().unwrap();
    assert_eq!(kinds.try_iter().collect::<Vec<_>>(), twice);
}

#[test]
fn clients_return_their_endpoint() {
    let endpoint = Endpoint::parse("https://elsewhere.example/base").unwrap();
    let asynchronous = meshconnect_auth::Client::builder(credentials());
    let blocking = meshconnect_auth::blocking::Client::builder(credentials());
    let asynchronous = asynchronous.endpoint(endpoint.clone()).build().unwrap();
    let blocking = blocking.endpoint(endpoint.clone()).build().unwrap();
    assert_eq!(asynchronous.endpoint(), &endpoint);
    assert_eq!(blocking.endpoint(), &endpoint);
}

#[test]
fn debug_of_clients_shows_no_secret() {
    let asynchronous = meshconnect_auth::Client::builder(credentials());
    let blocking = meshconnect_auth::blocking::Client::builder(credentials());
    let builders = format!("{asynchronous:?} {blocking:?}");
    let clients = (asynchronous.build().unwrap(), blocking.build().unwrap());
    let shown = format!("{builders} {clients:?}");
    assert_eq!(shown.matches("canary-client").count(), 4, "{shown}");
    assert!(!shown.contains("Secret/"), "{shown}");
}
