//! The media types that the contract allows for the request.

use http::HeaderValue;

use crate::error::Error;

/// A media type of the token request (contract, `request.body`): `application/json`, `text/json`
/// or any `application/*+json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(HeaderValue);

impl MediaType {
    /// `application/json`, the default of an [`Exchange`](crate::Exchange).
    pub const APPLICATION_JSON: Self = Self(HeaderValue::from_static("application/json"));

    /// `text/json`.
    pub const TEXT_JSON: Self = Self(HeaderValue::from_static("text/json"));

    /// Returns `application/{name}+json`, such as `application/vnd.example+json` for `vnd.example`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if `name` is not a restricted
    /// name of at most 122 characters (RFC 6838 §4.2, less the suffix).
    pub fn application_suffix(name: &str) -> Result<Self, Error> {
        let mut bytes = name.bytes();
        let well_formed = name.len() <= 122
            && bytes
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte));
        let value = HeaderValue::try_from(format!("application/{name}+json"));
        match value {
            Ok(value) if well_formed => Ok(Self(value)),
            _ => Err(Error::configuration(
                "the name in application/{name}+json must be a letter or digit, followed by \
                 letters, digits or any of !#$&-^_.+ (RFC 6838)",
            )),
        }
    }

    pub(crate) fn into_header_value(self) -> HeaderValue {
        self.0
    }
}
