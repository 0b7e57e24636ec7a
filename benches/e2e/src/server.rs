//! A token endpoint on loopback over http or https with persistent connections.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, process, thread};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A JWT of typical size. Its last part only has the length of a signature.
pub const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMTExMTExMS0yMjIyLTMzMzMtNDQ0NC01NTU1NTU1NTU1NTUiLCJpc3MiOiJodHRwczovL2FkbWluLWFwaS5tZXNoY29ubmVjdC5jb20iLCJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMzYwMH0.bm90IGEgc2lnbmF0dXJlLCBvbmx5IGFzIGxvbmcgYXM";

/// A CA that is generated at each start, with a certificate for 127.0.0.1.
pub struct Ca {
    pub der: Vec<u8>,
    pem: String,
    tls: Arc<ServerConfig>,
}

impl Ca {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // OpenSSL treats a certificate with equal issuer and subject as self-signed.
        params.distinguished_name.push(DnType::CommonName, "CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);

        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self {
            der: root.der().to_vec(),
            pem: root.pem(),
            tls: Arc::new(tls),
        }
    }

    /// Writes a PEM file with `others` and this CA's certificate.
    pub fn write(&self, path: &Path, others: &str) {
        fs::write(path, format!("{others}\n{}", self.pem)).unwrap();
    }
}

/// The paths at which Linux distributions store the CAs that the platform trusts.
const BUNDLES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// Returns the CAs that the platform trusts in PEM, if a bundle exists.
pub fn platform() -> Option<String> {
    BUNDLES
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
}

/// The path of a temporary CA file, which is removed on drop.
pub struct CaFile(pub PathBuf);

impl CaFile {
    pub fn new(name: &str) -> Self {
        let name = format!("meshconnect-auth-e2e-{}-{name}", process::id());
        Self(env::temp_dir().join(name))
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A server that runs until the process ends.
pub struct Server {
    /// The base URL.
    pub url: String,
    open: Arc<AtomicUsize>,
}

impl Server {
    /// Starts a server without TLS.
    pub fn http() -> Self {
        Self::start("http", None)
    }

    /// Starts a server over TLS.
    pub fn https(ca: &Ca) -> Self {
        Self::start("https", Some(Arc::clone(&ca.tls)))
    }

    /// Returns whether a connection is open.
    pub fn is_busy(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    fn start(scheme: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, count) = (tls.clone(), Arc::clone(&count));
                count.fetch_add(1, Ordering::SeqCst);
                // The client notices a failure here, and its exchange fails.
                thread::spawn(move || {
                    let _ = respond(&stream, tls);
                    drop(stream);
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, open }
    }
}

fn respond(stream: &TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => serve(stream, stream),
        Some(tls) => {
            let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
            let stream = Shared(StreamOwned::new(connection, stream).into());
            serve(&stream, &stream)
        }
    }
}

/// A stream that one thread reads and writes in turn.
struct Shared<S>(std::cell::RefCell<S>);

impl<S: Read> Read for &Shared<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl<S: Write> Write for &Shared<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// Responds to requests until the client closes the connection. Requests for `/oauth` get an OAuth
/// 2.0 response, all others one of this project's contract.
fn serve(reader: impl Read, mut writer: impl Write) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let oauth = line.contains("/oauth");
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        let body = if oauth {
            format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":43200}}"#)
        } else {
            format!(
                r#"{{"content":{{"id_token":"{TOKEN}","expires_in":43200,"status":"available"}},"status":"ok","message":"","errorHash":"e47df370","errorType":""}}"#
            )
        };
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        writer.write_all(response.as_bytes())?;
        writer.flush()?;
    }
}
