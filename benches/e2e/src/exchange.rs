//! Measures a token exchange with a new and with a used client, next to the plain HTTP client.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use meshconnect_auth::{Client, Credentials, Endpoint, blocking};
use tokio::runtime::{Builder, Runtime};

use crate::programs;
use crate::rounds::{Row, measure};
use crate::server::{self, Ca, CaFile, Server, TOKEN};

pub fn table(rounds: usize) {
    println!("## Exchange: {rounds} rounds\n");
    println!("| exchange | row | median | middle half | ours / bare |\n|---|---|--:|--:|--:|");
    let ca = Ca::new();
    let (http, https) = (Server::http(), Server::https(&ca));
    rows("http", &http, None, rounds);
    rows("https, one CA", &https, Some(&ca.der), rounds);
    match server::platform() {
        Some(platform) => trusting_platform(rounds, &platform),
        None => println!("\nthe platform's CAs: skipped, there is no bundle"),
    }
    println!();
}

/// Starts this program again as [`child`], because a variable names the platform's CAs and must be
/// set before a process starts.
fn trusting_platform(rounds: usize, platform: &str) {
    let file = CaFile::new("platform.pem");
    fs::write(&file.0, platform).unwrap();
    let mut child = programs::clean(&env::current_exe().unwrap());
    child.env(CA_FILE, &file.0);
    child.args(["exchange-child", &rounds.to_string()]);
    assert!(child.status().unwrap().success());
}

/// The variable that names the platform's CAs for both verifiers.
const CA_FILE: &str = "SSL_CERT_FILE";

/// Runs in the child of `table`, after adding a CA to the platform's.
pub fn child(rounds: usize) {
    let ca = Ca::new();
    let path = env::var_os(CA_FILE).map(PathBuf::from).unwrap();
    ca.write(&path, &fs::read_to_string(&path).unwrap());
    rows(
        "https, the platform's CAs",
        &Server::https(&ca),
        None,
        rounds,
    );
}

fn rows(name: &str, server: &Server, ca: Option<&[u8]>, rounds: usize) {
    for (kind, cold) in [("cold", true), ("warm", false)] {
        let asynchronous = |threads| asynchronous(server, ca, cold, threads);
        for mut pair in [
            asynchronous(Threads::One),
            asynchronous(Threads::Many),
            blocking(server, ca, cold),
        ] {
            let times = measure(&mut pair, rounds);
            let ratio = times[0].median() / times[1].median();
            for (row, times, ratio) in [
                (&pair[0], &times[0], format!("{ratio:.3}")),
                (&pair[1], &times[1], String::new()),
            ] {
                let cells = times.cells();
                println!("| {name}, {kind} | {} | {cells} | {ratio} |", row.name);
            }
        }
    }
}

/// The kind of tokio runtime.
#[derive(Clone, Copy)]
enum Threads {
    /// A current-thread runtime that is entered for each call.
    One,
    /// A multi-threaded runtime, as in services, where the caller is a task.
    Many,
}

impl Threads {
    fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::One => Builder::new_current_thread(),
            Self::Many => Builder::new_multi_thread(),
        };
        builder.enable_all().build().unwrap()
    }

    /// Returns the result of a call and the time of its completion.
    fn run<T>(
        self,
        runtime: &Runtime,
        call: impl Future<Output = T> + Send + 'static,
    ) -> (T, Instant)
    where
        T: Send + 'static,
    {
        let call = async { (call.await, Instant::now()) };
        match self {
            Self::One => runtime.block_on(call),
            Self::Many => runtime.block_on(runtime.spawn(call)).unwrap(),
        }
    }
}

/// Builds a client of the given type. A macro, because the builders share method names but no
/// trait.
macro_rules! client {
    ($client:ty, $url:expr, $ca:expr) => {{
        let builder = <$client>::builder(Credentials::new("id", "secret").unwrap())
            .endpoint(Endpoint::parse($url).unwrap());
        let builder = match $ca {
            Some(ca) => builder.root_certificate_der(ca),
            None => builder,
        };
        builder.build().unwrap()
    }};
}

/// Returns a pair of rows. With more than two rows, each would always follow the same other row and
/// pay for its leftovers. For the same reason each row has its own runtime and waits, outside of
/// its time, until the server is idle.
fn asynchronous<'a>(
    server: &'a Server,
    ca: Option<&'a [u8]>,
    cold: bool,
    threads: Threads,
) -> [Row<'a>; 2] {
    let [ours, bare] = [(); 2].map(|()| Rc::new(threads.runtime()));
    let [our_wait, bare_wait] = [&ours, &bare].map(|runtime| {
        let runtime = Rc::clone(runtime);
        move || {
            runtime.block_on(async {
                while server.is_busy() {
                    tokio::time::sleep(Duration::from_micros(50)).await;
                }
            });
        }
    });
    let url = &server.url;
    let https = url.starts_with("https:");
    let [our_name, bare_name] = match threads {
        Threads::One => ["meshconnect-auth", "reqwest"],
        Threads::Many => [
            "meshconnect-auth, called by a task",
            "reqwest, called by a task",
        ],
    };
    [
        Row::new(
            our_name,
            timed(
                cold,
                move || client!(Client, url, ca),
                move |client: &Client| {
                    let client = client.clone();
                    let call = async move { client.refresh().await.unwrap() };
                    let (token, end) = threads.run(&ours, call);
                    assert_eq!(token.id_token(), TOKEN);
                    end
                },
                our_wait,
            ),
        ),
        Row::new(
            bare_name,
            timed(
                cold,
                move || bare_reqwest::client(https, ca).unwrap(),
                move |client| {
                    let (client, url) = (client.clone(), url.clone());
                    let call = async move { bare_reqwest::token(&client, &url).await.ok() };
                    let (token, end) = threads.run(&bare, call);
                    assert_eq!(token.unwrap(), TOKEN);
                    end
                },
                bare_wait,
            ),
        ),
    ]
}

fn blocking<'a>(server: &'a Server, ca: Option<&'a [u8]>, cold: bool) -> [Row<'a>; 2] {
    let url = &server.url;
    let https = url.starts_with("https:");
    let wait_for_idle_server = || {
        while server.is_busy() {
            thread::sleep(Duration::from_micros(50));
        }
    };
    [
        Row::new(
            "meshconnect-auth, blocking",
            timed(
                cold,
                move || client!(blocking::Client, url, ca),
                |client: &blocking::Client| {
                    assert_eq!(client.refresh().unwrap().id_token(), TOKEN);
                    Instant::now()
                },
                wait_for_idle_server,
            ),
        ),
        Row::new(
            "ureq",
            timed(
                cold,
                move || bare_ureq::agent(https, ca),
                move |agent| {
                    assert_eq!(bare_ureq::token(agent, url).unwrap(), TOKEN);
                    Instant::now()
                },
                wait_for_idle_server,
            ),
        ),
    ]
}

/// Returns a call that measures one exchange. Cold creates a new client for each exchange and
/// measures its construction. Warm reuses the client. `exchange` returns the time of its
/// completion.
fn timed<'a, C: 'a>(
    cold: bool,
    make: impl Fn() -> C + 'a,
    exchange: impl Fn(&C) -> Instant + 'a,
    wait_for_idle_server: impl Fn() + 'a,
) -> impl FnMut() -> Duration + 'a {
    let mut kept = None;
    move || {
        if cold {
            kept = None;
        }
        let start = Instant::now();
        let end = exchange(kept.get_or_insert_with(&make));
        wait_for_idle_server();
        end - start
    }
}
