//! The environment variables that are read.

use std::env;

use super::failure::Failure;

pub(crate) const BASE_URL: &str = "MESHCONNECT_BASE_URL";
pub(crate) const CLIENT_ID: &str = "MESHCONNECT_CLIENT_ID";
pub(crate) const CLIENT_SECRET: &str = "MESHCONNECT_CLIENT_SECRET";

/// The value of the variable `name`, if it is set.
///
/// Empty is not the same as unset: it is what a mistake in a script looks like, and to go on with
/// a default could send the secret to another server than the one that was meant.
pub(crate) fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var_os(name).map(std::ffi::OsString::into_string) {
        None => Ok(None),
        Some(Ok(value)) if value.is_empty() => Err(Failure::Setup(format!(
            "{name} is set and empty; give it a value or unset it"
        ))),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(Failure::Setup(format!("{name} is not valid UTF-8"))),
    }
}
