//! Faulty proxies. Environment variables configure a proxy and belong to a process, so each row
//! runs the program. Its whole output is searched for secrets.

use std::io::{self, Read};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::faults::peer::Peer;
use crate::faults::row::{GRANTED, Row};
use crate::faults::run::for_each;
use crate::support::EXAMPLE_200;
use crate::support::files::CaFile;
use crate::support::server::response;
use crate::support::tls::Ca;
use crate::support::{SECRET, TOKEN};

const VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// A proxy's password. It is as secret as the client's, but the library cannot mask it in what a
/// server echoes.
const PASSWORD: &str = "canary-pass-word-98765";

const ESTABLISHED: &str = "HTTP/1.1 200 Connection Established\r\n\r\n";

/// The time that a process may take in excess of the attempt's time-out.
const OVERHEAD: Duration = Duration::from_secs(3);

/// What a proxy does, and how the program must end.
struct Case {
    name: &'static str,
    proxy: Row,
    /// The text before the address in the variable.
    scheme: String,
    host: &'static str,
    timeout: Duration,
    /// The expected exit code and words on stderr.
    code: i32,
    stderr: &'static str,
    /// The words on stderr with ureq if they differ, and why.
    but_ureq: Option<(&'static str, &'static str)>,
}

impl Case {
    fn new(
        name: &'static str,
        stderr: &'static str,
        serve: impl Fn(Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            // The row's outcome is unused: the case checks the program's output instead.
            proxy: Row::serves(name, GRANTED, serve),
            scheme: "http://".to_owned(),
            host: "proxied.invalid",
            timeout: Duration::from_secs(5),
            code: 4,
            stderr,
            but_ureq: None,
        }
    }

    /// Returns a case whose proxy reads the CONNECT and then runs `serve`.
    fn after_connect(
        name: &'static str,
        stderr: &'static str,
        serve: impl Fn(Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, stderr, move |mut peer| {
            peer.request()?;
            serve(peer)
        })
    }

    /// Returns a case whose proxy tunnels to a server with a certificate of `ca` for `shown`.
    fn tunnels(name: &'static str, stderr: &'static str, ca: &Ca, shown: &str) -> Self {
        let config = ca.server(shown);
        Self::after_connect(name, stderr, move |mut peer| {
            peer.send(ESTABLISHED)?;
            let mut server = peer.encrypted(Arc::clone(&config));
            server.request()?;
            server.send(response("200 OK", "", EXAMPLE_200))?;
            server.close()
        })
    }

    fn but_ureq(mut self, stderr: &'static str, why: &'static str) -> Self {
        assert!(!why.is_empty());
        self.but_ureq = Some((stderr, why));
        self
    }

    fn short_timeout(mut self) -> Self {
        self.timeout = Duration::from_secs(2);
        self
    }

    fn run(&self, transport: &str, ca: &CaFile) -> Result<(), String> {
        let listening = self.proxy.listen();
        let proxy = format!("{}127.0.0.1:{}", self.scheme, listening.port);
        let started = Instant::now();
        let base_url = format!("https://{}", self.host);
        let run = run(
            transport,
            &base_url,
            self.timeout,
            &[("HTTPS_PROXY", &proxy)],
            ca,
        );
        let elapsed = started.elapsed();
        let stderr = match self.but_ureq {
            Some((stderr, _why)) if transport == "blocking" => stderr,
            _ => self.stderr,
        };
        let stdout = match self.code {
            0 => format!("{TOKEN}\n"),
            _ => String::new(),
        };
        // The line names the server and the proxy, without its password.
        let scheme = self.scheme.split("://").next().unwrap_or_default();
        let place = format!(
            " ({base_url}, through the proxy {scheme}://127.0.0.1:{})\n",
            listening.port
        );
        let passed = run.code == Some(self.code)
            && run.stderr.contains(stderr)
            && (self.code == 0 || run.stderr.contains(&place))
            && run.stdout == stdout
            && listening.connections() == 1
            && elapsed < self.timeout + OVERHEAD;
        if passed {
            return Ok(());
        }
        let code = self.code;
        Err(format!(
            "\n  expected {stderr:?} and exit code {code}: {elapsed:?}, {run:?}"
        ))
    }
}

