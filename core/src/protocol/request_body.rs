//! The body of a request, which is never printed.

use std::fmt;

use bytes::Bytes;

use super::secret::Secret;

/// The body of a request: JSON with the client secret in it.
///
/// `Debug` prints its length; `http::Request<Bytes>` would print the body. A clone shares the buffer,
/// which is wiped when the last clone and the last [`Bytes`] taken from it are dropped.
#[derive(Clone)]
pub struct RequestBody(Secret);

impl RequestBody {
    pub(crate) fn new(json: Secret) -> Self {
        Self(json)
    }

    /// Returns the bytes, for an HTTP client that can share them. `Bytes` prints its content under
    /// `{:?}`.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.bytes()
    }
}

impl AsRef<[u8]> for RequestBody {
    fn as_ref(&self) -> &[u8] {
        self.0.as_str().as_bytes()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody({} bytes)", self.as_ref().len())
    }
}
