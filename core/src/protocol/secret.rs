//! Bytes that are wiped on drop and never printed.

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use zeroize::Zeroize;

/// Secret UTF-8 text in one exactly sized buffer.
///
/// A clone costs a reference count. The buffer is wiped when the last clone, and the last [`Bytes`] or
/// header value that shares it, is dropped. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Bytes);

/// A buffer that is wiped on drop.
///
/// Create it with its final size, because a buffer that grows leaves its old bytes behind.
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }
}

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
        // A buffer from elsewhere may have been longer before.
        self.0.spare_capacity_mut().zeroize();
        // For tests, because the buffer is gone afterwards.
        #[cfg(test)]
        tests::DROPPED.with_borrow_mut(|dropped| dropped.push(self.0.clone()));
    }
}

impl Secret {
    /// Joins `parts` in a buffer of exactly their size.
    pub(crate) fn concat(parts: &[&str]) -> Self {
        let size = parts.iter().map(|part| part.len()).sum();
        Self::with_size(size, |buffer| {
            for part in parts {
                buffer.extend_from_slice(part.as_bytes());
            }
        })
    }

    /// Creates a buffer into which `fill` writes exactly `size` bytes of UTF-8.
    pub(crate) fn with_size(size: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut buffer = Wiped::with_capacity(size);
        fill(&mut buffer);
        debug_assert_eq!(
            (buffer.len(), buffer.capacity()),
            (size, size),
            "a buffer that grows or shrinks leaves a copy behind"
        );
        Self(Bytes::from_owner(buffer))
    }

    pub(crate) fn as_str(&self) -> &str {
        // All constructors write UTF-8. An empty text is better than a panic if one does not.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the same buffer, shared.
    pub(crate) fn bytes(&self) -> Bytes {
        self.0.clone()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::SystemTime;

    use http::HeaderMap;

    use super::*;
    use crate::protocol::{BodyBuffer, Credentials, Endpoint, Exchange, Proxy, Token};

    thread_local! {
        /// The content of each buffer dropped on this thread, at the time of its drop.
        pub(super) static DROPPED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }

    fn dropped() -> Vec<Vec<u8>> {
        DROPPED.take()
    }

    #[test]
    fn clones_and_bytes_share_one_buffer() {
        let secret = Secret::concat(&["Bearer ", "abc"]);
        assert_eq!(secret.as_str(), "Bearer abc");
        assert_eq!(secret.bytes().as_ptr(), secret.clone().as_str().as_ptr());
        assert_eq!(format!("{secret:?}"), "[secret]");
    }

    #[test]
    fn the_last_reference_wipes() {
        let secret = Secret::concat(&["abc", "def"]);
        let (clone, bytes) = (secret.clone(), secret.bytes());
        drop(secret);
        drop(clone);
        assert_eq!((&bytes[..], dropped().len()), (&b"abcdef"[..], 0));
        drop(bytes);
        assert_eq!(dropped(), [[0; 6]]);
    }

    #[test]
    fn a_token_is_wiped_with_its_last_header() {
        let token = Token::new("abc", SystemTime::UNIX_EPOCH).unwrap();
        let header = token.header_value().clone();
        drop(token);
        assert_eq!((header == "Bearer abc", dropped().len()), (true, 0));
        drop(header);
        assert_eq!(dropped(), [[0; 10]]);
    }

    #[test]
    fn credentials_and_requests_are_wiped() {
        let credentials = Credentials::new("id", "a secret").unwrap();
        assert_eq!(dropped(), [[0; 8]], "the text of the argument");
        let exchange = Exchange::new(Endpoint::default(), credentials);
        let body = exchange.request().into_body();
        let length = body.as_ref().len();
        let sent = body.into_bytes();
        drop(exchange);
        assert_eq!(dropped(), [[0; 8]]);
        drop(sent);
        assert_eq!(dropped(), [vec![0; length]]);
    }

    #[test]
    fn credentials_of_a_proxy_are_wiped() {
        let variable = |name: &str| (name == "all_proxy").then(|| "http://ab:cde@p".into());
        let proxy = Proxy::for_endpoint(&Endpoint::default(), variable);
        let proxy = proxy.unwrap().unwrap();
        let header = proxy.authorization().unwrap();
        assert_eq!(dropped(), [[0; 6]], "user name, colon and password");
        drop(header);
        assert_eq!(dropped(), [[0; "Basic YWI6Y2Rl".len()]]);
        drop(proxy);
        assert_eq!(dropped(), [vec![0; 2], vec![0; 3]]);
    }

    #[test]
    fn a_response_is_wiped_when_it_grows_and_after_reading() {
        let mut body = BodyBuffer::new(64, &HeaderMap::new());
        assert!(body.push(&[1; 10]) && body.push(&[2; 10]));
        assert_eq!(dropped(), [vec![], vec![0; 10]]);
        drop(body);
        assert_eq!(dropped(), [[0; 20]]);

        let credentials = Credentials::new("id", "a secret").unwrap();
        let exchange = Exchange::new(Endpoint::default(), credentials);
        dropped();
        let body = br#"{"status":"ok","content":{"id_token":"abc","expires_in":60}}"#;
        let now = crate::Moment::new(std::time::Duration::ZERO, SystemTime::UNIX_EPOCH);
        let grant = exchange.parse(http::Response::new(&body[..]), now).unwrap();
        assert_eq!(dropped(), [vec![0; body.len()]]);
        drop(grant);
        assert_eq!(dropped(), [[0; 10]]);
    }
}
