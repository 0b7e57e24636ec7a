//! A cached token as a ready header: this project's clients beside what a user would pick instead.
//!
//! See README.md. The binary prints the tables; `tests/smoke.rs` checks that everything that is
//! measured gives the right header without a second request.

pub mod candidates;
mod chart;
pub mod hit;
mod key;
pub mod parse;
mod rounds;
pub mod stub;
mod versions;

/// The row that all others are compared with.
pub const OURS: &str = "meshconnect-auth";

/// The token of every stub and every cache: a JWT of a usual size. Its last part is no signature,
/// only as long as one.
pub const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMTExMTExMS0yMjIyLTMzMzMtNDQ0NC01NTU1NTU1NTU1NTUiLCJpc3MiOiJodHRwczovL2FkbWluLWFwaS5tZXNoY29ubmVjdC5jb20iLCJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMzYwMH0.bm90IGEgc2lnbmF0dXJlLCBvbmx5IGFzIGxvbmcgYXM";
