//! The environment variables of the program.

use std::env;

use super::failure::Failure;

pub(crate) const BASE_URL: &str = "MESHCONNECT_BASE_URL";
pub(crate) const CLIENT_ID: &str = "MESHCONNECT_CLIENT_ID";
pub(crate) const CLIENT_SECRET: &str = "MESHCONNECT_CLIENT_SECRET";

/// Returns the value of the variable `name`, if it is set.
///
/// An empty variable is an error, because it usually comes from a mistake in a script. With a
/// default in its place, the secret could go to the wrong server.
pub(crate) fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var_os(name).map(std::ffi::OsString::into_string) {
        None => Ok(None),
        Some(Ok(value)) if value.is_empty() => Err(Failure::Setup(format!(
            "{name} is empty; set it to a value or unset it"
        ))),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(Failure::Setup(format!(
            "{name} is not valid UTF-8; set it to UTF-8 text"
        ))),
    }
}
