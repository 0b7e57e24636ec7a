//! The canary harness: a secret and a token go through every public type, every kind of failure
//! and every log line of every crate in the tree, over both transports; then all that was said is
//! searched for them, whole or in part, as they are or encoded. The core has a harness of its own
//! for what it makes of a server's words; this one is about the whole.
//!
//! That the buffers are wiped when the last reference goes is shown by the core's own tests, which
//! can watch the drop of their owner (`core/src/protocol/secret.rs`): no public API lets one see
//! that, and to look at the memory afterwards is to read what was freed. What can be seen from here
//! is that there is one buffer, and not several.

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
    ApiResult, ApiResultStatus, AuthenticationStatus, BodyBuffer, Client, Config, Credentials,
    Endpoint, Error, ErrorKind, Event, Exchange, Machine, MediaType, Moment, Need,
    OAuthTokenResponse, RequestBody, StaticToken, Step, Token, TransportError, TransportErrorKind,
    blocking,
};
use meshconnect_auth_core::Proxy;

const ID: &str = "canary-client";
const SECRET: &str = "s3cr3t-Canary+7/\" \u{fc}\\&q-XkT90dLmEw2";
const TOKEN: &str = "t0k3n-Canary.b8Rn~Vq/4+ZsYh-2JcGxPo6==";

/// The crates that are not ours and log secrets at `TRACE`. Each is named in the documentation of
/// the transport that brings it.
const LEAKS: [(&str, &str); 1] = [("ureq_proto", "transport-ureq/src/lib.rs")];

static SEARCH: LazyLock<Search> = LazyLock::new(|| Search::new(&[SECRET, TOKEN]));

fn revealed(text: &str) -> Option<String> {
    SEARCH.revealed(text)
}

