//! Bodies: the request's, which is never printed, and the bounded accumulator of the response's.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use super::secret::{Secret, Wiped};
use crate::error::TransportError;

/// The body of a request: JSON with the client secret in it.
///
/// `http::Request<Bytes>` prints its body under `{:?}`; this prints its length. A clone shares
/// the buffer, which is wiped when the last one, and the last [`Bytes`] taken from it, is dropped.
#[derive(Clone)]
pub struct RequestBody(Secret);

impl RequestBody {
    pub(crate) fn new(json: Secret) -> Self {
        Self(json)
    }

    /// The bytes, for an HTTP client that can share them. `Bytes` prints itself under `{:?}`.
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

/// The body of a response as it comes in: never more than a limit, and never silently less than
/// was sent.
///
/// A transport makes one from the response's headers, [`push`](Self::push)es what it reads until
/// that says no, and tells with [`broken`](Self::broken) if reading failed. What follows from an
/// overlong or torn body is decided by [`Exchange::parse`](crate::Exchange::parse), the same for
/// every transport. The buffer is wiped on drop, and where it grows.
#[must_use]
pub struct BodyBuffer {
    bytes: Wiped,
    limit: usize,
    end: End,
}

/// How a body ended.
pub(crate) enum End {
    /// With its last byte.
    Complete,
    /// It is, or says that it is, longer than the limit.
    TooLong,
    /// Reading it failed.
    Broken(TransportError),
}

impl BodyBuffer {
    /// The limit that the transports use by default: 64 KiB.
    pub const DEFAULT_LIMIT: usize = 64 * 1024;

    /// An empty buffer for at most `limit` bytes. Where `headers` announce more, nothing needs to
    /// be read: [`wants_more`](Self::wants_more) is false at once.
    pub fn new(limit: usize, headers: &HeaderMap) -> Self {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok())
            .map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let too_long = announced.is_some_and(|length| length > limit);
        // An announcement costs a server nothing, so it buys no more memory than a usual limit.
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

    /// Takes what was read and tells whether to go on reading. False means that the body is
    /// longer than the limit: the rest need not be read, and the connection is not worth keeping.
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
            // By hand, because a vector that grows leaves its old bytes behind unwiped.
            let doubled = self.bytes.capacity().saturating_mul(2).min(self.limit);
            let mut larger = Wiped::with_capacity(doubled.max(length));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(chunk);
        true
    }

    /// Tells that reading failed before the body had ended.
    pub fn broken(&mut self, error: TransportError) {
        if self.wants_more() {
            self.end = End::Broken(error);
        }
    }

    /// Whether more is worth reading.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        matches!(self.end, End::Complete)
    }

    /// How many bytes may still come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        if self.wants_more() {
            self.limit.saturating_sub(self.bytes.len())
        } else {
            0
        }
    }

    pub(crate) fn into_parts(self) -> (Wiped, usize, End) {
        (self.bytes, self.limit, self.end)
    }
}

impl From<Vec<u8>> for BodyBuffer {
    /// A body that was read to its end elsewhere; no limit is applied to it any more.
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            limit: bytes.len(),
            bytes: bytes.into(),
            end: End::Complete,
        }
    }
}

impl From<&[u8]> for BodyBuffer {
    /// A copy of a body that was read to its end elsewhere.
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<Bytes> for BodyBuffer {
    /// A copy of a body that was read to its end elsewhere; the `Bytes` themselves are not wiped.
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
    fn the_limit_holds_on_the_announcement_and_on_what_comes() {
        let mut exact = BodyBuffer::new(4, &headers("4"));
        assert!(exact.push(b"abcd") && exact.wants_more());
        assert!(!exact.push(b"e") && !exact.wants_more());
        assert_eq!(format!("{exact:?}"), "BodyBuffer(4 bytes, too long)");
        assert_eq!(
            (
                exact.remaining(),
                BodyBuffer::new(4, &headers("5")).remaining()
            ),
            (0, 0)
        );
        for announced in ["5", "18446744073709551615"] {
            assert!(!BodyBuffer::new(4, &headers(announced)).wants_more());
        }
        let mut unlimited = BodyBuffer::new(usize::MAX, &headers("9000000000000000000"));
        assert!(unlimited.push(b"abc"));
        // A number that is none announces nothing; what comes still counts.
        for announced in ["99999999999999999999999", "-1", "x"] {
            let mut body = BodyBuffer::new(4, &headers(announced));
            assert!(body.push(b"abc") && !body.push(b"de"));
        }
    }

    /// A vector that grows by itself leaves its bytes behind unwiped; so this one never does.
    #[test]
    fn the_buffer_grows_by_hand_and_never_beyond_the_limit() {
        let mut body = BodyBuffer::new(100, &HeaderMap::new());
        for (length, capacity) in [(10, 10), (5, 20), (5, 20), (40, 60), (1, 100), (39, 100)] {
            assert!(body.push(&vec![b'x'; length]));
            assert_eq!(body.bytes.capacity(), capacity);
        }
        assert_eq!(body.remaining(), 0);

        let mut announced = BodyBuffer::new(100, &headers("60"));
        let begin = announced.bytes.as_ptr();
        for left in [80, 60, 40] {
            assert!(announced.push(&[b'x'; 20]));
            assert_eq!(announced.remaining(), left);
        }
        assert_eq!(announced.bytes.as_ptr(), begin, "it was copied for nothing");
    }

    #[test]
    fn chunks_add_up_whatever_their_size() {
        let whole: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for size in [1, 7, 4096, 5000] {
            let mut body = BodyBuffer::new(5000, &HeaderMap::new());
            assert!(whole.chunks(size).all(|chunk| body.push(chunk)));
            assert_eq!(body.remaining(), 0);
            assert_eq!(format!("{body:?}"), "BodyBuffer(5000 bytes)");
            assert_eq!(*body.into_parts().0, whole);
        }
    }
}
