//! "Something that gives tokens": what a user's code takes, so that its tests need no server.

use std::future;
use std::pin::Pin;

use crate::error::Error;
use crate::protocol::Token;

/// The future of a [`TokenSource`].
type Boxed<'a> = Pin<Box<dyn Future<Output = Result<Token, Error>> + Send + 'a>>;

/// Something that gives tokens, asynchronously.
///
/// Take `&dyn TokenSource`, or an `Arc` of one, where your code needs a token: in production it
/// is a client, in a unit test a [`StaticToken`]. The boxed future costs an allocation a call,
/// which the client's own `token()` does not.
pub trait TokenSource: Send + Sync {
    /// A token that can be used now.
    fn token(&self) -> Boxed<'_>;

    /// Takes notice that `token` was refused where it was used (a downstream 401); tells whether
    /// it was the token that would be given out next.
    fn reject(&self, token: &Token) -> bool;
}

/// Something that gives tokens, blocking the thread that asks: the twin of [`TokenSource`].
pub trait BlockingTokenSource: Send + Sync {
    /// A token that can be used now.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from having one.
    fn token(&self) -> Result<Token, Error>;

    /// Takes notice that `token` was refused where it was used (a downstream 401); tells whether
    /// it was the token that would be given out next.
    fn reject(&self, token: &Token) -> bool;
}

/// One token, given out for ever: for tests, and for tokens that come from elsewhere.
///
/// It looks at no clock, so it gives out an expired token as well as any other.
///
/// ```
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::{BlockingTokenSource, StaticToken, Token};
///
/// fn greet(source: &dyn BlockingTokenSource) -> Result<String, meshconnect_auth_core::Error> {
///     Ok(format!("sent with {} bytes of token", source.token()?.id_token().len()))
/// }
///
/// let token = Token::new("for.a.test", std::time::SystemTime::UNIX_EPOCH)?;
/// assert_eq!(greet(&StaticToken::new(token))?, "sent with 10 bytes of token");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StaticToken(Token);

impl StaticToken {
    /// A source that gives out this token.
    #[must_use]
    pub fn new(token: Token) -> Self {
        Self(token)
    }
}

impl TokenSource for StaticToken {
    fn token(&self) -> Boxed<'_> {
        Box::pin(future::ready(Ok(self.0.clone())))
    }

    fn reject(&self, token: &Token) -> bool {
        self.0 == *token
    }
}

impl BlockingTokenSource for StaticToken {
    fn token(&self) -> Result<Token, Error> {
        Ok(self.0.clone())
    }

    fn reject(&self, token: &Token) -> bool {
        self.0 == *token
    }
}
