//! What the clients make of a server that is hostile where the contract allows it: each mode of
//! the emulator, over both transports. The emulator's own tests show what a mode does.

#![cfg(all(
    feature = "async",
    feature = "blocking",
    feature = "emulator",
    feature = "webpki-roots"
))]
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

#[macro_use]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, StatusCode};
use meshconnect_auth::emulator::{Emulator, Mode};
use meshconnect_auth::{
    Client, ClientBuilder, Config, Credentials, Error, ErrorKind, Token, Transport,
    TransportErrorKind, blocking,
};
use support::credentials;

for_both! { Tasks, Threads:
    a_cached_token_costs_few_requests_and_no_caller_notices,
    the_newest_token_is_always_the_one_that_is_cached,
    clients_that_revoke_each_others_tokens_slow_down,
    a_downstream_that_refuses_every_token_costs_a_mint_per_hold,
    a_token_ends_when_it_says_so_itself_or_when_it_is_said_to_if_that_is_sooner,
    a_wrong_clock_changes_no_life,
    a_wrong_date_shortens_a_life_and_never_lengthens_it,
    what_retry_after_asks_for_is_kept_to_whatever_its_form_and_the_clock,
    a_slow_server_is_waited_for_as_long_as_is_set,
    no_caller_notices_a_server_that_fails_every_other_time,
}

/// One client, for one caller.
trait Caller: Sized {
    fn build(emulator: &Emulator, config: Config) -> Self;
    fn token(&self) -> Result<Token, Error>;
    fn refresh(&self) -> Result<Token, Error>;
    fn reject(&self, token: &Token) -> bool;
}

fn build<C: Transport>(emulator: &Emulator, config: Config) -> C {
    ClientBuilder::new(emulator.credentials().clone())
        .endpoint(emulator.endpoint())
        .config(config)
        .build()
        .unwrap()
}

/// The runtime has threads of its own, on which refreshes go on between two calls.
struct Tasks(Client, tokio::runtime::Runtime);

impl Caller for Tasks {
    fn build(emulator: &Emulator, config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self(build(emulator, config), runtime)
    }

    fn token(&self) -> Result<Token, Error> {
        self.1.block_on(self.0.token())
    }

    fn refresh(&self) -> Result<Token, Error> {
        self.1.block_on(self.0.refresh())
    }

    fn reject(&self, token: &Token) -> bool {
        self.0.reject(token)
    }
}

struct Threads(blocking::Client);

impl Caller for Threads {
    fn build(emulator: &Emulator, config: Config) -> Self {
        Self(build(emulator, config))
    }

    fn token(&self) -> Result<Token, Error> {
        self.0.token()
    }

    fn refresh(&self) -> Result<Token, Error> {
        self.0.refresh()
    }

    fn reject(&self, token: &Token) -> bool {
        self.0.reject(token)
    }
}

fn start(modes: &[Mode], lifetime: Duration) -> Emulator {
    let mut builder = Emulator::builder()
        .credentials(credentials())
        .expires_in(lifetime);
    for mode in modes {
        builder = builder.mode(*mode);
    }
    builder.start().unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);

