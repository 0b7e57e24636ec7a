//! Bytes that are wiped on drop and never printed.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

/// Secret UTF-8 text in one exactly sized buffer.
///
/// A clone is a reference count; the buffer is wiped when the last one goes, the [`Bytes`] and
/// header values that share it included. It has no `Debug` that shows anything.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Bytes);

/// What `Bytes` owns: it wipes itself when the last reference is dropped.
struct Owner(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Secret {
    /// Joins `parts` in a buffer of exactly their size, so that growing leaves no copy behind.
    pub(crate) fn concat(parts: &[&str]) -> Self {
        let size = parts.iter().map(|part| part.len()).sum();
        Self::with_size(size, |buffer| {
            for part in parts {
                buffer.extend_from_slice(part.as_bytes());
            }
        })
    }

    /// Lets `fill` write `size` bytes of UTF-8 into a new buffer.
    pub(crate) fn with_size(size: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut buffer = Zeroizing::new(Vec::with_capacity(size));
        fill(&mut buffer);
        debug_assert_eq!(
            buffer.len(),
            size,
            "a buffer that grew has left a copy behind"
        );
        Self(Bytes::from_owner(Owner(buffer)))
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only UTF-8 is ever written; if that were broken, nothing is better than a panic here.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The same buffer, shared.
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
    use super::*;

    #[test]
    fn a_clone_and_its_bytes_share_one_buffer() {
        let secret = Secret::concat(&["Bearer ", "abc"]);
        assert_eq!(secret.as_str(), "Bearer abc");
        assert_eq!(secret.bytes().as_ptr(), secret.clone().as_str().as_ptr());
        assert_eq!(format!("{secret:?}"), "[secret]");
    }
}
