//! When to request a token: decisions from state and time.

mod cached_token;
mod cooldown;
mod event;
mod freshness;
mod machine;
mod rejections;
mod retry;
#[cfg(feature = "shared")]
mod shared;
mod source;
mod state;
mod status;
mod step;
#[cfg(feature = "tracing")]
mod trace;

pub use cached_token::CachedToken;
pub use event::Event;
pub use machine::Machine;
#[cfg(feature = "shared")]
pub use shared::{Attempt, Shared, SharedStep, Waiter};
pub use source::{BlockingTokenSource, StaticToken, TokenSource};
pub use status::{Failure, Phase, Status};
pub use step::{Flight, Need, Step, Ticket, Transmit};
