//! The emulator's handle and its thread.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use meshconnect_auth_core::{Credentials, Endpoint};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::behavior::Modes;
use super::issuer::Issuer;
use super::mode::Mode;
use super::reply::Reply;
use super::service::Service;

/// A token endpoint on a loopback port; see the [module](super) for an example.
///
/// It runs on its own thread. Dropping it stops the server, closes every open connection and joins
/// the thread.
///
/// Each request, on any path, gets the next reply of the [script](Self::script). After the last
/// reply, requests get the answer of the [`Issuer`], which the [modes](EmulatorBuilder::mode) may
/// change. Connections are kept alive.
///
/// | limit | value | beyond it |
/// |---|---|---|
/// | time for a request's head, and again for its body | 30 s | the connection is closed |
/// | idle time of a connection | 30 s | the connection is closed |
/// | size of a head | 64 KiB, 100 fields | 431 |
/// | size of a body | [`Issuer::MAX_BODY`] bytes | 413; after 1 MiB the connection is closed |
/// | connections at a time | 1,024 | further connections wait |
#[must_use = "dropping it stops the server"]
pub struct Emulator {
    service: Arc<Service>,
    address: SocketAddr,
    endpoint: Endpoint,
    running: Option<Running>,
}

struct Running {
    /// Dropping it is the signal.
    stop: oneshot::Sender<Infallible>,
    thread: JoinHandle<()>,
}

impl Emulator {
    /// The client id of [`Emulator::start`].
    pub const CLIENT_ID: &'static str = "emulator-client";

    /// The client secret of [`Emulator::start`].
    pub const CLIENT_SECRET: &'static str = "emulator-secret";

    /// Starts an emulator with the defaults: a free port of 127.0.0.1, the credentials
    /// [`CLIENT_ID`](Self::CLIENT_ID) and [`CLIENT_SECRET`](Self::CLIENT_SECRET), and tokens that
    /// live for one hour.
    ///
    /// The emulator accepts connections when this returns. This works inside and outside of an
    /// async runtime, and blocks while a thread starts.
    ///
    /// # Errors
    ///
    /// The operating system's error if no port, thread or file descriptor is available.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder with the defaults of [`start`](Self::start).
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder {
            credentials: None,
            expires_in: None,
            modes: Modes::default(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            non_loopback: false,
            read_timeout: Duration::from_secs(30),
        }
    }

    /// Appends replies to the script. Each request takes one, in the order in which the heads of
    /// requests arrive, even if its body breaks off. This can be called at any time.
    ///
    /// A server that fails every other time:
    ///
    /// ```
    /// use meshconnect_auth::emulator::{Emulator, Reply};
    /// use meshconnect_auth::http::StatusCode;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let emulator = Emulator::start()?;
    /// let flapping = [Reply::token(), Reply::status(StatusCode::INTERNAL_SERVER_ERROR)];
    /// emulator.script(flapping.into_iter().cycle().take(100));
    /// # Ok(())
    /// # }
    /// ```
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service.script(replies);
    }

    /// Returns the base URL for a client on this machine.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Returns the accepted credentials.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        self.service.issuer().credentials()
    }

    /// Returns the address that the emulator listens on, with the actual port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of requests so far, on any path. A request counts once its head is read.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.service.requests()
    }

    /// Returns the number of tokens granted so far, repeated ones included. Of scripted replies,
    /// only [`Reply::token`] counts.
    #[must_use]
    pub fn grants(&self) -> u64 {
        self.service.grants()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(Running { stop, thread }) = self.running.take() {
            drop(stop);
            // An error is a panic of that thread, which the panic hook has printed already.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Emulator {
    /// Shows only the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The settings of an [`Emulator`]; see [`Emulator::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing listens until `start`"]
pub struct EmulatorBuilder {
    credentials: Option<Credentials>,
    expires_in: Option<Duration>,
    modes: Modes,
    listen: SocketAddr,
    non_loopback: bool,
    read_timeout: Duration,
}

impl EmulatorBuilder {
    /// Sets the accepted credentials. Default: [`Emulator::CLIENT_ID`] and
    /// [`Emulator::CLIENT_SECRET`].
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets the lifetime of tokens; see [`Issuer::expires_in`]. Default: one hour.
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }

    /// Adds a mode. Default: none.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.modes.add(mode);
        self
    }

    /// Sets the address to listen on; port 0 takes a free one. Default: `127.0.0.1:0`.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Allows [`listen`](Self::listen) to take an address that other machines can reach.
    ///
    /// The emulator speaks plain http, so everyone on the network path can read what is sent to it.
    /// Use it only in a private container network.
    pub fn dangerously_allow_non_loopback(mut self) -> Self {
        self.non_loopback = true;
        self
    }

    /// Starts the emulator; see [`Emulator::start`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the address is not a loopback address and
    /// [`dangerously_allow_non_loopback`](Self::dangerously_allow_non_loopback) was not called.
    /// Otherwise the operating system's error, for example because the port is in use.
    pub fn start(self) -> io::Result<Emulator> {
        if !self.listen.ip().is_loopback() && !self.non_loopback {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{} is not a loopback address; the emulator speaks plain http and is meant \
                     for this machine alone",
                    self.listen
                ),
            ));
        }
        let credentials = match self.credentials {
            Some(credentials) => credentials,
            None => Credentials::new(Emulator::CLIENT_ID, Emulator::CLIENT_SECRET)
                .map_err(io::Error::other)?,
        };
        let mut issuer = Issuer::new(credentials);
        if let Some(expires_in) = self.expires_in {
            issuer = issuer.expires_in(expires_in);
        }
        let listener = TcpListener::bind(self.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let endpoint = endpoint_of(address)?;
        let service = Arc::new(Service::new(issuer, self.modes, self.read_timeout));
        let running = Running::start(Arc::clone(&service), listener)?;
        Ok(Emulator {
            service,
            address,
            endpoint,
            running: Some(running),
        })
    }
}

