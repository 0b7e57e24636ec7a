//! Clients against a hostile server: every mode of the emulator, and scripts of throttled, slow,
//! failing and wrongly dated responses, over both transports.

use std::env;
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
    server_that_returns_one_token_until_it_expires_gets_few_requests,
    newest_token_is_cached,
    clients_that_revoke_each_others_tokens_back_off,
    rejected_tokens_cost_one_grant_per_interval,
    endpoint_that_refuses_every_token_fails_no_other_call,
    second_revocation_within_a_minute_fails_calls_for_at_most_the_interval,
    token_expires_by_the_earlier_of_exp_and_expires_in,
    wrong_clock_does_not_change_the_lifetime,
    wrong_date_never_lengthens_the_lifetime,
    honours_retry_after_in_every_form_under_any_clock,
    attempt_timeout_limits_the_wait_for_a_slow_server,
    alternating_failures_are_hidden_from_callers,
}

/// A client with a single caller.
trait Caller: Sized {
    fn build(emulator: &Emulator, config: Config) -> Self;
    fn token(&self) -> Result<Token, Error>;
    fn refresh(&self) -> Result<Token, Error>;
    fn reject(&self, token: &Token) -> bool;
}

/// Builds a client of the given type. A macro, because the builders share method names but no
/// trait.
macro_rules! build {
    ($client:ty, $emulator:expr, $config:expr) => {
        <$client>::builder($emulator.credentials().clone())
            .endpoint($emulator.endpoint())
            .config($config)
            .build()
            .unwrap()
    };
}

/// The runtime has a worker thread, on which refreshes continue between two calls.
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

/// Returns whether another endpoint of the admin API accepts the token.
fn is_accepted(emulator: &Emulator, token: &HeaderValue) -> bool {
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

/// Calls `call` repeatedly for `time`.
fn repeat_for(time: Duration, mut call: impl FnMut()) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        call();
        // The sleep limits the number of calls.
        thread::sleep(Duration::from_millis(2));
    }
}

fn time_left(token: &Token) -> Duration {
    let left = token.expires_at().duration_since(SystemTime::now());
    left.unwrap_or_default()
}

/// Asserts that the token expires in `life`, with tolerance for the test's run time and for `exp`
/// and `Date` without fractions of a second.
#[track_caller]
fn assert_expires_in(token: &Token, life: Duration) {
    let left = time_left(token);
    assert!(
        left <= life && left + Duration::from_secs(10) > life,
        "{left:?}"
    );
}

fn server_that_returns_one_token_until_it_expires_gets_few_requests<C: Caller>() {
    let emulator = start(&[Mode::SameToken], Duration::from_secs(2));
    let client = C::build(&emulator, Config::default());
    let mut tokens: Vec<Token> = Vec::new();
    repeat_for(Duration::from_millis(3500), || {
        let token = client.token().unwrap();
        assert!(time_left(&token) <= Duration::from_secs(2));
        if tokens.last() != Some(&token) {
            tokens.push(token);
        }
    });
    // The emulator returns each token until it expires, on a full second.
    assert!((2..=3).contains(&tokens.len()), "{tokens:?}");
    // Requests per token: one that obtains it, a refresh ahead that returns the same one, and the
    // calls in its last moments.
    let grants = emulator.grants();
    assert!(grants <= 4 * tokens.len() as u64, "{grants} for {tokens:?}");
}

fn newest_token_is_cached<C: Caller>() {
    let emulator = start(&[Mode::OnlyNewest], HOUR);
    let client = C::build(&emulator, Config::default());
    let first = client.token().unwrap();
    assert!(is_accepted(&emulator, first.header_value()));
    let second = client.refresh().unwrap();
    assert!(!is_accepted(&emulator, first.header_value()));
    // Rejecting a token that was already replaced changes nothing.
    assert!(client.reject(&first));
    assert!(client.token().unwrap() == second);
    assert!(is_accepted(&emulator, second.header_value()));
    assert_eq!(emulator.grants(), 2);
}

/// Calls the API with a token. After a 401, rejects the token and, if that is worth it, retries once
/// with another. Returns whether the call was accepted.
fn call<C: Caller>(client: &C, emulator: &Emulator) -> bool {
    let token = client.token().unwrap();
    is_accepted(emulator, token.header_value())
        || (client.reject(&token) && is_accepted(emulator, client.token().unwrap().header_value()))
}

