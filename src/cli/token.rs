//! `meshconnect-auth token`: gets a token and writes it out.

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
use super::{on_thread, output, start_runtime, tell};

/// Gets a token and writes it to stdout. Dropped before the token is there, it writes nothing.
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
    let asking = on_thread(move || ask(transport, endpoint, credentials, config, verbose));
    timeout(limit.saturating_add(HEAD_START), asking)
        .await
        .unwrap_or_else(|_| Err(Error::from(overdue()).into()))
}

/// How much later than the client's own the program's time-out is, because the client knows more
/// to say.
///
/// A server can keep a connection's task busy without end (a flood of 1xx responses). Then no
/// timer of its runtime fires, for all the threads that it may have, and this one still does.
const HEAD_START: Duration = Duration::from_millis(500);

fn overdue() -> TransportError {
    let detail = "the HTTP client has missed its own time-out";
    TransportError::with_detail(TransportErrorKind::Timeout, detail)
}

/// Gets a token in the one way or the other. Blocks in both.
fn ask(
    transport: Transport,
    endpoint: Endpoint,
    credentials: Credentials,
    config: Config,
    verbose: bool,
) -> Result<Token, Failure> {
    let observer = move |event: &Event| narrate(event, verbose);
    match transport {
        Transport::Async => {
            let client = Client::builder(credentials)
                .endpoint(endpoint)
                .config(config)
                .observer(observer)
                .build()?;
            let runtime = start_runtime()?;
            let outcome = runtime.block_on(client.token());
            // A look-up of a host name may go on after the time-out; nobody waits for it.
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

/// Says why it takes longer, and with `-v` all that happens.
fn narrate(event: &Event, verbose: bool) {
    match (event, event.error()) {
        (Event::Retry { .. }, Some(error)) => tell(format_args!("{event}: {error}")),
        // Of a failure and its cooldown the program itself is the end.
        (Event::Failed { .. } | Event::CooldownStarted { .. }, _) => {}
        _ if verbose => tell(event),
        _ => {}
    }
}

/// Whom to ask, and as whom.
struct Target {
    endpoint: Endpoint,
    credentials: Credentials,
    /// It answers for as long as it is held.
    _emulator: Option<Emulator>,
}

impl Target {
    /// Reads the flags and the environment, and starts an emulator where one was asked for. What
    /// may block, the secret's file, comes after all that may be refused without it.
    fn resolve(args: TokenArgs) -> Result<Self, Failure> {
        if args.emulator {
            return Self::emulator(args.credentials.resolve()?);
        }
        let endpoint = endpoint(args.base_url, args.allow_plaintext)?;
        let credentials = args.credentials.resolve()?.ok_or_else(|| {
            Failure::Setup(format!(
                "there are no credentials; set {CLIENT_ID} and {CLIENT_SECRET}, or pass \
                 --client-id and --client-secret-file; to try this program without any, pass \
                 --emulator"
            ))
        })?;
        if !endpoint.is_https() && !endpoint.is_loopback() {
            tell(format_args!(
                "warning: {endpoint} is plain http: everyone on the way can read the client \
                 secret and the token"
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
            Failure::Setup(format!("the emulator could not be started: {error}"))
        })?;
        tell("note: this token is from an emulator; the real service does not take it");
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
            "; for an emulator in a private network there is --allow-plaintext"
        } else {
            ""
        };
        Failure::Setup(format!("{from}: {}{hint}", error.report()))
    })
}
