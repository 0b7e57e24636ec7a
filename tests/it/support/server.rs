//! A server that sends exactly the given bytes, over TCP or TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

type Serve = dyn Fn(&mut dyn Stream) -> io::Result<()> + Send + Sync;

/// Serves each connection on its own thread until dropped.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Reads one request of each connection, sends `response` and closes the connection.
    pub fn respond(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(None, move |stream| stream.write_all(&response))
    }

    pub fn respond_over_tls(tls: Arc<ServerConfig>, response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(Some(tls), move |stream| stream.write_all(&response))
    }

    /// Reads one request of each connection, then calls `serve`.
    pub fn start(
        tls: Option<Arc<ServerConfig>>,
        serve: impl Fn(&mut dyn Stream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let serve: Arc<Serve> = Arc::new(move |stream: &mut dyn Stream| {
            let request = read_request(stream)?;
            seen.lock().unwrap().push(request);
            serve(stream)
        });
        Self::accept(requests, move |tcp| match &tls {
            None => {
                let mut tcp = tcp;
                serve(&mut tcp)
            }
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                let mut stream = StreamOwned::new(connection, tcp);
                let served = serve(&mut stream);
                stream.conn.send_close_notify();
                let _ = stream.flush();
                served
            }
        })
    }

    /// Calls `serve` with each connection before anything is read from it.
    pub fn raw(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::accept(Arc::default(), serve)
    }

    fn accept(
        requests: Arc<Mutex<Vec<Vec<u8>>>>,
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let serve = Arc::new(serve);
        let accepting = thread::spawn({
            let (connections, stopped) = (Arc::clone(&connections), Arc::clone(&stopped));
            move || {
                for tcp in listener.incoming().map_while(Result::ok) {
                    if stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    connections.fetch_add(1, Ordering::SeqCst);
                    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    let serve = Arc::clone(&serve);
                    // Errors are ignored because a client may close the connection at any time.
                    thread::spawn(move || serve(tcp));
                }
            }
        });
        Self {
            address,
            connections,
            requests,
            stopped,
            accepting: Some(accepting),
        }
    }

    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn https(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns the requests as received.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| String::from_utf8_lossy(request).into_owned())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread so that it sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Returns a complete JSON response with its `Content-Length`.
pub fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Reads a request head and the number of body bytes that its `Content-Length` announces.
pub fn read_request(stream: &mut dyn Stream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.trim().parse().unwrap());
            if request.len() >= end + 4 + length {
                return Ok(request);
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => request.extend_from_slice(&chunk[..length]),
        }
    }
}
