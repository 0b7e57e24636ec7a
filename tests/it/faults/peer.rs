//! The server's end of one connection, and all that it can do with it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::net::TcpSocket;

use crate::support::server::read_request;

/// No server goes on for longer, whatever its client does.
const LONGEST: Duration = Duration::from_secs(10);

/// Four times what a client's process may take more than usual.
const FLOOD: usize = 32 * 1024 * 1024;

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
    /// Connection number `number`, from 0, of a server that counts its `requests`.
    pub fn new(tcp: TcpStream, number: usize, requests: Arc<AtomicUsize>) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_write_timeout(Some(LONGEST))?;
        Ok(Self {
            stream: Stream::Plain(tcp),
            number,
            requests,
        })
    }

    /// Does a TLS handshake as soon as something is read or written.
    pub fn encrypted(self, config: Arc<ServerConfig>) -> Self {
        let Stream::Plain(tcp) = self.stream else {
            panic!("it is encrypted already");
        };
        let connection = ServerConnection::new(config).unwrap();
        let stream = Stream::Encrypted(Box::new(StreamOwned::new(connection, tcp)));
        Self { stream, ..self }
    }

    pub fn number(&self) -> usize {
        self.number
    }

    /// The address that the client connected to.
    pub fn address(&self) -> SocketAddr {
        self.tcp().local_addr().unwrap()
    }

    pub fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Encrypted(stream) => &stream.sock,
        }
    }

    /// Reads one request, and counts it.
    pub fn request(&mut self) -> io::Result<()> {
        read_request(self)?;
        self.requests.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.write_all(bytes.as_ref())?;
        self.flush()
    }

    /// Says `bytes` again and again, until the client has had enough: far more than it may keep.
    /// If that is not enough for it, there is no end either.
    pub fn flood(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.flood_with(FLOOD, bytes)
    }

    /// The same, with as much as this and no more.
    pub fn flood_with(&mut self, most: usize, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        // In pieces that are worth a packet.
        let piece = bytes.as_ref().repeat(16 * 1024 / bytes.as_ref().len() + 1);
        let mut said = 0;
        while said < most {
            self.say(&piece)?;
            said += piece.len();
        }
        self.stall()
    }

    /// Says `bytes` in pieces of `size`, with a `pause` after each.
    pub fn drip(
        &mut self,
        bytes: impl AsRef<[u8]>,
        size: usize,
        pause: Duration,
    ) -> io::Result<()> {
        for piece in bytes.as_ref().chunks(size) {
            self.say(piece)?;
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Says `bytes` one by one and again and again, until the client has had enough.
    pub fn drip_forever(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < LONGEST {
            self.drip(&bytes, 1, Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Says no more, and waits for the client to go.
    pub fn stall(&mut self) -> io::Result<()> {
        while self.read(&mut [0; 1024])? > 0 {}
        Ok(())
    }

    /// Neither reads nor says anything, for longer than any row that wants this is patient.
    #[allow(
        clippy::unused_self,
        reason = "the connection is open for as long as it is held"
    )]
    pub fn ignore(self) {
        thread::sleep(Duration::from_secs(3));
    }

    /// Says that no more will come, and waits for the client to go.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.tcp().shutdown(Shutdown::Write)?;
        self.stall()
    }

    /// Breaks the connection off with a RST in place of a FIN, now that the client has had a
    /// moment to read what it was told.
    pub fn reset(self) -> io::Result<()> {
        thread::sleep(Duration::from_millis(50));
        let tcp = match self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Encrypted(stream) => stream.into_parts().1,
        };
        // `std` has no linger.
        TcpSocket::from_std_stream(tcp).set_zero_linger()
    }

    /// Ends as a TLS server should, which one that is dropped does not.
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
