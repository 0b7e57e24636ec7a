//! Searches everything that the crates expose for a secret and a token: `Debug` of every public
//! type, the errors of every kind of failure, and every log line of every crate in the tree, over
//! both transports. The search finds parts of the canaries, plain or encoded. The core has a
//! similar test for its own errors.
//!
//! The core's unit tests (`core/src/protocol/secret.rs`) show that buffers are wiped when the last
//! reference is dropped. No public API can observe that, and reading the memory afterwards would
//! read freed memory. The tests here show that there is only one buffer.

use std::collections::{BTreeSet, HashSet};
use std::error::Error as _;
use std::fmt::{Debug, Write as _};
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, Once};
use std::time::{Duration, SystemTime};

use crate::support::process::{in_own_process, own_process};
use crate::support::search::{Search, encodings, json};
use crate::support::server::{Server, response};
use crate::support::tls::Ca;
use crate::support::{now, reqwest_builder, runtime};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Response, StatusCode};
use meshconnect_auth::emulator::{Emulator, Issuer, Mode, Reply};
use meshconnect_auth::shared::{Shared, SharedStep};
use meshconnect_auth::{
    ApiResult, ApiResultStatus, AuthenticationStatus, BodyBuffer, CertificateProblem, Client,
    Config, Credentials, Endpoint, Error, ErrorKind, Event, Exchange, Machine, MediaType, Moment,
    Need, OAuthTokenResponse, RequestBody, StaticToken, Step, Token, TransportError,
    TransportErrorKind, blocking,
};
use meshconnect_auth_core::{CertificateFiles, Proxy};

const ID: &str = "canary-client";
const SECRET: &str = "s3cr3t-Canary+7/\" \u{fc}\\&q-XkT90dLmEw2";
const TOKEN: &str = "t0k3n-Canary.b8Rn~Vq/4+ZsYh-2JcGxPo6==";

/// Third-party crates that log secrets at `TRACE`. The documentation of the transport names each.
const LEAKS: [(&str, &str); 1] = [("ureq_proto", "transport-ureq/src/lib.rs")];

static SEARCH: LazyLock<Search> = LazyLock::new(|| Search::new(&[SECRET, TOKEN]));

fn revealed(text: &str) -> Option<String> {
    SEARCH.revealed(text)
}

#[track_caller]
fn assert_hidden(what: &str, text: &str) {
    if let Some(piece) = revealed(text) {
        panic!("{what} shows {piece:?}: {text}");
    }
}

fn credentials() -> Credentials {
    Credentials::new(ID, SECRET).unwrap()
}

fn token() -> Token {
    let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    Token::new(TOKEN, in_an_hour).unwrap()
}

