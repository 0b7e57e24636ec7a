//! A transport of your own, for one caller: the machine decides what to do next, any HTTP client
//! carries the requests. Here it is bare hyper over plain http, without TLS; nothing but `send`
//! knows that.
//!
//! Run it with `cargo run --features emulator --example any_http_client`.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use http::header::HOST;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use meshconnect_auth::emulator::{Emulator, Reply};
use meshconnect_auth::{
    BodyBuffer, Config, Exchange, Machine, Moment, Need, Step, Token, Transmit, TransportError,
    TransportErrorKind,
};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start()?;
    // The first answer is a failure, so that there is something to see.
    emulator.script([Reply::status(StatusCode::SERVICE_UNAVAILABLE)]);

    let exchange = Exchange::new(emulator.endpoint(), emulator.credentials().clone());
    let seed = RandomState::new().hash_one(());
    let mut machine = Machine::new(Config::default(), exchange, seed);

    let first = token(&mut machine, Need::Usable).await?;
    println!("a token, good until {:?}", first.expires_at());

    // A downstream answered 401: it is not given out again.
    machine.handle_rejection(now(), &first);
    let second = token(&mut machine, Need::Usable).await?;
    println!("another, good until {:?}", second.expires_at());
    Ok(())
}

/// One call: refreshes ahead if it is time to, then does what each step says.
async fn token(machine: &mut Machine, need: Need) -> Result<Token, Box<dyn Error>> {
    if let Some(transmit) = machine.poll_refresh(now()) {
        run_attempt(machine, transmit).await;
    }
    let ticket = machine.ticket(need);
    loop {
        match machine.poll(now(), &ticket) {
            Step::Ready(token) => return Ok(token),
            Step::Failed(error) => return Err(error.into()),
            // With one caller nothing can happen meanwhile; for many, there is `Shared`.
            Step::Wait(time) => {
                println!("waiting for {time:.1?}");
                sleep(time).await;
            }
            Step::Send(transmit) => run_attempt(machine, transmit).await,
        }
    }
}

/// Sends what the machine wants to be sent, in time, and tells it what came of it.
async fn run_attempt(machine: &mut Machine, transmit: Transmit) {
    let outcome = match timeout(transmit.timeout, send(&transmit)).await {
        Ok(Ok(response)) => transmit.flight.parse(response, now()),
        Ok(Err(error)) => {
            let detail = error.to_string();
            Err(TransportError::with_detail(TransportErrorKind::Broken, detail).into())
        }
        Err(late) => Err(TransportError::new(TransportErrorKind::Timeout, &late).into()),
    };
    machine.handle_outcome(now(), transmit.flight, outcome);
}

/// Sends one request and reads a bounded body. It follows no redirect, takes every status for an
/// answer, and leaves to the core what a torn or overlong body means.
async fn send(transmit: &Transmit) -> Result<Response<BodyBuffer>, Box<dyn Error>> {
    let request = transmit.request.clone();
    let authority = request.uri().authority().ok_or("no authority")?.to_string();
    let tcp = TcpStream::connect(&authority).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(connection);

    let mut request = request.map(|body| Full::new(body.into_bytes()));
    let host = HeaderValue::try_from(authority)?;
    request.headers_mut().insert(HOST, host);
    let (head, mut body) = sender.send_request(request).await?.into_parts();

    let mut buffer = BodyBuffer::new(transmit.max_body, &head.headers);
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
    Moment::new(ORIGIN.elapsed(), SystemTime::now())
}
