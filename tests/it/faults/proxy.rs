//! Proxies that do as they please. They are named by variables, and those belong to a process, so
//! each row is a run of the program; its whole output is searched.

use std::io::{self, Read};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::faults::peer::Peer;
use crate::faults::row::{Row, TOKEN_SEEN};
use crate::faults::run::for_each;
use crate::support::EXAMPLE_200;
use crate::support::files::CaFile;
use crate::support::server::answer;
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

/// A proxy's password, which is no less secret, and of which the library knows nothing.
const PASSWORD: &str = "canary-pass-word-98765";

const ESTABLISHED: &str = "HTTP/1.1 200 Connection Established\r\n\r\n";

/// How long a process may take to begin and to end.
const OVERHEAD: Duration = Duration::from_secs(3);

/// What a proxy does, and what must come of it.
struct Case {
    name: &'static str,
    proxy: Row,
    /// What stands before the address in the variable.
    scheme: String,
    host: &'static str,
    timeout: Duration,
    /// The exit code, and words on stderr.
    code: i32,
    says: &'static str,
    /// What is said over ureq instead, and why.
    but_ureq: Option<(&'static str, &'static str)>,
}

impl Case {
    fn new(
        name: &'static str,
        says: &'static str,
        serve: impl Fn(Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            // What the caller must see is the program's affair here.
            proxy: Row::serves(name, TOKEN_SEEN, serve),
            scheme: "http://".to_owned(),
            host: "proxied.invalid",
            timeout: Duration::from_secs(5),
            code: 4,
            says,
            but_ureq: None,
        }
    }

    /// The proxy reads the CONNECT, and goes on as `serve` says.
    fn goes_on(
        name: &'static str,
        says: &'static str,
        serve: impl Fn(Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, says, move |mut peer| {
            peer.request()?;
            serve(peer)
        })
    }

    /// The proxy connects to a server that shows a certificate of `ca` for `name`.
    fn tunnels(name: &'static str, says: &'static str, ca: &Ca, shown: &str) -> Self {
        let config = ca.server(shown);
        Self::goes_on(name, says, move |mut peer| {
            peer.say(ESTABLISHED)?;
            let mut server = peer.encrypted(Arc::clone(&config));
            server.request()?;
            server.say(answer("200 OK", "", EXAMPLE_200))?;
            server.close()
        })
    }

    fn but_ureq(mut self, says: &'static str, why: &'static str) -> Self {
        assert!(!why.is_empty());
        self.but_ureq = Some((says, why));
        self
    }

    fn soon(mut self) -> Self {
        self.timeout = Duration::from_secs(2);
        self
    }

    fn run(&self, transport: &str, ca: &CaFile) -> Result<(), String> {
        let listening = self.proxy.listen();
        let proxy = format!("{}127.0.0.1:{}", self.scheme, listening.port);
        let begun = Instant::now();
        let base_url = format!("https://{}", self.host);
        let run = run(
            transport,
            &base_url,
            self.timeout,
            &[("HTTPS_PROXY", &proxy)],
            ca,
        );
        let took = begun.elapsed();
        let says = match self.but_ureq {
            Some((says, _why)) if transport == "blocking" => says,
            _ => self.says,
        };
        let stdout = match self.code {
            0 => format!("{TOKEN}\n"),
            _ => String::new(),
        };
        let as_it_should_be = run.code == Some(self.code)
            && run.stderr.contains(says)
            && run.stdout == stdout
            && listening.connections() == 1
            && took < self.timeout + OVERHEAD;
        if as_it_should_be {
            return Ok(());
        }
        let code = self.code;
        Err(format!(
            "\n  not {says:?}, or not {code}: {took:?}, {run:?}"
        ))
    }
}

#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program, which says all that it has to say.
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
const TELLS_MORE: &str = "of a CONNECT, reqwest tells no more than that it failed";
const NO_CERTIFICATE: &str = "the server's certificate could not be verified";

