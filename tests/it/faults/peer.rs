//! The server's side of one connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::net::TcpSocket;

use crate::support::server::read_request;

/// The time after which a server gives up, whatever its client does.
const MAX_DURATION: Duration = Duration::from_secs(10);

/// The bytes that a flood sends: four times the memory that a client may use in excess.
const FLOOD_BYTES: usize = 32 * 1024 * 1024;

pub struct Peer {
    stream: Stream,
    number: usize,
    requests: Arc<AtomicUsize>,
}

enum Stream {
    Plain(TcpStream),
    Encrypted(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Peer {
    /// Wraps connection `number`, counted from 0, of a server that counts its `requests`.
    pub fn new(tcp: TcpStream, number: usize, requests: Arc<AtomicUsize>) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_write_timeout(Some(MAX_DURATION))?;
        Ok(Self {
            stream: Stream::Plain(tcp),
            number,
            requests,
        })
    }

    /// Switches to TLS. The handshake happens at the first read or write.
    pub fn encrypted(self, config: Arc<ServerConfig>) -> Self {
        let Stream::Plain(tcp) = self.stream else {
            panic!("the connection is encrypted already");
        };
        let connection = ServerConnection::new(config).unwrap();
        let stream = Stream::Encrypted(Box::new(StreamOwned::new(connection, tcp)));
        Self { stream, ..self }
    }

    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the address that the client connected to.
    pub fn address(&self) -> SocketAddr {
        self.tcp().local_addr().unwrap()
    }

    pub fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Encrypted(stream) => &stream.sock,
        }
    }

    /// Reads one request and counts it.
    pub fn request(&mut self) -> io::Result<()> {
        read_request(self)?;
        self.requests.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.write_all(bytes.as_ref())?;
        self.flush()
    }

    /// Sends `bytes` repeatedly until the client closes the connection or far more is sent than it
    /// may buffer. Then stalls.
    pub fn flood(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.flood_with(FLOOD_BYTES, bytes)
    }

    /// Sends `bytes` repeatedly, up to `limit` bytes in total. Then stalls.
    pub fn flood_with(&mut self, limit: usize, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        // Larger pieces need fewer system calls.
        let piece = bytes.as_ref().repeat(16 * 1024 / bytes.as_ref().len() + 1);
        let mut sent = 0;
        while sent < limit {
            self.send(&piece)?;
            sent += piece.len();
        }
        self.stall()
    }

    /// Sends `bytes` in pieces of `size`, with a `pause` after each.
    pub fn drip(
        &mut self,
        bytes: impl AsRef<[u8]>,
        size: usize,
        pause: Duration,
    ) -> io::Result<()> {
        for piece in bytes.as_ref().chunks(size) {
            self.send(piece)?;
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Sends `bytes` one by one and repeatedly, until the client closes the connection.
    pub fn drip_forever(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let started = Instant::now();
        while started.elapsed() < MAX_DURATION {
            self.drip(&bytes, 1, Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Sends nothing more and waits until the client closes the connection.
    pub fn stall(&mut self) -> io::Result<()> {
        while self.read(&mut [0; 1024])? > 0 {}
        Ok(())
    }

    /// Keeps the connection open without reading or sending, for longer than the time-out of any
    /// row that uses it.
    #[allow(clippy::unused_self, reason = "dropping `self` closes the connection")]
    pub fn ignore(self) {
        thread::sleep(Duration::from_secs(3));
    }

    /// Closes the sending side and waits until the client closes the connection.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.tcp().shutdown(Shutdown::Write)?;
        self.stall()
    }

    /// Resets the connection instead of closing it, after the client has had time to read what was
    /// sent.
    pub fn reset(self) -> io::Result<()> {
        thread::sleep(Duration::from_millis(50));
        let tcp = match self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Encrypted(stream) => stream.into_parts().1,
        };
        // `std` has no way to set `SO_LINGER`.
        TcpSocket::from_std_stream(tcp).set_zero_linger()
    }

    /// Closes the connection, over TLS with a `close_notify`. A plain drop sends none.
    pub fn close(mut self) -> io::Result<()> {
        if let Stream::Encrypted(stream) = &mut self.stream {
            stream.conn.send_close_notify();
        }
        self.flush()
    }
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(buffer),
            Stream::Encrypted(stream) => stream.read(buffer),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write(bytes),
            Stream::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.flush(),
            Stream::Encrypted(stream) => stream.flush(),
        }
    }
}
