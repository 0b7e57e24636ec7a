//! One builder for the clients of all transports: what it refuses, and what it hands on.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use meshconnect_auth_core::{
    ClientBuilder, Config, Credentials, Endpoint, Error, ErrorKind, Exchange, HttpSettings,
    Machine, Moment, MozillaRoots, Need, Shared, SharedStep, Token, Transport, TransportError,
    TransportErrorKind, Trust,
};
use rustls::{AlertDescription, CertificateError};

/// A CA that signs nothing.
const PEM: &str = include_str!("../client/ca.pem");

const NOW: Moment = Moment {
    mono: Duration::from_secs(5),
    wall: Duration::from_secs(1_800_000_000),
};

const SEED: u64 = 7;

/// A client that only keeps what it is made from.
struct Kept {
    shared: Shared,
    settings: HttpSettings<&'static str>,
}

impl Transport for Kept {
    type HttpClient = &'static str;

    fn now() -> Moment {
        NOW
    }

    fn seed() -> u64 {
        SEED
    }

    fn build(shared: Shared, settings: HttpSettings<&'static str>) -> Result<Self, Error> {
        if settings.client == Some("broken") {
            return Err(Error::configuration("it cannot be set up so"));
        }
        Ok(Self { shared, settings })
    }
}

impl MozillaRoots for Kept {}

fn credentials() -> Credentials {
    Credentials::new("an-id", "a-secret-to-hide").unwrap()
}

fn builder() -> ClientBuilder<Kept> {
    ClientBuilder::new(credentials())
}

fn token(life: u64) -> Token {
    let expiry = NOW.after(Duration::from_secs(life)).system_time().unwrap();
    Token::new("handed.in.token", expiry).unwrap()
}

/// What `build` refused, in words.
fn refused(builder: ClientBuilder<Kept>) -> String {
    match builder.build() {
        Ok(_) => panic!("it was built"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration);
            error.to_string()
        }
    }
}

#[test]
fn all_but_the_credentials_has_a_default() {
    let Kept { shared, settings } = builder().build().unwrap();
    assert_eq!(settings.client, None);
    assert_eq!(settings.endpoint, Endpoint::default());
    assert_eq!(shared.endpoint(), &Endpoint::default());
    assert_eq!(
        format!("{:?}", settings.config),
        format!("{:?}", Config::default())
    );
    assert!(matches!(settings.trust, Trust::Platform));
    assert!(shared.cached_token().is_none());
}

#[test]
fn what_is_set_reaches_the_machine_and_the_transport() {
    let endpoint = Endpoint::parse("http://127.0.0.1:4000").unwrap();
    let mut config = Config::default();
    config.attempt_timeout = Duration::from_secs(3);
    let (tell, told) = std::sync::mpsc::channel();
    let Kept { shared, settings } = builder()
        .endpoint(endpoint.clone())
        .config(config)
        .initial_token(token(600))
        .observer(move |event| tell.send(event.to_string()).unwrap())
        .http_client("mine")
        .build()
        .unwrap();

    assert_eq!(settings.client, Some("mine"));
    assert_eq!(
        (&settings.endpoint, shared.endpoint()),
        (&endpoint, &endpoint)
    );
    assert_eq!(settings.config.attempt_timeout, Duration::from_secs(3));
    let hit = shared.hit(NOW).unwrap();
    assert_eq!(hit.token, token(600));
    assert_eq!(hit.expires_at, NOW.after(Duration::from_secs(600)));

    let SharedStep::Send(attempt) = shared.poll(NOW, &shared.ticket(Need::Newer)) else {
        panic!("nothing is newer than what was handed in")
    };
    assert_eq!(
        attempt.request().uri().authority().unwrap(),
        "127.0.0.1:4000"
    );
    assert!(
        attempt.timeout() > Duration::from_secs(2) && attempt.timeout() < Duration::from_secs(3)
    );
    assert_eq!(told.try_iter().count(), 1);
}

#[test]
fn a_token_that_has_expired_is_left() {
    let token = Token::new("handed.in.token", std::time::SystemTime::UNIX_EPOCH).unwrap();
    let kept = builder().initial_token(token).build().unwrap();
    assert!(kept.shared.cached_token().is_none() && kept.shared.hit(NOW).is_none());
}

/// A hit serves whoever it is enough for, and a refresh that is due begins either way: but not for
/// a call that needs a newer one, for which it would come too early.
#[test]
fn what_is_cached_is_ready_for_whom_it_is_enough() {
    let life = Duration::from_secs(600);
    let kept = builder().initial_token(token(600)).build().unwrap();
    let ready = |now, need| {
        let mut refreshed = 0;
        let token = kept.shared.ready(now, need, || refreshed += 1);
        (token.is_some(), refreshed)
    };
    assert_eq!(ready(NOW, Need::Usable), (true, 0));
    assert_eq!(ready(NOW, Need::For(life)), (true, 0));
    assert_eq!(
        ready(NOW, Need::For(life + Duration::from_nanos(1))),
        (false, 0)
    );
    assert_eq!(ready(NOW, Need::Newer), (false, 0));

    let due = NOW.after(Duration::from_secs(500));
    assert_eq!(ready(due, Need::Usable), (true, 1));
    assert_eq!(ready(due, Need::For(life)), (false, 1));
    assert_eq!(ready(due, Need::Newer), (false, 0));

    let end = NOW.after(life);
    assert_eq!(ready(end, Need::Usable), (false, 0));
}

