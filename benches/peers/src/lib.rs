//! Benchmarks of obtaining an authorization header from a cached token: this project's clients and
//! their alternatives.
//!
//! See README.md. The binary prints the tables. `tests/smoke.rs` checks that each candidate returns
//! the right header without a second request.

pub mod candidates;
mod chart;
pub mod hit;
mod key;
pub mod parse;
mod rounds;
pub mod stub;
mod versions;

/// The row that the others are compared with.
pub const OURS: &str = "meshconnect-auth";

/// The token of every stub and cache: a JWT of typical size. Its last part only has the length of a
/// signature.
pub const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMTExMTExMS0yMjIyLTMzMzMtNDQ0NC01NTU1NTU1NTU1NTUiLCJpc3MiOiJodHRwczovL2FkbWluLWFwaS5tZXNoY29ubmVjdC5jb20iLCJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMzYwMH0.bm90IGEgc2lnbmF0dXJlLCBvbmx5IGFzIGxvbmcgYXM";