fn clients_that_revoke_each_others_tokens_back_off<C: Caller>() {
    let emulator = start(&[Mode::OnlyNewest], HOUR);
    let clients = [(); 2].map(|()| C::build(&emulator, Config::default()));
    let (mut served, mut calls) = (0, 0);
    repeat_for(Duration::from_millis(2500), || {
        for client in &clients {
            served += u32::from(call(client, &emulator));
            calls += 1;
        }
    });
    // For each client: two without a wait, then one after each interval of up to 1 s, 2 s and 4 s.
    let grants = emulator.grants();
    assert!((4..=10).contains(&grants), "{grants}");
    assert!(calls > 100 && served > 10, "{served} of {calls}");
}

fn rejected_tokens_cost_one_grant_per_interval<C: Caller>() {
    let emulator = start(&[Mode::RefusedDownstream], HOUR);
    let client = C::build(&emulator, Config::default());
    let mut calls = 0;
    repeat_for(Duration::from_millis(2500), || {
        assert!(!call(&client, &emulator));
        calls += 1;
    });
    // Two without a wait, then after intervals of up to 1 s and 2 s.
    let grants = emulator.grants();
    assert!((3..=4).contains(&grants), "{grants} in {calls} calls");
    assert!(calls > 100, "{calls}");
}

/// One endpoint answers 401 to every token, another one accepts every token. Both are called with
/// one client. `SICK_ENDPOINT_SECONDS` sets the length of the run.
fn endpoint_that_refuses_every_token_fails_no_other_call<C: Caller>() {
    let seconds = env::var("SICK_ENDPOINT_SECONDS").map_or(5, |text| text.parse().unwrap());
    let emulator = start(&[], HOUR);
    let client = C::build(&emulator, Config::default());
    let (mut accepted, mut kept, mut grants) = (0, 0, Vec::new());
    let begun = Instant::now();
    repeat_for(Duration::from_secs(seconds), || {
        // The healthy endpoint.
        let token = client.token().expect("a token for the healthy endpoint");
        // The sick one refuses the token, and its repetition.
        if client.reject(&token) {
            accepted += 1;
            let another = client.token().expect("a token for the repetition");
            client.reject(&another);
        } else {
            kept += 1;
        }
        while grants.len() < usize::try_from(emulator.grants()).unwrap() {
            grants.push(begun.elapsed().as_secs());
        }
    });
    let in_minute = |minute| grants.iter().filter(|at| **at / 60 == minute).count();
    assert!(in_minute(0) <= 8, "{grants:?}");
    for minute in 1..=seconds / 60 {
        assert!(in_minute(minute) <= 2, "{grants:?}");
    }
    assert!(
        grants.len() >= 3 && kept > 100,
        "{grants:?}, {accepted} accepted, {kept} kept"
    );
}

/// The service grants only one token at a time, so another client revokes that of this one.
fn second_revocation_within_a_minute_fails_calls_for_at_most_the_interval<C: Caller>() {
    let emulator = start(&[Mode::OnlyNewest], HOUR);
    let (client, other) = (
        C::build(&emulator, Config::default()),
        C::build(&emulator, Config::default()),
    );
    assert!(call(&client, &emulator));
    // The first revocation costs a token and no failed call.
    other.refresh().unwrap();
    assert!(call(&client, &emulator));
    // The second one costs the calls of the interval, which is at most a second, and a round trip.
    other.refresh().unwrap();
    let revoked = Instant::now();
    let mut failed = 0;
    while !call(&client, &emulator) {
        failed += 1;
        assert!(
            revoked.elapsed() < Duration::from_secs(2),
            "{failed} calls failed"
        );
        // The sleep limits the number of calls.
        thread::sleep(Duration::from_millis(5));
    }
    assert!(failed > 0, "the interval begins with the first rejection");
    assert_eq!(emulator.grants(), 5);
}

fn token_expires_by_the_earlier_of_exp_and_expires_in<C: Caller>() {
    for (exp, expires_in) in [(HOUR / 2, HOUR), (HOUR * 2, HOUR)] {
        let emulator = start(&[], exp);
        emulator.script([Reply::token().expires_in(expires_in)]);
        let token = C::build(&emulator, Config::default()).token().unwrap();
        assert_expires_in(&token, exp.min(expires_in));
        assert!(is_accepted(&emulator, token.header_value()));
    }
}

fn wrong_clock_does_not_change_the_lifetime<C: Caller>() {
    for mode in [Mode::ClockAhead, Mode::ClockBehind] {
        // By this machine's clock the token would expire before it is issued or live eleven times
        // as long.
        let emulator = start(&[mode], Duration::from_secs(60));
        let token = C::build(&emulator, Config::default()).token().unwrap();
        assert_expires_in(&token, Duration::from_secs(60));
        assert!(is_accepted(&emulator, token.header_value()));
    }
}

