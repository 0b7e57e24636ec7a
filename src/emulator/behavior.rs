//! The effect of modes on the issuer's answers. Time and serial are arguments.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Bytes;

use super::issuer::{Issuer, Route};
use super::mode::Mode;

/// How far a wrong clock is off.
const SKEW: Duration = Duration::from_secs(10 * 60);

/// The modes of one emulator.
#[derive(Clone, Debug, Default)]
pub(super) struct Modes(Vec<Mode>);

impl Modes {
    pub(super) fn add(&mut self, mode: Mode) {
        self.0.push(mode);
    }

    /// Returns the time on the server's clock.
    pub(super) fn clock(&self, wall: Duration) -> Duration {
        match (self.has(Mode::ClockAhead), self.has(Mode::ClockBehind)) {
            (true, false) => wall.saturating_add(SKEW),
            (false, true) => wall.saturating_sub(SKEW),
            _ => wall,
        }
    }

    /// Returns the `Date` to send, if the server's clock is wrong.
    pub(super) fn date(&self, wall: Duration) -> Option<HeaderValue> {
        let clock = self.clock(wall);
        if clock == wall {
            return None;
        }
        let date = SystemTime::UNIX_EPOCH.checked_add(clock)?;
        HeaderValue::try_from(httpdate::fmt_http_date(date)).ok()
    }

    fn has(&self, mode: Mode) -> bool {
        self.0.contains(&mode)
    }
}

/// The record of the granted tokens.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    grants: u64,
    newest: Option<Grant>,
}

/// The issuer's inputs for a token. Equal inputs give the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grant {
    issued: Duration,
    serial: u64,
}

impl Ledger {
    /// Returns the number of granted tokens.
    pub(super) fn grants(&self) -> u64 {
        self.grants
    }

    /// Answers one request at the time `now` on the server's clock.
    pub(super) fn answer(
        &mut self,
        modes: &Modes,
        issuer: &Issuer,
        request: &Request<Bytes>,
        now: Duration,
        serial: u64,
    ) -> Response<Bytes> {
        match Route::of(request) {
            Route::TokenEndpoint => self.answer_for_token(modes, issuer, request, now, serial),
            Route::Downstream => Issuer::answer_downstream(request, |token| {
                let serial = issuer.serial_of(token, now);
                serial.is_some_and(|serial| self.accepts(modes, serial))
            }),
            Route::Nowhere => issuer.answer(request, now, serial),
        }
    }

    fn answer_for_token(
        &mut self,
        modes: &Modes,
        issuer: &Issuer,
        request: &Request<Bytes>,
        now: Duration,
        serial: u64,
    ) -> Response<Bytes> {
        let repeated = self.newest.filter(|newest| {
            let lifetime = issuer.lifetime().as_secs();
            let end = newest.issued.as_secs().saturating_add(lifetime);
            modes.has(Mode::SameToken) && now.as_secs() < end
        });
        let grant = repeated.unwrap_or(Grant {
            issued: now,
            serial,
        });
        let response = issuer.answer(request, grant.issued, grant.serial);
        if response.status() == StatusCode::OK {
            self.grants = self.grants.saturating_add(1);
            self.newest = Some(grant);
        }
        response
    }

    /// Returns whether downstream endpoints accept a valid token.
    fn accepts(&self, modes: &Modes, serial: u64) -> bool {
        let is_newest = self.newest.is_some_and(|newest| newest.serial == serial);
        !modes.has(Mode::RefusedDownstream) && (is_newest || !modes.has(Mode::OnlyNewest))
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, CONTENT_TYPE};
    use meshconnect_auth_core::{Credentials, Endpoint};
    use serde_json::Value;

    use super::*;

    /// A server on virtual time; `t` is in tenths of a second.
    struct Server {
        modes: Modes,
        issuer: Issuer,
        ledger: Ledger,
        serial: u64,
    }

    fn at(t: u64) -> Duration {
        let since_start = Duration::from_millis(t.saturating_mul(100));
        Duration::from_secs(1_800_000_000).saturating_add(since_start)
    }

