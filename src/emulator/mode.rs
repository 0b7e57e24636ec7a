//! Server behaviour across requests.

use std::fmt;
use std::str::FromStr;

use meshconnect_auth_core::Error;

/// A way in which an [`Emulator`](super::Emulator) misbehaves across requests.
///
/// In a mode, an answer depends on earlier ones or on the clock, which a
/// [script](super::Emulator::script) cannot express. For a throttled, failing, slow or torn answer,
/// a wrong `Date` or a wrong `expires_in`, script a [`Reply`](super::Reply).
///
/// [`EmulatorBuilder::mode`](super::EmulatorBuilder::mode) adds a mode; several can be combined. No
/// mode is set by default. A test suite can run against each:
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// The token endpoint grants the same token until it expires, each time with the `expires_in`
    /// of a new one, like a server that caches its tokens.
    ///
    /// A client that trusts `expires_in` uses an expired token. A client that requests tokens until
    /// it gets a different one never stops.
    SameToken,
    /// Downstream endpoints accept only the token that was granted last. Each grant revokes the
    /// earlier tokens.
    ///
    /// Two clients with the same credentials revoke each other's tokens.
    OnlyNewest,
    /// Downstream endpoints answer every token with a 401.
    ///
    /// A client that fetches a new token after each 401 doubles the load of both servers.
    RefusedDownstream,
    /// The server's clock is ten minutes ahead: `Date`, and the `iat` and `exp` of tokens.
    ///
    /// A client that compares `exp` with its own clock uses tokens for ten minutes too long.
    ClockAhead,
    /// The server's clock is ten minutes behind: `Date`, and the `iat` and `exp` of tokens.
    ///
    /// A client that compares `exp` with its own clock treats short-lived tokens as expired.
    ClockBehind,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 5] = [
        Self::SameToken,
        Self::OnlyNewest,
        Self::RefusedDownstream,
        Self::ClockAhead,
        Self::ClockBehind,
    ];

    /// Returns the name for the command line. `FromStr` reads it and `Display` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SameToken => "same-token",
            Self::OnlyNewest => "only-newest",
            Self::RefusedDownstream => "refused-downstream",
            Self::ClockAhead => "clock-ahead",
            Self::ClockBehind => "clock-behind",
        }
    }

    /// Returns a one-line description.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::SameToken => {
                "The same token until it expires, each time with the expires_in of a new one"
            }
            Self::OnlyNewest => "Downstream accepts only the token that was granted last",
            Self::RefusedDownstream => "Downstream accepts no token",
            Self::ClockAhead => "The server's clock is 10 minutes ahead: Date, iat and exp",
            Self::ClockBehind => "The server's clock is 10 minutes behind: Date, iat and exp",
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
    /// [`ErrorKind::Configuration`](meshconnect_auth_core::ErrorKind::Configuration) if the text is
    /// not the name of a mode.
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            Error::configuration(format!("unknown mode; use one of {all}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
            assert!(!mode.summary().is_empty());
        }
        for name in ["", "Only-Newest", "same_token", "same-token "] {
            let error = name.parse::<Mode>().unwrap_err().to_string();
            assert!(error.contains("same-token, only-newest"), "{error}");
        }
    }
}