fn cases(ca: &Ca) -> Vec<Case> {
    let echo = answer(
        "407 Proxy Authentication Required",
        &format!("Proxy-Authenticate: Basic realm=\"{SECRET}\"\r\nX-Request-Id: {SECRET}\r\n"),
        &format!("{SECRET} {TOKEN} {PASSWORD}"),
    );
    let (again, echo_of_password) = (echo.clone(), echo.clone());
    let with_password = |case: Case| Case {
        scheme: format!("http://user:{PASSWORD}@"),
        ..case
    };
    let to = |host: &'static str, case: Case| Case { host, ..case };
    let a_token = |case: Case| Case { code: 0, ..case };
    vec![
        a_token(Case::tunnels(
            "a proxy that does its work",
            "",
            ca,
            "proxied.invalid",
        )),
        a_token(with_password(Case::tunnels(
            "a proxy that wants a password",
            "",
            ca,
            "proxied.invalid",
        ))),
        Case::goes_on("a 407 that echoes", NO_CONNECTION, move |mut peer| {
            peer.say(&echo)
        }),
        with_password(Case::goes_on(
            "a 407 that echoes the password",
            NO_CONNECTION,
            move |mut peer| peer.say(&echo_of_password),
        )),
        Case::goes_on(
            "a 407 that does not come to its end",
            NO_CONNECTION,
            move |mut peer| {
                peer.say(&again[..again.len() - 5])?;
                peer.stall()
            },
        )
        .soon(),
        Case::goes_on("a 403 without end", NO_CONNECTION, |mut peer| {
            peer.say("HTTP/1.1 403 Forbidden\r\n\r\n")?;
            peer.flood(SECRET)
        }),
        Case::goes_on("a redirect", NO_CONNECTION, |mut peer| {
            let location = format!("Location: http://{}/\r\n", peer.address());
            peer.say(answer("302 Found", &location, ""))
        }),
        Case::goes_on("a 502 with a page", NO_CONNECTION, |mut peer| {
            peer.say(answer(
                "502 Bad Gateway",
                "",
                &format!("<html>{SECRET}</html>"),
            ))
        }),
        Case::goes_on("what is not HTTP", NO_CONNECTION, |mut peer| {
            peer.say(format!("SSH-2.0-{SECRET}\r\n\r\n"))
        })
        .but_ureq(NOT_HTTP, TELLS_MORE),
        Case::goes_on("headers without end", NO_CONNECTION, |mut peer| {
            peer.say("HTTP/1.1 200 OK\r\n")?;
            peer.flood("X-Flood: y\r\n")
        })
        .but_ureq(NOT_HTTP, TELLS_MORE),
        Case::goes_on("no answer at all", NOT_IN_TIME, |mut peer| peer.stall()).soon(),
        Case::goes_on("closed after the CONNECT", NO_CONNECTION, |_peer| Ok(())),
        Case::goes_on("reset after the CONNECT", BROKEN_OFF, Peer::reset),
        // Whether that is seen while writing or while reading is a matter of luck.
        Case::new("closed at once", "connection to the server", |_peer| Ok(())),
        Case::goes_on("a tunnel to nothing", NOT_IN_TIME, |mut peer| {
            peer.say(ESTABLISHED)?;
            peer.stall()
        })
        .soon(),
        Case::goes_on("a tunnel that closes", BROKEN_OFF, |mut peer| {
            peer.say(ESTABLISHED)
        }),
        Case::goes_on("a tunnel to plaintext", NO_TLS, |mut peer| {
            peer.say(ESTABLISHED)?;
            // Not at once, or reqwest takes it for a part of the proxy's answer and waits for more.
            peer.read_exact(&mut [0; 5])?;
            peer.say(answer("200 OK", "", EXAMPLE_200))?;
            peer.stall()
        }),
        Case::tunnels(
            "a tunnel to someone else",
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
        a_token(to(
            "a.b.invalid",
            Case::tunnels("a wildcard", "", ca, "*.b.invalid"),
        )),
        to(
            "b.invalid",
            Case::tunnels(
                "a wildcard for one name less",
                NO_CERTIFICATE,
                ca,
                "*.b.invalid",
            ),
        ),
        to(
            "a.b.invalid",
            Case::tunnels("a wildcard too wide", NO_CERTIFICATE, ca, "*.invalid"),
        ),
        to(
            "a.b.invalid",
            Case::tunnels("two wildcards", NO_CERTIFICATE, ca, "*.*.invalid"),
        ),
        to(
            "a.b.invalid",
            Case::tunnels(
                "a wildcard in the middle",
                NO_CERTIFICATE,
                ca,
                "a.*.invalid",
            ),
        ),
        to(
            "ab.b.invalid",
            Case::tunnels("half a wildcard", NO_CERTIFICATE, ca, "a*.b.invalid"),
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
fn no_proxy_can_do_harm() {
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

/// Each variable alone, where the other tests of this have all at once.
#[test]
fn no_variable_leads_a_loopback_request_to_a_proxy() {
    let ca = Ca::new();
    let file = CaFile::new("faults-loopback.pem", &ca);
    let tls = ca.server("localhost");
    let answers = || Row::answers("a token", answer("200 OK", "", EXAMPLE_200), TOKEN_SEEN);
    for_both_transports(|transport| {
        let (proxy, plain) = (answers().listen(), answers().listen());
        let encrypted = answers().encrypted(Arc::clone(&tls)).listen();
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
