//! The errors of the program, and their exit codes.

use std::fmt;
use std::io;

use meshconnect_auth::{Blame, Error, ErrorKind};

use super::stop::Stop;

/// An error that ends the program.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments, the environment or the machine are not suitable. Nothing was sent.
    Setup(String),
    /// An error of the library.
    Library(Error),
    /// Writing to stdout failed.
    Output(io::Error),
    /// A signal ended the program.
    Stopped(Stop),
}

impl Failure {
    /// The exit code for wrong usage, which is also clap's own.
    pub(crate) const USAGE: u8 = 2;

    /// Returns the exit code; the help lists all of them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_) => 1,
            Self::Setup(_) => Self::USAGE,
            Self::Library(error) => match error.kind() {
                ErrorKind::Malformed => 5,
                ErrorKind::Throttled | ErrorKind::Unavailable => 6,
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
            Self::Output(error) => write!(
                f,
                "stdout could not be written to: {error}; check where it is redirected"
            ),
            Self::Stopped(stop) => write!(f, "stopped by {stop}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}
