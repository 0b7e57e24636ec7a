//! The spans and events for `tracing`, with a subscriber that records all of them: one span for all
//! attempts of an acquisition, a root span for a refresh ahead, and no text from a server.

use std::cell::Cell;
use std::fmt::{Debug, Write as _};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::process::runs_alone;
use http::{Response, StatusCode};
use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep};
use meshconnect_auth_core::{Config, Credentials, Endpoint, Exchange, Machine, Moment, Need};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const START: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

#[derive(Default)]
struct Page {
    lines: Vec<String>,
    spans: Vec<&'static str>,
    /// The entered spans, innermost last.
    within: Vec<u64>,
}

/// Records every span, and every event with its span.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Page>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Page {
    fn current(&self) -> &'static str {
        let named = |id: &u64| self.spans[usize::try_from(id - 1).unwrap()];
        self.within.last().map_or("-", named)
    }
}

impl Subscriber for Notebook {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut page = self.0.lock().unwrap();
        let name = span.metadata().name();
        let root = if span.is_root() { ", a root" } else { "" };
        page.lines.push(format!("span {name}{root}"));
        page.spans.push(name);
        Id::from_u64(page.spans.len().try_into().unwrap())
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let mut page = self.0.lock().unwrap();
        let line = format!(
            "{} in {}:{}",
            event.metadata().level(),
            page.current(),
            fields.0
        );
        page.lines.push(line);
    }

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().within.push(span.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().within.pop();
    }
}

impl Notebook {
    /// Returns the lines since the last call.
    fn page(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().lines)
    }

    /// Returns the same, without delays, which are random.
    fn page_without_delays(&self) -> Vec<String> {
        let lines = self.page();
        let without = |line: &String| line.split(" delay=").next().unwrap().to_owned();
        lines.iter().map(without).collect()
    }

    fn current(&self) -> &'static str {
        self.0.lock().unwrap().current()
    }
}

fn credentials() -> Credentials {
    Credentials::new("id", "secret").unwrap()
}

fn shared() -> Shared {
    let exchange = Exchange::new(Endpoint::default(), credentials());
    Shared::new(Machine::new(Config::default(), exchange, 7), None)
}

fn attempt(shared: &Shared, now: Moment) -> Attempt {
    match shared.poll(now, &shared.ticket(Need::Usable)) {
        SharedStep::Send(attempt) => attempt,
        next => panic!("{next:?}"),
    }
}

fn finish(attempt: Attempt, now: Moment, status: StatusCode, body: &str) {
    attempt.finish(now, Ok(response(status, body)));
}

fn response(status: StatusCode, body: &str) -> Response<&[u8]> {
    let mut response = Response::new(body.as_bytes());
    *response.status_mut() = status;
    response
}

const GRANTED: &str = r#"{"status":"ok","content":{"id_token":"abc","expires_in":3600}}"#;
const ANOTHER: &str = r#"{"status":"ok","content":{"id_token":"def","expires_in":3600}}"#;
const REFUSED: &str = r#"{"status":"serverFailure","message":"text from a server","errorHash":"#;

#[test]
fn an_acquisition_is_one_span_and_a_refresh_ahead_another() {
    if !runs_alone(an_acquisition_is_one_span_and_a_refresh_ahead_another) {
        return;
    }
    let notebook = Notebook::default();
    let _guard = tracing::subscriber::set_default(notebook.clone());
    let shared = shared();

    let first = attempt(&shared, START);
    assert_eq!(
        notebook.page(),
        [
            "span acquire_token",
            "DEBUG in acquire_token: message=requesting a token, attempt 1"
        ]
    );
    // Only the HTTP client runs in the span.
    let failed = format!("{REFUSED}\"a-hash\"}}");
    let seen = Cell::new("");
    let sending = |_, _| async {
        seen.set(notebook.current());
        Ok(response(StatusCode::SERVICE_UNAVAILABLE, &failed))
    };
    let mut context = Context::from_waker(Waker::noop());
    let sent = pin!(first.run_async(|| START, sending)).poll(&mut context);
    assert_eq!((sent, seen.get()), (Poll::Ready(()), "acquire_token"));
    assert_eq!(notebook.current(), "-");
    let page = notebook.page();
    let [retry] = &page[..] else {
        panic!("{page:?}")
    };
    for part in [
        "WARN in acquire_token:",
        "message=attempt 1 failed",
        "kind=Unavailable",
        "status=503",
        "error_hash=\"a-hash\"",
        "delay=",
    ] {
        assert!(retry.contains(part), "{part} is not in {retry}");
    }
    assert!(!retry.contains("text from a server"), "{retry}");

    let later = START.after(Duration::from_secs(5));
    finish(attempt(&shared, later), later, StatusCode::OK, GRANTED);
    assert_eq!(
        notebook.page(),
        [
            "DEBUG in acquire_token: message=requesting a token, attempt 2",
            "DEBUG in acquire_token: message=obtained a token, valid for 3600s"
        ]
    );

    // An event outside an acquisition has no span.
    let cached = shared.cached_token().unwrap().token().clone();
    assert!(shared.reject(later, &cached));
    assert_eq!(
        notebook.page_without_delays(),
        ["DEBUG in -: message=token rejected"]
    );
    finish(attempt(&shared, later), later, StatusCode::OK, ANOTHER);
    assert_eq!(notebook.page()[0], "span acquire_token");

    let much_later = later.after(Duration::from_secs(3000));
    let ahead = shared.refresh(much_later).unwrap();
    ahead.run(
        || much_later,
        |_, _| {
            assert_eq!(notebook.current(), "refresh_ahead");
            Ok(response(StatusCode::OK, ANOTHER))
        },
    );
    let page = notebook.page();
    assert_eq!(page[0], "span refresh_ahead, a root");
    assert!(page[2].starts_with("DEBUG in refresh_ahead:"), "{page:?}");
    assert!(
        page[2].contains("received the cached token again"),
        "{page:?}"
    );
    shared.set_credentials(credentials());
    let cached = shared.cached_token().unwrap().token().clone();
    assert!(shared.reject(much_later, &cached));
    assert_eq!(
        notebook.page_without_delays(),
        ["DEBUG in -: message=token rejected"]
    );
}

#[test]
fn a_failure_ends_its_span() {
    if !runs_alone(a_failure_ends_its_span) {
        return;
    }
    let notebook = Notebook::default();
    let _guard = tracing::subscriber::set_default(notebook.clone());
    let shared = shared();
    finish(attempt(&shared, START), START, StatusCode::FORBIDDEN, "");
    let page = notebook.page();
    assert_eq!(page.len(), 4, "{page:?}");
    assert!(page[2].starts_with("WARN in acquire_token: message=failed to obtain a token"));
    assert!(page[3].starts_with("WARN in -: message=cooldown started: no requests for"));

    let after_the_cooldown = START.after(Duration::from_secs(100));
    drop(attempt(&shared, after_the_cooldown));
    assert_eq!(notebook.page()[0], "span acquire_token");
}
