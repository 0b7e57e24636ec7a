//! The exchange that the properties use, and the contents of its grants.

use std::time::{Duration, SystemTime};

use meshconnect_auth_core::{
    AuthenticationStatus, Credentials, Endpoint, Exchange, Grant, Moment, Token,
};

/// The secrets in the properties: one needs no escapes in any encoding, the other needs escapes in
/// every encoding.
pub const SECRETS: [&str; 2] = ["canary-secret-7fQ2xW", "c4n&ry/+\"\\\n \u{e9}<\u{1f600}>=s"];

/// The bearer token of the exchange.
pub const BEARER: &str = "canary-bearer-9dLmE0";

/// The time at which every response is received: 2026-11-24T00:00:00Z.
pub const RECEIVED: Moment = Moment {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_795_478_400),
};

/// The longest lifetime of a grant.
pub(crate) const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Returns an exchange with canary credentials, this secret and [`BEARER`].
pub(crate) fn exchange(secret: &str) -> Exchange {
    let credentials = Credentials::new("canary-client", secret);
    let bearer = Token::new(BEARER, SystemTime::UNIX_EPOCH);
    match (credentials, bearer) {
        (Ok(credentials), Ok(bearer)) => {
            Exchange::new(Endpoint::default(), credentials).with_bearer(&bearer)
        }
        _ => panic!("the canaries are valid credentials"),
    }
}

/// The contents of a grant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) id_token: String,
    pub(crate) lifetime: Duration,
    pub(crate) status: Option<AuthenticationStatus>,
}

impl Granted {
    pub(crate) fn of(grant: Grant) -> Self {
        let lifetime = grant.lifetime();
        let token = grant.into_token(RECEIVED);
        Self {
            id_token: token.id_token().to_owned(),
            lifetime,
            status: token.status().cloned(),
        }
    }
}
