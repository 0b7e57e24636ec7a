//! Processes that run out of threads or file descriptors: at the first call, at a refresh ahead, and
//! between two attempts. The limits belong to a process, so each row runs this binary as a child
//! process, and the server stays with the parent.

mod many;

use std::env;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use meshconnect_auth::{
    Client, Config, Endpoint, Error, ErrorKind, Event, Token, TransportErrorKind, blocking,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use crate::support::files::Directory;
use crate::support::process::{
    copy_of_this_binary, output_within, own_process, own_process_without_privileges, wait_until,
};
use crate::support::server::{Server, response};
use crate::support::tls::Ca;
use crate::support::{EXAMPLE_200, credentials};

/// The variables that tell the child its row: the index, and the server's base URL.
const ROW: &str = "TEST_RESOURCES_ROW";
const BASE_URL: &str = "TEST_RESOURCES_BASE_URL";

const NO_THREADS: &str = "Resource temporarily unavailable";
const NO_DESCRIPTORS: &str = "Too many open files";

/// The time between the start of the pressure and its end, at a refresh ahead.
const PRESSURE: Duration = Duration::from_millis(2500);

/// The time after which a client has recovered from a pressure that ended.
const RECOVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Transport {
    Async,
    Blocking,
}

#[derive(Clone, Copy, Debug)]
enum Taken {
    Threads,
    /// All file descriptors, except this number.
    DescriptorsBut(usize),
}

#[derive(Clone, Copy, Debug)]
enum Address {
    Http,
    HttpByName,
    Https,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    FirstCall,
    Refresh,
    Retry,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    transport: Transport,
    taken: Taken,
    server: Address,
    moment: When,
    /// The words of the operating system in the error, or nothing if the client does not need what is
    /// taken.
    words: Option<&'static str>,
}

/// When a client needs what is taken.
const NEVER: &[When] = &[];
const REFRESH: &[When] = &[When::Refresh];
const FIRST_ATTEMPT: &[When] = &[When::FirstCall, When::Refresh];
const ALWAYS: &[When] = &[When::FirstCall, When::Refresh, When::Retry];

fn rows() -> Vec<Row> {
    use Address::{Http, HttpByName, Https};
    use Taken::{DescriptorsBut, Threads};
    use Transport::{Async, Blocking};
    let mut rows = Vec::new();
    for (transport, taken, server, needed, words) in [
        // Only the look-up of a name needs a thread, and a blocking refresh ahead.
        (Async, Threads, Http, NEVER, NO_THREADS),
        (Async, Threads, HttpByName, ALWAYS, NO_THREADS),
        (Blocking, Threads, Http, REFRESH, NO_THREADS),
        (Blocking, Threads, HttpByName, ALWAYS, NO_THREADS),
        // The async client reads the certificates on a thread, before its first attempt.
        (Async, Threads, Https, FIRST_ATTEMPT, NO_THREADS),
        (Blocking, Threads, Https, REFRESH, NO_THREADS),
        (Async, DescriptorsBut(0), Http, ALWAYS, NO_DESCRIPTORS),
        (Blocking, DescriptorsBut(0), Http, ALWAYS, NO_DESCRIPTORS),
        // The C library reports them as an unknown host.
        (Async, DescriptorsBut(0), HttpByName, ALWAYS, NO_DESCRIPTORS),
        (
            Blocking,
            DescriptorsBut(0),
            HttpByName,
            ALWAYS,
            NO_DESCRIPTORS,
        ),
        (Async, DescriptorsBut(0), Https, ALWAYS, NO_DESCRIPTORS),
        (Blocking, DescriptorsBut(0), Https, ALWAYS, NO_DESCRIPTORS),
        // The certificate files are closed before the connection is opened.
        (Async, DescriptorsBut(1), Https, NEVER, NO_DESCRIPTORS),
        (Blocking, DescriptorsBut(1), Https, NEVER, NO_DESCRIPTORS),
    ] {
        for moment in [When::FirstCall, When::Refresh, When::Retry] {
            let words = needed.contains(&moment).then_some(words);
            rows.push(Row {
                transport,
                taken,
                server,
                moment,
                words,
            });
        }
    }
    rows
}

#[test]
fn exhausted_resources_are_told_and_survived() {
    let directory = Directory::for_all_users("meshconnect-auth-resources");
    let ca = Ca::new();
    let ca_file = directory.file("ca.pem", &ca.pem);
    let binary = copy_of_this_binary(&directory.0);
    let rows = rows();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(index) else { break };
                    if let Err(why) = run(index, *row, &binary, &ca, &ca_file) {
                        failures.lock().unwrap().push(format!("{row:?}: {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let (count, all) = (failures.len(), rows.len());
    assert!(
        failures.is_empty(),
        "{count} of {all} rows failed:\n{}",
        failures.join("\n")
    );
}

/// Runs a row in a child process.
fn run(index: usize, row: Row, binary: &Path, ca: &Ca, ca_file: &Path) -> Result<(), String> {
    let command = match row.taken {
        Taken::Threads => own_process_without_privileges(under_pressure, binary),
        Taken::DescriptorsBut(_) => Ok(own_process(under_pressure)),
    };
    let mut command = match command {
        Ok(command) => command,
        Err(why) => {
            eprintln!("skipped: {row:?}: {why}");
            return Ok(());
        }
    };
    let answers = AtomicUsize::new(0);
    let tls = matches!(row.server, Address::Https).then(|| ca.server("127.0.0.1"));
    let server = Server::start(tls, move |stream| {
        let unavailable = row.moment == When::Retry && answers.fetch_add(1, Ordering::SeqCst) == 0;
        let answer = if unavailable {
            response("503 Service Unavailable", "", "")
        } else {
            response("200 OK", "", EXAMPLE_200)
        };
        stream.write_all(answer.as_bytes())
    });
    let port = server.address.port();
    let base_url = match row.server {
        Address::Http => format!("http://127.0.0.1:{port}"),
        Address::HttpByName => format!("http://localhost:{port}"),
        Address::Https => format!("https://127.0.0.1:{port}"),
    };
    let child = command
        .env(ROW, index.to_string())
        .env(BASE_URL, base_url)
        .env("SSL_CERT_FILE", ca_file)
        .env("SSL_CERT_DIR", "/nonexistent")
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = output_within(Duration::from_secs(60), child).ok_or("the child hangs")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && stdout.contains("under pressure: checked");
    passed.then_some(()).ok_or_else(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        format!("{}\n{stdout}\n{stderr}", output.status)
    })
}

#[test]
#[ignore = "another test runs it in a child process"]
fn under_pressure() {
    let Ok(index) = env::var(ROW) else { return };
    let row = rows()[index.parse::<usize>().unwrap()];
    let pressure = Arc::new(Pressure::new(row.taken));
    match row.moment {
        When::FirstCall => first_call(row, &pressure),
        When::Refresh => refresh(row, &pressure),
        When::Retry => retry(row, &pressure),
    }
    println!("under pressure: checked");
}

fn config() -> Config {
    let mut config = Config::default();
    config.backoff = Duration::from_millis(200);
    config.throttled_backoff = Duration::from_millis(200);
    config
}

fn first_call(row: Row, pressure: &Pressure) {
    let client = Any::new(row, config(), None, |_| {});
    pressure.begin();
    let result = client.token();
    pressure.end();
    match row.words {
        None => drop(result.unwrap()),
        Some(words) => {
            let error = result.unwrap_err();
            check(&error, words);
            assert_eq!(error.attempts(), 3, "{error:?}");
        }
    }
    recovers(&client, None);
}

fn refresh(row: Row, pressure: &Pressure) {
    let mut config = config();
    config.refresh_ahead_percent = 90;
    config.refresh_jitter_percent = 0;
    let life = Duration::from_secs(15);
    let held = Token::new("held.before.the.pressure", SystemTime::now() + life).unwrap();
    let errors = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&errors);
    let client = Any::new(row, config, Some(&held), move |event| {
        seen.lock().unwrap().extend(event.error().cloned());
    });
    client.wait(life / 10);
    pressure.begin();
    let begun = Instant::now();
    let mut replaced = false;
    while begun.elapsed() < PRESSURE {
        replaced |= client.token().unwrap() != held;
        client.wait(Duration::from_millis(10));
    }
    pressure.end();
    let errors = errors.lock().unwrap().clone();
    match row.words {
        None => assert!(replaced && errors.is_empty(), "{errors:?}"),
        Some(words) => {
            assert!(!replaced);
            // The delay after a failed refresh is at least a second.
            assert!((1..=3).contains(&errors.len()), "{errors:?}");
            for error in &errors {
                check(error, words);
            }
        }
    }
    recovers(&client, Some(&held));
}

fn retry(row: Row, pressure: &Arc<Pressure>) {
    let errors = Arc::new(Mutex::new(Vec::new()));
    let (seen, switch) = (Arc::clone(&errors), Arc::clone(pressure));
    let client = Any::new(row, config(), None, move |event| {
        if let Event::Retry { number, error, .. } = event {
            seen.lock().unwrap().push(error.clone());
            match number {
                1 => switch.begin(),
                _ => switch.end(),
            }
        }
    });
    let result = client.token();
    pressure.end();
    result.unwrap();
    match (&errors.lock().unwrap()[..], row.words) {
        ([first], None) => assert_eq!(first.http_status().map(|status| status.as_u16()), Some(503)),
        ([_, second], Some(words)) => check(second, words),
        (errors, _) => panic!("{errors:?}"),
    }
}

fn check(error: &Error, words: &str) {
    let client = ErrorKind::Transport(TransportErrorKind::Client);
    assert_eq!(error.kind(), client, "{error:?}");
    assert!(error.report().to_string().contains(words), "{error:?}");
}

/// Checks that the client gets a new token soon, whatever cooldown or delay runs.
fn recovers(client: &Any, held: Option<&Token>) {
    let ended = Instant::now();
    wait_until(|| {
        client.wait(Duration::from_millis(10));
        client.token().is_ok_and(|token| Some(&token) != held)
    });
    let elapsed = ended.elapsed();
    assert!(elapsed < RECOVERY, "{elapsed:?}");
}

/// A client of either kind, with the runtime that it needs.
enum Any {
    Async(Client, Runtime),
    Blocking(blocking::Client),
}

impl Any {
    fn new(
        row: Row,
        config: Config,
        token: Option<&Token>,
        observer: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Self {
        let endpoint = Endpoint::parse(&env::var(BASE_URL).unwrap()).unwrap();
        // The builders share their methods but no trait.
        macro_rules! build {
            ($client:ty) => {{
                let mut builder = <$client>::builder(credentials())
                    .endpoint(endpoint)
                    .config(config)
                    .observer(observer);
                if let Some(token) = token {
                    builder = builder.initial_token(token.clone());
                }
                builder.build().unwrap()
            }};
        }
        match row.transport {
            Transport::Async => {
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    // An idle thread would serve the next attempt.
                    .thread_keep_alive(Duration::from_millis(1))
                    .build();
                Self::Async(build!(Client), runtime.unwrap())
            }
            Transport::Blocking => Self::Blocking(build!(blocking::Client)),
        }
    }

    fn token(&self) -> Result<Token, Error> {
        match self {
            Self::Async(client, runtime) => runtime.block_on(client.token()),
            Self::Blocking(client) => client.token(),
        }
    }

    /// Waits, so that a refresh ahead can run.
    fn wait(&self, time: Duration) {
        match self {
            Self::Async(_, runtime) => runtime.block_on(async { tokio::time::sleep(time).await }),
            Self::Blocking(_) => thread::sleep(time),
        }
    }
}

/// Takes a resource away from this process, and gives it back.
struct Pressure {
    taken: Taken,
    resource: Resource,
    usual: Rlimit,
    files: Mutex<Vec<File>>,
}

impl Pressure {
    fn new(taken: Taken) -> Self {
        let resource = match taken {
            Taken::Threads => Resource::Nproc,
            Taken::DescriptorsBut(_) => Resource::Nofile,
        };
        Self {
            taken,
            resource,
            usual: getrlimit(resource),
            files: Mutex::default(),
        }
    }

    fn begin(&self) {
        match self.taken {
            Taken::Threads | Taken::DescriptorsBut(0) => self.limit(0),
            Taken::DescriptorsBut(spare) => {
                self.limit(100);
                let mut files = self.files.lock().unwrap();
                while let Ok(file) = File::open("/dev/null") {
                    files.push(file);
                }
                let kept = files.len() - spare;
                files.truncate(kept);
            }
        }
    }

    fn end(&self) {
        self.files.lock().unwrap().clear();
        setrlimit(self.resource, self.usual).unwrap();
    }

    fn limit(&self, current: u64) {
        let current = Some(current);
        setrlimit(
            self.resource,
            Rlimit {
                current,
                ..self.usual
            },
        )
        .unwrap();
    }
}
