//! A token endpoint on loopback that sends the same response to every request, and counts them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::TOKEN;

/// Longer than any run, so that no candidate refreshes while it is measured.
pub const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// A server on its own thread, which runs until the process ends.
pub struct Stub {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Stub {
    /// Starts a stub of this project's contract.
    pub fn mesh() -> Self {
        Self::start(format!(
            r#"{{"content":{{"id_token":"{TOKEN}","expires_in":{},"status":"available"}},"status":"ok","message":"","errorHash":"e47df370","errorType":""}}"#,
            LIFETIME.as_secs()
        ))
    }

    /// Starts a stub of OAuth 2.0 (RFC 6749 §5.1), which all peers use.
    pub fn oauth() -> Self {
        Self::start(format!(
            r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":{}}}"#,
            LIFETIME.as_secs()
        ))
    }

    fn start(body: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The candidate notices a failure here when it requests its token.
                let _ = respond(stream, &body, &seen);
            }
        });
        Self { address, requests }
    }

    /// Returns the base URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Sends a request and returns the body of the response. The HTTP client of peers that bring
    /// none.
    pub fn request_token(address: SocketAddr, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        let length = body.len();
        write!(
            stream,
            "POST /token HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(body)?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response)?;
        let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        Ok(response.split_off(end.ok_or(io::ErrorKind::UnexpectedEof)? + 4))
    }

    /// Returns the address of the stub.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Reads one request, sends the response and closes the connection.
fn respond(stream: TcpStream, body: &str, seen: &AtomicUsize) -> io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
    seen.fetch_add(1, Ordering::SeqCst);
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}
