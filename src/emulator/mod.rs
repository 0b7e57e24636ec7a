//! A token endpoint on this machine, for tests.
//!
//! [`Emulator`] is an HTTP server on a loopback port. It follows the contract of
//! `POST /admin/api/v1/Token`, refusals included. The other paths of the admin API accept the
//! tokens that it granted. It works with blocking code and with any async runtime, because it runs
//! on its own thread.
//!
//! It can misbehave in two ways:
//!
//! - A [script](Emulator::script) of [`Reply`] values sets single answers: throttled, failed,
//!   late, slow, torn or missing ones, with any header, body or `expires_in`.
//! - A [`Mode`] changes how answers depend on each other or on the clock.
//!
//! [`Issuer`] implements the same contract without a server: a request in, a response out.
//!
//! The emulator is not a security boundary. Its tokens are not signed, and it does not wipe its
//! copy of a request's body.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! use meshconnect_auth::emulator::{Emulator, Reply};
//! use meshconnect_auth::http::{StatusCode, header::RETRY_AFTER};
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
//! Pass [`Emulator::endpoint`] and [`Emulator::credentials`] to a client of this crate.

mod behavior;
mod delivery;
mod envelope;
mod issuer;
mod mode;
mod reply;
mod server;
mod service;

pub use issuer::Issuer;
pub use mode::Mode;
pub use reply::Reply;
pub use server::{Emulator, EmulatorBuilder};