/// What a token is for: whether another endpoint of the admin API takes it.
fn is_taken(emulator: &Emulator, token: &HeaderValue) -> bool {
    let mut stream = TcpStream::connect(emulator.address()).unwrap();
    let token = token.to_str().unwrap();
    write!(
        stream,
        "GET /admin/api/v1/SubClient HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
         Authorization: {token}\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    match answer.get(9..12) {
        Some("200") => true,
        Some("401") => {
            assert!(answer.contains("\r\nwww-authenticate: Bearer\r\n"));
            assert!(answer.ends_with(r#"{"statusCode":401}"#), "{answer}");
            false
        }
        _ => panic!("{answer}"),
    }
}

/// Asks again and again for that long.
fn for_a_time(time: Duration, mut ask: impl FnMut()) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        ask();
        // Cooldowns are a matter of real time here; callers that never rest would only heat the machine.
        thread::sleep(Duration::from_millis(2));
    }
}

fn life_left(token: &Token) -> Duration {
    let left = token.expires_at().duration_since(SystemTime::now());
    left.unwrap_or_default()
}

/// What is left is this much, less what the test took and the fractions of seconds that `exp` and
/// `Date` lack.
#[track_caller]
fn lives_for(token: &Token, life: Duration) {
    let left = life_left(token);
    assert!(
        left <= life && left + Duration::from_secs(10) > life,
        "{left:?}"
    );
}

fn a_cached_token_costs_few_requests_and_no_caller_notices<C: Caller>() {
    let emulator = start(&[Mode::SameToken], Duration::from_secs(2));
    let client = C::build(&emulator, Config::default());
    let mut tokens: Vec<Token> = Vec::new();
    for_a_time(Duration::from_millis(3500), || {
        let token = client.token().unwrap();
        assert!(life_left(&token) <= Duration::from_secs(2));
        if tokens.last() != Some(&token) {
            tokens.push(token);
        }
    });
    // Each came once, and ended on a full second.
    assert!((2..=3).contains(&tokens.len()), "{tokens:?}");
    // Per token: one to get it, a refresh ahead that brings the same one, and then those who ask
    // in its last moments, each time for what is left of it.
    let grants = emulator.grants();
    assert!(grants <= 4 * tokens.len() as u64, "{grants} for {tokens:?}");
}

fn the_newest_token_is_always_the_one_that_is_cached<C: Caller>() {
    let emulator = start(&[Mode::OnlyNewest], HOUR);
    let client = C::build(&emulator, Config::default());
    let first = client.token().unwrap();
    assert!(is_taken(&emulator, first.header_value()));
    let second = client.refresh().unwrap();
    assert!(!is_taken(&emulator, first.header_value()));
    // Whoever still had the first one says so, and that throws nothing away.
    assert!(!client.reject(&first));
    assert!(client.token().unwrap() == second);
    assert!(is_taken(&emulator, second.header_value()));
    assert_eq!(emulator.grants(), 2);
}

/// Uses a token as one should: a 401 is told, and then another token is asked for, once.
fn call<C: Caller>(client: &C, emulator: &Emulator) -> Result<bool, Error> {
    let token = client.token()?;
    if is_taken(emulator, token.header_value()) {
        return Ok(true);
    }
    let _ = client.reject(&token);
    Ok(is_taken(emulator, client.token()?.header_value()))
}

fn clients_that_revoke_each_others_tokens_slow_down<C: Caller>() {
    let emulator = start(&[Mode::OnlyNewest], HOUR);
    let clients = [(); 2].map(|()| C::build(&emulator, Config::default()));
    let (mut served, mut calls) = (0, 0);
    for_a_time(Duration::from_millis(2500), || {
        for client in &clients {
            match call(client, &emulator) {
                Ok(taken) => served += u32::from(taken),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TokenRejected),
            }
            calls += 1;
        }
    });
    // Two at once, then one after each cooldown, of which the second takes a second at least.
    let grants = emulator.grants();
    assert!((4..=8).contains(&grants), "{grants}");
    assert!(calls > 100 && served > 10, "{served} of {calls}");
}

fn a_downstream_that_refuses_every_token_costs_a_mint_per_hold<C: Caller>() {
    let emulator = start(&[Mode::RefusedDownstream], HOUR);
    let client = C::build(&emulator, Config::default());
    let (mut refused, mut cooldown_end) = (0, 0);
    for_a_time(Duration::from_millis(2500), || {
        match call(&client, &emulator) {
            Ok(taken) => {
                assert!(!taken);
                refused += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TokenRejected);
                cooldown_end += 1;
            }
        }
    });
    // Two at once, then cooldowns of 1 s and of 1 to 2 s.
    let grants = emulator.grants();
    assert!((3..=4).contains(&grants), "{grants}");
    assert!(cooldown_end > 100, "{cooldown_end}, and {refused} refused");
}

fn a_token_ends_when_it_says_so_itself_or_when_it_is_said_to_if_that_is_sooner<C: Caller>() {
    for (mode, life) in [
        (Mode::LongExpiresIn, HOUR / 2),
        (Mode::ShortExpiresIn, HOUR),
    ] {
        let emulator = start(&[mode], HOUR);
        let token = C::build(&emulator, Config::default()).token().unwrap();
        lives_for(&token, life);
        assert!(is_taken(&emulator, token.header_value()));
    }
}

fn a_wrong_clock_changes_no_life<C: Caller>() {
    for mode in [Mode::ClockAhead, Mode::ClockBehind] {
        // By this machine's clock it would end before it begins, or live eleven times as long.
        let emulator = start(&[mode], Duration::from_secs(60));
        let token = C::build(&emulator, Config::default()).token().unwrap();
        lives_for(&token, Duration::from_secs(60));
        assert!(is_taken(&emulator, token.header_value()));
    }
}

fn a_wrong_date_shortens_a_life_and_never_lengthens_it<C: Caller>() {
    for (mode, minutes) in [(Mode::DateAhead, 50), (Mode::DateBehind, 60)] {
        let emulator = start(&[mode], HOUR);
        let token = C::build(&emulator, Config::default()).token().unwrap();
        lives_for(&token, Duration::from_secs(60 * minutes));
    }
    // Who can tell whether the date is wrong or the token old?
    let emulator = start(&[Mode::DateAhead], Duration::from_secs(60));
    let error = C::build(&emulator, Config::default()).token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("had expired"), "{error}");
    assert_eq!(emulator.requests(), 1);
}

