//! A token endpoint on this machine, for tests of code that needs one.
//!
//! [`Emulator`] is a real HTTP server on a loopback port. It follows the contract of
//! `POST /admin/api/v1/Token`, right down to its refusals, and can be told to misbehave: a
//! [`Reply`] is late, slow, torn, or never comes, and a [`Mode`] is a way to be hostile in all
//! answers. The other paths of the admin API stand for what a token is for: they take the tokens
//! that were granted. It works under blocking code and under any async runtime, because it brings
//! its own.
//!
//! [`Issuer`] is the same contract without the server: a request in, a response out.
//!
//! None of this is a security boundary. The tokens are not signed, and the emulator's own copy of
//! a request's body is not wiped.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! use http::{StatusCode, header::RETRY_AFTER};
//! use meshconnect_auth::emulator::{Emulator, Reply};
//!
//! # fn main() -> std::io::Result<()> {
//! let emulator = Emulator::start()?;
//! emulator.script([Reply::status(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, 2)]);
//!
//! let mut stream = TcpStream::connect(emulator.address())?;
//! stream.write_all(b"POST /admin/api/v1/Token HTTP/1.1\r\nConnection: close\r\n\r\n")?;
//! let mut response = String::new();
//! stream.read_to_string(&mut response)?;
//! assert!(response.starts_with("HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\n"));
//! assert_eq!(emulator.requests(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! A client of this crate is pointed at [`Emulator::endpoint`] with [`Emulator::credentials`].

mod behavior;
mod delivery;
mod envelope;
mod http_date;
mod issuer;
mod mode;
mod reply;
mod server;
mod service;

pub use issuer::Issuer;
pub use mode::Mode;
pub use reply::Reply;
pub use server::{Emulator, EmulatorBuilder};