#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program with `--verbose`.
fn run(
    transport: &str,
    base_url: &str,
    timeout: Duration,
    variables: &[(&str, &str)],
    ca: &CaFile,
) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_meshconnect-auth"))
        .args(["token", "--verbose", "--max-attempts", "1"])
        .args(["--timeout", &format!("{}ms", timeout.as_millis())])
        .args(["--transport", transport, "--base-url", base_url])
        .env_clear()
        .env("MESHCONNECT_CLIENT_ID", "id")
        .env("MESHCONNECT_CLIENT_SECRET", SECRET)
        .env("SSL_CERT_FILE", ca.path())
        .env("SSL_CERT_DIR", "/nonexistent")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    for canary in [SECRET, TOKEN, PASSWORD] {
        for piece in canary.as_bytes().windows(12) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!stderr.contains(piece), "{piece:?} leaked: {stderr}");
        }
    }
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr,
    }
}

const NO_CONNECTION: &str = "no connection to the server could be made";
const NOT_IN_TIME: &str = "the server did not answer in time";
const BROKEN_OFF: &str = "the connection to the server broke off";
const NO_TLS: &str = "the TLS handshake with the server failed";
const NOT_HTTP: &str = "the server's answer is not HTTP";
const UNSPECIFIC: &str = "reqwest reports only that a CONNECT failed";
const NO_CERTIFICATE: &str = "the server's certificate could not be verified";

fn cases(ca: &Ca) -> Vec<Case> {
    let echo = response(
        "407 Proxy Authentication Required",
        &format!("Proxy-Authenticate: Basic realm=\"{SECRET}\"\r\nX-Request-Id: {SECRET}\r\n"),
        &format!("{SECRET} {TOKEN} {PASSWORD}"),
    );
    let (again, echo_of_password) = (echo.clone(), echo.clone());
    let with_password = |case: Case| Case {
        scheme: format!("http://user:{PASSWORD}@"),
        ..case
    };
    let with_host = |host: &'static str, case: Case| Case { host, ..case };
    let succeeds = |case: Case| Case { code: 0, ..case };
    vec![
        succeeds(Case::tunnels("a working proxy", "", ca, "proxied.invalid")),
        succeeds(with_password(Case::tunnels(
            "a proxy with a password",
            "",
            ca,
            "proxied.invalid",
        ))),
        Case::after_connect(
            "a 407 that echoes secrets",
            NO_CONNECTION,
            move |mut peer| peer.send(&echo),
        ),
        with_password(Case::after_connect(
            "a 407 that echoes the password",
            NO_CONNECTION,
            move |mut peer| peer.send(&echo_of_password),
        )),
        Case::after_connect("a 407 that stalls", NO_CONNECTION, move |mut peer| {
            peer.send(&again[..again.len() - 5])?;
            peer.stall()
        })
        .short_timeout(),
        Case::after_connect("an endless 403", NO_CONNECTION, |mut peer| {
            peer.send("HTTP/1.1 403 Forbidden\r\n\r\n")?;
            peer.flood(SECRET)
        }),
        Case::after_connect("a redirect", NO_CONNECTION, |mut peer| {
            let location = format!("Location: http://{}/\r\n", peer.address());
            peer.send(response("302 Found", &location, ""))
        }),
        Case::after_connect("a 502 with a page", NO_CONNECTION, |mut peer| {
            peer.send(response(
                "502 Bad Gateway",
                "",
                &format!("<html>{SECRET}</html>"),
            ))
        }),
        Case::after_connect("a response that is not HTTP", NO_CONNECTION, |mut peer| {
            peer.send(format!("SSH-2.0-{SECRET}\r\n\r\n"))
        })
        .but_ureq(NOT_HTTP, UNSPECIFIC),
        Case::after_connect("endless headers", NO_CONNECTION, |mut peer| {
            peer.send("HTTP/1.1 200 OK\r\n")?;
            peer.flood("X-Flood: y\r\n")
        })
        .but_ureq(NOT_HTTP, UNSPECIFIC),
        Case::after_connect("no response", NOT_IN_TIME, |mut peer| peer.stall()).short_timeout(),
        Case::after_connect("closed after the CONNECT", NO_CONNECTION, |_peer| Ok(())),
        Case::after_connect("reset after the CONNECT", BROKEN_OFF, Peer::reset),
        // The program may notice the close while writing or while reading.
        Case::new("closed immediately", "connection to the server", |_peer| {
            Ok(())
        }),
        Case::after_connect("a tunnel that stalls", NOT_IN_TIME, |mut peer| {
            peer.send(ESTABLISHED)?;
            peer.stall()
        })
        .short_timeout(),
        Case::after_connect("a tunnel that closes", BROKEN_OFF, |mut peer| {
            peer.send(ESTABLISHED)
        }),
        Case::after_connect("a tunnel to plaintext", NO_TLS, |mut peer| {
            peer.send(ESTABLISHED)?;
            // Sent later, because reqwest would take it for a part of the proxy's response and wait
            // for more.
            peer.read_exact(&mut [0; 5])?;
            peer.send(response("200 OK", "", EXAMPLE_200))?;
            peer.stall()
        }),
        Case::tunnels(
            "a tunnel to a server of an unknown CA",
            NO_CERTIFICATE,
            &Ca::new(),
            "proxied.invalid",
        ),
        Case::tunnels(
            "a tunnel to another server",
            NO_CERTIFICATE,
            ca,
            "other.invalid",
        ),
        succeeds(with_host(
            "a.b.invalid",
            Case::tunnels("a wildcard", "", ca, "*.b.invalid"),
        )),
        with_host(
            "b.invalid",
            Case::tunnels(
                "a wildcard for the parent domain",
                NO_CERTIFICATE,
                ca,
                "*.b.invalid",
            ),
        ),
        with_host(
            "a.b.invalid",
            Case::tunnels("a wildcard too wide", NO_CERTIFICATE, ca, "*.invalid"),
        ),
        with_host(
            "a.b.invalid",
            Case::tunnels("two wildcards", NO_CERTIFICATE, ca, "*.*.invalid"),
        ),
        with_host(
            "a.b.invalid",
            Case::tunnels(
                "a wildcard in the middle",
                NO_CERTIFICATE,
                ca,
                "a.*.invalid",
            ),
        ),
        with_host(
            "ab.b.invalid",
            Case::tunnels("a partial wildcard", NO_CERTIFICATE, ca, "a*.b.invalid"),
        ),
    ]
}

