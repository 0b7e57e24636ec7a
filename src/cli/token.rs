//! `meshconnect-auth token`: gets a token and writes it to stdout.

use std::time::Duration;

use meshconnect_auth::emulator::Emulator;
use meshconnect_auth::{
    Client, Config, Credentials, Endpoint, Error, Event, Token, TransportError, TransportErrorKind,
    blocking,
};
use tokio::time::timeout;

use super::args::{TokenArgs, Transport};
use super::environment::{self, BASE_URL, CLIENT_ID, CLIENT_SECRET};
use super::failure::Failure;
use super::output::{self, print_message};
use super::runtime::{on_thread, start_runtime};

/// Gets a token and writes it to stdout. If it is dropped before the token arrives, it writes
/// nothing.
pub(crate) async fn run(args: TokenArgs) -> Result<(), Failure> {
    let format = args.format;
    let token = get(args).await?;
    on_thread(move || output::write(&token, format))
        .await
        .map_err(Failure::Output)
}

async fn get(args: TokenArgs) -> Result<Token, Failure> {
    let (transport, verbose, limit) = (args.transport, args.verbose, args.timeout);
    let mut config = Config::default();
    config.attempts = args.max_attempts;
    config.acquisition_timeout = limit;
    config.attempt_timeout = limit.min(config.attempt_timeout);
    let target = on_thread(move || Target::resolve(args)).await?;
    let (endpoint, credentials) = (target.endpoint.clone(), target.credentials.clone());
    let request = on_thread(move || acquire(transport, endpoint, credentials, config, verbose));
    timeout(limit.saturating_add(GRACE), request)
        .await
        .unwrap_or_else(|_| {
            let detail = "the HTTP client missed its own time-out";
            let error = TransportError::with_detail(TransportErrorKind::Timeout, detail);
            Err(Error::from(error).into())
        })
}

/// How much later the program's own time-out fires than the client's, whose error says more.
///
/// The program needs its own, because an endless flood of 1xx responses keeps the client's runtime
/// busy, so that none of its timers fire.
const GRACE: Duration = Duration::from_millis(500);

/// Gets a token with the chosen HTTP client, and blocks until it arrives.
fn acquire(
    transport: Transport,
    endpoint: Endpoint,
    credentials: Credentials,
    config: Config,
    verbose: bool,
) -> Result<Token, Failure> {
    let observer = move |event: &Event| print_event(event, verbose);
    match transport {
        Transport::Async => {
            let client = Client::builder(credentials)
                .endpoint(endpoint)
                .config(config)
                .observer(observer)
                .build()?;
            let runtime = start_runtime()?;
            let outcome = runtime.block_on(client.token());
            // A DNS look-up may still run after the time-out; do not wait for it.
            runtime.shutdown_background();
            Ok(outcome?)
        }
        Transport::Blocking => {
            let client = blocking::Client::builder(credentials)
                .endpoint(endpoint)
                .config(config)
                .observer(observer)
                .build()?;
            Ok(client.token()?)
        }
    }
}

/// Prints retries, and with `-v` all other events.
fn print_event(event: &Event, verbose: bool) {
    match (event, event.error()) {
        (Event::Retry { .. }, Some(error)) => print_message(format_args!("{event}: {error}")),
        // The program reports the failure itself when it ends.
        (Event::Failed { .. } | Event::CooldownStarted { .. }, _) => {}
        _ if verbose => print_message(event),
        _ => {}
    }
}

/// The endpoint and the credentials to use.
struct Target {
    endpoint: Endpoint,
    credentials: Credentials,
    /// Dropping it stops the emulator.
    _emulator: Option<Emulator>,
}

impl Target {
    /// Reads the flags and the environment, and starts an emulator if `--emulator` is set.
    ///
    /// The secret's file is read after every other check, because reading it can block.
    fn resolve(args: TokenArgs) -> Result<Self, Failure> {
        if args.emulator {
            return Self::emulator(args.credentials.resolve()?);
        }
        let endpoint = endpoint(args.base_url, args.allow_plaintext)?;
        let credentials = args.credentials.resolve()?.ok_or_else(|| {
            Failure::Setup(format!(
                "no credentials are set; set {CLIENT_ID} and {CLIENT_SECRET}, or pass \
                 --client-id and --client-secret-file; to try this program without any, pass \
                 --emulator"
            ))
        })?;
        if !endpoint.is_https() && !endpoint.is_loopback() {
            print_message(format_args!(
                "warning: {endpoint} is plain http: everyone on the network path can read the \
                 client secret and the token"
            ));
        }
        Ok(Self {
            endpoint,
            credentials,
            _emulator: None,
        })
    }

    fn emulator(credentials: Option<Credentials>) -> Result<Self, Failure> {
        let mut builder = Emulator::builder();
        if let Some(credentials) = credentials {
            builder = builder.credentials(credentials);
        }
        let emulator = builder.start().map_err(|error| {
            Failure::Setup(format!(
                "the emulator did not start: {error}; check the limits on threads and open files"
            ))
        })?;
        print_message("note: this token is from an emulator; the real service does not accept it");
        Ok(Self {
            endpoint: emulator.endpoint(),
            credentials: emulator.credentials().clone(),
            _emulator: Some(emulator),
        })
    }
}

fn endpoint(base_url: Option<String>, allow_plaintext: bool) -> Result<Endpoint, Failure> {
    let (from, base_url) = match base_url {
        Some(base_url) => ("--base-url", Some(base_url)),
        None => (BASE_URL, environment::variable(BASE_URL)?),
    };
    let Some(base_url) = base_url else {
        return Ok(Endpoint::default());
    };
    let parse: fn(&str) -> Result<Endpoint, Error> = if allow_plaintext {
        Endpoint::parse_dangerously_allowing_plaintext
    } else {
        Endpoint::parse
    };
    parse(&base_url).map_err(|error| {
        let plaintext = Endpoint::parse_dangerously_allowing_plaintext(&base_url).is_ok();
        let hint = if plaintext {
            "; for an emulator in a private network, pass --allow-plaintext"
        } else {
            ""
        };
        Failure::Setup(format!("{from}: {}{hint}", error.report()))
    })
}
