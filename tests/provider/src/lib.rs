//! A TLS server that grants a token and reports the key exchange, and both clients.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use meshconnect_auth::{Client, Config, Credentials, Endpoint, Error, Token, blocking};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::{NamedGroup, ServerConfig, ServerConnection, StreamOwned};

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 60\r\n\r\n\
     {\"status\":\"ok\",\"content\":{\"id_token\":\"abc\",\"expires_in\":60}}";

/// The group that only aws-lc-rs has.
pub const AWS_LC: NamedGroup = NamedGroup::X25519MLKEM768;

/// The group that ring prefers.
pub const RING: NamedGroup = NamedGroup::X25519;

pub struct Server {
    pub endpoint: Endpoint,
    /// The certificate, which is its own root.
    pub pem: String,
    /// The group of each handshake.
    pub groups: Receiver<NamedGroup>,
}

/// Starts a server over TLS. It names its provider, so it does not change the process's default.
pub fn tls_server() -> Server {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, groups) = channel();
    thread::spawn(move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, tcp);
            if answer(&mut stream) {
                let group = stream.conn.negotiated_key_exchange_group().unwrap();
                sender.send(group.name()).unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    Server {
        endpoint: Endpoint::parse(&format!("https://localhost:{port}")).unwrap(),
        pem: certified.cert.pem(),
        groups,
    }
}

/// Starts a server over plain http.
pub fn plain_server() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut tcp in listener.incoming().map_while(Result::ok) {
            answer(&mut tcp);
        }
    });
    Endpoint::parse(&format!("http://127.0.0.1:{port}")).unwrap()
}

fn answer(stream: &mut (impl Read + Write)) -> bool {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    while !request.ends_with(b"\"}") {
        match stream.read(&mut chunk) {
            Ok(length @ 1..) => request.extend_from_slice(&chunk[..length]),
            _ => return false,
        }
    }
    stream.write_all(RESPONSE.as_bytes()).is_ok()
}

/// Requests a token with the async client and with the blocking one.
pub fn tokens(endpoint: &Endpoint, pem: Option<&str>) -> [Result<Token, Error>; 2] {
    let credentials = Credentials::new("id", "secret").unwrap();
    let asynchronous = Client::builder(credentials.clone()).endpoint(endpoint.clone());
    let blocking = blocking::Client::builder(credentials).endpoint(endpoint.clone());
    let (asynchronous, blocking) = match pem {
        Some(pem) => (
            asynchronous.root_certificates_pem(pem),
            blocking.root_certificates_pem(pem),
        ),
        None => (asynchronous, blocking),
    };
    let mut config = Config::default();
    config.attempts = 2;
    let asynchronous = asynchronous.config(config.clone()).build().unwrap();
    let blocking = blocking.config(config).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    [runtime.block_on(asynchronous.token()), blocking.token()]
}
