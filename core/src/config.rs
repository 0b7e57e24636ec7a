//! The numbers that a user may set, and which combinations of them make sense.

use std::time::Duration;

use crate::error::Error;
use crate::protocol::BodyBuffer;

/// The numbers of a client, the same for every transport. [`Config::default`] has good ones.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long making a connection may take, the DNS included: 5 s. An attempt's own time-out
    /// bounds it too.
    pub connect_timeout: Duration,
    /// How long one attempt may take, from before the connection to the last byte of the body:
    /// 10 s.
    pub attempt_timeout: Duration,
    /// The largest response body that is read: 64 KiB, at most 1 MiB. Longer ones are errors.
    pub max_body: usize,
}

impl Config {
    /// The largest [`max_body`](Self::max_body) that can be set: 1 MiB.
    pub const LARGEST_MAX_BODY: usize = 1024 * 1024;

    /// The longest time-out that can be set: a day. HTTP clients add time-outs to clocks, and not
    /// all of them survive the end of time.
    pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

    /// Refuses what cannot work.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming the setting.
    pub fn check(&self) -> Result<(), Error> {
        for (name, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("attempt_timeout", self.attempt_timeout),
        ] {
            if timeout.is_zero() {
                return Err(Error::configuration(format!(
                    "{name} is zero, so that nothing could ever be in time; leave it out for the default"
                )));
            }
            if timeout > Self::LONGEST_TIMEOUT {
                return Err(Error::configuration(format!(
                    "{name} is longer than a day, which nobody waits for"
                )));
            }
        }
        if self.max_body == 0 || self.max_body > Self::LARGEST_MAX_BODY {
            return Err(Error::configuration(format!(
                "max_body is {} bytes; it must be from 1 to {}",
                self.max_body,
                Self::LARGEST_MAX_BODY
            )));
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(10),
            max_body: BodyBuffer::DEFAULT_LIMIT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        type Change = fn(&mut Config);
        let cases: [(Change, &str); 6] = [
            (
                |config| config.connect_timeout = Duration::ZERO,
                "connect_timeout",
            ),
            (
                |config| config.attempt_timeout = Duration::ZERO,
                "attempt_timeout",
            ),
            (
                |config| config.connect_timeout = Duration::MAX,
                "connect_timeout",
            ),
            (
                |config| config.attempt_timeout = Duration::from_secs(86_401),
                "attempt_timeout",
            ),
            (|config| config.max_body = 0, "max_body"),
            (
                |config| config.max_body = Config::LARGEST_MAX_BODY + 1,
                "max_body",
            ),
        ];
        assert!(Config::default().check().is_ok());
        for (change, name) in cases {
            let mut config = Config::default();
            change(&mut config);
            assert!(config.check().unwrap_err().to_string().contains(name));
        }
    }
}
