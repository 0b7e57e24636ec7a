//! Who asks: the client id and its secret.

use std::fmt;

use super::secret::{Secret, Wiped};
use crate::error::Error;

/// A client id and its secret for the Account Management API.
///
/// `Debug` shows the client id and not the secret. A clone shares the secret's buffer, which is
/// wiped when the last one is dropped.
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
    /// Takes a client id and a client secret, exactly as given: nothing is trimmed.
    ///
    /// A secret that is given as a `String` is wiped where it stood.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where one of them is empty
    /// (the contract's `minLength: 1`).
    pub fn new(
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Result<Self, Error> {
        // The secret first: it is wiped even where the id is refused.
        let client_secret = ClientSecret::new(client_secret);
        Ok(Self {
            client_id: ClientId::new(client_id)?,
            client_secret: client_secret?,
        })
    }

    /// The client id.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The client secret.
    #[must_use]
    pub fn client_secret(&self) -> &ClientSecret {
        &self.client_secret
    }
}

/// A client id of at least one character. Not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(Box<str>);

impl ClientId {
    /// Takes a client id as it stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where it is empty.
    pub fn new(client_id: impl Into<String>) -> Result<Self, Error> {
        let client_id = client_id.into();
        if client_id.is_empty() {
            return Err(Error::configuration(
                "the client id is empty; Mesh gives you one together with its secret",
            ));
        }
        Ok(Self(client_id.into()))
    }

    /// The client id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A client secret of at least one character; never printed, wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(Secret);

impl ClientSecret {
    /// Takes a client secret as it stands, and wipes the `String` that it came in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where it is empty.
    pub fn new(client_secret: impl Into<String>) -> Result<Self, Error> {
        let client_secret = client_secret.into();
        if client_secret.is_empty() {
            return Err(Error::configuration(
                "the client secret is empty; use the key that Mesh made for the Account Management API",
            ));
        }
        let secret = Secret::concat(&[&client_secret]);
        drop(Wiped::from(client_secret.into_bytes()));
        Ok(Self(secret))
    }

    /// The secret itself, under a name that stands out in a review.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn an_empty_half_is_refused_and_says_which() {
        for (id, secret, word) in [("", "s", "client id"), ("i", "", "client secret")] {
            let error = Credentials::new(id, secret).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn nothing_is_trimmed() {
        let credentials = Credentials::new(" id ", " s\n").unwrap();
        assert_eq!(credentials.client_id().as_str(), " id ");
        assert_eq!(credentials.client_secret().expose(), " s\n");
        assert_eq!(
            format!("{credentials:?}"),
            "Credentials { client_id: ClientId(\" id \"), client_secret: ClientSecret([secret]) }"
        );
    }
}
