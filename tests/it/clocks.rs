//! The clocks of the clients: those of `std`, which libfaketime can shift, and in the async client
//! tokio's, which a test can pause and advance.

use std::env;
use std::fs;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use meshconnect_auth::emulator::{Emulator, Reply};
use meshconnect_auth::http::StatusCode;
use meshconnect_auth::{Client, Config, Error, ErrorKind, Token, TransportErrorKind, blocking};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{advance, sleep};

use crate::support::files::Directory;
use crate::support::process::{in_own_process, output_within, own_process, processor_time};

const SECOND: Duration = Duration::from_secs(1);

const HOUR: Duration = Duration::from_secs(3600);

/// Long enough that the runtime becomes idle before the response arrives.
const SLOW: Duration = Duration::from_millis(200);

fn emulator() -> Emulator {
    Emulator::builder().expires_in(HOUR).start().unwrap()
}

fn client(emulator: &Emulator) -> Client {
    client_with(emulator, Config::default())
}

fn client_with(emulator: &Emulator, config: Config) -> Client {
    Client::builder(emulator.credentials().clone())
        .endpoint(emulator.endpoint())
        .config(config)
        .build()
        .unwrap()
}

fn paused() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Returns the token and the number of polls of its future.
async fn counted(client: &Client) -> (Result<Token, Error>, u32) {
    let (mut token, mut polls) = (pin!(client.token()), 0);
    let token = poll_fn(|context| {
        polls += 1;
        token.as_mut().poll(context)
    })
    .await;
    (token, polls)
}

#[test]
fn paused_time_does_not_time_out_a_slow_server() {
    let emulator = emulator();
    emulator.script([Reply::token().delay(SLOW)]);
    let client = client(&emulator);
    paused().block_on(async {
        let started = tokio::time::Instant::now();
        let (token, polls) = counted(&client).await;
        token.unwrap();
        assert!(polls < 10, "a busy loop of {polls} polls");
        assert_eq!(started.elapsed(), Duration::ZERO);
    });
    assert_eq!(emulator.requests(), 1);
}

/// How callers wait for a slow server in paused time, and the number of requests that they cause.
const WAITS: [(&str, fn(&Emulator), u64); 5] = [
    ("one caller", |emulator| wait_in_one_runtime(emulator, 1), 1),
    (
        "ten callers",
        |emulator| wait_in_one_runtime(emulator, 10),
        1,
    ),
    ("a refresh ahead", wait_for_a_refresh_ahead, 2),
    ("a failed attempt", wait_for_a_second_attempt, 2),
    // Each runtime has a clock of its own. That of the second must not run while it waits for the first.
    ("two runtimes", wait_in_two_runtimes, 1),
];

/// The server takes a second, a busy loop all the processor time of it.
#[test]
fn waiting_in_paused_time_uses_no_processor_time() {
    if !in_own_process(waiting_in_paused_time_uses_no_processor_time) {
        return;
    }
    for (name, wait, requests) in WAITS {
        let emulator = emulator();
        let (started, before) = (Instant::now(), processor_time());
        wait(&emulator);
        let elapsed = started.elapsed();
        assert!(elapsed > SECOND, "{name}: {elapsed:?}");
        assert_eq!(emulator.requests(), requests, "{name}");
        if let (Some(before), Some(after)) = (before, processor_time()) {
            let used = after.saturating_sub(before);
            assert!(used < SECOND / 4, "{name}: {used:?} of processor time");
        }
    }
}

fn wait_in_one_runtime(emulator: &Emulator, callers: usize) {
    emulator.script([Reply::token().delay(SECOND)]);
    let client = client(emulator);
    paused().block_on(async {
        let call = || {
            tokio::spawn({
                let client = client.clone();
                async move { client.token().await }
            })
        };
        let calls: Vec<_> = (0..callers).map(|_| call()).collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
    });
}

fn wait_for_a_refresh_ahead(emulator: &Emulator) {
    let client = client(emulator);
    paused().block_on(async {
        let first = client.token().await.unwrap();
        emulator.script([Reply::token().delay(SECOND)]);
        advance(HOUR * 4 / 5).await;
        while client.token().await.unwrap() == first {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

fn wait_for_a_second_attempt(emulator: &Emulator) {
    emulator.script([Reply::status(StatusCode::BAD_GATEWAY).delay(SECOND)]);
    let client = client(emulator);
    paused().block_on(client.token()).unwrap();
}

fn wait_in_two_runtimes(emulator: &Emulator) {
    emulator.script([Reply::token().delay(SECOND), Reply::token().delay(SECOND)]);
    let client = client(emulator);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| paused().block_on(client.token()).unwrap());
        }
    });
}

#[test]
fn advanced_time_refreshes_and_expires_a_token() {
    let emulator = emulator();
    let client = client(&emulator);
    paused().block_on(async {
        let first = client.token().await.unwrap();
        advance(HOUR / 2).await;
        assert_eq!(client.token().await.unwrap(), first);

        // 75 % of the lifetime are over, so a refresh ahead starts. The call does not wait for it.
        emulator.script([Reply::token().delay(SLOW)]);
        advance(HOUR / 3).await;
        assert_eq!(client.token().await.unwrap(), first);
        sleep(Duration::from_secs(1)).await;
        let second = client.token().await.unwrap();
        assert_ne!(second, first);
        assert_eq!(emulator.requests(), 2);

        advance(HOUR).await;
        assert_ne!(client.token().await.unwrap(), second);
        assert_eq!(emulator.requests(), 3);
    });
}