impl Running {
    fn start(service: Arc<Service>, listener: TcpListener) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ready, starting) = mpsc::sync_channel(1);
        // The runtime is created and dropped on its own thread, because `start` may be called
        // inside another runtime, where dropping one panics.
        let thread = thread::Builder::new()
            .name("meshconnect-emulator".into())
            .spawn(move || run(service, listener, stopped, &ready))?;
        starting.recv().map_err(io::Error::other)??;
        Ok(Self { stop, thread })
    }
}

fn run(
    service: Arc<Service>,
    listener: TcpListener,
    stopped: oneshot::Receiver<Infallible>,
    ready: &mpsc::SyncSender<io::Result<()>>,
) {
    match launch(service, listener) {
        // Dropping the runtime when `stopped` fires closes every connection.
        Ok(runtime) if ready.send(Ok(())).is_ok() => {
            let _ = runtime.block_on(stopped);
        }
        Ok(_) => {}
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    }
}

fn launch(service: Arc<Service>, listener: TcpListener) -> io::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    runtime.spawn(service.accept(listener));
    Ok(runtime)
}

/// Returns the base URL under which a client on this machine reaches `address`.
fn endpoint_of(address: SocketAddr) -> io::Result<Endpoint> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // A URL cannot contain the zone of a link-local address.
    let base_url = format!("http://{}", SocketAddr::new(ip, address.port()));
    // The caller has allowed an address that is not loopback.
    Endpoint::parse_dangerously_allowing_plaintext(&base_url).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::time::Instant;

    use http::header::{DATE, RETRY_AFTER};
    use http::{HeaderValue, StatusCode};

    use super::*;

    const GOOD: &str = r#"{"clientId":"emulator-client","clientSecret":"emulator-secret"}"#;

    fn post(path: &str, body: &str) -> String {
        format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn good() -> String {
        post(Endpoint::TOKEN_PATH, GOOD)
    }

    fn send(emulator: &Emulator, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = TcpStream::connect(emulator.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(bytes.as_ref()).unwrap();
        stream
    }

    /// Reads one response, by its `Content-Length`, and leaves the connection open.
    fn response(stream: &mut TcpStream) -> (String, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed after {head:?}");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length = length.split_once('\r').unwrap().0.parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// Reads until the connection is closed or reset.
    fn rest(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes) {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
        }
        String::from_utf8(bytes).unwrap()
    }

    fn ask(emulator: &Emulator) -> (String, String) {
        response(&mut send(emulator, good()))
    }

    fn code(head: &str) -> u16 {
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    #[track_caller]
    fn serves(emulator: &Emulator) {
        assert_eq!(code(&ask(emulator).0), 200);
    }

    /// Waits until the server's thread has made the condition true.
    #[track_caller]
    fn eventually(condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn with_short_read_timeout() -> Emulator {
        let mut builder = Emulator::builder();
        builder.read_timeout = Duration::from_millis(100);
        builder.start().unwrap()
    }

    #[test]
    fn grants_a_token_with_all_defaults() {
        let emulator = Emulator::start().unwrap();
        let address = emulator.address();
        assert!(address.ip().is_loopback());
        assert_eq!(emulator.endpoint().to_string(), format!("http://{address}"));
        assert_eq!(
            emulator.credentials().client_id().as_str(),
            Emulator::CLIENT_ID
        );

        let (head, body) = ask(&emulator);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("\r\ndate: "), "{head}");
        assert!(body.contains("\"expires_in\":3600"), "{body}");
        assert_eq!(emulator.requests(), 1);
    }

    #[test]
    fn starts_and_stops_inside_a_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async { serves(&Emulator::start().unwrap()) });
    }

    #[test]
    fn builder_sets_credentials_and_lifetime() {
        let emulator = Emulator::builder()
            .credentials(Credentials::new("me", "mine").unwrap())
            .expires_in(Duration::from_secs(5))
            .start()
            .unwrap();
        assert_eq!(code(&ask(&emulator).0), 403);
        let mine = post(
            Endpoint::TOKEN_PATH,
            r#"{"clientId":"me","clientSecret":"mine"}"#,
        );
        let (_, body) = response(&mut send(&emulator, mine));
        assert!(body.contains("\"expires_in\":5,"), "{body}");
    }

    #[test]
    fn listens_beyond_loopback_only_if_allowed() {
        let everywhere = Emulator::builder().listen("0.0.0.0:0".parse().unwrap());
        let error = everywhere.clone().start().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("0.0.0.0:0 is not a loopback"));

        let emulator = everywhere.dangerously_allow_non_loopback().start().unwrap();
        assert!(emulator.endpoint().is_loopback());
        serves(&emulator);

        let taken = Emulator::builder().listen(emulator.address());
        let error = taken.dangerously_allow_non_loopback().start().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn endpoint_is_reachable_from_this_machine() {
        for (address, endpoint) in [
            ("127.0.0.1:81", "http://127.0.0.1:81"),
            ("0.0.0.0:81", "http://127.0.0.1:81"),
            ("[::]:81", "http://[::1]:81"),
            ("[fe80::1%3]:81", "http://[fe80::1]:81"),
            ("10.0.0.1:80", "http://10.0.0.1"),
        ] {
            let given = endpoint_of(address.parse().unwrap()).unwrap();
            assert_eq!(given.to_string(), endpoint);
        }
    }

    #[test]
    fn script_comes_first_and_in_order() {
        let emulator = Emulator::start().unwrap();
        emulator.script([
            Reply::status(StatusCode::SERVICE_UNAVAILABLE).header(RETRY_AFTER, 3),
            Reply::token(),
        ]);
        emulator.script([Reply::status(StatusCode::OK).body("scripted")]);

        let elsewhere = post("/elsewhere", "");
        let mut stream = send(&emulator, &elsewhere);
        let (head, body) = response(&mut stream);
        assert_eq!((code(&head), body.as_str()), (503, ""));
        assert!(head.contains("\r\nretry-after: 3\r\n"), "{head}");
        for (request, expected) in [
            (&elsewhere, "\"notFound\""),
            (&elsewhere, "scripted"),
            (&good(), "id_token"),
        ] {
            stream.write_all(request.as_bytes()).unwrap();
            let (_, body) = response(&mut stream);
            assert!(body.contains(expected), "{body}");
        }
        assert_eq!(emulator.requests(), 4);
    }

    #[test]
    fn scripted_date_and_expires_in_win() {
        let emulator = Emulator::builder().mode(Mode::ClockAhead).start().unwrap();
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let reply = Reply::token().header(DATE, HeaderValue::from_static(date));
        emulator.script([reply.expires_in(Duration::from_secs(7))]);
        let (head, body) = ask(&emulator);
        assert!(head.contains(&format!("\r\ndate: {date}\r\n")), "{head}");
        assert!(body.contains("\"expires_in\":7,"), "{body}");
        let (_, body) = ask(&emulator);
        assert!(body.contains("\"expires_in\":3600,"), "{body}");
        assert_eq!(emulator.grants(), 2);
    }

    #[test]
    fn torn_body_announces_its_whole_length() {
        let emulator = Emulator::start().unwrap();
        let reply = Reply::status(StatusCode::OK).body("0123456789");
        for (reply, expected) in [
            (reply.clone().torn_after(0), ""),
            (reply.clone().torn_after(4), "0123"),
            (
                reply
                    .clone()
                    .torn_after(4)
                    .drip(3, Duration::from_millis(1)),
                "0123",
            ),
            (reply.torn_after(9), "012345678"),
        ] {
            emulator.script([reply]);
            let answer = rest(send(&emulator, good()));
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("\r\ncontent-length: 10\r\n"), "{head}");
            assert_eq!(body, expected);
        }
        let large = "x".repeat(300_000);
        let reply = Reply::status(StatusCode::OK).body(large.clone());
        emulator.script([reply.torn_after(299_999)]);
        assert!(rest(send(&emulator, good())).ends_with(&large[1..]));

        let reply = Reply::status(StatusCode::OK).body("whole");
        emulator.script([reply.torn_after(5)]);
        assert_eq!(ask(&emulator).1, "whole");
    }

    #[test]
    fn delay_precedes_the_head_and_drip_follows_it() {
        let emulator = Emulator::start().unwrap();
        let ms = Duration::from_millis;
        let reply = Reply::status(StatusCode::OK).body("abcde").delay(ms(30));
        emulator.script([reply.drip(2, ms(30))]);

        let started = Instant::now();
        let mut stream = send(&emulator, good());
        stream.read_exact(&mut [0; 9]).unwrap();
        assert!(started.elapsed() >= ms(30));
        assert_eq!(response(&mut stream).1, "abcde");
        // The body has two pauses; no pause follows its last chunk.
        assert!(started.elapsed() >= ms(90));

        emulator.script([Reply::status(StatusCode::OK).body("abc").drip(0, ms(1))]);
        assert_eq!(ask(&emulator).1, "abc");
    }

    #[test]
    fn hung_up_sends_nothing() {
        let emulator = Emulator::start().unwrap();
        emulator.script([Reply::hung_up(), Reply::status(StatusCode::CONTINUE)]);
        assert_eq!(rest(send(&emulator, good())), "");
        assert_eq!(rest(send(&emulator, good())), "");
        serves(&emulator);
    }

    #[test]
    fn survives_any_bytes() {
        let emulator = Emulator::start().unwrap();
        let head = "POST /admin/api/v1/Token HTTP/1.1\r\n";
        let long = format!("{head}X: {}\r\n\r\n", "x".repeat(70_000));
        let many = format!("{head}{}\r\n", "A: b\r\n".repeat(500));
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"\0\xff\xfe\x80",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET http:// HTTP/1.1\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\n\r\n",
            b"CONNECT h:1 HTTP/1.1\r\n\r\nxyz",
            b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x05",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            long.as_bytes(),
            many.as_bytes(),
        ] {
            let stream = send(&emulator, bytes);
            // The server may have closed the connection already.
            let _ = stream.shutdown(Shutdown::Write);
            rest(stream);
            serves(&emulator);
        }
        assert_eq!(code(&rest(send(&emulator, &long))), 431);
    }

    #[test]
    fn large_body_is_refused_and_huge_one_ends_the_connection() {
        let emulator = Emulator::start().unwrap();
        let body = |size| post(Endpoint::TOKEN_PATH, &" ".repeat(size));
        let answer = |request: String| response(&mut send(&emulator, request));
        assert_eq!(code(&answer(body(Issuer::MAX_BODY)).0), 400);
        assert_eq!(code(&answer(body(Issuer::MAX_BODY + 1)).0), 413);
        let (head, body) = answer(body(900_000));
        assert_eq!((code(&head), body.as_str()), (413, r#"{"statusCode":413}"#));

        let mut stream = send(&emulator, post("/", "").replace(": 0", ": 9999999999"));
        let chunk = [b' '; 8 * 1024];
        while stream.write_all(&chunk).is_ok() {}
        serves(&emulator);
    }

    #[test]
    fn incomplete_requests_time_out() {
        let emulator = with_short_read_timeout();
        let whole = good();
        for cut in [9, 60, whole.len() - 1] {
            assert_eq!(
                rest(send(&emulator, &whole[..cut])),
                "",
                "timed out at {cut}"
            );
            let stream = send(&emulator, &whole[..cut]);
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(stream), "", "broken off at {cut}");
        }
        // One of the three cuts is after the head; each is tried twice.
        assert_eq!(emulator.requests(), 2);
        serves(&emulator);
    }

    #[test]
    fn drop_closes_every_connection() {
        let emulator = Emulator::start().unwrap();
        let address = emulator.address();
        let forever = Duration::MAX;
        let dripping = Reply::status(StatusCode::OK).body("ab").drip(1, forever);
        emulator.script([Reply::stalled(), Reply::token().delay(forever), dripping]);
        let whole = good();
        let streams = [
            &whole[..],
            &whole,
            &whole,
            &whole[..9],
            &whole[..whole.len() - 1],
            "",
        ]
        .map(|bytes| send(&emulator, bytes));
        eventually(|| emulator.requests() == 4);

        let started = Instant::now();
        drop(emulator);
        assert!(started.elapsed() < Duration::from_secs(5));
        for stream in streams {
            let _ = rest(stream);
        }
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn disconnected_client_frees_its_connection() {
        let emulator = Emulator::start().unwrap();
        emulator.script([Reply::stalled()]);
        // One for the emulator, one for the accepting task, and one for each connection.
        let references = || Arc::strong_count(&emulator.service);
        let stream = send(&emulator, good());
        eventually(|| emulator.requests() == 1);
        assert_eq!(references(), 3);
        drop(stream);
        eventually(|| references() == 2);
        serves(&emulator);
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let credentials = Credentials::new("me", "s3cret").unwrap();
        let builder = Emulator::builder().credentials(credentials);
        assert!(!format!("{builder:?}").contains("s3cret"));
        assert!(!format!("{:?}", builder.start().unwrap()).contains("s3cret"));
    }
}
