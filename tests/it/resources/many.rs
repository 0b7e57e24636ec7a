//! A thousand clients in one process that has no threads and no file descriptors to spare.

use std::env;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use meshconnect_auth::{Client, Config, Endpoint, Error, Token, blocking};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{BASE_URL, Pressure, RECOVERY, Taken};
use crate::support::files::Directory;
use crate::support::process::{copy_of_this_binary, output_within, own_process_without_privileges};
use crate::support::server::{Server, response};
use crate::support::{EXAMPLE_200, TOKEN, credentials};

/// The variable that sets how long the pressure lasts, in seconds. The full test takes a minute.
const SECONDS: &str = "TEST_RESOURCES_SECONDS";

const CLIENTS_OF_EACH_KIND: usize = 500;

/// The events of a first acquisition with three attempts, and of the first three probes, which follow
/// within 9 s. In a minute there are less than one a second.
const FIRST_EVENTS: u64 = 16;

/// The pause between two calls of one caller.
const PAUSE: Duration = Duration::from_millis(50);

fn seconds() -> u64 {
    env::var(SECONDS).map_or(9, |seconds| seconds.parse().unwrap())
}

#[test]
fn a_thousand_clients_survive_exhausted_resources() {
    let directory = Directory::for_all_users("meshconnect-auth-many");
    let binary = copy_of_this_binary(&directory.0);
    let mut command = match own_process_without_privileges(many_under_pressure, &binary) {
        Ok(command) => command,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let server = Server::respond(response("200 OK", "", EXAMPLE_200));
    let child = command
        .env(
            BASE_URL,
            format!("http://localhost:{}", server.address.port()),
        )
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(seconds() + 30);
    let output = output_within(limit, child).expect("the child hangs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("many under pressure: checked"), "{stdout}");
    assert!(output.status.success(), "{stdout}");
    println!("{stdout}");
}

/// What is known of one client and its caller.
#[derive(Default)]
struct Seen {
    events: AtomicU64,
    calls: AtomicU64,
    has_new_token: AtomicBool,
    /// The last error, for the message of a failed test.
    error: Mutex<Option<Error>>,
}

impl Seen {
    fn call(&self, result: &Result<Token, Error>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        *self.error.lock().unwrap() = result.as_ref().err().cloned();
        if result.as_ref().is_ok_and(|token| token.id_token() == TOKEN) {
            self.has_new_token.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
#[ignore = "another test runs it in a child process"]
fn many_under_pressure() {
    let Ok(base_url) = env::var(BASE_URL) else {
        return;
    };
    let endpoint = Endpoint::parse(&base_url).unwrap();
    let usual = getrlimit(Resource::Nofile);
    let current = usual.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..usual }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let all: Vec<Arc<Seen>> = (0..2 * CLIENTS_OF_EACH_KIND)
        .map(|_| Arc::default())
        .collect();
    let began = Arc::new(AtomicBool::new(false));
    for (number, seen) in all.iter().enumerate() {
        let (seen, began) = (Arc::clone(seen), Arc::clone(&began));
        let counted = Arc::clone(&seen);
        // The builders share their methods but no trait.
        macro_rules! build {
            ($client:ty) => {{
                let mut builder = <$client>::builder(credentials())
                    .endpoint(endpoint.clone())
                    .config(config())
                    .observer(move |_| {
                        counted.events.fetch_add(1, Ordering::Relaxed);
                    });
                // Half of the clients have a token, which they refresh and then lose.
                if number % 4 < 2 {
                    builder = builder.initial_token(held());
                }
                builder.build().unwrap()
            }};
        }
        if number % 2 == 0 {
            let client = build!(Client);
            runtime.spawn(async move {
                while !began.load(Ordering::Relaxed) {
                    tokio::time::sleep(PAUSE).await;
                }
                loop {
                    seen.call(&client.token().await);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        } else {
            let client = build!(blocking::Client);
            thread::spawn(move || {
                while !began.load(Ordering::Relaxed) {
                    thread::sleep(PAUSE);
                }
                loop {
                    seen.call(&client.token());
                    thread::sleep(PAUSE);
                }
            });
        }
    }
    check(&all, &began);
    println!("many under pressure: checked");
    runtime.shutdown_background();
}

fn check(all: &[Arc<Seen>], began: &AtomicBool) {
    let threads = Pressure::new(Taken::Threads);
    let descriptors = Pressure::new(Taken::DescriptorsBut(0));
    let third = Duration::from_secs(seconds()) / 3;
    // The sleeps are the time under pressure.
    threads.begin();
    began.store(true, Ordering::Relaxed);
    thread::sleep(third);
    descriptors.begin();
    thread::sleep(third);
    threads.end();
    // A call that hangs makes no other one in the last third.
    for seen in all {
        seen.calls.store(0, Ordering::Relaxed);
    }
    thread::sleep(third);
    for (number, seen) in all.iter().enumerate() {
        let events = seen.events.load(Ordering::Relaxed);
        let limit = seconds().max(FIRST_EVENTS);
        assert!(events <= limit, "client {number}: {events} events");
        let calls = seen.calls.swap(0, Ordering::Relaxed);
        assert!(calls > 0, "client {number} hangs");
        let recovered = seen.has_new_token.load(Ordering::Relaxed);
        assert!(!recovered, "client {number} is under no pressure");
    }
    descriptors.end();
    let ended = Instant::now();
    let waiting = || {
        let waits = |seen: &&Arc<Seen>| !seen.has_new_token.load(Ordering::Relaxed);
        all.iter().filter(waits).count()
    };
    while waiting() > 0 {
        let elapsed = ended.elapsed();
        let error = || {
            all.iter()
                .find_map(|seen| seen.error.lock().unwrap().clone())
        };
        assert!(
            elapsed < RECOVERY,
            "{} wait after {elapsed:?}, one with {:?}",
            waiting(),
            error()
        );
        thread::sleep(PAUSE);
    }
    println!("recovered after {:?}", ended.elapsed());
}

fn config() -> Config {
    let mut config = Config::default();
    config.refresh_ahead_percent = 90;
    config.refresh_jitter_percent = 0;
    config
}

/// Returns a token that is due for a refresh early in the test, and ends before it.
fn held() -> Token {
    let life = Duration::from_secs(seconds()) * 2 / 3;
    Token::new("held.before.the.pressure", SystemTime::now() + life).unwrap()
}