/// With paused time, back-offs take no time and attempts take their real time.
#[test]
fn attempts_time_out_under_paused_time() {
    let emulator = emulator();
    emulator.script([Reply::stalled(), Reply::stalled()]);
    let mut config = Config::default();
    config.attempts = 2;
    config.attempt_timeout = SLOW;
    config.backoff = Duration::from_secs(10);
    let client = client_with(&emulator, config);
    let started = Instant::now();
    let (token, polls) = paused().block_on(counted(&client));
    let error = token.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Timeout)
    );
    assert_eq!(error.attempts(), 2);
    assert!(polls < 20, "a busy loop of {polls} polls");
    let elapsed = started.elapsed();
    assert!(
        elapsed > SLOW && elapsed < Duration::from_secs(5),
        "{elapsed:?}"
    );
}

/// Time advanced in one runtime does not affect another. The clock's origin is that of the process, so
/// the first runtime that reads it must be the one whose time is advanced.
#[test]
fn time_advanced_in_one_runtime_does_not_affect_another() {
    if !in_own_process(time_advanced_in_one_runtime_does_not_affect_another) {
        return;
    }
    let emulator = emulator();
    paused().block_on(async {
        advance(HOUR * 100).await;
        client(&emulator).token().await.unwrap();
    });
    let client = client(&emulator);
    let first = paused().block_on(async {
        let first = client.token().await.unwrap();
        advance(HOUR / 2).await;
        assert_eq!(client.token().await.unwrap(), first);
        advance(HOUR).await;
        let second = client.token().await.unwrap();
        assert_ne!(second, first);
        second
    });
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(client.token()).unwrap(), first);
    assert_eq!(emulator.requests(), 3);
}

/// The variable that marks this process as the child of `both_clients_see_faked_time`. It is a later
/// offset.
const CHILD: &str = "MESHCONNECT_CLOCKS_CHILD";

/// Offsets of the clocks at first and later.
const OFFSETS: [(&str, &str); 3] = [("+2h", "+4h"), ("-30d", "-29d"), ("+3650d", "+3651d")];

#[test]
fn both_clients_see_faked_time() {
    let Some(library) = libfaketime() else {
        assert!(env::var_os("CI").is_none(), "libfaketime is missing");
        eprintln!("skipped: libfaketime is missing (the package is called faketime)");
        return;
    };
    for (first, later) in OFFSETS {
        let directory = Directory::new("faketime");
        let offset = directory.file("offset", first);
        let child = own_process(under_faked_time)
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env(CHILD, later)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = output_within(Duration::from_secs(60), child);
        let output = output.expect("the child did not end in time");
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(report.contains("under faked time: checked"), "{report}");
        assert!(output.status.success(), "{first}: {report}");
    }
}

#[test]
#[ignore = "another test runs it under libfaketime"]
fn under_faked_time() {
    let (Some(later), Some(offset)) = (env::var_os(CHILD), env::var_os("FAKETIME_TIMESTAMP_FILE"))
    else {
        return;
    };
    // The modification time of a new file comes from the kernel, not from libfaketime.
    let written = fs::metadata(&offset).unwrap().modified().unwrap();
    let shifted = match SystemTime::now().duration_since(written) {
        Ok(ahead) => ahead,
        Err(behind) => behind.duration(),
    };
    assert!(shifted > HOUR, "libfaketime has no effect: {shifted:?}");

    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (for_async, for_blocking) = (emulator(), emulator());
    let asynchronous = client(&for_async);
    let blocking = blocking::Client::builder(for_blocking.credentials().clone())
        .endpoint(for_blocking.endpoint())
        .build()
        .unwrap();
    let tokens = || {
        [
            runtime.block_on(asynchronous.token()).unwrap(),
            blocking.token().unwrap(),
        ]
    };
    let first = tokens();
    for token in &first {
        let left = token
            .expires_at()
            .duration_since(SystemTime::now())
            .unwrap();
        assert!(left > HOUR / 2 && left <= HOUR, "{left:?}");
    }
    assert_eq!(tokens(), first);
    let held = Token::new("held.by.another", SystemTime::now() + HOUR).unwrap();
    let holder = blocking::Client::builder(for_blocking.credentials().clone())
        .endpoint(for_blocking.endpoint())
        .initial_token(held.clone())
        .build()
        .unwrap();
    assert_eq!(holder.token().unwrap(), held);
    fs::write(&offset, later.as_encoded_bytes()).unwrap();
    let second = tokens();
    assert!(
        second
            .iter()
            .zip(&first)
            .all(|(second, first)| second != first)
    );
    assert_eq!((for_async.requests(), for_blocking.requests()), (2, 2));
    println!("under faked time: checked");
}

fn libfaketime() -> Option<PathBuf> {
    let architecture = format!("/usr/lib/{}-linux-gnu/faketime", env::consts::ARCH);
    [
        architecture.as_str(),
        "/usr/lib/faketime",
        "/usr/lib64/faketime",
        "/usr/local/lib/faketime",
    ]
    .into_iter()
    // The `MT` variant is for programs with threads.
    .flat_map(|folder| {
        ["libfaketimeMT.so.1", "libfaketime.so.1"].map(|name| Path::new(folder).join(name))
    })
    .find(|path| path.exists())
}
