//! What the `tracing` feature tells: a span per acquisition, an event per attempt, retry and
//! failure with its kind, status, hash and delay, and never a secret.

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

/// Writes down everything, of every crate, at every level, with the span that it happens in.
#[derive(Clone, Default)]
struct Notebook {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<Mutex<Vec<&'static str>>>,
}

thread_local! {
    /// The spans that this thread is in, innermost last.
    static WITHIN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Notebook {
    fn write(&self, what: &str, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{what} {} {}", metadata.target(), metadata.level()));
        record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }

    fn of_ours(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let ours = lines
            .iter()
            .filter(|line| line.contains(" meshconnect_auth"));
        ours.cloned().collect()
    }
}

impl Subscriber for Notebook {
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
        let within = WITHIN.with_borrow(|within| within.last().copied());
        let what = format!("event in {}:", within.unwrap_or("-"));
        self.write(&what, event.metadata(), |line| event.record(line));
    }

    fn enter(&self, span: &Id) {
        let index = usize::try_from(span.into_u64() - 1).unwrap();
        let name = self.spans.lock().unwrap()[index];
        WITHIN.with_borrow_mut(|within| within.push(name));
    }

    fn exit(&self, _: &Id) {
        WITHIN.with_borrow_mut(Vec::pop);
    }
}

fn told_by(call: impl FnOnce(&Emulator, Config) -> Result<Token, Error>) -> Notebook {
    let emulator = Emulator::builder()
        .credentials(credentials())
        .start()
        .unwrap();
    let envelope = r#"{"status":"serverFailure","errorHash":"cd59bd31","message":"words"}"#;
    emulator.script([Reply::status(StatusCode::SERVICE_UNAVAILABLE).body(envelope)]);
    let mut config = Config::default();
    config.throttled_backoff = Duration::from_millis(10);
    let notebook = Notebook::default();
    let token = tracing::subscriber::with_default(notebook.clone(), || call(&emulator, config));
    let token = token.unwrap();
    let all = notebook.lines.lock().unwrap().join("\n");
    let ours = notebook.of_ours().join("\n");
    for canary in [SECRET, token.id_token()] {
        for piece in canary.as_bytes().windows(12) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!ours.contains(piece), "{piece}: {ours}");
        }
        assert!(!all.contains(canary), "{all}");
    }
    notebook
}

fn check(notebook: &Notebook) {
    let ours = notebook.of_ours();
    let with = |words: &[&str]| {
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        ours.iter().filter(fits).count()
    };
    assert_eq!(with(&["span acquire_token"]), 1, "{ours:#?}");
    assert_eq!(with(&["event", "DEBUG", "attempt 1"]), 1, "{ours:#?}");
    assert_eq!(with(&["event", "DEBUG", "attempt 2"]), 1, "{ours:#?}");
    let retry = [
        "event",
        "WARN",
        "kind=Rejected",
        "status=503",
        "cd59bd31",
        "delay=0.0",
    ];
    assert_eq!(with(&retry), 1, "{ours:#?}");
    assert_eq!(with(&["obtained a token"]), 1, "{ours:#?}");
    assert_eq!(with(&["words"]), 0, "{ours:#?}");

    // What the HTTP client tells, it tells within the span of the attempt that it is for.
    let all = notebook.lines.lock().unwrap();
    let sends = all
        .iter()
        .filter(|line| line.contains("a request goes out"));
    let sends: Vec<_> = sends.collect();
    assert_eq!(sends.len(), 2, "{sends:?}");
    for send in sends {
        assert!(send.starts_with("event in acquire_token:"), "{send}");
    }
}

/// However many ask, and whoever of them sends: one acquisition is one span. Its failure is told
/// with what a support ticket needs.
#[test]
fn an_acquisition_is_one_span_and_its_failure_is_told() {
    if !in_own_process(an_acquisition_is_one_span_and_its_failure_is_told) {
        return;
    }
    let emulator = Emulator::builder()
        .credentials(credentials())
        .start()
        .unwrap();
    let envelope = r#"{"status":"permissionDenied","errorHash":"cd59bd31"}"#;
    let refusal = Reply::status(StatusCode::FORBIDDEN).body(envelope);
    emulator.script([refusal.delay(Duration::from_millis(200))]);
    let notebook = Notebook::default();
    tracing::subscriber::with_default(notebook.clone(), || {
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
    let ours = notebook.of_ours();
    let with = |words: &[&str]| {
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        ours.iter().filter(fits).count()
    };
    assert_eq!(with(&["span acquire_token"]), 1, "{ours:#?}");
    let failure = ["WARN", "kind=Rejected", "status=403", "cd59bd31", "delay="];
    assert_eq!(
        with(&[&failure[..], &["failed to obtain a token"]].concat()),
        1,
        "{ours:#?}"
    );
    assert_eq!(
        with(&[&failure[..], &["cooldown started"]].concat()),
        1,
        "{ours:#?}"
    );
}

/// The emulator by a name, for which a resolver is asked.
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
fn the_async_client_tells() {
    if !in_own_process(the_async_client_tells) {
        return;
    }
    check(&told_by(|emulator, config| {
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
fn the_blocking_client_tells() {
    if !in_own_process(the_blocking_client_tells) {
        return;
    }
    check(&told_by(|emulator, config| {
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