/// Returns the body of a response that grants the canary token.
fn granted() -> String {
    format!(r#"{{"status":"ok","content":{{"id_token":"{TOKEN}","expires_in":3600}}}}"#)
}

fn emulator() -> Emulator {
    let builder = Emulator::builder().credentials(credentials());
    builder.start().unwrap()
}

#[test]
fn search_finds_every_encoding() {
    for canary in [SECRET, TOKEN] {
        for (encoded, _) in encodings(canary) {
            assert!(revealed(&format!("<{encoded}>")).is_some(), "{encoded}");
            let half = encoded.chars().count() / 2;
            let rest: String = encoded.chars().skip(half).collect();
            assert!(revealed(&rest).is_some(), "{rest}");
        }
        for before in ["", "x", "xy", "xyz"] {
            let encoded = STANDARD.encode(format!("{before}{canary}, and more"));
            assert!(revealed(&encoded).is_some(), "{encoded}");
        }
    }
    assert_eq!(revealed("s3cr3t-Cana t0k3n-Cana"), None);
}

/// The names of the types that were formatted.
#[derive(Default)]
struct Formatted(BTreeSet<&'static str>);

impl Formatted {
    fn show(&mut self, name: &'static str, value: &dyn Debug) {
        assert_hidden(name, &format!("{value:?} {value:#?}"));
        self.0.insert(name);
    }
}

#[test]
fn debug_of_public_types_shows_no_secret() {
    let mut formatted = Formatted::default();
    values(&mut formatted);
    machines(&mut formatted);
    clients(&mut formatted);

    let Some(exported) = exported() else {
        eprintln!("skipped: a published package does not contain the sources of the other crates");
        return;
    };
    // Traits have no values to format.
    let no_values = ["TokenSource", "BlockingTokenSource"];
    let missing: Vec<_> = exported
        .iter()
        .filter(|name| !formatted.0.contains(name.as_str()) && !no_values.contains(&name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "types that were not formatted: {missing:?}"
    );
}

fn values(formatted: &mut Formatted) {
    let bearer = token();
    let exchange = Exchange::new(Endpoint::default(), credentials()).with_bearer(&bearer);
    formatted.show("ClientId", credentials().client_id());
    formatted.show("ClientSecret", credentials().client_secret());
    formatted.show("Credentials", &credentials());
    formatted.show("Endpoint", exchange.endpoint());
    formatted.show("Exchange", &exchange);
    formatted.show("RequestBody", exchange.request().body());
    formatted.show("http::Request", &exchange.request());
    formatted.show(
        "MediaType",
        &MediaType::application_suffix("vnd.x").unwrap(),
    );
    formatted.show("Token", &bearer);
    formatted.show("http::HeaderValue", bearer.header_value());
    formatted.show("StaticToken", &StaticToken::new(bearer.clone()));
    formatted.show("Config", &Config::default());
    formatted.show("Moment", &now());
    formatted.show("Need", &Need::Usable);

    let grant = exchange.parse(Response::new(granted().into_bytes()), now());
    formatted.show("Grant", &grant.unwrap());
    let mut body = BodyBuffer::new(999, &HeaderMap::new());
    assert!(body.push(granted().as_bytes()) && body.push(SECRET.as_bytes()));
    formatted.show("BodyBuffer", &body);
    formatted.show("http::Response", &Response::new(body));

    let mut content = OAuthTokenResponse::default();
    content.id_token = Some(TOKEN.to_owned());
    content.status = Some(AuthenticationStatus::Available);
    formatted.show("OAuthTokenResponse", &content);
    formatted.show("AuthenticationStatus", &content.status);
    let mut envelope = ApiResult::default();
    envelope.content = Some(content);
    envelope.status = Some(ApiResultStatus::Ok);
    formatted.show("ApiResult", &envelope);
    formatted.show("ApiResultStatus", &envelope.status);

    let refusal = format!(r#"{{"status":"badRequest","message":"{}"}}"#, json(SECRET));
    let error = exchange.parse(Response::new(refusal.into_bytes()), now());
    let error = error.unwrap_err();
    formatted.show("Error", &error);
    formatted.show("ErrorKind", &error.kind());
    formatted.show("Blame", &error.kind().blame());
    formatted.show("Rejection", error.rejection().unwrap());
    formatted.show("TransportErrorKind", &TransportErrorKind::Broken);
    formatted.show("CertificateProblem", &CertificateProblem::Other);
    let transport = TransportError::with_detail(TransportErrorKind::Broken, "broken");
    formatted.show("TransportError", &transport);
}

fn machines(formatted: &mut Formatted) {
    let now = |seconds| Moment {
        mono: Duration::from_secs(seconds),
        wall: SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap(),
    };
    let exchange = Exchange::new(Endpoint::default(), credentials());
    let mut machine = Machine::new(Config::default(), exchange.clone(), 1);
    let ticket = machine.ticket(Need::Usable);
    formatted.show("Ticket", &ticket);
    let step = machine.poll(now(0), &ticket);
    formatted.show("Step", &step);
    let Step::Send(transmit) = step else {
        panic!("expected to send")
    };
    formatted.show("Transmit", &transmit);
    formatted.show("Flight", &transmit.flight);
    formatted.show("Phase", &machine.status(now(0)).phase);
    let grant = transmit
        .flight
        .parse(Response::new(granted().into_bytes()), now(0));
    machine.handle_outcome(now(0), transmit.flight, grant);
    formatted.show("Step", &machine.poll(now(0), &ticket));
    formatted.show("CachedToken", machine.cached_token().unwrap());
    formatted.show("Status", &machine.status(now(0)));
    formatted.show("Machine", &machine);
    let ahead = machine.poll_refresh(now(3500)).unwrap();
    machine.handle_abandon(ahead.flight);
    formatted.show("Failure", &machine.status(now(3500)).last_failure.unwrap());
    while let Some(event) = machine.poll_event() {
        formatted.show("Event", &event);
        assert_hidden("Event", &event.to_string());
    }

    let mut machine = Machine::new(Config::default(), exchange, 1);
    machine.handle_token(now(0), token());
    let shared = Shared::new(machine, None);
    formatted.show("Shared", &shared);
    let ticket = shared.ticket(Need::Newer);
    let next = shared.poll(now(0), &ticket);
    formatted.show("SharedStep", &next);
    let SharedStep::Send(attempt) = next else {
        panic!("expected to send")
    };
    formatted.show("Attempt", &attempt);
    let next = shared.poll(now(0), &ticket);
    formatted.show("SharedStep", &next);
    let SharedStep::Wait(waiter) = next else {
        panic!("expected to wait")
    };
    formatted.show("Waiter", &waiter);
    attempt.finish(
        now(0),
        Ok::<_, Error>(Response::new(granted().into_bytes())),
    );
    formatted.show("SharedStep", &shared.poll(now(0), &ticket));
    formatted.show("Shared", &shared);
}

fn clients(formatted: &mut Formatted) {
    let emulator = emulator();
    emulator.script(vec![Reply::status(StatusCode::OK).body(granted()); 2]);
    let endpoint = emulator.endpoint();

    let builder = Client::builder(credentials())
        .endpoint(endpoint.clone())
        .initial_token(token());
    formatted.show("ClientBuilder", &builder);
    let client = builder.build().unwrap();
    runtime().block_on(client.refresh()).unwrap();
    formatted.show("Client", &client);

    let builder = blocking::Client::builder(credentials())
        .endpoint(endpoint)
        .initial_token(token());
    formatted.show("ClientBuilder", &builder);
    let client = builder.build().unwrap();
    client.refresh().unwrap();
    formatted.show("Client", &client);

    let password: Vec<_> = SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!("http://user:{}@proxy:1", password.concat());
    let variable = |name: &str| (name == "ALL_PROXY").then(|| url.clone().into());
    let proxy = Proxy::for_endpoint(&Endpoint::default(), variable)
        .unwrap()
        .unwrap();
    assert_eq!(proxy.credentials(), Some(("user", SECRET)));
    formatted.show("Proxy", &proxy);
    let files = CertificateFiles::locate(|_| None, || (None, Vec::new()));
    formatted.show("CertificateFiles", &files);
    formatted.show("http::HeaderValue", &proxy.authorization().unwrap());

    let builder = Emulator::builder().credentials(credentials());
    formatted.show("EmulatorBuilder", &builder);
    formatted.show("Emulator", &emulator);
    formatted.show("Issuer", &Issuer::new(credentials()));
    formatted.show("Mode", &Mode::ALL);
    let reply = Reply::token().body(granted());
    let reply = reply.header(AUTHORIZATION, token().header_value().clone());
    formatted.show("Reply", &reply);
}

/// Returns the names of all types that the crates export, read from their sources.
fn exported() -> Option<BTreeSet<String>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for source in [
        "core/src/lib.rs",
        "transport-reqwest/src/lib.rs",
        "transport-ureq/src/lib.rs",
        "src/lib.rs",
        "src/shared.rs",
        "src/emulator/mod.rs",
    ] {
        let source = fs::read_to_string(package.join(source)).ok()?;
        for export in source.split("pub use ").skip(1) {
            let export = export.split(';').next().unwrap_or_default();
            let words = export.split(|c: char| !c.is_alphanumeric());
            let types = words.filter(|word| word.starts_with(char::is_uppercase));
            names.extend(types.map(str::to_owned));
        }
    }
    assert!(names.len() > 40, "{names:?}");
    Some(names)
}

/// Returns all text that an error exposes.
fn all_text(error: &Error) -> String {
    let mut all = format!("{error}\n{}\n{error:?}\n{error:#?}", error.report());
    let mut source = error.source();
    while let Some(error) = source {
        write!(all, "\n{error}\n{error:?}\n{error:#?}").unwrap();
        source = error.source();
    }
    let texts = [
        error.excerpt(),
        error.www_authenticate(),
        error.rejection().and_then(|rejection| rejection.message()),
        error
            .rejection()
            .and_then(|rejection| rejection.error_data()),
    ];
    for text in texts.into_iter().flatten() {
        write!(all, "\n{text}").unwrap();
    }
    for (name, value) in error.trace_ids() {
        write!(all, "\n{name}: {value}").unwrap();
    }
    all
}

/// Requests one token over one transport.
type RequestToken = fn(&Endpoint, Option<&Ca>) -> Result<Token, Error>;

const TRANSPORTS: [(&str, RequestToken); 2] = [("reqwest", over_reqwest), ("ureq", over_ureq)];

fn config() -> Config {
    let mut config = Config::default();
    config.attempts = 1;
    config.attempt_timeout = Duration::from_secs(1);
    config
}

fn over_reqwest(endpoint: &Endpoint, ca: Option<&Ca>) -> Result<Token, Error> {
    let mut builder = Client::builder(credentials())
        .endpoint(endpoint.clone())
        .config(config());
    if let Some(ca) = ca {
        builder = builder.root_certificates_pem(&ca.pem);
    }
    let client = builder.build()?;
    runtime().block_on(client.token())
}

fn over_ureq(endpoint: &Endpoint, ca: Option<&Ca>) -> Result<Token, Error> {
    let mut builder = blocking::Client::builder(credentials())
        .endpoint(endpoint.clone())
        .config(config());
    if let Some(ca) = ca {
        builder = builder.root_certificates_pem(&ca.pem);
    }
    builder.build()?.token()
}

/// Returns the secret in every encoding that is masked, as plain text and as the text of a JSON
/// string. Nested encodings are not masked.
fn echo() -> (String, String) {
    let percent = |hex: fn(u8) -> String| SECRET.bytes().map(hex).collect::<String>();
    let mut echoes = vec![
        SECRET.to_owned(),
        json(SECRET),
        percent(|byte| format!("%{byte:02X}")),
        percent(|byte| format!("%{byte:02x}")),
        format!("{SECRET}{SECRET}"),
    ];
    for before in ["", "a", "ab", "canary-client:"] {
        echoes.push(STANDARD.encode(format!("{before}{SECRET}")));
        echoes.push(URL_SAFE_NO_PAD.encode(format!("{before}{SECRET}, and more")));
    }
    let echo = echoes.join(" <> ");
    echoes.remove(1);
    (echo, json(&echoes.join(" <> ")))
}

/// Returns faulty replies that repeat the secret in every place. They repeat the token only where
/// the client can recognize it or masks anything of its length.
fn bad_replies() -> Vec<Reply> {
    let status = |status: u16| Reply::status(status.try_into().unwrap());
    let (echo, echo_in_json) = echo();
    let envelope = |rest: &str| {
        format!(
            r#"{{"status":"badRequest","message":"{echo_in_json}","displayMessage":"{echo_in_json}","errorHash":"{echo_in_json}","errorType":"{echo_in_json}","errorData":["{echo_in_json}"],{rest}"teamCode":"{echo_in_json}"}}"#
        )
    };
    let with_token = envelope(&format!(r#""content":{{"id_token":"{TOKEN}"}},"#));
    let in_header = |name, reply: Reply| {
        let value = http::HeaderValue::from_bytes(echo.as_bytes()).unwrap();
        reply.header(name, value)
    };
    let good = || status(200).body(granted());
    let header = http::HeaderName::from_static;
    vec![
        status(400).body(envelope("")),
        status(403).body(format!("<html>{echo} {TOKEN}</html>")),
        in_header(header("www-authenticate"), status(401)),
        in_header(header("retry-after"), status(429).body(echo.clone())),
        in_header(header("location"), status(307)),
        in_header(header("x-request-id"), status(500)),
        in_header(header("content-type"), status(502).body(echo.clone())),
        status(200).body(with_token),
        status(200).body(format!("{echo} {TOKEN}")),
        status(200).body(granted().replace("ok", "conflict")),
        status(200).body(granted().replace("ok", &echo_in_json)),
        status(200).body(granted().replace("3600", "0")),
        status(200).body(granted().replace("3600", &format!("\"{echo_in_json}\""))),
        status(200).body(granted().replace("==", "==\\u0000")),
        status(200).body(format!("{} {echo}", granted())),
        status(200).body(echo.repeat(200)),
        good().torn_after(granted().len() - 9),
        good().drip(granted().len() - 9, Duration::from_secs(60)),
        Reply::stalled(),
        Reply::hung_up(),
    ]
}

#[test]
fn errors_show_no_secret() {
    let ca = Ca::new();
    let (mut kinds, mut masked) = (HashSet::new(), 0);
    let mut check = |what: &str, result: Result<Token, Error>| {
        let error = result.unwrap_err();
        let text = all_text(&error);
        assert_hidden(what, &text);
        masked += u32::from(text.contains("[masked]"));
        kinds.insert(error.kind());
    };
    for (name, request_token) in TRANSPORTS {
        for reply in bad_replies() {
            let emulator = emulator();
            emulator.script([reply.clone()]);
            check(
                &format!("{name}, {reply:?}"),
                request_token(&emulator.endpoint(), None),
            );
        }
        for raw in [
            format!("{SECRET} {TOKEN}\r\n\r\n"),
            format!("HTTP/1.1 200 {TOKEN}\r\n{SECRET}\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nContent-Length: {TOKEN}\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{TOKEN}\r\n{SECRET}"),
        ] {
            let server = Server::respond(raw.clone());
            let endpoint = Endpoint::parse(&server.http()).unwrap();
            check(&format!("{name}, {raw:?}"), request_token(&endpoint, None));
            let server = Server::respond_over_tls(ca.server("localhost"), raw.clone());
            let endpoint = Endpoint::parse(&server.https()).unwrap();
            check(
                &format!("{name} over TLS, {raw:?}"),
                request_token(&endpoint, Some(&ca)),
            );
        }
        // A certificate for the wrong name, which contains a canary.
        let server = Server::respond_over_tls(ca.server("t0k3n-canary-of-a-host"), "");
        let endpoint = Endpoint::parse(&server.https()).unwrap();
        check(name, request_token(&endpoint, Some(&ca)));
        // Nothing listens on port 1, and only root could bind it.
        let refused = Endpoint::parse("http://127.0.0.1:1").unwrap();
        check(name, request_token(&refused, None));
        let nowhere = Endpoint::parse("https://nowhere.invalid").unwrap();
        check(name, request_token(&nowhere, Some(&ca)));
    }
    assert!(
        masked > 20,
        "only {masked} errors contain text of the server"
    );
    for kind in [
        ErrorKind::Refused,
        ErrorKind::Malformed,
        ErrorKind::Transport(TransportErrorKind::Broken),
        ErrorKind::Transport(TransportErrorKind::Certificate),
        ErrorKind::Transport(TransportErrorKind::Connect),
        ErrorKind::Transport(TransportErrorKind::NotHttp),
        ErrorKind::Transport(TransportErrorKind::Timeout),
    ] {
        assert!(kinds.contains(&kind), "no fault caused {kind:?}");
    }
}

/// All lines of the `log` and `tracing` crates, of every crate at every level, since [`listen`] was
/// called.
static LINES: Mutex<Vec<LogLine>> = Mutex::new(Vec::new());

struct LogLine {
    krate: String,
    level: log::Level,
    text: String,
}

fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        log::set_logger(&Recorder).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        tracing::subscriber::set_global_default(Recorder).unwrap();
    });
}

struct Recorder;

impl Recorder {
    fn record_line(target: &str, level: log::Level, text: String) {
        let krate = target.split("::").next().unwrap_or_default().to_owned();
        LINES.lock().unwrap().push(LogLine { krate, level, text });
    }

    fn record_event(metadata: &tracing::Metadata<'_>, line: Line) {
        let level = metadata.level().as_str().parse().unwrap();
        Self::record_line(metadata.target(), level, line.0);
    }
}

impl log::Log for Recorder {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        Self::record_line(record.target(), record.level(), text);
    }

    fn flush(&self) {}
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Recorder {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        Self::record_event(span.metadata(), line);
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        Self::record_line("a span", log::Level::Error, line.0);
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        Self::record_event(event.metadata(), line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn only_known_crates_log_secrets() {
    if !in_own_process(only_known_crates_log_secrets) {
        return;
    }
    listen();
    let ca = Ca::new();
    for (_, request_token) in TRANSPORTS {
        let emulator = emulator();
        emulator.script([
            Reply::status(StatusCode::OK).body(granted()),
            bad_replies()[0].clone(),
        ]);
        assert!(request_token(&emulator.endpoint(), None).unwrap() == token());
        request_token(&emulator.endpoint(), None).unwrap_err();

        let refusal = json(&format!("{SECRET} {TOKEN}"));
        let refusal = format!(r#"{{"status":"badRequest","message":"{refusal}"}}"#);
        for (status, body, granted) in [("200 OK", granted(), true), ("400 No", refusal, false)] {
            let reply = response(status, "", &body);
            let server = Server::respond_over_tls(ca.server("localhost"), reply);
            let endpoint = Endpoint::parse(&server.https()).unwrap();
            assert_eq!(request_token(&endpoint, Some(&ca)).is_ok(), granted);
        }
    }

    let lines = LINES.lock().unwrap();
    let crates: BTreeSet<&str> = lines.iter().map(|line| line.krate.as_str()).collect();
    for krate in [
        "meshconnect_auth_core",
        "reqwest",
        "rustls",
        "ureq",
        "ureq_proto",
    ] {
        assert!(crates.contains(krate), "{krate} is not among {crates:?}");
    }
    let leaks: BTreeSet<(&str, log::Level)> = lines
        .iter()
        .filter(|line| revealed(&line.text).is_some())
        .map(|line| (line.krate.as_str(), line.level))
        .collect();
    let known = LEAKS.map(|(krate, _)| (krate, log::Level::Trace));
    assert_eq!(leaks, known.into());
    for (krate, documentation) in LEAKS {
        let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join(documentation);
        if let Ok(text) = fs::read_to_string(documentation) {
            assert!(
                text.replace('-', "_").contains(krate),
                "the documentation does not name {krate}"
            );
        }
    }
}

/// Panics through `unwrap`, `unwrap_err` and assertions. The next test runs it and reads its
/// output.
#[test]
#[ignore = "panics on purpose; another test runs it and reads its output"]
fn panics() {
    let emulator = emulator();
    emulator.script([
        bad_replies()[0].clone(),
        Reply::status(StatusCode::OK).body(granted()),
    ]);
    let client = blocking::Client::builder(credentials())
        .endpoint(emulator.endpoint())
        .config(config())
        .observer(|event: &Event| panic!("the observer received {event:?}"))
        .build()
        .unwrap();
    let panics: [Box<dyn FnOnce() + Send>; 5] = [
        Box::new(move || drop(over_ureq(&emulator.endpoint(), None).unwrap())),
        Box::new(|| black_box(Ok::<_, ()>(token())).unwrap_err()),
        Box::new(|| assert_ne!(credentials(), credentials())),
        Box::new(move || drop(client.token())),
        Box::new(|| assert!(format!("{:?}", token()).is_empty(), "{:?}", token())),
    ];
    for panic in panics {
        std::thread::spawn(panic).join().unwrap_err();
    }
}

#[test]
fn panics_show_no_secret() {
    let output = own_process(panics)
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    // The observer panics for the attempt, and again for its end.
    assert_eq!(stderr.matches("panicked at").count(), 6, "{stderr}");
    assert!(stderr.contains("the observer received Attempt"), "{stderr}");
    assert_hidden("a panic", &stderr);
    assert_hidden("the test", &String::from_utf8(output.stdout).unwrap());
}

/// The program installs no logger, so `RUST_LOG` has no effect.
#[cfg(feature = "cli")]
#[test]
fn program_shows_only_the_token_and_only_on_stdout() {
    let run = |transport: &str, args: [&str; 2], replies: Vec<Reply>| {
        let emulator = emulator();
        emulator.script(replies);
        let output = Command::new(env!("CARGO_BIN_EXE_meshconnect-auth"))
            .args(["token", "-v", "--transport", transport])
            .args(args)
            .env_clear()
            .env("MESHCONNECT_BASE_URL", emulator.endpoint().to_string())
            .env("MESHCONNECT_CLIENT_ID", ID)
            .env("MESHCONNECT_CLIENT_SECRET", SECRET)
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.starts_with("requesting a token, attempt 1"),
            "{stderr}"
        );
        assert_hidden("the program", &stderr);
        let stdout = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), stdout)
    };
    for transport in ["async", "blocking"] {
        let good = Reply::status(StatusCode::OK).body(granted());
        let retried = Reply::status(StatusCode::SERVICE_UNAVAILABLE).body(echo().0);
        assert_eq!(
            run(transport, ["--max-attempts", "2"], vec![retried, good]),
            (Some(0), format!("{TOKEN}\n"))
        );
        for bad in bad_replies() {
            let (code, stdout) = run(transport, ["--max-attempts=1", "--timeout=1s"], vec![bad]);
            assert!(matches!(code, Some(3..=6)), "{code:?}");
            assert_eq!(stdout, "");
        }
    }
}

#[test]
fn clones_share_one_buffer() {
    let exchange = Exchange::new(Endpoint::default(), credentials());
    let [first, second] = [(); 2].map(|()| exchange.clone().request().into_body());
    let address = first.as_ref().as_ptr();
    assert_eq!(address, second.as_ref().as_ptr());
    assert_eq!(address, first.into_bytes().as_ptr());

    let token = token();
    let value = token.header_value().clone();
    assert_eq!(
        value.as_bytes().as_ptr(),
        token.header_value().as_bytes().as_ptr()
    );
    assert_eq!(token.id_token().as_ptr(), value.as_bytes()[7..].as_ptr());
    let secret = credentials().client_secret().clone();
    assert_eq!(secret.expose().as_ptr(), secret.clone().expose().as_ptr());
}

/// HTTP clients decide by the sensitive flag what to log and to compress (HPACK), so their own
/// request types must keep it.
#[test]
fn header_stays_sensitive_in_each_http_client() {
    let bearer = token();
    let exchange = Exchange::new(Endpoint::default(), credentials()).with_bearer(&bearer);
    let is_sensitive = |headers: &HeaderMap| {
        let value = &headers[AUTHORIZATION];
        assert_eq!(value, bearer.header_value());
        value.is_sensitive()
    };

    let request = exchange.request().map(RequestBody::into_bytes);
    let request = reqwest::Request::try_from(request).unwrap();
    assert!(is_sensitive(request.headers()));
    assert_hidden("reqwest::Request", &format!("{request:?}"));
    // A request that the caller builds with the header.
    let builder = reqwest_builder()
        .build()
        .unwrap()
        .get("http://127.0.0.1:1")
        .header(AUTHORIZATION, bearer.header_value().clone());
    let request = builder.build().unwrap();
    assert!(is_sensitive(request.headers()));
    assert_hidden("reqwest::Request", &format!("{request:?}"));

    // ureq passes its own request type only to middleware.
    let emulator = emulator();
    let seen = Arc::new(Mutex::new(None));
    let agent = {
        let seen = Arc::clone(&seen);
        let look = move |request: http::Request<ureq::SendBody>,
                         next: ureq::middleware::MiddlewareNext| {
            *seen.lock().unwrap() = Some(request.headers().clone());
            next.handle(request)
        };
        let config = ureq::Agent::config_builder();
        config.middleware(look).build().new_agent()
    };
    let exchange = Exchange::new(emulator.endpoint(), credentials()).with_bearer(&bearer);
    let (head, body) = exchange.request().into_parts();
    let request = http::Request::from_parts(head, body.as_ref());
    assert_eq!(agent.run(request).unwrap().status(), StatusCode::OK);
    let seen = seen.lock().unwrap().take().unwrap();
    assert!(is_sensitive(&seen));
    assert_hidden("ureq's headers", &format!("{seen:?}"));
}
