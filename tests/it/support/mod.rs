//! Helpers shared by the test modules: a trait over both transports, raw servers, certificates, a
//! search for leaked secrets, temporary files and child processes.

/// Runs each scenario once per transport.
macro_rules! for_both {
    ($reqwest:ident, $ureq:ident: $($scenario:ident,)+) => {
        mod over_reqwest {
            $(#[test] fn $scenario() { super::$scenario::<super::$reqwest>(); })+
        }
        mod over_ureq {
            $(#[test] fn $scenario() { super::$scenario::<super::$ureq>(); })+
        }
    };
}

pub mod files;
pub mod process;
#[cfg(feature = "cli")]
pub mod program;
pub mod search;
pub mod server;
pub mod tls;
#[cfg(all(feature = "async", feature = "blocking", feature = "webpki-roots"))]
mod transports;

#[cfg(all(feature = "async", feature = "blocking", feature = "webpki-roots"))]
pub use transports::{
    Async, AsyncMultiThread, Blocking, Settings, Transport, all_text, now, reqwest_builder, runtime,
};

use meshconnect_auth::Credentials;

/// A client secret that is unique enough to be searched for in all output.
pub const SECRET: &str = "canary-Secret/+0123456789\"x";

/// The token of the contract's example response.
pub const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWUsImlhdCI6MTUxNjIzOTAyMn0.KMUFsIDTnFmyG3nMiGM6H9FNFUROf3wh7SmqJp-QV30";

/// The contract's example of a successful response.
pub const EXAMPLE_200: &str = include_str!("../../contract/200.json");

pub fn credentials() -> Credentials {
    Credentials::new("canary-client", SECRET).unwrap()
}
