//! The bounded buffer for the body of a response.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use super::secret::Wiped;
use crate::config::DEFAULT_MAX_BODY;
use crate::error::TransportError;

/// The body of a response while it is received, with a limit. It is never cut silently.
///
/// A transport creates one from the response's headers, [`push`](Self::push)es each chunk until
/// that returns `false`, and reports a failed read with [`broken`](Self::broken).
/// [`Exchange::parse`](crate::Exchange::parse) handles a body that is too long or torn, the same for
/// every transport. The buffer is wiped on drop and when it grows.
///
/// ```
/// use http::HeaderMap;
/// use meshconnect_auth_core::BodyBuffer;
///
/// let mut body = BodyBuffer::new(BodyBuffer::DEFAULT_LIMIT, &HeaderMap::new());
/// for chunk in [&b"{\"status\":"[..], b"\"ok\"}"] {
///     if !body.push(chunk) {
///         break; // longer than the limit
///     }
/// }
/// assert!(body.wants_more());
/// ```
#[must_use]
pub struct BodyBuffer {
    bytes: Wiped,
    limit: usize,
    end: End,
}

/// The end of a body.
pub(crate) enum End {
    /// All of it was received.
    Complete,
    /// It is longer than the limit, or was announced as longer.
    TooLong,
    /// A read failed.
    Broken(TransportError),
}

impl BodyBuffer {
    /// The limit that the transports use by default: 64 KiB.
    pub const DEFAULT_LIMIT: usize = DEFAULT_MAX_BODY;

    /// Creates an empty buffer for at most `limit` bytes.
    ///
    /// If `headers` announce more, [`wants_more`](Self::wants_more) is `false` from the start.
    pub fn new(limit: usize, headers: &HeaderMap) -> Self {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok())
            .map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let too_long = announced.is_some_and(|length| length > limit);
        // An announced length costs the server nothing, so it reserves at most the default limit.
        let capacity = match announced {
            Some(length) if !too_long => length.min(Self::DEFAULT_LIMIT),
            _ => 0,
        };
        Self {
            bytes: Wiped::with_capacity(capacity),
            limit,
            end: if too_long {
                End::TooLong
            } else {
                End::Complete
            },
        }
    }

    /// Appends a chunk and returns whether to read on.
    ///
    /// `false` means that the body is longer than the limit: drop the connection.
    pub fn push(&mut self, chunk: &[u8]) -> bool {
        if !self.wants_more() {
            return false;
        }
        let length = self.bytes.len().saturating_add(chunk.len());
        if length > self.limit {
            self.end = End::TooLong;
            return false;
        }
        if length > self.bytes.capacity() {
            // A vector that reallocates does not wipe its old bytes.
            let doubled = self.bytes.capacity().saturating_mul(2).min(self.limit);
            let mut larger = Wiped::with_capacity(doubled.max(length));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(chunk);
        true
    }

    /// Records that a read failed before the end of the body.
    pub fn broken(&mut self, error: TransportError) {
        if self.wants_more() {
            self.end = End::Broken(error);
        }
    }

    /// Returns whether more can be appended.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        matches!(self.end, End::Complete)
    }

    pub(crate) fn into_parts(self) -> (Wiped, usize, End) {
        (self.bytes, self.limit, self.end)
    }
}

impl From<Vec<u8>> for BodyBuffer {
    /// Takes a complete body. No limit applies.
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            limit: bytes.len(),
            bytes: bytes.into(),
            end: End::Complete,
        }
    }
}

impl From<&[u8]> for BodyBuffer {
    /// Copies a complete body.
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<Bytes> for BodyBuffer {
    /// Copies a complete body. The `Bytes` themselves are not wiped.
    fn from(bytes: Bytes) -> Self {
        bytes.to_vec().into()
    }
}

impl fmt::Debug for BodyBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.end {
            End::Complete => "",
            End::TooLong => ", too long",
            End::Broken(_) => ", broken off",
        };
        write!(f, "BodyBuffer({} bytes{end})", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(length: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_LENGTH, length.parse().unwrap())])
    }

    #[test]
    fn limits_the_announced_and_the_received_length() {
        let mut exact = BodyBuffer::new(4, &headers("4"));
        assert!(exact.push(b"abcd") && exact.wants_more());
        assert!(!exact.push(b"e") && !exact.wants_more());
        assert_eq!(format!("{exact:?}"), "BodyBuffer(4 bytes, too long)");
        for announced in ["5", "18446744073709551615"] {
            assert!(!BodyBuffer::new(4, &headers(announced)).wants_more());
        }
        let mut unlimited = BodyBuffer::new(usize::MAX, &headers("9000000000000000000"));
        assert!(unlimited.push(b"abc"));
        // An invalid length announces nothing; the received bytes still count.
        for announced in ["99999999999999999999999", "-1", "x"] {
            let mut body = BodyBuffer::new(4, &headers(announced));
            assert!(body.push(b"abc") && !body.push(b"de"));
        }
    }

    #[test]
    fn grows_by_doubling_up_to_the_limit() {
        let mut body = BodyBuffer::new(100, &HeaderMap::new());
        for (length, capacity) in [(10, 10), (5, 20), (5, 20), (40, 60), (1, 100), (39, 100)] {
            assert!(body.push(&vec![b'x'; length]));
            assert_eq!(body.bytes.capacity(), capacity);
        }
        assert!(body.wants_more() && !body.push(b"x"));

        let mut announced = BodyBuffer::new(100, &headers("60"));
        let begin = announced.bytes.as_ptr();
        for _ in 0..3 {
            assert!(announced.push(&[b'x'; 20]));
        }
        assert_eq!(announced.bytes.as_ptr(), begin, "it was copied needlessly");
    }

    #[test]
    fn appends_chunks_of_any_size() {
        let whole: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for size in [1, 7, 4096, 5000] {
            let mut body = BodyBuffer::new(5000, &HeaderMap::new());
            assert!(whole.chunks(size).all(|chunk| body.push(chunk)));
            assert_eq!(format!("{body:?}"), "BodyBuffer(5000 bytes)");
            assert_eq!(*body.into_parts().0, whole);
        }
    }
}
