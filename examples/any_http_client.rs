//! A custom transport for a single caller. The machine decides what to do next, and any HTTP client
//! can send the requests. This one is plain hyper without TLS, used only in `send`.
//!
//! Run it with `cargo run --features emulator --example any_http_client`.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

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
    // The first response is an error, to show a retry.
    emulator.script([Reply::status(StatusCode::SERVICE_UNAVAILABLE)]);

    let exchange = Exchange::new(emulator.endpoint(), emulator.credentials().clone());
    let seed = RandomState::new().hash_one(());
    let mut machine = Machine::new(Config::default(), exchange, seed);

    let first = token(&mut machine, Need::Usable).await?;
    println!("a token, valid until {:?}", first.expires_at());

    // An API responded with 401, so this token must not be returned again.
    machine.handle_rejection(now(), &first);
    let second = token(&mut machine, Need::Usable).await?;
    println!("another token, valid until {:?}", second.expires_at());
    Ok(())
}

/// Returns a token. Starts a refresh ahead if one is due, then follows the machine's steps.
async fn token(machine: &mut Machine, need: Need) -> Result<Token, Box<dyn Error>> {
    if let Some(transmit) = machine.poll_refresh(now()) {
        run_attempt(machine, transmit).await;
    }
    let ticket = machine.ticket(need);
    loop {
        match machine.poll(now(), &ticket) {
            Step::Ready(token) => return Ok(token),
            Step::Failed(error) => return Err(error.into()),
            // With one caller, nothing can end the wait early. `Shared` handles many callers.
            Step::Wait(time) => {
                println!("waiting for {time:.1?}");
                sleep(time).await;
            }
            Step::Send(transmit) => run_attempt(machine, transmit).await,
        }
    }
}

/// Sends a request within its time-out and reports the outcome to the machine.
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

/// Sends one request and reads a bounded body. Follows no redirect, returns a response of any
/// status, and leaves a torn or overlong body to the core.
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

/// Returns the current time. The core reads no clock itself.
fn now() -> Moment {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment::new(ORIGIN.elapsed(), SystemTime::now())
}
