//! The server that a request goes to, as errors name it.

use std::fmt;

/// The base URL of a request, and the proxy that it goes through. Neither contains credentials.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Box<str>,
    pub(crate) proxy: Option<Box<str>>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.endpoint)?;
        match &self.proxy {
            Some(proxy) => write!(f, ", through the proxy {proxy}"),
            None => Ok(()),
        }
    }
}
