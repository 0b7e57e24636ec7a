//! The error type: its size, kinds, words and sources.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use http::{Response, StatusCode};
use meshconnect_auth_core::{
    Blame, CertificateProblem, Config, Credentials, Endpoint, Error, ErrorKind, Event, Exchange,
    Machine, Moment, Need, Proxy, Step, TransportError, TransportErrorKind,
};

const NOW: Moment = Moment {
    mono: Duration::ZERO,
    wall: Duration::from_secs(1_800_000_000),
};

fn exchange() -> Exchange {
    let endpoint = Endpoint::parse("https://gateway.example:8443/mesh").unwrap();
    Exchange::new(endpoint, Credentials::new("id", "a secret").unwrap())
}

fn proxied() -> Exchange {
    let exchange = exchange();
    let proxy = Proxy::for_endpoint(exchange.endpoint(), |name| {
        (name == "HTTPS_PROXY").then(|| "http://user:hidden@proxy.example:3128".into())
    });
    let proxy = proxy.unwrap();
    exchange.with_proxy(proxy.as_ref())
}

fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn transport_error(kind: TransportErrorKind, detail: &str) -> Error {
    TransportError::with_detail(kind, detail).into()
}

#[test]
fn an_error_is_one_word_and_shared() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[test]
fn each_kind_has_a_blame() {
    for (kind, blame) in [
        (ErrorKind::Configuration, Blame::Caller),
        (ErrorKind::NoRuntime, Blame::Caller),
        (ErrorKind::LifetimeTooShort, Blame::Caller),
        (ErrorKind::Refused, Blame::Server),
        (ErrorKind::Throttled, Blame::Server),
        (ErrorKind::Unavailable, Blame::Server),
        (ErrorKind::AuthenticationFailed, Blame::Server),
        (ErrorKind::MfaRequired, Blame::Server),
        (ErrorKind::Malformed, Blame::Server),
        (ErrorKind::Transport(TransportErrorKind::Dns), Blame::Wire),
    ] {
        assert_eq!(kind.blame(), blame, "{kind:?}");
    }
    let error = Error::no_runtime("call it within tokio");
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    assert_eq!(error.to_string(), "call it within tokio");
}

#[test]
fn a_transport_error_is_the_source() {
    let error = transport_error(TransportErrorKind::Dns, "no such host");
    assert_eq!(error.kind().blame(), Blame::Wire);
    assert_eq!(error.source().unwrap().to_string(), "no such host");
}

#[test]
fn only_the_report_has_the_cause() {
    let error = transport_error(TransportErrorKind::Connect, "refused");
    let line = "no connection to the server could be made";
    assert_eq!(error.to_string(), line);
    assert_eq!(format!("{error:#}"), line);
    assert_eq!(
        error.report().to_string(),
        format!("{line}\n  cause: refused")
    );
}

#[test]
fn outside_text_is_escaped() {
    let text = "a\u{1b}[2J\r\nb\u{202e}c\u{2066}\u{200b}\u{7f}\u{85}\u{2028}d \"e\" \\ é 例";
    let error = transport_error(TransportErrorKind::Broken, text);
    let cause = error.report().to_string();
    let (_, cause) = cause.split_once("\n  cause: ").unwrap();
    let configuration = Error::configuration(text);
    for shown in [
        cause.to_owned(),
        error.source().unwrap().to_string(),
        configuration.to_string(),
        configuration.report().to_string(),
    ] {
        assert!(!shown.chars().any(char::is_control), "{shown}");
        for odd in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}'] {
            assert!(!shown.contains(odd), "{shown}");
        }
        assert!(shown.ends_with("d \"e\" \\ é 例"), "{shown}");
    }
}

#[test]
fn a_chain_of_sources_repeats_no_words() {
    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);
    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl std::error::Error for Link {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_ref().map(|link| &**link as _)
        }
    }
    let deepest = Link("refused", None);
    let middle = Link("tcp: refused", Some(Box::new(deepest)));
    let top = Link("connecting", Some(Box::new(middle)));
    let error = TransportError::new(TransportErrorKind::Connect, &top);
    assert_eq!(error.to_string(), "connecting: tcp: refused");
    assert_eq!(error.kind(), TransportErrorKind::Connect);
}

