//! The tokens that were rejected where they were used.

use std::collections::VecDeque;

use crate::protocol::Token;

/// The number of tokens that are remembered.
const REMEMBERED: usize = 8;

/// The last rejected tokens, each with the number of flights that had been sent by then.
#[derive(Default)]
pub(super) struct Rejected(VecDeque<(Token, u64)>);

impl Rejected {
    pub(super) fn remember(&mut self, token: Token, flights: u64) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((token, flights));
    }

    /// Returns whether `token` was rejected after its flight was sent. The service may grant the same
    /// token again to a later request.
    pub(super) fn covers(&self, token: &Token, flight: u64) -> bool {
        self.0
            .iter()
            .any(|(rejected, flights)| rejected == token && flight <= *flights)
    }
}