    impl Server {
        fn new(modes: &[Mode]) -> Self {
            let issuer = Issuer::new(Credentials::new("id", "secret").unwrap());
            Self {
                modes: Modes(modes.to_vec()),
                issuer: issuer.expires_in(Duration::from_secs(100)),
                ledger: Ledger::default(),
                serial: 0,
            }
        }

        fn answer(&mut self, t: u64, request: &Request<Bytes>) -> Response<Bytes> {
            self.serial = self.serial.saturating_add(1);
            let now = self.modes.clock(at(t));
            self.ledger
                .answer(&self.modes, &self.issuer, request, now, self.serial)
        }

        fn token(&mut self, t: u64) -> String {
            let granted = self.answer(t, &token_request("secret"));
            let envelope: Value = serde_json::from_slice(granted.body()).unwrap();
            assert_eq!(envelope["content"]["expires_in"], 100);
            envelope["content"]["id_token"].as_str().unwrap().to_owned()
        }

        fn accepts(&mut self, t: u64, token: &str) -> bool {
            let request = Request::get("/admin/api/v1/SubClient")
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .body(Bytes::new())
                .unwrap();
            match self.answer(t, &request).status().as_u16() {
                200 => true,
                401 => false,
                other => panic!("{other}"),
            }
        }
    }

    fn token_request(secret: &str) -> Request<Bytes> {
        Request::post(Endpoint::TOKEN_PATH)
            .header(CONTENT_TYPE, "application/json")
            .body(format!(r#"{{"clientId":"id","clientSecret":"{secret}"}}"#).into())
            .unwrap()
    }

    #[test]
    fn grants_a_new_token_each_time_without_a_mode() {
        let mut server = Server::new(&[]);
        let (first, second) = (server.token(0), server.token(0));
        assert_ne!(first, second);
        assert!(server.accepts(999, &first) && server.accepts(999, &second));
        assert!(!server.accepts(1000, &first));
        let refused = server.answer(0, &token_request("wrong"));
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(server.ledger.grants(), 2);
        assert_eq!(server.modes.date(at(0)), None);
    }

    #[test]
    fn same_token_is_granted_until_it_expires() {
        let mut server = Server::new(&[Mode::SameToken]);
        let first = server.token(0);
        assert_eq!(server.token(999), first);
        assert!(server.accepts(999, &first));
        let second = server.token(1000);
        assert_ne!(second, first);
        assert_eq!(server.token(1001), second);
        assert_eq!(server.ledger.grants(), 4);
    }

    #[test]
    fn downstream_modes_refuse_tokens() {
        let mut server = Server::new(&[Mode::OnlyNewest]);
        let first = server.token(0);
        assert!(server.accepts(0, &first));
        server.answer(0, &token_request("wrong"));
        assert!(server.accepts(0, &first), "a refusal revokes nothing");
        let second = server.token(1);
        assert!(!server.accepts(1, &first) && server.accepts(1, &second));
        assert!(!server.accepts(1001, &second));

        let mut server = Server::new(&[Mode::RefusedDownstream]);
        let token = server.token(0);
        assert!(!server.accepts(0, &token));
    }

    #[test]
    fn wrong_clock_applies_to_date_and_tokens() {
        for (mode, date) in [
            (Mode::ClockAhead, "Fri, 15 Jan 2027 08:10:00 GMT"),
            (Mode::ClockBehind, "Fri, 15 Jan 2027 07:50:00 GMT"),
        ] {
            let mut server = Server::new(&[mode]);
            assert_eq!(server.modes.date(at(0)).unwrap(), date);
            let token = server.token(0);
            assert!(server.accepts(999, &token) && !server.accepts(1000, &token));
        }
        let both = Modes(vec![Mode::ClockAhead, Mode::ClockBehind]);
        assert_eq!(both.date(at(0)), None);
    }

    #[test]
    fn modes_combine() {
        let mut server = Server::new(&[Mode::SameToken, Mode::ClockAhead, Mode::OnlyNewest]);
        let first = server.token(0);
        assert_eq!(server.token(999), first);
        let second = server.token(1000);
        assert!(!server.accepts(1000, &first) && server.accepts(1000, &second));
    }
}
