//! The cached token and its times.

use std::time::Duration;

use meshconnect_auth_core::Moment;

use super::Model;
use super::dates::{reported_expiry, until};
use super::delays::part;

const LONGEST_AHEAD: Duration = Duration::from_secs(30 * 60);
const LONGEST_MARGIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct CachedToken {
    pub(super) token: String,
    /// The expiry that the token reports.
    pub(super) reported_expiry: Duration,
    pub(super) expires: Moment,
    pub(super) unusable: Moment,
    pub(super) refresh: Moment,
    pub(super) next_refresh: Moment,
    /// The number of its flight, or 0 if it was handed in.
    pub(super) flight: usize,
    pub(super) sent: Moment,
    pub(super) left_on_arrival: Duration,
}

impl Model {
    pub(super) fn cached_token(
        &self,
        token: String,
        sent: Moment,
        start: Moment,
        lifetime: Duration,
        flight: usize,
        now: Moment,
    ) -> CachedToken {
        let ahead = part(lifetime, 4).min(LONGEST_AHEAD);
        let jitter = part(lifetime, 10).mul_f64(self.jitter);
        let margin = part(lifetime, 10).min(LONGEST_MARGIN);
        let before_end = |time: Duration| start.after(lifetime.saturating_sub(time));
        let refresh = before_end(ahead.saturating_add(jitter));
        CachedToken {
            token,
            reported_expiry: reported_expiry(start.after(lifetime)),
            expires: before_end(Duration::ZERO),
            unusable: before_end(margin),
            refresh,
            next_refresh: refresh,
            flight,
            sent,
            left_on_arrival: until(before_end(Duration::ZERO), now),
        }
    }
}