fn what_retry_after_asks_for_is_kept_to_whatever_its_form_and_the_clock<C: Caller>() {
    let forms = [
        &[Mode::ThrottledSeconds][..],
        &[Mode::ThrottledDate],
        &[Mode::ThrottledRfc850],
        &[Mode::ThrottledAsctime],
        &[Mode::ThrottledDate, Mode::ClockAhead],
        &[Mode::ThrottledDate, Mode::ClockBehind],
        &[Mode::ThrottledSeconds, Mode::DateAhead],
    ];
    // Without `Retry-After` it would come back at once.
    let mut config = Config::default();
    config.throttled_backoff = Duration::from_millis(1);
    thread::scope(|scope| {
        for modes in forms {
            let config = config.clone();
            scope.spawn(move || {
                let emulator = start(modes, HOUR);
                let begun = Instant::now();
                let token = C::build(&emulator, config).token().unwrap();
                let waited = begun.elapsed();
                // Two seconds, up to a second for a date to be a whole one, up to one of jitter.
                assert!(waited >= Duration::from_secs(2), "{modes:?}: {waited:?}");
                assert!(waited < Duration::from_secs(6), "{modes:?}: {waited:?}");
                assert_eq!(emulator.requests(), 2, "{modes:?}");
                assert!(is_taken(&emulator, token.header_value()));
            });
        }
    });
}

fn a_slow_server_is_waited_for_as_long_as_is_set<C: Caller>() {
    let emulator = start(&[Mode::Slow], HOUR);
    let begun = Instant::now();
    let mut config = Config::default();
    config.attempts = 1;
    config.attempt_timeout = Duration::from_millis(300);
    let error = C::build(&emulator, config).token().unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Timeout)
    );
    assert!(begun.elapsed() < Duration::from_millis(1300));

    let token = C::build(&emulator, Config::default()).token().unwrap();
    // Its life is counted from before it was asked for.
    let left = life_left(&token);
    assert!(left + Duration::from_secs(2) <= HOUR, "{left:?}");
    assert_eq!(emulator.requests(), 2);
}

fn no_caller_notices_a_server_that_fails_every_other_time<C: Caller>() {
    let emulator = start(&[Mode::Flapping], Duration::from_secs(2));
    let client = C::build(&emulator, Config::default());
    let mut longest = Duration::ZERO;
    for_a_time(Duration::from_millis(3500), || {
        let begun = Instant::now();
        client.token().unwrap();
        longest = longest.max(begun.elapsed());
    });
    // A refresh ahead that fails is followed by an acquisition at the token's end.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let (requests, grants) = (emulator.requests(), emulator.grants());
    assert!((3..=6).contains(&requests), "{requests}");
    assert_eq!(grants, requests.div_ceil(2));

    // And where the first one fails, the next attempt does not.
    let emulator = start(&[Mode::Flapping], HOUR);
    let clients = [(); 2].map(|()| C::build(&emulator, Config::default()));
    for client in &clients {
        client.token().unwrap();
    }
    assert_eq!((emulator.requests(), emulator.grants()), (3, 2));
}

/// A refusal is not affected by a mode, so that a test of wrong credentials stays one.
#[test]
fn wrong_credentials_are_refused_in_every_mode() {
    let check = |mode| {
        let emulator = start(&[mode], HOUR);
        let wrong = Credentials::new("canary-client", "wrong").unwrap();
        let client = blocking::Client::builder(wrong)
            .endpoint(emulator.endpoint())
            .build()
            .unwrap();
        let error = client.token().unwrap_err();
        assert_eq!(error.http_status(), Some(StatusCode::FORBIDDEN), "{mode}");
        assert_eq!(emulator.grants(), 0, "{mode}");
    };
    thread::scope(|scope| {
        for mode in Mode::ALL {
            scope.spawn(move || check(mode));
        }
    });
}

/// One flag is all it takes, and the program says what it does.
#[cfg(feature = "cli")]
#[test]
fn the_program_starts_in_each_mode_and_in_several_at_once() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let all: Vec<&[Mode]> = Mode::ALL.chunks(1).chain([&Mode::ALL[..]]).collect();
    for modes in all {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshconnect-auth"));
        command.args(["emulator", "--listen", "127.0.0.1:0"]);
        for mode in modes {
            command.args(["--mode", mode.name()]);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = stderr.lines().map_while(Result::ok);
        let told: Vec<String> = lines
            .skip(1)
            .take_while(|line| line.starts_with("mode "))
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let expected = modes
            .iter()
            .map(|mode| format!("mode {mode}: {}", mode.summary()));
        assert!(told.iter().cloned().eq(expected), "{told:?}");
    }
}
