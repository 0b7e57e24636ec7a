//! The rows of the core's `proxies.json` that are marked `over_sockets`, over both transports: is a
//! real proxy asked, for which host, and with which credentials? Variables belong to a process, so each
//! row runs the program.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use rustls::{ServerConnection, StreamOwned};
use serde::Deserialize;

use crate::faults::run::for_each;
use crate::support::files::CaFile;
use crate::support::program::{TRANSPORTS, program};
use crate::support::server::{Server, read_request, response};
use crate::support::tls::Ca;
use crate::support::{EXAMPLE_200, SECRET, TOKEN};

/// The address of the proxy in the rows, for which the tests put that of a real one.
const PROXY: &str = "proxy.example:3128";

#[derive(Deserialize)]
struct Section {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    endpoint: Option<String>,
    variables: BTreeMap<String, String>,
    expected: String,
    credentials: Option<String>,
    #[serde(default)]
    over_sockets: bool,
}

/// What a proxy saw of a run: the lines of the `CONNECT` that matter.
#[derive(Debug, PartialEq)]
struct Asked {
    connect: String,
    authorization: Option<String>,
}

impl Row {
    fn endpoint(&self) -> &str {
        self.endpoint.as_deref().unwrap_or("https://a.invalid")
    }

    /// Returns what the program does: its exit code, and what the proxy is asked.
    fn expected(&self) -> (Option<i32>, Vec<Asked>) {
        if self.expected.starts_with("error: ") {
            return (Some(2), Vec::new());
        }
        if self.expected == "direct" {
            return (Some(4), Vec::new());
        }
        let uri: Uri = self.endpoint().parse().unwrap();
        let host = uri.host().unwrap().to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(443);
        let credentials = self.credentials.as_ref();
        let asked = Asked {
            connect: format!("CONNECT {host}:{port} HTTP/1.1"),
            authorization: credentials.map(|text| format!("Basic {}", STANDARD.encode(text))),
        };
        (Some(0), vec![asked])
    }

    fn check(&self, transport: &str, ca: &Ca, file: &CaFile) -> Result<(), String> {
        let proxy = tunnel(ca, self.endpoint());
        let address = proxy.address.to_string();
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name, value.replace(PROXY, &address)));
        let output = program(&["token", "--max-attempts", "1", "--timeout", "5s"])
            .args(["--transport", transport, "--base-url", self.endpoint()])
            .env("MESHCONNECT_CLIENT_ID", "id")
            .env("MESHCONNECT_CLIENT_SECRET", SECRET)
            .env("SSL_CERT_FILE", file.path())
            .env("SSL_CERT_DIR", "/nonexistent")
            .envs(variables)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let asked: Vec<_> = proxy.requests().iter().map(|head| asked(head)).collect();
        let code = output.status.code();
        let succeeded = code == Some(0) && stdout == format!("{TOKEN}\n") && stderr.is_empty();
        let failed = code != Some(0) && stdout.is_empty();
        let leaked = ["hidden", SECRET, TOKEN].map(|secret| stderr.contains(secret));
        let expected = self.expected();
        let found = || format!("\n  expected {expected:?}\n  found {code:?} {asked:?} {stderr:?}");
        let passed = (code, &asked) == (expected.0, &expected.1)
            && (succeeded || failed)
            && leaked == [false; 3]
            // A connection without a request counts, too.
            && proxy.connections() == asked.len();
        passed.then_some(()).ok_or_else(found)
    }
}

/// Starts a proxy whose tunnels end at a server for the host of `endpoint`.
fn tunnel(ca: &Ca, endpoint: &str) -> Server {
    let uri: Uri = endpoint.parse().unwrap();
    let host = uri.host().unwrap().trim_matches(['[', ']']);
    let tls = ca.server(&host.to_ascii_lowercase());
    Server::start(None, move |stream| {
        stream.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n")?;
        let connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
        let mut server = StreamOwned::new(connection, stream);
        read_request(&mut server)?;
        server.write_all(response("200 OK", "", EXAMPLE_200).as_bytes())?;
        server.conn.send_close_notify();
        server.flush()
    })
}

/// Returns what a request asks of the proxy, as it was sent.
fn asked(head: &str) -> Asked {
    let mut lines = head.lines();
    let connect = lines.next().unwrap_or_default().to_owned();
    let authorization = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let wanted = name.eq_ignore_ascii_case("proxy-authorization");
        wanted.then(|| value.to_owned())
    });
    Asked {
        connect,
        authorization,
    }
}

#[test]
fn both_transports_ask_the_same_proxies() {
    let table = include_str!("../../core/tests/proxies.json");
    let sections: Vec<Section> = serde_json::from_str(table).unwrap();
    let rows = sections.iter().flat_map(|section| &section.rows);
    let sample: Vec<_> = rows.filter(|row| row.over_sockets).collect();
    assert!(sample.len() >= 60, "{} rows", sample.len());
    let ca = Ca::new();
    let file = CaFile::new("proxies.pem", &ca);
    let runs: Vec<_> = TRANSPORTS
        .into_iter()
        .flat_map(|transport| sample.iter().map(move |row| (transport, row)))
        .collect();
    for_each(
        &runs,
        |(transport, row)| format!("{transport}, {} with {:?}", row.endpoint(), row.variables),
        |(transport, row)| row.check(transport, &ca, &file),
    );
}
