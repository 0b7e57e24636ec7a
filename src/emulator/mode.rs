//! The ways in which the emulator behaves where the contract leaves that open.

use std::fmt;
use std::str::FromStr;

use meshconnect_auth_core::Error;

/// One way in which an [`Emulator`](super::Emulator) is hostile: lawful by the letter of the
/// contract, or nearly so, and hard on its clients.
///
/// [`EmulatorBuilder::mode`](super::EmulatorBuilder::mode) sets one, and can be called again for
/// another: they go together, also where that makes little sense. None is the default. A whole
/// test suite can be run against each:
///
/// ```
/// use meshconnect_auth::emulator::{Emulator, Mode};
///
/// # fn main() -> std::io::Result<()> {
/// # fn my_code_works_with(_: meshconnect_auth::Endpoint) {}
/// for mode in Mode::ALL {
///     let emulator = Emulator::builder().mode(mode).start()?;
///     my_code_works_with(emulator.endpoint());
/// }
/// # Ok(())
/// # }
/// ```
///
/// A [scripted](super::Emulator::script) reply goes before all of them but [`Slow`](Self::Slow)
/// and those about the `Date`, which concern it too.
///
/// Not exhaustive: there are always more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// The same token again and again until it ends, each time with the `expires_in` of a new
    /// one: a server that caches its tokens.
    ///
    /// A client that believes `expires_in` uses an expired token; one that asks until it gets
    /// another asks without end.
    SameToken,
    /// Only the token that was granted last is taken downstream: each new one revokes those
    /// before it.
    ///
    /// Two clients with the same credentials take each other's tokens away.
    OnlyNewest,
    /// Tokens are granted and none is taken downstream: a 401 for each.
    ///
    /// A client that gets a new token after each 401 doubles the load of both servers for nothing.
    RefusedDownstream,
    /// `expires_in` tells twice what the token's `exp` says, and `exp` is right.
    LongExpiresIn,
    /// `expires_in` tells half of what the token's `exp` says, and downstream keeps to `exp`.
    ShortExpiresIn,
    /// The server's clock is ten minutes ahead: `Date`, the dates of `Retry-After`, and the
    /// `iat` and `exp` of tokens are all to be read by that clock.
    ///
    /// A client that compares `exp` with its own clock gives tokens ten minutes too long a life.
    ClockAhead,
    /// The server's clock is ten minutes behind. A client that compares `exp` with its own clock
    /// finds short-lived tokens expired.
    ClockBehind,
    /// `Date` alone is ten minutes ahead: a proxy with a wrong clock wrote it.
    DateAhead,
    /// `Date` alone is ten minutes behind.
    DateBehind,
    /// Each token must be waited for: the first request gets a 429 whose `Retry-After` says two
    /// seconds; so does any that comes before they are over, with what is left of them. The next
    /// after that gets the token.
    ThrottledSeconds,
    /// As [`ThrottledSeconds`](Self::ThrottledSeconds), and `Retry-After` is a date in the form
    /// that is preferred, `Sun, 06 Nov 1994 08:49:37 GMT`.
    ThrottledDate,
    /// The same with the first old form, `Sunday, 06-Nov-94 08:49:37 GMT` (RFC 850).
    ThrottledRfc850,
    /// The same with the other, `Sun Nov  6 08:49:37 1994`, which is that of C's `asctime`.
    ThrottledAsctime,
    /// Each answer comes two seconds late.
    Slow,
    /// Every other request to the token endpoint is answered with a 500, the first one with what
    /// it deserves.
    Flapping,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::SameToken,
        Self::OnlyNewest,
        Self::RefusedDownstream,
        Self::LongExpiresIn,
        Self::ShortExpiresIn,
        Self::ClockAhead,
        Self::ClockBehind,
        Self::DateAhead,
        Self::DateBehind,
        Self::ThrottledSeconds,
        Self::ThrottledDate,
        Self::ThrottledRfc850,
        Self::ThrottledAsctime,
        Self::Slow,
        Self::Flapping,
    ];

    /// Its name on the command line, which is also what `FromStr` reads and `Display` writes.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What it is, in one line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SameToken => (
                "same-token",
                "The same token until it ends, each time with the expires_in of a new one",
            ),
            Self::OnlyNewest => (
                "only-newest",
                "Downstream takes only the token that was granted last",
            ),
            Self::RefusedDownstream => ("refused-downstream", "Downstream takes no token at all"),
            Self::LongExpiresIn => (
                "long-expires-in",
                "expires_in tells twice what exp says, and exp is right",
            ),
            Self::ShortExpiresIn => (
                "short-expires-in",
                "expires_in tells half of what exp says, and exp is right",
            ),
            Self::ClockAhead => (
                "clock-ahead",
                "The server's clock is 10 minutes ahead: Date, Retry-After, iat and exp",
            ),
            Self::ClockBehind => (
                "clock-behind",
                "The server's clock is 10 minutes behind: Date, Retry-After, iat and exp",
            ),
            Self::DateAhead => ("date-ahead", "Date alone is 10 minutes ahead"),
            Self::DateBehind => ("date-behind", "Date alone is 10 minutes behind"),
            Self::ThrottledSeconds => (
                "throttled-seconds",
                "A 429 before each token, with 2 seconds to wait",
            ),
            Self::ThrottledDate => (
                "throttled-date",
                "A 429 before each token, with a date to wait for",
            ),
            Self::ThrottledRfc850 => (
                "throttled-rfc850",
                "A 429 before each token, with a date in the form of RFC 850",
            ),
            Self::ThrottledAsctime => (
                "throttled-asctime",
                "A 429 before each token, with a date in the form of asctime",
            ),
            Self::Slow => ("slow", "Each answer comes 2 seconds late"),
            Self::Flapping => (
                "flapping",
                "Every other request to the token endpoint gets a 500",
            ),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = Error;

    /// Reads a [`name`](Self::name).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](meshconnect_auth_core::ErrorKind::Configuration) where there
    /// is no such mode.
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            Error::configuration(format!("there is no such mode; the modes are {all}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_that_reads_back() {
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
            assert!(!mode.summary().is_empty());
        }
        for name in ["", "Slow", "same_token", "slow "] {
            let error = name.parse::<Mode>().unwrap_err().to_string();
            assert!(error.contains("same-token, only-newest"), "{error}");
        }
    }
}
