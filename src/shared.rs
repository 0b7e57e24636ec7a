//! One [`Machine`](crate::Machine) for many callers, threads and tasks alike.
//!
//! Both clients of this crate are built on [`Shared`]. Use it to build a client over another HTTP
//! library; for a single caller, [`Machine`](crate::Machine) is enough. Each [`SharedStep`] tells a
//! caller to send an [`Attempt`], to wait with a [`Waiter`], or to return.

pub use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep, Waiter};
