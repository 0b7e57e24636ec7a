//! Which certificates are trusted, what an error says about one that is not, and changes of the HTTP
//! client, over TLS and both transports.

use std::env;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http::{HeaderName, HeaderValue};
use meshconnect_auth::{
    Client, Config, Endpoint, Error, ErrorKind, Token, TransportErrorKind, blocking,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::files::Directory;
use crate::support::process::own_process;
use crate::support::server::{Server, read_request, response};
use crate::support::tls::{Ca, provider};
use crate::support::{
    Async, Blocking, EXAMPLE_200, Settings, Transport, all_text, credentials, runtime,
};

/// The variable that names the file with the roots, in a child process.
const FILE: &str = "SSL_CERT_FILE";

fn ok() -> String {
    response("200 OK", "", EXAMPLE_200)
}

/// A client of either transport.
struct Caller {
    transport: &'static str,
    token: Box<dyn Fn() -> Result<Token, Error>>,
    refresh: Box<dyn Fn() -> Result<Token, Error>>,
    end_cooldown: Box<dyn Fn()>,
}

/// Returns a client of each transport with one attempt for each call.
fn callers(endpoint: &str) -> [Caller; 2] {
    let mut config = Config::default();
    config.attempts = 1;
    let endpoint = Endpoint::parse(endpoint).unwrap();
    let asynchronous = Client::builder(credentials()).endpoint(endpoint.clone());
    let asynchronous = asynchronous.config(config.clone()).build().unwrap();
    let blocking = blocking::Client::builder(credentials()).endpoint(endpoint);
    let blocking = blocking.config(config).build().unwrap();
    let runtime = Arc::new(runtime());
    [
        Caller {
            transport: "async",
            token: {
                let (client, runtime) = (asynchronous.clone(), Arc::clone(&runtime));
                Box::new(move || runtime.block_on(client.token()))
            },
            refresh: {
                let client = asynchronous.clone();
                Box::new(move || runtime.block_on(client.refresh()))
            },
            end_cooldown: Box::new(move || asynchronous.set_credentials(credentials())),
        },
        Caller {
            transport: "blocking",
            token: {
                let client = blocking.clone();
                Box::new(move || client.token())
            },
            refresh: {
                let client = blocking.clone();
                Box::new(move || client.refresh())
            },
            end_cooldown: Box::new(move || blocking.set_credentials(credentials())),
        },
    ]
}

/// A TLS server whose certificate can be replaced.
struct Rotating {
    server: Server,
    shown: Arc<Mutex<Arc<ServerConfig>>>,
}

impl Rotating {
    fn new(ca: &Ca) -> Self {
        let shown = Arc::new(Mutex::new(ca.server("localhost")));
        let config = Arc::clone(&shown);
        let server = Server::raw(move |tcp| {
            let config = Arc::clone(&config.lock().unwrap());
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
            read_request(&mut stream)?;
            stream.write_all(ok().as_bytes())?;
            stream.conn.send_close_notify();
            stream.flush()
        });
        Self { server, shown }
    }

    fn show(&self, ca: &Ca) {
        *self.shown.lock().unwrap() = ca.server("localhost");
    }
}

/// Returns the file of the roots in a child process that runs `test` alone. In the parent, runs that
/// child and returns `None`. The child's environment names a file that does not exist at first.
fn roots_in_own_process<T>(test: T) -> Option<PathBuf> {
    const MARKER: &str = "TRUST_OWN_PROCESS";
    if env::var_os(MARKER).is_some() {
        return env::var_os(FILE).map(PathBuf::from);
    }
    let directory = Directory::new("trust");
    let mut child = own_process(test);
    let child = child.env(MARKER, "1").env_remove("SSL_CERT_DIR");
    let output = child
        .env(FILE, directory.0.join("roots.pem"))
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ran = output.status.success() && stdout.contains("1 passed");
    assert!(ran, "{stdout}\n{stderr}");
    None
}

/// A CA is rotated: the file and the server's certificate change between two calls. No call fails.
#[test]
#[cfg(target_os = "linux")]
fn replaced_roots_are_read_within_the_attempt() {
    let Some(file) = roots_in_own_process(replaced_roots_are_read_within_the_attempt) else {
        return;
    };
    let (old, new) = (Ca::new(), Ca::named("the new CA"));
    let server = Rotating::new(&old);
    fs::write(&file, &old.pem).unwrap();
    let callers = callers(&server.server.https());
    for caller in &callers {
        (caller.token)().unwrap();
    }
    let connections = server.server.connections();
    fs::write(&file, &new.pem).unwrap();
    server.show(&new);
    for caller in &callers {
        (caller.refresh)().expect(caller.transport);
        // The new roots are kept.
        (caller.refresh)().expect(caller.transport);
    }
    assert_eq!(server.server.connections() - connections, 6);
    for caller in self::callers(&server.server.https()) {
        (caller.token)().expect(caller.transport);
    }
}

/// A certificate that stays untrusted costs one more handshake, and the next call reads the roots again.
#[test]
#[cfg(target_os = "linux")]
fn roots_are_read_again_after_a_certificate_failure() {
    let Some(file) = roots_in_own_process(roots_are_read_again_after_a_certificate_failure) else {
        return;
    };
    let (old, new) = (Ca::new(), Ca::named("the new CA"));
    let server = Rotating::new(&new);
    let certificate = ErrorKind::Transport(TransportErrorKind::Certificate);
    for caller in callers(&server.server.https()) {
        let _ = fs::remove_file(&file);
        let error = (caller.token)().unwrap_err();
        assert_eq!(error.kind(), certificate, "{error:?}");
        let text = all_text(&error);
        let missing = format!("{}: No such file or directory", file.display());
        assert!(text.contains(&missing), "{}: {text}", caller.transport);

        fs::write(&file, &old.pem).unwrap();
        (caller.end_cooldown)();
        let before = server.server.connections();
        let error = (caller.token)().unwrap_err();
        assert_eq!(error.kind(), certificate, "{error:?}");
        assert!(
            error.to_string().contains("issuer is not trusted"),
            "{error}"
        );
        // These roots were just read, so the attempt does not try again.
        assert_eq!(server.server.connections() - before, 1);

        fs::write(&file, &new.pem).unwrap();
        (caller.end_cooldown)();
        (caller.token)().expect(caller.transport);
    }
}

/// What a bundle in `SSL_CERT_FILE` may look like: both of its CAs are trusted, and an error about the
/// certificate of another CA says what was not read.
#[test]
#[cfg(target_os = "linux")]
fn every_readable_certificate_of_a_bundle_is_trusted() {
    let Some(file) = roots_in_own_process(every_readable_certificate_of_a_bundle_is_trusted) else {
        return;
    };
    let (a, b, other) = (Ca::named("a"), Ca::named("b"), Ca::named("other"));
    let (first, second) = (a.pem.as_str(), b.pem.as_str());
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let server = Rotating::new(&a);
    for (bundle, unread) in [
        (format!("{first}{second}"), ""),
        (format!("\u{feff}{first}{second}"), ""),
        (format!("{}{second}", first.trim_end()), ""),
        (format!("{first}{second}").replace('\n', "\r\n"), ""),
        (
            format!("{first}{second}{}", &other.pem[..90]),
            "block 3 (line 21) is cut off",
        ),
        (
            format!("{first}{key}{second}"),
            "block 2 (line 11) is a private key",
        ),
        (
            format!(
                "{}\n{first}{second}",
                other.pem.replace("-----B", "ca: -----B")
            ),
            "in line 1 is not a line of its own",
        ),
    ] {
        fs::write(&file, &bundle).unwrap();
        for caller in callers(&server.server.https()) {
            for ca in [&a, &b] {
                server.show(ca);
                (caller.refresh)().unwrap_or_else(|error| panic!("{error:?}: {bundle}"));
            }
            server.show(&other);
            let error = (caller.refresh)().unwrap_err();
            let text = all_text(&error);
            assert!(text.contains("issuer is not trusted"), "{text}");
            assert!(text.contains(unread), "{unread}: {text}");
            assert_eq!(text.contains("not read: "), !unread.is_empty(), "{text}");
            assert!(
                !text.contains("c2VjcmV0") && !text.contains("MII"),
                "{text}"
            );
        }
    }
}

/// A directory stands for a file that cannot be read: even root cannot read one as a file.
#[test]
#[cfg(target_os = "linux")]
fn unreadable_roots_are_no_certificate_failure() {
    let Some(file) = roots_in_own_process(unreadable_roots_are_no_certificate_failure) else {
        return;
    };
    let ca = Ca::new();
    let server = Rotating::new(&ca);
    for caller in callers(&server.server.https()) {
        fs::create_dir(&file).unwrap();
        let error = (caller.token)().unwrap_err();
        let client = ErrorKind::Transport(TransportErrorKind::Client);
        assert_eq!(error.kind(), client, "{error:?}");
        assert!(error.is_transient());
        let text = all_text(&error);
        let named = format!("{}: Is a directory", file.display());
        assert!(text.contains(&named), "{}: {text}", caller.transport);

        fs::remove_dir(&file).unwrap();
        fs::write(&file, &ca.pem).unwrap();
        (caller.end_cooldown)();
        (caller.token)().expect(caller.transport);
        fs::remove_file(&file).unwrap();
    }
}

/// Returns a self-signed certificate for localhost and a server that shows it.
fn self_signed(is_ca: IsCa) -> (String, Arc<ServerConfig>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (certificate.pem(), Arc::new(server))
}

#[test]
fn certificate_error_tells_the_cause_and_the_remedy() {
    let ca = Ca::new();
    let expired = ca.server_with("localhost", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let early = ca.server_with("localhost", |params| {
        params.not_before = date_time_ymd(2200, 1, 1);
        params.not_after = date_time_ymd(2201, 1, 1);
    });
    // As `openssl req -x509` makes it.
    let (own_ca, shows_ca) = self_signed(IsCa::Ca(BasicConstraints::Unconstrained));
    let (own, shows_own) = self_signed(IsCa::NoCa);
    for (name, trusted, server, expected) in [
        (
            "another CA with the same name",
            &ca.pem,
            Ca::new().server("localhost"),
            "its issuer is not trusted here",
        ),
        (
            "another CA",
            &ca.pem,
            Ca::named("another").server("localhost"),
            "its issuer is not trusted here",
        ),
        (
            "a self-signed certificate",
            &ca.pem,
            Arc::clone(&shows_own),
            "its issuer is not trusted here",
        ),
        (
            "another name",
            &ca.pem,
            ca.server("other.example"),
            "not valid for the server's host name",
        ),
        (
            "expired",
            &ca.pem,
            expired,
            "expired at Fri, 01 Jan 2021 00:00:00 GMT, and this machine's clock says",
        ),
        (
            "not yet valid",
            &ca.pem,
            early,
            "valid from Wed, 01 Jan 2200 00:00:00 GMT, and this machine's clock says",
        ),
        (
            "a trusted CA as the server",
            &own_ca,
            shows_ca,
            "make a certificate for the server with basicConstraints=CA:FALSE",
        ),
    ] {
        let server = Server::respond_over_tls(server, ok());
        let settings = Settings::new(&server.https()).pem(trusted);
        for result in [Async::token(&settings), Blocking::token(&settings)] {
            let error = result.expect_err(name);
            let kind = ErrorKind::Transport(TransportErrorKind::Certificate);
            assert_eq!(error.kind(), kind, "{name}: {error:?}");
            let text = error.to_string();
            assert!(text.contains(expected), "{name}: {text}");
        }
    }
    // A server's own certificate that is no CA can be trusted itself.
    let server = Server::respond_over_tls(shows_own, ok());
    let settings = Settings::new(&server.https()).pem(&own);
    for result in [Async::token(&settings), Blocking::token(&settings)] {
        result.unwrap();
    }
}

/// ring has no P-521, so a server with such a certificate finds no common signature algorithm.
#[test]
fn handshake_without_a_common_algorithm_tells_so() {
    let server = Server::raw(|mut tcp| {
        use std::io::Read;
        let mut head = [0; 5];
        tcp.read_exact(&mut head)?;
        let length = u16::from_be_bytes([head[3], head[4]]);
        tcp.read_exact(&mut vec![0; length.into()])?;
        tcp.write_all(b"\x15\x03\x03\x00\x02\x02\x28")
    });
    let settings = Settings::new(&server.https()).pem(&Ca::new().pem);
    for result in [Async::token(&settings), Blocking::token(&settings)] {
        let error = result.unwrap_err();
        let tls = ErrorKind::Transport(TransportErrorKind::Tls);
        assert_eq!(error.kind(), tls, "{error:?}");
        let text = error.to_string();
        assert!(text.contains("P-521"), "{text}");
    }
}

/// The changes apply to a client with the builder's roots. What would send the secret elsewhere, or hide
/// an answer from the core, is set back.
#[test]
fn http_changes_our_client() {
    let ca = Ca::new();
    let elsewhere = Server::respond_over_tls(ca.server("localhost"), ok());
    let location = format!("Location: {}/\r\n", elsewhere.https());
    for (answer, status) in [
        (ok(), None),
        (response("307 Temporary Redirect", &location, ""), Some(307)),
        (response("503 Service Unavailable", "", ""), Some(503)),
    ] {
        let server = Server::respond_over_tls(ca.server("localhost"), answer);
        let endpoint = Endpoint::parse(&server.https()).unwrap();
        let mut config = Config::default();
        config.attempts = 1;
        let client = Client::builder(credentials())
            .endpoint(endpoint.clone())
            .config(config.clone())
            .root_certificates_pem(&ca.pem)
            .http(|builder| {
                let follow = meshconnect_auth::reqwest::redirect::Policy::limited(9);
                let headers = [(
                    HeaderName::from_static("x-changed"),
                    HeaderValue::from_static("1"),
                )];
                builder
                    .default_headers(headers.into_iter().collect())
                    .redirect(follow)
            });
        let asynchronous = runtime().block_on(client.build().unwrap().token());
        let client = blocking::Client::builder(credentials())
            .endpoint(endpoint)
            .config(config)
            .root_certificates_pem(&ca.pem)
            .http(|builder| {
                builder
                    .middleware(
                        |mut request: ureq::http::Request<ureq::SendBody>,
                         next: ureq::middleware::MiddlewareNext| {
                            let headers = request.headers_mut();
                            headers.insert("x-changed", HeaderValue::from_static("1"));
                            next.handle(request)
                        },
                    )
                    .max_redirects(9)
                    .http_status_as_error(true)
            });
        let blocking = client.build().unwrap().token();
        for result in [asynchronous, blocking] {
            let found = result
                .err()
                .map(|error| error.http_status().unwrap().as_u16());
            assert_eq!(found, status);
        }
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        for request in requests {
            let request = request.to_lowercase();
            assert!(request.contains("\r\nx-changed: 1\r\n"), "{request}");
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[path = "../../examples/own_http_client.rs"]
#[allow(dead_code, reason = "only `main` is not used")]
mod own_http_client;

#[test]
fn example_and_guide_of_an_own_http_client_work_over_tls() {
    let ca = Ca::new();
    let server = Server::respond_over_tls(ca.server("localhost"), ok());
    let endpoint = Endpoint::parse(&server.https()).unwrap();
    own_http_client::run(&endpoint, ca.pem.as_bytes()).unwrap();
    assert_eq!(server.connections(), 4);

    let without_indentation = |text: &str| -> String {
        let shown = text.lines().filter(|line| !line.starts_with("# "));
        shown.map(|line| format!("{}\n", line.trim())).collect()
    };
    let example = without_indentation(include_str!("../../examples/own_http_client.rs"));
    let guide = include_str!("../../src/guide/own_http_client.md");
    let snippets: Vec<_> = guide.split("```no_run\n").skip(1).collect();
    assert_eq!(snippets.len(), 2);
    for snippet in snippets {
        let code = without_indentation(snippet.split("```").next().unwrap());
        assert!(example.contains(&code), "not in the example: {code}");
    }
}

/// The function that changes the client is the user's code: its panic and its bad settings are told.
#[test]
fn http_that_fails_is_told() {
    let server = Server::respond(ok());
    let endpoint = Endpoint::parse(&server.http()).unwrap();
    let mut config = Config::default();
    config.attempts = 1;
    let asynchronous = Client::builder(credentials())
        .endpoint(endpoint.clone())
        .config(config.clone())
        .http(|_| panic!("the words of the panic"));
    let blocking = blocking::Client::builder(credentials())
        .endpoint(endpoint.clone())
        .config(config)
        .http(|_| panic!("the words of the panic"));
    let results = [
        runtime().block_on(asynchronous.build().unwrap().token()),
        blocking.build().unwrap().token(),
    ];
    for result in results {
        let error = result.unwrap_err();
        let client = ErrorKind::Transport(TransportErrorKind::Client);
        assert_eq!(error.kind(), client, "{error:?}");
        assert!(
            all_text(&error).contains("the words of the panic"),
            "{error:?}"
        );
    }
    let client = Client::builder(credentials())
        .endpoint(endpoint)
        .http(|builder| builder.user_agent("\n"));
    let error = runtime()
        .block_on(client.build().unwrap().token())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
    assert!(error.to_string().contains("change with `http`"), "{error}");
}
