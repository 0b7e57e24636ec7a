//! What the modes make of the issuer: the part of the emulator whose answers depend on what went
//! before. It has no clock and no IO either; time and serial are arguments.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};

use super::envelope::{FAILURE, TOO_MANY_REQUESTS};
use super::http_date::Form;
use super::issuer::{Issuer, Route};
use super::mode::Mode;

/// How wrong a clock is.
const SKEW: Duration = Duration::from_secs(10 * 60);

/// How late an answer comes.
const LATE: Duration = Duration::from_secs(2);

/// How long a token has to be waited for.
const WAIT: Duration = Duration::from_secs(2);

/// The modes of one emulator.
#[derive(Clone, Debug, Default)]
pub(super) struct Modes(Vec<Mode>);

impl Modes {
    pub(super) fn add(&mut self, mode: Mode) {
        self.0.push(mode);
    }

    /// The issuer, as far as what it tells of a token's life is concerned.
    pub(super) fn instruct(&self, issuer: Issuer) -> Issuer {
        let told = issuer.life();
        if self.has(Mode::LongExpiresIn) {
            // A token lives for a second at least, or none could ever be used.
            issuer.ends_after(told.div_f64(2.0).max(Duration::from_secs(1)))
        } else if self.has(Mode::ShortExpiresIn) {
            issuer.ends_after(told.saturating_mul(2))
        } else {
            issuer
        }
    }

    /// The server's clock, by the true one.
    pub(super) fn clock(&self, wall: Duration) -> Duration {
        self.skewed(wall, Mode::ClockAhead, Mode::ClockBehind)
    }

    /// What to write as the `Date`, where it is not the true one.
    pub(super) fn date(&self, wall: Duration) -> Option<HeaderValue> {
        let date = self.skewed(self.clock(wall), Mode::DateAhead, Mode::DateBehind);
        if date == wall {
            return None;
        }
        HeaderValue::try_from(Form::ImfFixdate.write(date)).ok()
    }

    /// How late each answer comes.
    pub(super) fn delay(&self) -> Option<Duration> {
        self.has(Mode::Slow).then_some(LATE)
    }

    fn skewed(&self, time: Duration, ahead: Mode, behind: Mode) -> Duration {
        match (self.has(ahead), self.has(behind)) {
            (true, false) => time.saturating_add(SKEW),
            (false, true) => time.saturating_sub(SKEW),
            _ => time,
        }
    }

    fn throttle(&self) -> Option<Mode> {
        let throttles = [
            Mode::ThrottledSeconds,
            Mode::ThrottledDate,
            Mode::ThrottledRfc850,
            Mode::ThrottledAsctime,
        ];
        throttles.into_iter().find(|mode| self.has(*mode))
    }

    fn has(&self, mode: Mode) -> bool {
        self.0.contains(&mode)
    }
}

/// What has happened, as far as a mode goes by it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    grants: u64,
    newest: Option<Grant>,
    /// From when on a token that has to be waited for can be had.
    opens_at: Option<Duration>,
    /// Whether the next request is one that fails.
    fails_next: bool,
}

/// What makes a token: the issuer makes the same of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grant {
    issued: Duration,
    serial: u64,
}

impl Ledger {
    /// How many tokens were granted.
    pub(super) fn grants(&self) -> u64 {
        self.grants
    }

