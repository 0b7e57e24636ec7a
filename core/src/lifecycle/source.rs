//! Sources of tokens: the traits that a user's code takes, so that its tests need no server.

use std::future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::Error;
use crate::protocol::Token;

/// The future of a [`TokenSource`].
type Boxed<'a> = Pin<Box<dyn Future<Output = Result<Token, Error>> + Send + 'a>>;

/// An asynchronous source of tokens.
///
/// Take an `impl TokenSource`, a `&dyn TokenSource` or an `Arc<dyn TokenSource>` where your code
/// needs a token. In production it is a client, in a unit test a [`StaticToken`]. References, boxes
/// and `Arc`s of a source are sources too. The boxed future costs an allocation per call, which the
/// client's own `token()` does not.
pub trait TokenSource: Send + Sync {
    /// Returns a token that can be used now.
    fn token(&self) -> Boxed<'_>;

    /// Reports that `token` was rejected where it was used (a downstream 401). Returns whether it is
    /// worth repeating the call with another token.
    fn reject(&self, token: &Token) -> bool;
}

/// A source of tokens that blocks the calling thread: the counterpart of [`TokenSource`].
pub trait BlockingTokenSource: Send + Sync {
    /// Returns a token that can be used now.
    ///
    /// # Errors
    ///
    /// Any error of the source.
    fn token(&self) -> Result<Token, Error>;

    /// Reports that `token` was rejected where it was used (a downstream 401). Returns whether it is
    /// worth repeating the call with another token.
    fn reject(&self, token: &Token) -> bool;
}

/// A source that always returns the same token: for tests, and for tokens from elsewhere.
///
/// It reads no clock, so it also returns an expired token. It has no other token, so `reject` returns
/// `false` and changes nothing.
///
/// ```
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::{BlockingTokenSource, StaticToken, Token};
///
/// fn greet(source: impl BlockingTokenSource) -> Result<String, meshconnect_auth_core::Error> {
///     Ok(format!("sent with {} bytes of token", source.token()?.id_token().len()))
/// }
///
/// let token = Token::new("for.a.test", std::time::SystemTime::UNIX_EPOCH)?;
/// let source = StaticToken::new(token);
/// assert_eq!(greet(&source)?, "sent with 10 bytes of token");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StaticToken(Token);

impl StaticToken {
    /// Creates a source that always returns this token.
    #[must_use]
    pub fn new(token: Token) -> Self {
        Self(token)
    }
}

impl TokenSource for StaticToken {
    fn token(&self) -> Boxed<'_> {
        Box::pin(future::ready(Ok(self.0.clone())))
    }

    /// Returns `false`: there is no other token.
    fn reject(&self, _: &Token) -> bool {
        false
    }
}

impl BlockingTokenSource for StaticToken {
    fn token(&self) -> Result<Token, Error> {
        Ok(self.0.clone())
    }

    /// Returns `false`: there is no other token.
    fn reject(&self, _: &Token) -> bool {
        false
    }
}

/// Implements both traits for a pointer to a source.
macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<T: TokenSource + ?Sized> TokenSource for $pointer {
            fn token(&self) -> Boxed<'_> {
                T::token(self)
            }

            fn reject(&self, token: &Token) -> bool {
                T::reject(self, token)
            }
        }

        impl<T: BlockingTokenSource + ?Sized> BlockingTokenSource for $pointer {
            fn token(&self) -> Result<Token, Error> {
                T::token(self)
            }

            fn reject(&self, token: &Token) -> bool {
                T::reject(self, token)
            }
        }
    )+};
}

forward!(&T, Box<T>, Arc<T>);