#[track_caller]
fn hides(what: &str, text: &str) {
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

/// An answer that grants the canary.
fn granted() -> String {
    format!(r#"{{"status":"ok","content":{{"id_token":"{TOKEN}","expires_in":3600}}}}"#)
}

fn emulator() -> Emulator {
    let builder = Emulator::builder().credentials(credentials());
    builder.start().unwrap()
}

#[test]
fn the_search_finds_each_encoding_within_a_text() {
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

/// What was formatted, by the name of its type.
#[derive(Default)]
struct Gallery(BTreeSet<&'static str>);

impl Gallery {
    fn show(&mut self, name: &'static str, value: &dyn Debug) {
        hides(name, &format!("{value:?} {value:#?}"));
        self.0.insert(name);
    }
}

#[test]
fn no_public_type_shows_a_secret() {
    let mut gallery = Gallery::default();
    values(&mut gallery);
    machines(&mut gallery);
    clients(&mut gallery);

    let Some(exported) = exported() else {
        eprintln!("skipped: a published package comes without the other crates' sources");
        return;
    };
    // Traits have no values.
    let no_values = ["TokenSource", "BlockingTokenSource"];
    let missing: Vec<_> = exported
        .iter()
        .filter(|name| !gallery.0.contains(name.as_str()) && !no_values.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "nobody has looked at {missing:?}");
}

fn values(gallery: &mut Gallery) {
    let bearer = token();
    let exchange = Exchange::new(Endpoint::default(), credentials()).with_bearer(&bearer);
    gallery.show("ClientId", credentials().client_id());
    gallery.show("ClientSecret", credentials().client_secret());
    gallery.show("Credentials", &credentials());
    gallery.show("Endpoint", exchange.endpoint());
    gallery.show("Exchange", &exchange);
    gallery.show("RequestBody", exchange.request().body());
    gallery.show("http::Request", &exchange.request());
    gallery.show(
        "MediaType",
        &MediaType::application_suffix("vnd.x").unwrap(),
    );
    gallery.show("Token", &bearer);
    gallery.show("http::HeaderValue", bearer.header_value());
    gallery.show("StaticToken", &StaticToken::new(bearer.clone()));
    gallery.show("Config", &Config::default());
    gallery.show("Moment", &now());
    gallery.show("Need", &Need::Usable);

    let grant = exchange.parse(Response::new(granted().into_bytes()), now());
    gallery.show("Grant", &grant.unwrap());
    let mut body = BodyBuffer::new(999, &HeaderMap::new());
    assert!(body.push(granted().as_bytes()) && body.push(SECRET.as_bytes()));
    gallery.show("BodyBuffer", &body);
    gallery.show("http::Response", &Response::new(body));

    let mut content = OAuthTokenResponse::default();
    content.id_token = Some(TOKEN.to_owned());
    content.status = Some(AuthenticationStatus::Available);
    gallery.show("OAuthTokenResponse", &content);
    gallery.show("AuthenticationStatus", &content.status);
    let mut envelope = ApiResult::default();
    envelope.content = Some(content);
    envelope.status = Some(ApiResultStatus::Ok);
    gallery.show("ApiResult", &envelope);
    gallery.show("ApiResultStatus", &envelope.status);

    let refusal = format!(r#"{{"status":"badRequest","message":"{}"}}"#, json(SECRET));
    let error = exchange.parse(Response::new(refusal.into_bytes()), now());
    let error = error.unwrap_err();
    gallery.show("Error", &error);
    gallery.show("ErrorKind", &error.kind());
    gallery.show("Blame", &error.kind().blame());
    gallery.show("Rejection", error.rejection().unwrap());
    gallery.show("TransportErrorKind", &TransportErrorKind::Broken);
    let transport = TransportError::with_detail(TransportErrorKind::Broken, "broken");
    gallery.show("TransportError", &transport);
}

fn machines(gallery: &mut Gallery) {
    let now = |seconds| Moment {
        mono: Duration::from_secs(seconds),
        wall: SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap(),
    };
    let exchange = Exchange::new(Endpoint::default(), credentials());
    let mut machine = Machine::new(Config::default(), exchange.clone(), 1);
    let ticket = machine.ticket(Need::Usable);
    gallery.show("Ticket", &ticket);
    let step = machine.poll(now(0), &ticket);
    gallery.show("Step", &step);
    let Step::Send(transmit) = step else {
        panic!("nothing is cached")
    };
    gallery.show("Transmit", &transmit);
    gallery.show("Flight", &transmit.flight);
    gallery.show("Phase", &machine.status(now(0)).phase);
    let grant = transmit
        .flight
        .parse(Response::new(granted().into_bytes()), now(0));
    machine.handle_outcome(now(0), transmit.flight, grant);
    gallery.show("Step", &machine.poll(now(0), &ticket));
    gallery.show("CachedToken", machine.cached_token().unwrap());
    gallery.show("Status", &machine.status(now(0)));
    gallery.show("Machine", &machine);
    while let Some(event) = machine.poll_event() {
        gallery.show("Event", &event);
        hides("Event", &event.to_string());
    }

    let mut machine = Machine::new(Config::default(), exchange, 1);
    machine.handle_token(now(0), token());
    let shared = Shared::new(machine, None);
    gallery.show("Shared", &shared);
    let ticket = shared.ticket(Need::Newer);
    let next = shared.poll(now(0), &ticket);
    gallery.show("SharedStep", &next);
    let SharedStep::Send(attempt) = next else {
        panic!("nothing is newer")
    };
    gallery.show("Attempt", &attempt);
    let next = shared.poll(now(0), &ticket);
    gallery.show("SharedStep", &next);
    let SharedStep::Wait(waiter) = next else {
        panic!("another attempts")
    };
    gallery.show("Waiter", &waiter);
    attempt.finish(
        now(0),
        Ok::<_, Error>(Response::new(granted().into_bytes())),
    );
    gallery.show("SharedStep", &shared.poll(now(0), &ticket));
    gallery.show("Shared", &shared);
}

fn clients(gallery: &mut Gallery) {
    let emulator = emulator();
    emulator.script(vec![Reply::status(StatusCode::OK).body(granted()); 2]);
    let endpoint = emulator.endpoint();

    let builder = Client::builder(credentials())
        .endpoint(endpoint.clone())
        .initial_token(token());
    gallery.show("ClientBuilder", &builder);
    let client = builder.build().unwrap();
    runtime().block_on(client.refresh()).unwrap();
    gallery.show("Client", &client);

    let builder = blocking::Client::builder(credentials())
        .endpoint(endpoint)
        .initial_token(token());
    gallery.show("ClientBuilder", &builder);
    let client = builder.build().unwrap();
    client.refresh().unwrap();
    gallery.show("Client", &client);

    let password: Vec<_> = SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!("http://user:{}@proxy:1", password.concat());
    let variable = |name: &str| (name == "ALL_PROXY").then(|| url.clone().into());
    let proxy = Proxy::for_endpoint(&Endpoint::default(), variable)
        .unwrap()
        .unwrap();
    assert_eq!(proxy.credentials(), Some(("user", SECRET)));
    gallery.show("Proxy", &proxy);
    gallery.show("http::HeaderValue", &proxy.authorization().unwrap());

    let builder = Emulator::builder().credentials(credentials());
    gallery.show("EmulatorBuilder", &builder);
    gallery.show("Emulator", &emulator);
    gallery.show("Issuer", &Issuer::new(credentials()));
    gallery.show("Mode", &Mode::ALL);
    let reply = Reply::token().body(granted());
    let reply = reply.header(AUTHORIZATION, token().header_value().clone());
    gallery.show("Reply", &reply);
}

/// The names of all types that the crates export, as their sources say.
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

/// Everything that an error says to anyone.
fn words(error: &Error) -> String {
    let mut words = format!("{error}\n{}\n{error:?}\n{error:#?}", error.report());
    let mut source = error.source();
    while let Some(error) = source {
        write!(words, "\n{error}\n{error:?}\n{error:#?}").unwrap();
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
        write!(words, "\n{text}").unwrap();
    }
    for (name, value) in error.trace_ids() {
        write!(words, "\n{name}: {value}").unwrap();
    }
    words
}

/// One transport, asked once.
type Ask = fn(&Endpoint, Option<&Ca>) -> Result<Token, Error>;

const TRANSPORTS: [(&str, Ask); 2] = [("reqwest", over_reqwest), ("ureq", over_ureq)];

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

/// The secret in every encoding that is masked when a server repeats it, outside of JSON and as the
/// text of a JSON string: encodings within encodings are not searched.
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

/// Replies that are all wrong, and that repeat the secret wherever they can, and the token where
/// a client knows it for one or has to take anything of its length for one.
fn bad_replies() -> Vec<Reply> {
    let status = |status: u16| Reply::status(status.try_into().unwrap());
    let (echo, word) = echo();
    let envelope = |rest: &str| {
        format!(
            r#"{{"status":"badRequest","message":"{word}","displayMessage":"{word}","errorHash":"{word}","errorType":"{word}","errorData":["{word}"],{rest}"teamCode":"{word}"}}"#
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
        status(200).body(granted().replace("ok", &word)),
        status(200).body(granted().replace("3600", "0")),
        status(200).body(granted().replace("3600", &format!("\"{word}\""))),
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
fn no_error_of_any_fault_shows_a_secret() {
    let ca = Ca::new();
    let (mut kinds, mut masked) = (HashSet::new(), 0);
    let mut check = |what: &str, result: Result<Token, Error>| {
        let error = result.unwrap_err();
        let words = words(&error);
        hides(what, &words);
        masked += u32::from(words.contains("[masked]"));
        kinds.insert(error.kind());
    };
    for (name, ask) in TRANSPORTS {
        for reply in bad_replies() {
            let emulator = emulator();
            emulator.script([reply.clone()]);
            check(
                &format!("{name}, {reply:?}"),
                ask(&emulator.endpoint(), None),
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
            check(&format!("{name}, {raw:?}"), ask(&endpoint, None));
            let server = Server::respond_over_tls(ca.server("localhost"), raw.clone());
            let endpoint = Endpoint::parse(&server.https()).unwrap();
            check(
                &format!("{name} over TLS, {raw:?}"),
                ask(&endpoint, Some(&ca)),
            );
        }
        // A certificate for a name that is a canary, and not the one that was asked for.
        let server = Server::respond_over_tls(ca.server("t0k3n-canary-of-a-host"), "");
        let endpoint = Endpoint::parse(&server.https()).unwrap();
        check(name, ask(&endpoint, Some(&ca)));
        // Nobody listens on the port of the service multiplexer, and only root could.
        let refused = Endpoint::parse("http://127.0.0.1:1").unwrap();
        check(name, ask(&refused, None));
        let nowhere = Endpoint::parse("https://nowhere.invalid").unwrap();
        check(name, ask(&nowhere, Some(&ca)));
    }
    assert!(
        masked > 20,
        "only {masked} errors repeat what a server said"
    );
    for kind in [
        ErrorKind::Rejected,
        ErrorKind::Malformed,
        ErrorKind::Transport(TransportErrorKind::Broken),
        ErrorKind::Transport(TransportErrorKind::Certificate),
        ErrorKind::Transport(TransportErrorKind::Connect),
        ErrorKind::Transport(TransportErrorKind::NotHttp),
        ErrorKind::Transport(TransportErrorKind::Timeout),
    ] {
        assert!(kinds.contains(&kind), "{kind:?} was not tried");
    }
}

/// Every line of the `log` and `tracing` crates, of every crate at every level, from when
/// [`listen`] was called.
static SAID: Mutex<Vec<Said>> = Mutex::new(Vec::new());

struct Said {
    krate: String,
    level: log::Level,
    words: String,
}

fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        log::set_logger(&Ear).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        tracing::subscriber::set_global_default(Ear).unwrap();
    });
}

struct Ear;

impl Ear {
    fn hear(target: &str, level: log::Level, words: String) {
        let krate = target.split("::").next().unwrap_or_default().to_owned();
        SAID.lock().unwrap().push(Said {
            krate,
            level,
            words,
        });
    }

    fn hear_of(metadata: &tracing::Metadata<'_>, line: Line) {
        let level = metadata.level().as_str().parse().unwrap();
        Self::hear(metadata.target(), level, line.0);
    }
}

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let words = record.args().to_string();
        Self::hear(record.target(), record.level(), words);
    }

    fn flush(&self) {}
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Ear {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        Self::hear_of(span.metadata(), line);
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        Self::hear("a span", log::Level::Error, line.0);
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        Self::hear_of(event.metadata(), line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn no_log_line_shows_a_secret_but_those_of_the_crates_that_are_known_for_it() {
    if !in_own_process(no_log_line_shows_a_secret_but_those_of_the_crates_that_are_known_for_it) {
        return;
    }
    listen();
    let ca = Ca::new();
    for (_, ask) in TRANSPORTS {
        let emulator = emulator();
        emulator.script([
            Reply::status(StatusCode::OK).body(granted()),
            bad_replies()[0].clone(),
        ]);
        assert!(ask(&emulator.endpoint(), None).unwrap() == token());
        ask(&emulator.endpoint(), None).unwrap_err();

        let refusal = json(&format!("{SECRET} {TOKEN}"));
        let refusal = format!(r#"{{"status":"badRequest","message":"{refusal}"}}"#);
        for (status, body, granted) in [("200 OK", granted(), true), ("400 No", refusal, false)] {
            let said = response(status, "", &body);
            let server = Server::respond_over_tls(ca.server("localhost"), said);
            let endpoint = Endpoint::parse(&server.https()).unwrap();
            assert_eq!(ask(&endpoint, Some(&ca)).is_ok(), granted);
        }
    }

    let said = SAID.lock().unwrap();
    let heard: BTreeSet<&str> = said.iter().map(|said| said.krate.as_str()).collect();
    for krate in [
        "meshconnect_auth_core",
        "reqwest",
        "rustls",
        "ureq",
        "ureq_proto",
    ] {
        assert!(heard.contains(krate), "{krate} is not among {heard:?}");
    }
    let leaks: BTreeSet<(&str, log::Level)> = said
        .iter()
        .filter(|said| revealed(&said.words).is_some())
        .map(|said| (said.krate.as_str(), said.level))
        .collect();
    let known = LEAKS.map(|(krate, _)| (krate, log::Level::Trace));
    assert_eq!(leaks, known.into());
    for (krate, documentation) in LEAKS {
        let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join(documentation);
        if let Ok(text) = fs::read_to_string(documentation) {
            assert!(
                text.replace('-', "_").contains(krate),
                "{krate} is not warned of"
            );
        }
    }
}

/// As `unwrap`, `expect` and `assert_eq` print what they find; run by the next test.
#[test]
#[ignore = "it panics; the next test runs it and reads what it says"]
fn panics() {
    let emulator = emulator();
    emulator.script([
        bad_replies()[0].clone(),
        Reply::status(StatusCode::OK).body(granted()),
    ]);
    let client = blocking::Client::builder(credentials())
        .endpoint(emulator.endpoint())
        .config(config())
        .observer(|event: &Event| panic!("an observer has seen {event:?}"))
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
fn no_panic_shows_a_secret() {
    let output = own_process(panics)
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.matches("panicked at").count(), 5, "{stderr}");
    assert!(stderr.contains("an observer has seen Attempt"), "{stderr}");
    hides("a panic", &stderr);
    hides("the test", &String::from_utf8(output.stdout).unwrap());
}

/// It installs no logger, so that no environment variable makes it talk.
#[cfg(feature = "cli")]
#[test]
fn the_program_shows_no_secret_but_the_token_on_stdout() {
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
        hides("the program", &stderr);
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
            assert!(matches!(code, Some(3..=5)), "{code:?}");
            assert_eq!(stdout, "");
        }
    }
}

#[test]
fn all_references_share_one_buffer() {
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

/// HTTP clients log and compress by that flag (HPACK), so it must survive their own types.
#[test]
fn the_header_is_sensitive_still_in_each_clients_own_request() {
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
    hides("reqwest::Request", &format!("{request:?}"));
    // Where a caller puts it into a request of their own.
    let builder = reqwest_builder()
        .build()
        .unwrap()
        .get("http://127.0.0.1:1")
        .header(AUTHORIZATION, bearer.header_value().clone());
    let request = builder.build().unwrap();
    assert!(is_sensitive(request.headers()));
    hides("reqwest::Request", &format!("{request:?}"));

    // ureq's own request is what its middleware gets to see.
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
    hides("ureq's headers", &format!("{seen:?}"));
}