fn for_both_transports(test: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        for transport in ["async", "blocking"] {
            let test = &test;
            scope.spawn(move || test(transport));
        }
    });
}

#[test]
fn faulty_proxies_fail_cleanly() {
    let ca = Ca::new();
    let file = CaFile::new("faults-proxy.pem", &ca);
    let cases = cases(&ca);
    let rows: Vec<_> = ["async", "blocking"]
        .into_iter()
        .flat_map(|transport| cases.iter().map(move |case| (transport, case)))
        .collect();
    for_each(
        &rows,
        |(transport, case)| format!("{}, {transport}", case.name),
        |(transport, case)| case.run(transport, &file),
    );
}

/// Each variable alone. Other tests set all of them at once.
#[test]
fn no_proxy_variable_affects_loopback_requests() {
    let ca = Ca::new();
    let file = CaFile::new("faults-loopback.pem", &ca);
    let tls = ca.server("localhost");
    let responds = || Row::responds("a token", response("200 OK", "", EXAMPLE_200), GRANTED);
    for_both_transports(|transport| {
        let (proxy, plain) = (responds().listen(), responds().listen());
        let encrypted = responds().encrypted(Arc::clone(&tls)).listen();
        let url = format!("http://127.0.0.1:{}", proxy.port);
        for variable in VARIABLES {
            for server in [
                format!("http://127.0.0.1:{}", plain.port),
                format!("https://localhost:{}", encrypted.port),
            ] {
                let run = run(
                    transport,
                    &server,
                    Duration::from_secs(5),
                    &[(variable, &url)],
                    &file,
                );
                assert_eq!(
                    run.code,
                    Some(0),
                    "{transport}, {variable}, {server}: {run:?}"
                );
                assert_eq!(run.stdout, format!("{TOKEN}\n"));
            }
        }
        assert_eq!(proxy.connections(), 0, "{transport}");
        assert_eq!(
            (plain.requests(), encrypted.requests()),
            (6, 6),
            "{transport}"
        );
    });
}
