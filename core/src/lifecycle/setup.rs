//! What the builders of all transports have in common.

use std::fmt;

use super::event::Observer;
use super::machine::Machine;
use super::shared::Shared;
use crate::config::Config;
use crate::error::Error;
use crate::moment::Moment;
use crate::protocol::{Credentials, Endpoint, Exchange, Token};

/// What the builder of a transport collects, whatever its HTTP client. All but the credentials
/// has a default.
#[must_use]
#[non_exhaustive]
pub struct Setup {
    /// Whom the tokens are for.
    pub credentials: Credentials,
    /// Where to send; [`Endpoint::PRODUCTION`] by default.
    pub endpoint: Endpoint,
    /// The numbers.
    pub config: Config,
    /// A token to begin with.
    pub held: Option<Token>,
    /// What is told of every event.
    pub observer: Option<Box<Observer>>,
}

impl Setup {
    /// A setup of defaults.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            endpoint: Endpoint::default(),
            config: Config::default(),
            held: None,
            observer: None,
        }
    }

    /// The shared machine of this setup. `seed` is drawn at random by the caller, once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), as [`Config::check`].
    pub fn share(self, now: Moment, seed: u64) -> Result<Shared, Error> {
        self.config.check()?;
        let exchange = Exchange::new(self.endpoint, self.credentials);
        let mut machine = Machine::new(self.config, exchange, seed);
        if let Some(token) = self.held {
            machine.handle_token(now, token);
        }
        Ok(Shared::new(machine, self.observer))
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("credentials", &self.credentials)
            .field("endpoint", &self.endpoint)
            .field("config", &self.config)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}