    /// Answers one request at `now` by the server's clock.
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
        if let Some(throttle) = modes.throttle() {
            let opens_at = *self.opens_at.get_or_insert(now.saturating_add(WAIT));
            if now < opens_at {
                return throttled(throttle, now, opens_at);
            }
            self.opens_at = None;
        }
        if modes.has(Mode::Flapping) {
            let fails = self.fails_next;
            self.fails_next = !fails;
            if fails {
                return FAILURE.answer();
            }
        }
        let grant = self.repeated(modes, issuer, now);
        let grant = grant.unwrap_or(Grant {
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

    /// The grant that is given once more, if one is.
    fn repeated(&self, modes: &Modes, issuer: &Issuer, now: Duration) -> Option<Grant> {
        let newest = self.newest.filter(|_| modes.has(Mode::SameToken))?;
        let begin = newest.issued.as_secs();
        let end = begin.saturating_add(issuer.life().as_secs());
        (now.as_secs() < end).then_some(newest)
    }

    /// Whether downstream takes a good token.
    fn accepts(&self, modes: &Modes, serial: u64) -> bool {
        let is_newest = self.newest.is_some_and(|newest| newest.serial == serial);
        !modes.has(Mode::RefusedDownstream) && (is_newest || !modes.has(Mode::OnlyNewest))
    }
}

fn throttled(throttle: Mode, now: Duration, opens_at: Duration) -> Response<Bytes> {
    let date = |form: Form| form.write(up(opens_at));
    let retry_after = match throttle {
        Mode::ThrottledDate => date(Form::ImfFixdate),
        Mode::ThrottledRfc850 => date(Form::Rfc850),
        Mode::ThrottledAsctime => date(Form::Asctime),
        _ => up(opens_at.saturating_sub(now)).as_secs().to_string(),
    };
    let mut response = TOO_MANY_REQUESTS.answer();
    if let Ok(retry_after) = HeaderValue::try_from(retry_after) {
        response.headers_mut().insert(RETRY_AFTER, retry_after);
    }
    response
}

/// In whole seconds, and no sooner.
fn up(time: Duration) -> Duration {
    let more = u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(time.as_secs().saturating_add(more))
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, CONTENT_TYPE};
    use meshconnect_auth_core::{Credentials, Endpoint};
    use serde_json::Value;

    use super::*;

    /// One server on virtual time; `t` is in tenths of a second.
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
            let modes = Modes(modes.to_vec());
            let issuer = Issuer::new(Credentials::new("id", "secret").unwrap());
            let issuer = issuer.expires_in(Duration::from_secs(100));
            Self {
                issuer: modes.instruct(issuer),
                modes,
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

        fn ask(&mut self, t: u64) -> Response<Bytes> {
            self.answer(t, &token_request("secret"))
        }

        fn token(&mut self, t: u64) -> String {
            let granted = self.ask(t);
            let envelope: Value = serde_json::from_slice(granted.body()).unwrap();
            assert_eq!(envelope["content"]["expires_in"], 100);
            envelope["content"]["id_token"].as_str().unwrap().to_owned()
        }

        fn takes(&mut self, t: u64, token: &str) -> bool {
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

        fn asked_to_wait(&mut self, t: u64) -> String {
            let response = self.ask(t);
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            response.headers()[RETRY_AFTER].to_str().unwrap().to_owned()
        }
    }

    fn token_request(secret: &str) -> Request<Bytes> {
        Request::post(Endpoint::TOKEN_PATH)
            .header(CONTENT_TYPE, "application/json")
            .body(format!(r#"{{"clientId":"id","clientSecret":"{secret}"}}"#).into())
            .unwrap()
    }

    #[test]
    fn without_a_mode_every_token_is_new_and_taken_until_its_end() {
        let mut server = Server::new(&[]);
        let (first, second) = (server.token(0), server.token(0));
        assert_ne!(first, second);
        assert!(server.takes(999, &first) && server.takes(999, &second));
        assert!(!server.takes(1000, &first));
        let refused = server.answer(0, &token_request("wrong"));
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(server.ledger.grants(), 2);
        assert_eq!(server.modes.date(at(0)), None);
        assert_eq!(server.modes.delay(), None);
    }

    #[test]
    fn the_same_token_comes_until_its_end() {
        let mut server = Server::new(&[Mode::SameToken]);
        let first = server.token(0);
        assert_eq!(server.token(999), first);
        assert!(server.takes(999, &first));
        let second = server.token(1000);
        assert_ne!(second, first);
        assert_eq!(server.token(1001), second);
        assert_eq!(server.ledger.grants(), 4);
    }

    #[test]
    fn only_the_newest_is_taken_or_none() {
        let mut server = Server::new(&[Mode::OnlyNewest]);
        let first = server.token(0);
        assert!(server.takes(0, &first));
        server.answer(0, &token_request("wrong"));
        assert!(server.takes(0, &first), "a refusal revokes nothing");
        let second = server.token(1);
        assert!(!server.takes(1, &first) && server.takes(1, &second));
        assert!(!server.takes(1001, &second));

        let mut server = Server::new(&[Mode::RefusedDownstream]);
        let token = server.token(0);
        assert!(!server.takes(0, &token));
    }

    #[test]
    fn what_is_told_of_a_life_is_not_what_it_is() {
        for (mode, end) in [(Mode::LongExpiresIn, 500), (Mode::ShortExpiresIn, 2000)] {
            let mut server = Server::new(&[mode]);
            let token = server.token(0);
            assert!(server.takes(end - 1, &token) && !server.takes(end, &token));
        }
        let shortest = Issuer::new(Credentials::new("id", "secret").unwrap())
            .expires_in(Duration::from_secs(1));
        let shortest = Modes(vec![Mode::LongExpiresIn]).instruct(shortest);
        assert_eq!(shortest.life(), Duration::from_secs(1));
    }

    #[test]
    fn a_token_has_to_be_waited_for() {
        for (mode, first, later) in [
            (Mode::ThrottledSeconds, "2", "1"),
            (
                Mode::ThrottledDate,
                "Fri, 15 Jan 2027 08:00:03 GMT",
                "Fri, 15 Jan 2027 08:00:03 GMT",
            ),
            (
                Mode::ThrottledRfc850,
                "Friday, 15-Jan-27 08:00:03 GMT",
                "Friday, 15-Jan-27 08:00:03 GMT",
            ),
            (
                Mode::ThrottledAsctime,
                "Fri Jan 15 08:00:03 2027",
                "Fri Jan 15 08:00:03 2027",
            ),
        ] {
            let mut server = Server::new(&[mode]);
            assert_eq!(server.asked_to_wait(1), first);
            assert_eq!(server.asked_to_wait(20), later);
            let token = server.token(21);
            assert!(server.takes(21, &token));
            assert_eq!(server.ask(21).status(), StatusCode::TOO_MANY_REQUESTS);
        }
    }

    #[test]
    fn clocks_are_wrong_as_a_whole_or_in_the_date_alone() {
        for (modes, date, retry_after) in [
            (
                &[Mode::ClockAhead][..],
                "Fri, 15 Jan 2027 08:10:00 GMT",
                "Fri, 15 Jan 2027 08:10:02 GMT",
            ),
            (
                &[Mode::ClockBehind],
                "Fri, 15 Jan 2027 07:50:00 GMT",
                "Fri, 15 Jan 2027 07:50:02 GMT",
            ),
            (
                &[Mode::DateAhead],
                "Fri, 15 Jan 2027 08:10:00 GMT",
                "Fri, 15 Jan 2027 08:00:02 GMT",
            ),
            (
                &[Mode::DateBehind],
                "Fri, 15 Jan 2027 07:50:00 GMT",
                "Fri, 15 Jan 2027 08:00:02 GMT",
            ),
        ] {
            let throttled = [modes, &[Mode::ThrottledDate]].concat();
            assert_eq!(Modes(modes.to_vec()).date(at(0)).unwrap(), date);
            assert_eq!(Server::new(&throttled).asked_to_wait(0), retry_after);
            // By the server's own clock its tokens live as long as they should.
            let mut server = Server::new(modes);
            let token = server.token(0);
            assert!(server.takes(999, &token) && !server.takes(1000, &token));
        }
        let both = Modes(vec![Mode::ClockAhead, Mode::DateBehind]);
        assert_eq!(both.date(at(0)), None);
        assert_eq!(Modes(vec![Mode::Slow]).delay(), Some(LATE));
    }

    #[test]
    fn every_other_request_fails() {
        let mut server = Server::new(&[Mode::Flapping]);
        let statuses = [0; 4].map(|t| server.ask(t).status().as_u16());
        assert_eq!(statuses, [200, 500, 200, 500]);
        let token = server.token(0);
        assert!(server.takes(0, &token) && server.takes(0, &token));
    }

    #[test]
    fn modes_go_together() {
        let mut server = Server::new(&[Mode::SameToken, Mode::ThrottledSeconds, Mode::Flapping]);
        let statuses = [0, 20, 20, 40, 40, 60].map(|t| server.ask(t).status().as_u16());
        assert_eq!(statuses, [429, 200, 429, 500, 429, 200]);
        assert_eq!(server.ledger.newest.unwrap().serial, 2);
    }
}
