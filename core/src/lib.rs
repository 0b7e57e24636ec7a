//! The runtime-free core of `meshconnect-auth`: the protocol of Mesh Connect's token endpoint as
//! values in and values out.
//!
//! In: [`Credentials`], an [`Endpoint`], the [`http::Response`] that came back, and the
//! [`Moment`] it came at.
//! Out: the [`http::Request`] to send, a [`Token`] as a ready `Authorization` header, or one
//! [`Error`] that says who has to do something about it.
//!
//! No socket, clock, sleep, thread, random source, file or environment variable is touched here,
//! so it runs under any runtime and any HTTP client. Most programs use it through the
//! `meshconnect-auth` crate, which brings two clients; [`Exchange`] shows how to use it alone.
//!
//! # Modules by layer
//!
//! - *what to send, and what came back*: [`Exchange`], [`Token`], [`Grant`], [`Endpoint`],
//!   [`Credentials`], [`BodyBuffer`];
//! - *what went wrong*: [`Error`], [`ErrorKind`], [`Rejection`], [`TransportError`];
//! - *ground floor*: [`Moment`], and the contract's schemas: [`ApiResult`],
//!   [`OAuthTokenResponse`], [`ClientAdminTokenRequest`].
//!
//! # Secrets
//!
//! The client secret and the token each live in one buffer that is wiped when the last reference
//! to it is dropped. That is promised for this crate's own buffers alone: HTTP and TLS libraries
//! copy what they send and receive. Nothing in here shows either of them under `Debug` or
//! `Display`, and what a server echoes is masked before it becomes part of an error.

mod config;
mod error;
#[cfg(feature = "__invariants")]
#[doc(hidden)]
pub mod invariants;
mod json;
mod moment;
mod protocol;
mod wire;

pub use config::Config;
pub use error::{Blame, Error, ErrorKind, Rejection, TransportError, TransportErrorKind};
pub use moment::Moment;
pub use protocol::{
    BodyBuffer, Claims, ClientId, ClientSecret, Credentials, Endpoint, Exchange, Grant, MediaType,
    RequestBody, Token,
};
pub use wire::{
    ApiResult, ApiResultStatus, AuthenticationStatus, ClientAdminTokenRequest, OAuthTokenResponse,
};
