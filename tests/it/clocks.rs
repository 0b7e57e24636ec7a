//! The clocks of the clients: those of `std`, which libfaketime can shift, and in the async client
//! tokio's, which a test can pause and advance.

use std::env;
use std::fs;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use meshconnect_auth::emulator::{Emulator, Reply};
use meshconnect_auth::{Client, Config, Error, ErrorKind, Token, TransportErrorKind, blocking};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{advance, sleep};

use crate::support::process::{in_own_process, output_within, own_process};

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

/// The variable that marks this process as the child of `both_clients_see_faked_time`.
const CHILD: &str = "MESHCONNECT_CLOCKS_CHILD";

#[test]
fn both_clients_see_faked_time() {
    let Some(library) = libfaketime() else {
        assert!(env::var_os("CI").is_none(), "libfaketime is missing");
        eprintln!("skipped: libfaketime is missing (the package is called faketime)");
        return;
    };
    let offset = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faketime-offset");
    fs::write(&offset, "+2h").unwrap();
    let child = own_process(under_faked_time)
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &offset)
        .env("FAKETIME_NO_CACHE", "1")
        .env(CHILD, &offset)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output =
        output_within(Duration::from_secs(60), child).expect("the child did not end in time");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("under faked time: checked"), "{report}");
    assert!(output.status.success(), "{report}");
    fs::remove_file(&offset).unwrap();
}

#[test]
#[ignore = "another test runs it under libfaketime"]
fn under_faked_time() {
    let Some(offset) = env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    // The modification time of a new file comes from the kernel, not from libfaketime.
    let written = fs::metadata(&offset).unwrap().modified().unwrap();
    let ahead = SystemTime::now().duration_since(written).unwrap();
    assert!(ahead > HOUR, "libfaketime has no effect: {ahead:?}");

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
    fs::write(&offset, "+4h").unwrap();
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