/// Of a fleet that starts together, each instance refreshes at a moment of its own.
#[test]
fn the_seed_that_a_transport_draws_is_the_machines() {
    let next_refresh = |kept: &Shared| kept.cached_token().unwrap().next_refresh();
    let mut machine = Machine::new(
        Config::default(),
        Exchange::new(Endpoint::default(), credentials()),
        SEED,
    );
    machine.handle_token(NOW, token(600));
    let kept = builder().initial_token(token(600)).build().unwrap();
    assert_eq!(
        next_refresh(&kept.shared),
        machine.cached_token().unwrap().next_refresh()
    );
}

#[test]
fn a_transport_is_told_how_long_an_attempt_usually_takes() {
    let (second, long) = (Duration::from_secs(1), Duration::from_secs(8));
    for (attempt, acquisition) in [(second, long), (long, second)] {
        let mut config = Config::default();
        config.attempt_timeout = attempt;
        config.acquisition_timeout = acquisition;
        let Kept { shared, settings } = builder().config(config).build().unwrap();
        let SharedStep::Send(attempt) = shared.poll(NOW, &shared.ticket(Need::Usable)) else {
            panic!("nothing is cached")
        };
        assert_eq!(settings.usual_timeout(), attempt.timeout());
        assert_eq!(attempt.timeout(), Duration::from_millis(950));
    }
}

#[test]
fn the_roots_that_are_set_are_those_that_are_trusted() {
    let only = |builder: ClientBuilder<Kept>| match builder.build().unwrap().settings.trust {
        Trust::Only(certificates) => certificates,
        trust => panic!("{trust:?}"),
    };
    let [certificate] = &only(builder().root_certificates_pem(PEM))[..] else {
        panic!("one certificate was given")
    };
    let two = only(builder().root_certificates_pem(PEM.repeat(2)));
    assert_eq!(two.len(), 2);
    let der = only(builder().root_certificate_der(certificate.clone()));
    assert_eq!(der, std::slice::from_ref(certificate));
    // The last one counts.
    let good = builder()
        .root_certificates_pem("none")
        .root_certificates_pem(PEM);
    assert_eq!(only(good).len(), 1);
    let bad = builder().webpki_roots().root_certificates_pem("none");
    assert!(refused(bad).contains("BEGIN CERTIFICATE"));
}

#[test]
fn mozillas_roots_are_for_the_transport_to_bring() {
    let kept = builder().webpki_roots().build().unwrap();
    assert!(matches!(kept.settings.trust, Trust::Mozilla));
    assert_eq!(format!("{:?}", kept.settings.trust), "Mozilla");
    let words = refused(builder().webpki_roots().http_client("mine"));
    assert!(words.contains("set them there"), "{words}");
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let mut config = Config::default();
    config.attempts = 0;
    let broken_pem = PEM.replace("-----END", "----END");
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (builder, says) in [
        (builder().config(config), "attempt"),
        (builder().root_certificates_pem(""), "BEGIN CERTIFICATE"),
        (builder().root_certificates_pem("none"), "BEGIN CERTIFICATE"),
        (builder().root_certificates_pem(broken_pem), "not PEM"),
        (builder().root_certificates_pem(not_x509), "cannot be read"),
        (
            builder().root_certificate_der(*b"no certificate"),
            "cannot be read",
        ),
        (
            builder().root_certificates_pem(PEM).http_client("mine"),
            "set them there",
        ),
        (builder().http_client("broken"), "set up so"),
    ] {
        let words = refused(builder);
        assert!(words.contains(says), "{words}");
    }
}

#[test]
fn nothing_shows_the_secret() {
    let builder = builder()
        .initial_token(token(600))
        .root_certificates_pem(PEM)
        .observer(|_| ());
    let shown = format!("{builder:?}");
    assert!(shown.contains("Only(1 certificates)"), "{shown}");
    let kept = builder.build().unwrap();
    let Kept { shared, settings } = &kept;
    let shown = format!("{shown} {shared:?} {settings:?} {:?}", Trust::Platform);
    assert!(!shown.contains("a-secret-to-hide") && !shown.contains("handed.in.token"));
    for part in [
        "ClientBuilder { credentials: ",
        "Shared { .. }",
        "HttpSettings { endpoint: ",
        "an-id",
        "api.meshconnect.com",
        "attempts",
        "Only(1 certificates)",
        "Platform",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn an_error_of_rustls_is_about_trust_or_about_talk_wherever_it_hides() {
    for (error, kind) in [
        (
            rustls::Error::InvalidCertificate(CertificateError::Expired),
            TransportErrorKind::Certificate,
        ),
        (
            rustls::Error::General("no CA was found".into()),
            TransportErrorKind::Certificate,
        ),
        (
            rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
            TransportErrorKind::Tls,
        ),
    ] {
        assert_eq!(TransportErrorKind::of_tls(&error), Some(kind), "{error}");
        let hidden = io::Error::other(io::Error::other(error));
        assert_eq!(TransportErrorKind::of_tls(&hidden), Some(kind), "{hidden}");
    }
    let other = io::Error::other("a cable was pulled");
    assert_eq!(TransportErrorKind::of_tls(&other), None);
}

/// `io::Error::source()` is the source of what it wraps, and so passes over it.
#[test]
fn the_chain_goes_through_errors_of_io() {
    #[derive(Debug)]
    struct Outer(io::Error);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let inner = rustls::Error::DecryptError;
    let outer = Outer(io::Error::other(io::Error::other(inner.clone())));
    let chain: Vec<_> = TransportError::chain(&outer).collect();
    assert_eq!(chain.len(), 4);
    assert!(chain[0].is::<Outer>() && chain[1].is::<io::Error>());
    assert_eq!(chain[3].downcast_ref(), Some(&inner));
    assert!(outer.source().unwrap().source().is_none());
}
