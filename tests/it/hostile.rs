//! Clients against a hostile server: each mode of the emulator, and scripts of throttled, slow,
//! failing and wrongly dated answers, over both transports.

use std::io::{Read, Write};
use std::iter;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::support::credentials;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use meshconnect_auth::emulator::{Emulator, Mode, Reply};
use meshconnect_auth::{
    Client, Config, Credentials, Error, ErrorKind, Token, TransportErrorKind, blocking,
};

for_both! { Tasks, Threads:
    a_cached_token_costs_few_requests_and_no_caller_notices,
    the_newest_token_is_always_the_one_that_is_cached,
    clients_that_revoke_each_others_tokens_slow_down,
    a_downstream_that_refuses_every_token_costs_a_mint_per_hold,
    a_token_expires_by_exp_or_expires_in_whichever_is_sooner,
    a_wrong_clock_changes_no_lifetime,
    a_wrong_date_shortens_a_lifetime_and_never_lengthens_it,
    retry_after_is_kept_in_every_form_and_under_any_clock,
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

/// Builds a client of this type; the two builders have the same names.
macro_rules! build {
    ($client:ty, $emulator:expr, $config:expr) => {
        <$client>::builder($emulator.credentials().clone())
            .endpoint($emulator.endpoint())
            .config($config)
            .build()
            .unwrap()
    };
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
        Self(build!(Client, emulator, config), runtime)
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
        Self(build!(blocking::Client, emulator, config))
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
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    match response.get(9..12) {
        Some("200") => true,
        Some("401") => {
            assert!(response.contains("\r\nwww-authenticate: Bearer\r\n"));
            assert!(response.ends_with(r#"{"statusCode":401}"#), "{response}");
            false
        }
        _ => panic!("{response}"),
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

fn a_token_expires_by_exp_or_expires_in_whichever_is_sooner<C: Caller>() {
    for (exp, expires_in) in [(HOUR / 2, HOUR), (HOUR * 2, HOUR)] {
        let emulator = start(&[], exp);
        emulator.script([Reply::token().expires_in(expires_in)]);
        let token = C::build(&emulator, Config::default()).token().unwrap();
        lives_for(&token, exp.min(expires_in));
        assert!(is_taken(&emulator, token.header_value()));
    }
}

fn a_wrong_clock_changes_no_lifetime<C: Caller>() {
    for mode in [Mode::ClockAhead, Mode::ClockBehind] {
        // By this machine's clock it would end before it begins, or live eleven times as long.
        let emulator = start(&[mode], Duration::from_secs(60));
        let token = C::build(&emulator, Config::default()).token().unwrap();
        lives_for(&token, Duration::from_secs(60));
        assert!(is_taken(&emulator, token.header_value()));
    }
}

/// How wrong a clock is.
const SKEW: Duration = Duration::from_secs(600);

fn a_wrong_date_shortens_a_lifetime_and_never_lengthens_it<C: Caller>() {
    let now = SystemTime::now();
    for (date, minutes) in [(now + SKEW, 50), (now - SKEW, 60)] {
        let emulator = start(&[], HOUR);
        emulator.script([Reply::token().header(DATE, imf_fixdate(date))]);
        let token = C::build(&emulator, Config::default()).token().unwrap();
        lives_for(&token, Duration::from_secs(60 * minutes));
    }
    // A wrong date cannot be told from an old token.
    let emulator = start(&[], Duration::from_secs(60));
    emulator.script([Reply::token().header(DATE, imf_fixdate(now + SKEW))]);
    let error = C::build(&emulator, Config::default()).token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("had expired"), "{error}");
    assert_eq!(emulator.requests(), 1);
}

/// Writes the preferred form of an HTTP-date: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_fixdate(time: SystemTime) -> HeaderValue {
    httpdate::fmt_http_date(time).try_into().unwrap()
}

/// Writes the form of RFC 850: `Sunday, 06-Nov-94 08:49:37 GMT`.
fn rfc850(time: SystemTime) -> HeaderValue {
    const WEEKDAYS: &str = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday";
    let date = httpdate::fmt_http_date(time);
    let mut weekdays = WEEKDAYS.split(' ');
    let weekday = weekdays.find(|day| day.starts_with(&date[..3])).unwrap();
    let (day, month, year, time) = (&date[5..7], &date[8..11], &date[14..16], &date[17..]);
    let date = format!("{weekday}, {day}-{month}-{year} {time}");
    date.try_into().unwrap()
}

/// Writes the form of C's `asctime`: `Sun Nov  6 08:49:37 1994`.
fn asctime(time: SystemTime) -> HeaderValue {
    let date = httpdate::fmt_http_date(time);
    let day = date[5..7].trim_start_matches('0');
    let (weekday, month, year, time) = (&date[..3], &date[8..11], &date[12..16], &date[17..25]);
    let date = format!("{weekday} {month} {day:>2} {time} {year}");
    date.try_into().unwrap()
}

#[test]
fn writes_the_obsolete_forms_of_a_date() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(rfc850(time), "Sunday, 06-Nov-94 08:49:37 GMT");
    assert_eq!(asctime(time), "Sun Nov  6 08:49:37 1994");
}

fn retry_after_is_kept_in_every_form_and_under_any_clock<C: Caller>() {
    type Case = (&'static str, Option<Mode>, fn(SystemTime) -> Reply);

    fn throttled(retry_after: impl Into<HeaderValue>) -> Reply {
        Reply::status(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, retry_after)
    }
    // A date has whole seconds: at least two of these three are left.
    const WAIT: Duration = Duration::from_secs(3);
    let cases: [Case; 7] = [
        ("seconds", None, |_| throttled(2)),
        ("IMF-fixdate", None, |now| {
            throttled(imf_fixdate(now + WAIT))
        }),
        ("RFC 850", None, |now| throttled(rfc850(now + WAIT))),
        ("asctime", None, |now| throttled(asctime(now + WAIT))),
        ("clock ahead", Some(Mode::ClockAhead), |now| {
            throttled(imf_fixdate(now + SKEW + WAIT))
        }),
        ("clock behind", Some(Mode::ClockBehind), |now| {
            throttled(imf_fixdate(now - SKEW + WAIT))
        }),
        ("Date ahead", None, |now| {
            throttled(2).header(DATE, imf_fixdate(now + SKEW))
        }),
    ];
    // Without `Retry-After` it would retry at once.
    let mut config = Config::default();
    config.throttled_backoff = Duration::from_millis(1);
    thread::scope(|scope| {
        for (case, mode, reply) in cases {
            let config = config.clone();
            scope.spawn(move || {
                let emulator = start(mode.as_slice(), HOUR);
                let begun = Instant::now();
                emulator.script([reply(SystemTime::now())]);
                let token = C::build(&emulator, config).token().unwrap();
                let waited = begun.elapsed();
                // Two or three seconds, and up to one of jitter.
                assert!(waited >= Duration::from_secs(2), "{case}: {waited:?}");
                assert!(waited < Duration::from_secs(6), "{case}: {waited:?}");
                assert_eq!(emulator.requests(), 2, "{case}");
                assert!(is_taken(&emulator, token.header_value()), "{case}");
            });
        }
    });
}

fn a_slow_server_is_waited_for_as_long_as_is_set<C: Caller>() {
    let emulator = start(&[], HOUR);
    emulator.script(iter::repeat_n(
        Reply::token().delay(Duration::from_secs(2)),
        2,
    ));
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

/// Every other request fails, the first one not.
fn flapping() -> impl Iterator<Item = Reply> {
    let failed = Reply::status(StatusCode::INTERNAL_SERVER_ERROR);
    [Reply::token(), failed].into_iter().cycle().take(100)
}

fn no_caller_notices_a_server_that_fails_every_other_time<C: Caller>() {
    let emulator = start(&[], Duration::from_secs(2));
    emulator.script(flapping());
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
    let emulator = start(&[], HOUR);
    emulator.script(flapping());
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
