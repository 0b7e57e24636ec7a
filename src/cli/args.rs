//! The command line arguments and their help.

use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args as ArgGroup, Parser, Subcommand, ValueEnum, value_parser};
use meshconnect_auth::Endpoint;
use meshconnect_auth::emulator::Mode;

use super::credentials::CredentialFlags;
use super::output::Format;

/// Get a token for the Mesh Connect Account Management API
#[derive(Debug, Parser)]
#[command(name = "meshconnect-auth", version)]
#[command(disable_help_subcommand = true, after_help = CODES_AND_VARIABLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Token(TokenArgs),
    Emulator(EmulatorArgs),
}

/// Get a token and write it to stdout
#[derive(Debug, ArgGroup)]
#[command(after_help = CODES_AND_VARIABLES)]
pub(crate) struct TokenArgs {
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,

    /// HTTP client to use
    #[arg(long, value_enum, default_value = "async")]
    pub(crate) transport: Transport,

    // Not parsed by clap, because clap's error would print a password in the URL.
    #[arg(
        long,
        value_name = "URL",
        help = format!("Base URL of the API [default: {}]", Endpoint::PRODUCTION)
    )]
    pub(crate) base_url: Option<String>,

    /// Allow plain http to hosts other than this one
    ///
    /// Everyone on the network path can then read the secret and the token. Use it
    /// only for an emulator in a private container network.
    #[arg(long, verbatim_doc_comment)]
    pub(crate) allow_plaintext: bool,

    #[command(flatten)]
    pub(crate) credentials: CredentialFlags,

    /// Time limit for getting the token, all attempts and waits included
    ///
    /// Each attempt takes at most 10s, and connecting takes at most 5s of it. A retry
    /// needs at least 1s of the time limit.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "DURATION",
        default_value = "30s",
        value_parser = timeout
    )]
    pub(crate) timeout: Duration,

    /// Maximum number of requests
    #[arg(long, value_name = "NUMBER", default_value = "3", value_parser = value_parser!(u32).range(1..=100))]
    pub(crate) max_attempts: u32,

    /// Report each step on stderr
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Get the token from an emulator that runs for this one call
    ///
    /// Nothing leaves this machine, and no credentials are needed. If you pass
    /// credentials, the emulator accepts those.
    #[arg(long, verbatim_doc_comment, conflicts_with = "base_url")]
    pub(crate) emulator: bool,
}

/// Serve the token endpoint on this machine, for tests
///
/// Without credentials of your own it accepts built-in ones. It prints to stderr
/// how to use it. Its tokens are not signed, and the real service does not
/// accept them.
#[derive(Debug, ArgGroup)]
#[command(verbatim_doc_comment, after_help = EMULATOR_CODES_AND_VARIABLES)]
pub(crate) struct EmulatorArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,

    /// Allow an address that others can reach
    ///
    /// Everyone on the network path can read what is sent to the emulator. Use it
    /// only in a private container network.
    #[arg(long, verbatim_doc_comment)]
    pub(crate) dangerously_allow_non_loopback: bool,

    #[command(flatten)]
    pub(crate) credentials: CredentialFlags,

    /// Lifetime of the tokens, in whole seconds
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = lifetime)]
    pub(crate) expires_in: Duration,

    /// Misbehave across requests; can be repeated
    #[arg(long = "mode", value_name = "NAME", value_parser = modes())]
    pub(crate) modes: Vec<Mode>,
}

/// The HTTP client that sends the request.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Transport {
    /// reqwest, on tokio
    Async,
    /// ureq
    Blocking,
}

const CODES_AND_VARIABLES: &str = "\
Environment (a flag overrides its variable; an empty variable is an error):
  MESHCONNECT_CLIENT_ID      client id
  MESHCONNECT_CLIENT_SECRET  client secret
  MESHCONNECT_BASE_URL       base URL of the API; --emulator ignores it

Exit codes:
  0    the token was written
  1    the token could not be written
  2    wrong usage or configuration; nothing was sent
  3    the server refused the credentials or the request
  4    no response: DNS, connection, TLS or time-out
  5    the response is not a valid token response
  6    the server is throttling or unavailable; try again later
  130  stopped by SIGINT (ctrl-c)
  143  stopped by SIGTERM";

const EMULATOR_CODES_AND_VARIABLES: &str = "\
Environment (a flag overrides its variable; an empty variable is an error):
  MESHCONNECT_CLIENT_ID      client id
  MESHCONNECT_CLIENT_SECRET  client secret

Exit codes:
  0    stopped by SIGINT (ctrl-c) or SIGTERM
  2    wrong usage or configuration, or listening on the address failed
  130  stopped by SIGINT before it served (while reading the secret)
  143  stopped by SIGTERM before it served (while reading the secret)";

/// A longer time-out is a mistake, and very long ones overflow the clocks of an HTTP client.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err("no request finishes in zero time; a good one is 30s".into());
    }
    if duration > LONGEST_TIMEOUT {
        return Err("a time-out is at most one day; a good one is 30s".into());
    }
    Ok(duration)
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration < Duration::from_secs(1) {
        return Err("a token lives for at least one second; a good one is 1h".into());
    }
    Ok(duration)
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; good ones are 30s and 1m30s"))
}

/// Returns a parser for mode names; the help lists each name with its summary.
fn modes() -> impl TypedValueParser<Value = Mode> {
    let named = |mode: Mode| PossibleValue::new(mode.name()).help(mode.summary());
    PossibleValuesParser::new(Mode::ALL.map(named)).try_map(|name| name.parse::<Mode>())
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "not an IP address with a port; good ones are 127.0.0.1:8080 and [::1]:0")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn clap_accepts_the_definition() {
        Args::command().debug_assert();
    }

    #[test]
    fn invalid_durations_are_refused_with_an_example() {
        for text in [
            "",
            "30",
            "x",
            "0s",
            "0ms",
            "-1s",
            "1 parsec",
            "999999999999999999y",
        ] {
            for parse in [timeout, lifetime] {
                let error = parse(text).unwrap_err();
                assert!(error.contains("good one"), "{text}: {error}");
            }
        }
        assert!(lifetime("999ms").is_err());
        assert!(timeout("25h").is_err());
        assert_eq!(timeout("1m30s"), Ok(Duration::from_secs(90)));
    }
}
