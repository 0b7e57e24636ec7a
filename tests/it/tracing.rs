//! The `tracing` feature: a span per acquisition, an event per attempt, retry and failure with
//! kind, status, error hash and delay, and no secrets.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::process::in_own_process;
use crate::support::{SECRET, credentials, reqwest_builder, runtime};
use http::StatusCode;
use meshconnect_auth::emulator::{Emulator, Reply};
use meshconnect_auth::{Client, Config, Endpoint, Error, Token, blocking};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Records all spans and events of every crate at every level, each event with its current span.
#[derive(Clone, Default)]
struct Recorder {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<Mutex<Vec<&'static str>>>,
}

thread_local! {
    /// The spans that this thread has entered, innermost last.
    static ENTERED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Recorder {
    fn write(&self, what: &str, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{what} {} {}", metadata.target(), metadata.level()));
        record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }

    fn own_lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let own_lines = lines
            .iter()
            .filter(|line| line.contains(" meshconnect_auth"));
        own_lines.cloned().collect()
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let what = format!("span {}", span.metadata().name());
        self.write(&what, span.metadata(), |line| {
            span.record(line);
        });
        let mut spans = self.spans.lock().unwrap();
        spans.push(span.metadata().name());
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let entered = ENTERED.with_borrow(|entered| entered.last().copied());
        let what = format!("event in {}:", entered.unwrap_or("-"));
        self.write(&what, event.metadata(), |line| event.record(line));
    }

    fn enter(&self, span: &Id) {
        let index = usize::try_from(span.into_u64() - 1).unwrap();
        let name = self.spans.lock().unwrap()[index];
        ENTERED.with_borrow_mut(|entered| entered.push(name));
    }

    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(Vec::pop);
    }
}

fn recorded(call: impl FnOnce(&Emulator, Config) -> Result<Token, Error>) -> Recorder {
    let emulator = Emulator::builder()
        .credentials(credentials())
        .start()
        .unwrap();
    let envelope = r#"{"status":"serverFailure","errorHash":"cd59bd31","message":"words"}"#;
    emulator.script([Reply::status(StatusCode::SERVICE_UNAVAILABLE).body(envelope)]);
    let mut config = Config::default();
    config.throttled_backoff = Duration::from_millis(10);
    let recorder = Recorder::default();
    let token = tracing::subscriber::with_default(recorder.clone(), || call(&emulator, config));
    let token = token.unwrap();
    let all = recorder.lines.lock().unwrap().join("\n");
    let own_lines = recorder.own_lines().join("\n");
    for canary in [SECRET, token.id_token()] {
        for piece in canary.as_bytes().windows(12) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!own_lines.contains(piece), "{piece}: {own_lines}");
        }
        assert!(!all.contains(canary), "{all}");
    }
    recorder
}

fn check(recorder: &Recorder) {
    let own_lines = recorder.own_lines();
    let count = |words: &[&str]| {
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        own_lines.iter().filter(fits).count()
    };
    assert_eq!(count(&["span acquire_token"]), 1, "{own_lines:#?}");
    assert_eq!(count(&["event", "DEBUG", "attempt 1"]), 1, "{own_lines:#?}");
    assert_eq!(count(&["event", "DEBUG", "attempt 2"]), 1, "{own_lines:#?}");
    let retry = [
        "event",
        "WARN",
        "kind=Unavailable",
        "status=503",
        "cd59bd31",
        "delay=0.0",
    ];
    assert_eq!(count(&retry), 1, "{own_lines:#?}");
    assert_eq!(count(&["obtained a token"]), 1, "{own_lines:#?}");
    assert_eq!(count(&["words"]), 0, "{own_lines:#?}");

    // The HTTP client's events are inside the span of the acquisition.
    let all = recorder.lines.lock().unwrap();
    let sends = all
        .iter()
        .filter(|line| line.contains("a request goes out"));
    let sends: Vec<_> = sends.collect();
    assert_eq!(sends.len(), 2, "{sends:?}");
    for send in sends {
        assert!(send.starts_with("event in acquire_token:"), "{send}");
    }
}

/// An acquisition is one span, however many callers wait for it. Its failure event has what a
/// support ticket needs.
#[test]
fn acquisition_is_one_span_and_its_failure_one_event() {
    if !in_own_process(acquisition_is_one_span_and_its_failure_one_event) {
        return;
    }
    let emulator = Emulator::builder()
        .credentials(credentials())
        .start()
        .unwrap();
    let envelope = r#"{"status":"permissionDenied","errorHash":"cd59bd31"}"#;
    let refusal = Reply::status(StatusCode::FORBIDDEN).body(envelope);
    emulator.script([refusal.delay(Duration::from_millis(200))]);
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || {
        let client = Client::builder(credentials())
            .endpoint(emulator.endpoint())
            .build()
            .unwrap();
        runtime().block_on(async {
            let calls: Vec<_> = (0..20)
                .map(|_| {
                    let client = client.clone();
                    tokio::spawn(async move { client.token().await })
                })
                .collect();
            for call in calls {
                call.await.unwrap().unwrap_err();
            }
        });
    });
    let own_lines = recorder.own_lines();
    let count = |words: &[&str]| {
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        own_lines.iter().filter(fits).count()
    };
    assert_eq!(count(&["span acquire_token"]), 1, "{own_lines:#?}");
    let failure = ["WARN", "kind=Refused", "status=403", "cd59bd31", "delay="];
    assert_eq!(
        count(&[&failure[..], &["failed to obtain a token"]].concat()),
        1,
        "{own_lines:#?}"
    );
    assert_eq!(
        count(&[&failure[..], &["cooldown started"]].concat()),
        1,
        "{own_lines:#?}"
    );
}

/// Returns the emulator's endpoint with a host name instead of an address, so that the resolver is
/// called.
fn localhost(emulator: &Emulator) -> Endpoint {
    let port = emulator.endpoint().token_uri().port_u16().unwrap();
    Endpoint::parse(&format!("http://localhost:{port}")).unwrap()
}

struct Resolver;

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async {
            tracing::info!("a request goes out");
            let addresses = [std::net::SocketAddr::from(([127, 0, 0, 1], 0))];
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

#[test]
fn async_client_emits_spans_and_events() {
    if !in_own_process(async_client_emits_spans_and_events) {
        return;
    }
    check(&recorded(|emulator, config| {
        let http = reqwest_builder()
            .pool_max_idle_per_host(0)
            .dns_resolver(Resolver);
        let http = http.build().unwrap();
        let client = Client::builder(credentials())
            .endpoint(localhost(emulator))
            .config(config)
            .http_client(http)
            .build()?;
        runtime().block_on(client.token())
    }));
}

#[test]
fn blocking_client_emits_spans_and_events() {
    if !in_own_process(blocking_client_emits_spans_and_events) {
        return;
    }
    check(&recorded(|emulator, config| {
        let agent = ureq::Agent::config_builder().middleware(
            |request: http::Request<ureq::SendBody<'_>>,
             next: ureq::middleware::MiddlewareNext<'_>| {
                tracing::info!("a request goes out");
                next.handle(request)
            },
        );
        let agent = agent.build().into();
        let client = blocking::Client::builder(credentials())
            .endpoint(emulator.endpoint())
            .config(config)
            .http_client(agent)
            .build()?;
        client.token()
    }));
}