#[test]
fn status_decides_the_kind_and_whether_it_is_transient() {
    for status in (100..200).chain(300..1000) {
        let (kind, transient) = match status {
            429 => (ErrorKind::Throttled, true),
            408 | 425 | 500 | 502 | 503 | 504 => (ErrorKind::Unavailable, true),
            500..=599 => (ErrorKind::Unavailable, false),
            _ => (ErrorKind::Refused, false),
        };
        for body in ["", r#"{"status":"serverFailure"}"#, r#"{"status":"ok"}"#] {
            let error = exchange().parse(answer(status, body), NOW).unwrap_err();
            let got = (error.kind(), error.is_transient());
            assert_eq!(got, (kind, transient), "{status} {body}");
        }
    }
    for (envelope, kind, transient) in [
        ("tooManyRequest", ErrorKind::Throttled, true),
        ("serverFailure", ErrorKind::Unavailable, true),
        ("permissionDenied", ErrorKind::Refused, false),
        ("badRequest", ErrorKind::Refused, false),
        ("locked", ErrorKind::Refused, false),
        ("anything", ErrorKind::Refused, false),
        ("ok", ErrorKind::Malformed, false),
    ] {
        for status in [200, 204, 299] {
            let body = format!(r#"{{"status":"{envelope}"}}"#);
            let error = exchange().parse(answer(status, &body), NOW).unwrap_err();
            let got = (error.kind(), error.is_transient());
            assert_eq!(got, (kind, transient), "{envelope} in a {status}");
        }
    }
    for (kind, transient) in [
        (TransportErrorKind::Dns, true),
        (TransportErrorKind::Connect, true),
        (TransportErrorKind::Tls, true),
        (TransportErrorKind::Certificate, false),
        (TransportErrorKind::Timeout, true),
        (TransportErrorKind::NotHttp, false),
        (TransportErrorKind::Broken, true),
        (TransportErrorKind::Client, true),
    ] {
        assert_eq!(
            transport_error(kind, "").is_transient(),
            transient,
            "{kind:?}"
        );
    }
    assert!(!Error::configuration("x").is_transient());
    assert!(!Error::no_runtime("x").is_transient());
}

/// Checks that an error names the server and the proxy of [`proxied`], and nothing secret.
fn names_its_target(error: &Error) {
    assert_eq!(error.endpoint(), Some("https://gateway.example:8443/mesh"));
    assert_eq!(error.proxy(), Some("http://proxy.example:3128"));
    let place = "(https://gateway.example:8443/mesh, through the proxy http://proxy.example:3128)";
    let line = error.to_string();
    assert!(line.ends_with(place), "{line}");
    let report = error.report().to_string();
    assert!(report.starts_with(&line), "{report}");
    for shown in [line, report, format!("{error:?}")] {
        assert!(
            !shown.contains("user") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}

#[test]
fn errors_of_answers_name_endpoint_and_proxy() {
    for response in [
        answer(403, ""),
        answer(503, r#"{"status":"serverFailure","message":"m"}"#),
        answer(307, ""),
        answer(200, ""),
        answer(200, r#"{"status":"badRequest"}"#),
        answer(200, r#"{"status":"ok","content":{"status":"failed"}}"#),
    ] {
        names_its_target(&proxied().parse(response.clone(), NOW).unwrap_err());
        if let Err(error) = proxied().parse_as::<u8>(response) {
            names_its_target(&error);
        }
    }
    let error = exchange().parse(answer(403, ""), NOW).unwrap_err();
    let line = "the server answered 403 Forbidden (https://gateway.example:8443/mesh)";
    assert_eq!(error.to_string(), line);
    assert_eq!(error.proxy(), None);
}

/// Those of the HTTP client, and the time-outs that the machine notices itself.
#[test]
fn errors_of_a_machine_name_endpoint_and_proxy() {
    for kind in [TransportErrorKind::Connect, TransportErrorKind::Timeout] {
        let mut config = Config::default();
        config.attempts = 2;
        let mut machine = Machine::new(config, proxied(), 1);
        let ticket = machine.ticket(Need::Usable);
        let mut now = NOW;
        let error = loop {
            match machine.poll(now, &ticket) {
                Step::Send(transmit) if kind == TransportErrorKind::Timeout => drop(transmit),
                Step::Send(transmit) => {
                    let outcome = Err(transport_error(kind, "refused"));
                    machine.handle_outcome(now, transmit.flight, outcome);
                }
                Step::Wait(time) => now = now.after(time),
                Step::Failed(error) => break error,
                Step::Ready(token) => panic!("{token:?}"),
            }
        };
        assert_eq!(error.kind(), ErrorKind::Transport(kind));
        names_its_target(&error);
        // A later call gets it from the cooldown.
        let ticket = machine.ticket(Need::Usable);
        let Step::Failed(error) = machine.poll(now, &ticket) else {
            panic!("no cooldown runs")
        };
        names_its_target(&error);
        let mut events = 0;
        while let Some(event) = machine.poll_event() {
            if let Some(error) = event.error() {
                names_its_target(error);
                events += 1;
            }
        }
        assert_eq!(events, 3, "a retry, a failure and a cooldown");
    }
}

#[test]
fn failed_refreshes_name_endpoint_and_proxy() {
    for answers in [true, false] {
        let mut machine = Machine::new(Config::default(), proxied(), 1);
        let ticket = machine.ticket(Need::Usable);
        let Step::Send(transmit) = machine.poll(NOW, &ticket) else {
            panic!("nothing is cached")
        };
        let body = r#"{"status":"ok","content":{"id_token":"a.b.c","expires_in":3600}}"#;
        let outcome = transmit.flight.parse(answer(200, body), NOW);
        machine.handle_outcome(NOW, transmit.flight, outcome);
        let late = NOW.after(Duration::from_secs(3000));
        let transmit = machine.poll_refresh(late).unwrap();
        if answers {
            let outcome = Err(transport_error(TransportErrorKind::Dns, "no such host"));
            machine.handle_outcome(late, transmit.flight, outcome);
        } else {
            let over = late.after(Duration::from_secs(60));
            assert!(machine.poll_refresh(over).is_none());
        }
        let events = std::iter::from_fn(|| machine.poll_event());
        let failed = events.filter(|event| matches!(event, Event::Failed { ahead: true, .. }));
        let failed: Vec<_> = failed.collect();
        assert_eq!(failed.len(), 1);
        names_its_target(failed[0].error().unwrap());
    }
}

#[test]
fn errors_about_no_request_name_no_endpoint() {
    let error = Error::configuration("no client id; set one");
    assert_eq!((error.endpoint(), error.proxy()), (None, None));
    assert_eq!(error.to_string(), "no client id; set one");
}

/// Each says the cause and what helps against it, and not what helps against another.
#[test]
fn each_certificate_problem_has_its_own_remedy() {
    const BEGIN: Duration = Duration::from_secs(1_700_000_000);
    const END: Duration = Duration::from_secs(1_900_000_000);
    let cause = std::io::Error::other("what the library says");
    for (problem, says, says_not) in [
        (
            CertificateProblem::UnknownIssuer,
            &["issuer", "SSL_CERT_FILE", "root_certificates_pem", "proxy"][..],
            &["clock", "CA:FALSE"][..],
        ),
        (
            CertificateProblem::WrongName,
            &["host name", "base URL"],
            &["root_certificates_pem", "clock"],
        ),
        (
            CertificateProblem::Expired {
                now: END,
                not_after: Some(BEGIN),
            },
            &[
                "expired at Tue, 14 Nov 2023 22:13:20 GMT",
                "says Sun, 17 Mar 2030 17:46:40 GMT",
                "check this machine's clock",
            ],
            &["root_certificates_pem"],
        ),
        (
            CertificateProblem::NotYetValid {
                now: BEGIN,
                not_before: Some(END),
            },
            &[
                "valid from Sun, 17 Mar 2030 17:46:40 GMT",
                "says Tue, 14 Nov 2023 22:13:20 GMT",
                "check this machine's clock",
            ],
            &["root_certificates_pem", "expired"],
        ),
        (
            CertificateProblem::Expired {
                now: Duration::MAX,
                not_after: Some(Duration::MAX),
            },
            &["18446744073709551615 s since 1970"],
            &[],
        ),
        (
            CertificateProblem::Expired {
                now: END,
                not_after: None,
            },
            &["expired, and", "says Sun, 17 Mar 2030 17:46:40 GMT"],
            &[],
        ),
        (
            CertificateProblem::NotYetValid {
                now: BEGIN,
                not_before: None,
            },
            &[
                "from a later time, and",
                "says Tue, 14 Nov 2023 22:13:20 GMT",
            ],
            &["expired"],
        ),
        (
            CertificateProblem::CaAsServer,
            &[
                "certificate of a CA",
                "CA:FALSE",
                "trusting it does not help",
            ],
            &["root_certificates_pem", "SSL_CERT_FILE"],
        ),
        (
            CertificateProblem::NoRoots,
            &["no root certificates", "ca-certificates", "webpki_roots"],
            &["clock"],
        ),
        (CertificateProblem::Other, &["see the cause"], &["clock"]),
    ] {
        let error = Error::from(TransportError::certificate(problem, &cause));
        let kind = ErrorKind::Transport(TransportErrorKind::Certificate);
        assert_eq!(error.kind(), kind);
        let line = error.to_string();
        assert!(line.starts_with("the server's certificate could not be verified: "));
        for words in says {
            assert!(line.contains(words), "{words:?} is not in {line}");
        }
        for words in says_not {
            assert!(!line.contains(words), "{words:?} is in {line}");
        }
        let report = error.report().to_string();
        assert!(
            report.ends_with("\n  cause: what the library says"),
            "{report}"
        );
    }
}

#[test]
fn a_refused_handshake_names_what_is_not_shared() {
    let cause = std::io::Error::other("received fatal alert: HandshakeFailure");
    let error = Error::from(TransportError::handshake_failure(&cause));
    let kind = ErrorKind::Transport(TransportErrorKind::Tls);
    assert_eq!(error.kind(), kind);
    let line = error.to_string();
    for words in [
        "protocol version",
        "cipher suite",
        "signature algorithm",
        "P-521",
    ] {
        assert!(line.contains(words), "{words:?} is not in {line}");
    }
}
