//! One [`Machine`](crate::Machine) shared by many threads or tasks.
//!
//! Both clients of this crate are built on [`Shared`]. Use it to build a client over another HTTP
//! library. For a single caller, [`Machine`](crate::Machine) is enough. Each [`SharedStep`] says
//! what the caller does next: send an [`Attempt`], wait with a [`Waiter`], or return.

pub use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep, Waiter};
