//! How the program fails, and with which exit code.

use std::fmt;
use std::io;

use meshconnect_auth::{Blame, Error, ErrorKind};

use super::stop::Stop;

/// Why the program did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments, the environment or the machine do not allow it. Nothing was sent.
    Setup(String),
    /// The library's verdict.
    Library(Error),
    /// The token is there, and could not be written out.
    Output(io::Error),
    /// A signal ended it.
    Stopped(Stop),
}

impl Failure {
    /// The exit code for wrong usage, which is also clap's own.
    pub(crate) const USAGE: u8 = 2;

    /// The exit code, as the help lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_) => 1,
            Self::Setup(_) => Self::USAGE,
            Self::Library(error) => match error.kind() {
                ErrorKind::Malformed => 5,
                kind => match kind.blame() {
                    Blame::Caller => Self::USAGE,
                    Blame::Server => 3,
                    Blame::Wire => 4,
                },
            },
            Self::Stopped(stop) => stop.exit_code(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(why) => f.write_str(why),
            Self::Library(error) => write!(f, "{}", error.report()),
            Self::Output(error) => write!(f, "stdout could not be written to: {error}"),
            Self::Stopped(stop) => write!(f, "stopped by {stop}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}
