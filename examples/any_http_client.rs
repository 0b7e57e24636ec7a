//! A transport of your own: the core makes the request and reads the answer, any HTTP client
//! carries them. Here it is bare hyper; nothing but `send` knows that.
//!
//! Run it with `cargo run --features emulator --example any_http_client`.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use meshconnect_auth::emulator::Emulator;
use meshconnect_auth::{
    BodyBuffer, Exchange, Moment, RequestBody, TransportError, TransportErrorKind,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start()?;
    let exchange = Exchange::new(emulator.endpoint(), emulator.credentials().clone());

    let sent = now();
    let response = timeout(Duration::from_secs(10), send(exchange.request()))
        .await
        .map_err(|late| TransportError::new(TransportErrorKind::Timeout, &late))?
        .map_err(|error| {
            TransportError::with_detail(TransportErrorKind::Broken, error.to_string())
        })?;
    let token = exchange.parse(response, now())?.into_token(sent);

    println!("a token, good until {:?}", token.expires_at());
    Ok(())
}

/// Sends one request and reads a bounded body. It follows no redirect, takes every status for an
/// answer, and leaves to the core what a torn or overlong body means.
async fn send(request: Request<RequestBody>) -> Result<Response<BodyBuffer>, Box<dyn Error>> {
    let authority = request.uri().authority().ok_or("no authority")?.to_string();
    let tcp = TcpStream::connect(&authority).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(connection);

    let mut request = request.map(|body| Full::new(body.into_bytes()));
    let host = HeaderValue::try_from(authority)?;
    request.headers_mut().insert(HOST, host);
    let (head, mut body) = sender.send_request(request).await?.into_parts();

    let mut buffer = BodyBuffer::new(BodyBuffer::DEFAULT_LIMIT, &head.headers);
    while buffer.wants_more() {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => {
                buffer.push(frame.data_ref().map_or(&[], |data| data));
            }
            Some(Err(error)) => {
                buffer.broken(TransportError::new(TransportErrorKind::Broken, &error));
            }
        }
    }
    Ok(Response::from_parts(head, buffer))
}

/// The core reads no clock; whoever calls it reads both.
fn now() -> Moment {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment {
        mono: ORIGIN.elapsed(),
        wall: SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    }
}
