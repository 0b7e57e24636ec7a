//! Tokens for Mesh Connect's Account Management API.

#[cfg(feature = "emulator")]
pub mod emulator;
pub mod shared;

pub use http;
pub use meshconnect_auth_core::{
    ApiResult, ApiResultStatus, AuthenticationStatus, Blame, BlockingTokenSource, BodyBuffer,
    CachedToken, Claims, ClientAdminTokenRequest, ClientId, ClientSecret, Config, Credentials,
    Endpoint, Error, ErrorKind, Event, Exchange, Flight, Grant, Machine, MediaType, Moment, Need,
    OAuthTokenResponse, Phase, Rejection, RequestBody, StaticToken, Status, Step, Ticket, Token,
    TokenSource, Transmit, TransportError, TransportErrorKind,
};
#[cfg(any(feature = "async", feature = "blocking"))]
pub use meshconnect_auth_core::{HttpSettings, MozillaRoots, Transport, Trust};
#[cfg(feature = "async")]
pub use meshconnect_auth_reqwest::{Client, ClientBuilder, reqwest};

/// The blocking client: the same names as the async one at the crate's root, so that switching is
/// one line.
#[cfg(feature = "blocking")]
pub mod blocking {
    pub use meshconnect_auth_ureq::{Client, ClientBuilder, ureq};
}
