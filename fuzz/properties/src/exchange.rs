//! The exchange that the properties are about, and all that it can grant.

use std::time::{Duration, SystemTime};

use meshconnect_auth_core::{
    AuthenticationStatus, Credentials, Endpoint, Exchange, Grant, Moment, Token,
};

/// The secrets that [`decode`](crate::decode) exchanges: one that needs no escape anywhere, and one with
/// something to escape for each encoding.
pub const SECRETS: [&str; 2] = ["canary-secret-7fQ2xW", "c4n&ry/+\"\\\n \u{e9}<\u{1f600}>=s"];

/// The token that [`decode`](crate::decode) sends along.
pub const BEARER: &str = "canary-bearer-9dLmE0";

/// When every answer here comes in: 2026-11-24T00:00:00Z.
pub const RECEIVED: Moment = Moment {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_795_478_400),
};

/// The longest lifetime that is granted.
pub(crate) const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// An exchange of canary credentials with this secret, sent with [`BEARER`].
pub(crate) fn exchange(secret: &str) -> Exchange {
    let credentials = Credentials::new("canary-client", secret);
    let bearer = Token::new(BEARER, SystemTime::UNIX_EPOCH);
    match (credentials, bearer) {
        (Ok(credentials), Ok(bearer)) => {
            Exchange::new(Endpoint::default(), credentials).with_bearer(&bearer)
        }
        _ => panic!("the canaries are good credentials"),
    }
}

/// All that a grant tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) id_token: String,
    pub(crate) lifetime: Duration,
    pub(crate) status: Option<AuthenticationStatus>,
}

impl Reading {
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
