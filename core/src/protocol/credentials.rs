//! The client id and its secret.

use std::fmt;

use super::secret::{Secret, Wiped};
use super::stray::stray_ends;
use crate::error::Error;

/// A client id and its secret for the Account Management API.
///
/// `Debug` shows the client id, not the secret. A clone shares the secret's buffer, which is wiped
/// when the last clone is dropped.
///
/// ```
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// let credentials = meshconnect_auth_core::Credentials::new("my-client-id", "my-secret")?;
/// assert!(!format!("{credentials:?}").contains("my-secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    client_id: ClientId,
    client_secret: ClientSecret,
}

impl Credentials {
    /// Creates credentials from a client id and a client secret, exactly as given: nothing is trimmed.
    ///
    /// If the secret is a `String`, its buffer is wiped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if one of them is empty (the
    /// contract's `minLength: 1`).
    pub fn new(
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Result<Self, Error> {
        // The secret first, so that it is wiped even if the id is refused.
        let client_secret = ClientSecret::new(client_secret);
        Ok(Self {
            client_id: ClientId::new(client_id)?,
            client_secret: client_secret?,
        })
    }

    /// Returns what is odd about the ends of the client id and of the client secret: white space,
    /// quotes and invisible characters, which files and shells add. It shows no other character.
    pub(super) fn oddities(&self) -> impl Iterator<Item = String> {
        let both = [
            ("id", self.client_id.as_str()),
            ("secret", self.client_secret.expose()),
        ];
        both.into_iter().filter_map(|(name, text)| {
            let ends = stray_ends(text)?;
            Some(format!(
                "the client {name} {ends}; it is sent as given, so remove that where the client \
                 {name} is set"
            ))
        })
    }

    /// Returns the client id.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns the client secret.
    #[must_use]
    pub fn client_secret(&self) -> &ClientSecret {
        &self.client_secret
    }
}

/// A client id of at least one character. It is not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(Box<str>);

impl ClientId {
    /// Creates a client id, exactly as given.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if it is empty.
    pub fn new(client_id: impl Into<String>) -> Result<Self, Error> {
        let client_id = client_id.into();
        if client_id.is_empty() {
            return Err(Error::configuration(
                "the client id is empty; use the one that Mesh issued together with the secret",
            ));
        }
        Ok(Self(client_id.into()))
    }

    /// Returns the client id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A client secret of at least one character. It is never printed, and is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(Secret);

impl ClientSecret {
    /// Creates a client secret, exactly as given. If it is a `String`, its buffer is wiped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if it is empty.
    pub fn new(client_secret: impl Into<String>) -> Result<Self, Error> {
        let client_secret = client_secret.into();
        if client_secret.is_empty() {
            return Err(Error::configuration(
                "the client secret is empty; use the key that Mesh issued for the Account Management API",
            ));
        }
        let secret = Secret::concat(&[&client_secret]);
        drop(Wiped::from(client_secret.into_bytes()));
        Ok(Self(secret))
    }

    /// Returns the secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret([secret])")
    }
}
