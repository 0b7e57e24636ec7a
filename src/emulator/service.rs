//! Connections and their requests.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::DATE;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::behavior::{Ledger, Modes};
use super::delivery::Delivery;
use super::issuer::Issuer;
use super::reply::Reply;

/// The number of connections that are served at a time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// The largest request head, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The number of bytes of a body that are read before the connection is closed. It is more than
/// [`Issuer::MAX_BODY`], because a client that is still sending when its connection closes may not
/// see the 413.
const MAX_DRAINED: usize = 1024 * 1024;

/// The pause after a failed accept, in which a resource such as a file descriptor may become
/// available.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The state that all connections share.
#[derive(Debug)]
pub(super) struct Service {
    issuer: Issuer,
    modes: Modes,
    read_timeout: Duration,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    requests: u64,
    script: VecDeque<Reply>,
    ledger: Ledger,
}

impl Service {
    /// Creates the state. `read_timeout` applies to the head of a request, and again to its body.
    pub(super) fn new(issuer: Issuer, modes: Modes, read_timeout: Duration) -> Self {
        Self {
            issuer,
            modes,
            read_timeout,
            progress: Mutex::default(),
        }
    }

    pub(super) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    pub(super) fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        // Collected before the lock is taken, because the caller's iterator may use the emulator.
        let replies: Vec<Reply> = replies.into_iter().collect();
        self.progress().script.extend(replies);
    }

    pub(super) fn requests(&self) -> u64 {
        self.progress().requests
    }

    pub(super) fn grants(&self) -> u64 {
        self.progress().ledger.grants()
    }

    /// Accepts connections until it is dropped.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let service = Arc::clone(&self);
                    tokio::spawn(async move {
                        service.serve(stream).await;
                        drop(slot);
                    });
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn serve(&self, stream: TcpStream) {
        // Without it, the kernel may merge the chunks of a slow body. An error has no other effect.
        let _ = stream.set_nodelay(true);
        // A failed connection affects only its client.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.read_timeout)
            .max_header_size(MAX_HEAD)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(|request| self.answer(request)),
            )
            .await;
    }

    /// Answers one request; an error closes the connection.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Delivery>> {
        let (serial, reply) = self.next();
        let (head, body) = request.into_parts();
        let body = timeout(self.read_timeout, read(body)).await??;
        let request = Request::from_parts(head, body);
        let issue = |announced| self.issue(&request, serial, announced);
        let mut response = reply.perform(issue).await?;
        if let Some(date) = self.modes.date(since_epoch()) {
            response.headers_mut().entry(DATE).or_insert(date);
        }
        Ok(response)
    }

    fn issue(
        &self,
        request: &Request<Bytes>,
        serial: u64,
        announced: Option<Duration>,
    ) -> Response<Bytes> {
        let issuer = match announced {
            Some(expires_in) => &self.issuer.announcing(expires_in),
            None => &self.issuer,
        };
        let now = self.modes.clock(since_epoch());
        let ledger = &mut self.progress().ledger;
        ledger.answer(&self.modes, issuer, request, now, serial)
    }

    /// Counts a request and takes its reply under one lock: the n-th request gets the n-th reply.
    fn next(&self) -> (u64, Reply) {
        let mut progress = self.progress();
        progress.requests = progress.requests.saturating_add(1);
        let reply = progress.script.pop_front().unwrap_or_else(Reply::token);
        (progress.requests, reply)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Each change is a single step, so the data is consistent even if the lock is poisoned.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a body to its end, and keeps at most one byte more than [`Issuer::MAX_BODY`].
async fn read(mut body: Incoming) -> io::Result<Bytes> {
    let mut kept = Vec::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        // Trailers are ignored.
        let Ok(data) = frame.map_err(io::Error::other)?.into_data() else {
            continue;
        };
        let room = Issuer::MAX_BODY
            .saturating_add(1)
            .saturating_sub(kept.len());
        kept.extend_from_slice(data.get(..room).unwrap_or(&data));
        seen = seen.saturating_add(data.len());
        if seen > MAX_DRAINED {
            break;
        }
    }
    Ok(kept.into())
}

/// Reads the wall clock; a time before 1970 reads as 1970.
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