/// The error of a wrong clock.
const SKEW: Duration = Duration::from_secs(600);

fn wrong_date_never_lengthens_the_lifetime<C: Caller>() {
    let now = SystemTime::now();
    for (date, minutes) in [(now + SKEW, 50), (now - SKEW, 60)] {
        let emulator = start(&[], HOUR);
        emulator.script([Reply::token().header(DATE, imf_fixdate(date))]);
        let token = C::build(&emulator, Config::default()).token().unwrap();
        assert_expires_in(&token, Duration::from_secs(60 * minutes));
    }
    // A wrong `Date` looks the same as an old token.
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
fn formats_obsolete_http_dates() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(rfc850(time), "Sunday, 06-Nov-94 08:49:37 GMT");
    assert_eq!(asctime(time), "Sun Nov  6 08:49:37 1994");
}

fn honours_retry_after_in_every_form_under_any_clock<C: Caller>() {
    type Case = (&'static str, Option<Mode>, fn(SystemTime) -> Reply);

    fn throttled(retry_after: impl Into<HeaderValue>) -> Reply {
        Reply::status(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, retry_after)
    }
    // A date has whole seconds, so at least two of these three remain.
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
    // Without `Retry-After` the retry follows immediately.
    let mut config = Config::default();
    config.throttled_backoff = Duration::from_millis(1);
    thread::scope(|scope| {
        for (case, mode, reply) in cases {
            let config = config.clone();
            scope.spawn(move || {
                let emulator = start(mode.as_slice(), HOUR);
                let started = Instant::now();
                emulator.script([reply(SystemTime::now())]);
                let token = C::build(&emulator, config).token().unwrap();
                let waited = started.elapsed();
                // Two or three seconds plus up to one of jitter.
                assert!(waited >= Duration::from_secs(2), "{case}: {waited:?}");
                assert!(waited < Duration::from_secs(6), "{case}: {waited:?}");
                assert_eq!(emulator.requests(), 2, "{case}");
                assert!(is_accepted(&emulator, token.header_value()), "{case}");
            });
        }
    });
}

fn attempt_timeout_limits_the_wait_for_a_slow_server<C: Caller>() {
    let emulator = start(&[], HOUR);
    emulator.script(iter::repeat_n(
        Reply::token().delay(Duration::from_secs(2)),
        2,
    ));
    let started = Instant::now();
    let mut config = Config::default();
    config.attempts = 1;
    config.attempt_timeout = Duration::from_millis(300);
    let error = C::build(&emulator, config).token().unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Timeout)
    );
    assert!(started.elapsed() < Duration::from_millis(1300));

    let token = C::build(&emulator, Config::default()).token().unwrap();
    // The lifetime counts from before the request.
    let left = time_left(&token);
    assert!(left + Duration::from_secs(2) <= HOUR, "{left:?}");
    assert_eq!(emulator.requests(), 2);
}

/// Replies of which every second one fails.
fn flapping() -> impl Iterator<Item = Reply> {
    let failed = Reply::status(StatusCode::INTERNAL_SERVER_ERROR);
    [Reply::token(), failed].into_iter().cycle().take(100)
}

fn alternating_failures_are_hidden_from_callers<C: Caller>() {
    let emulator = start(&[], Duration::from_secs(2));
    emulator.script(flapping());
    let client = C::build(&emulator, Config::default());
    let mut longest = Duration::ZERO;
    repeat_for(Duration::from_millis(3500), || {
        let started = Instant::now();
        client.token().unwrap();
        longest = longest.max(started.elapsed());
    });
    // After a failed refresh ahead, an acquisition follows when the token expires.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let (requests, grants) = (emulator.requests(), emulator.grants());
    assert!((3..=6).contains(&requests), "{requests}");
    assert_eq!(grants, requests.div_ceil(2));

    // If the first attempt fails, the second succeeds.
    let emulator = start(&[], HOUR);
    emulator.script(flapping());
    let clients = [(); 2].map(|()| C::build(&emulator, Config::default()));
    for client in &clients {
        client.token().unwrap();
    }
    assert_eq!((emulator.requests(), emulator.grants()), (3, 2));
}

/// No mode changes how the emulator refuses wrong credentials.
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

/// The program prints one line per mode.
#[cfg(feature = "cli")]
#[test]
fn program_starts_in_each_mode_and_in_all_at_once() {
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
        let printed: Vec<String> = lines
            .skip(1)
            .take_while(|line| line.starts_with("mode "))
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let expected = modes
            .iter()
            .map(|mode| format!("mode {mode}: {}", mode.summary()));
        assert!(printed.iter().cloned().eq(expected), "{printed:?}");
    }
}
