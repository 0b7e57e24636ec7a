#![doc = include_str!("guide/overview.md")]
#![doc = ""]
// The same link definitions as in `guide/mod.rs`.
#![doc = include_str!("guide/links/always.md")]
#![cfg_attr(feature = "async", doc = include_str!("guide/links/async.md"))]
#![cfg_attr(feature = "blocking", doc = include_str!("guide/links/blocking.md"))]
#![cfg_attr(feature = "emulator", doc = include_str!("guide/links/emulator.md"))]
#![doc = include_str!("guide/links/docs_rs.md")]

#[cfg(feature = "emulator")]
pub mod emulator;
pub mod guide;
pub mod shared;

pub use http;
pub use meshconnect_auth_core::{
    ApiResult, ApiResultStatus, AuthenticationStatus, Blame, BlockingTokenSource, BodyBuffer,
    CachedToken, CertificateProblem, ClientId, ClientSecret, Config, Credentials, Endpoint, Error,
    ErrorKind, Event, Exchange, Flight, Grant, Machine, MediaType, Moment, Need,
    OAuthTokenResponse, Phase, Proxy, Rejection, RequestBody, StaticToken, Status, Step, Ticket,
    Token, TokenSource, Transmit, TransportError, TransportErrorKind, read_pem_certificates,
};
#[cfg(feature = "async")]
pub use meshconnect_auth_reqwest::{Client, ClientBuilder, reqwest};

/// The blocking client over ureq. Its names are those of the async client at the crate root.
#[cfg(feature = "blocking")]
pub mod blocking {
    pub use meshconnect_auth_ureq::{Client, ClientBuilder, ureq};
}

/// Compiles and runs the README's examples.
#[cfg(all(doctest, feature = "async", feature = "blocking", feature = "emulator"))]
#[doc = include_str!("../README.md")]
struct Readme;
