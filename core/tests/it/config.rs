//! Which settings [`Config::check`] accepts.

use std::time::Duration;

use meshconnect_auth_core::Config;

#[test]
fn names_the_setting_that_it_refuses() {
    type Change = fn(&mut Config);
    let cases: [(Change, &str); 22] = [
        (|c| c.connect_timeout = Duration::ZERO, "connect_timeout"),
        (|c| c.connect_timeout = Duration::MAX, "connect_timeout"),
        (|c| c.attempt_timeout = Duration::ZERO, "attempt_timeout"),
        (|c| c.attempt_timeout *= 8641, "attempt_timeout"),
        (
            |c| c.acquisition_timeout = Duration::ZERO,
            "acquisition_timeout",
        ),
        (|c| c.max_body = 0, "max_body"),
        (|c| c.max_body = Config::LARGEST_MAX_BODY + 1, "max_body"),
        (|c| c.attempts = 0, "attempts"),
        (|c| c.backoff = Duration::ZERO, "backoff"),
        (
            |c| c.throttled_backoff = Duration::ZERO,
            "throttled_backoff",
        ),
        (|c| c.max_retry_after = Duration::MAX, "max_retry_after"),
        (|c| c.settled_after = Duration::ZERO, "settled_after"),
        (
            |c| c.max_refresh_ahead = Duration::ZERO,
            "max_refresh_ahead",
        ),
        (|c| c.first_cooldown /= 2, "first_cooldown"),
        (
            |c| c.max_cooldown = Duration::from_millis(900),
            "max_cooldown",
        ),
        (
            |c| c.fallback_lifetime = Duration::ZERO,
            "fallback_lifetime",
        ),
        (
            |c| c.max_lifetime = Duration::from_secs(299),
            "max_lifetime",
        ),
        (|c| c.max_lifetime = Duration::MAX, "max_lifetime"),
        (|c| c.refresh_ahead_percent = 0, "refresh_ahead_percent"),
        (|c| c.refresh_jitter_percent = 75, "refresh_jitter_percent"),
        (|c| c.margin_percent = 25, "margin_percent"),
        (|c| c.max_margin *= 60, "max_margin"),
    ];
    assert!(Config::default().check().is_ok());
    for (change, name) in cases {
        let mut config = Config::default();
        change(&mut config);
        let error = config.check().expect_err(name).to_string();
        assert!(error.contains(name), "{name}: {error}");
    }
}

/// [`names_the_setting_that_it_refuses`] has the next value after most of these.
#[test]
fn accepts_each_limit() {
    let day = Duration::from_secs(86_400);
    let cases: [fn(&mut Config); 12] = [
        |c| c.connect_timeout = Duration::from_secs(86_400),
        |c| c.max_cooldown = Duration::from_secs(86_400),
        |c| c.max_refresh_ahead = c.max_margin + Duration::from_nanos(1),
        |c| c.settled_after = Duration::from_nanos(1),
        |c| c.max_body = 1,
        |c| c.max_body = 1_048_576,
        |c| c.attempts = 1,
        |c| c.first_cooldown = c.max_cooldown,
        |c| c.max_lifetime = c.fallback_lifetime,
        |c| c.max_lifetime = Config::default().max_lifetime,
        |c| c.refresh_jitter_percent = 74,
        |c| c.margin_percent = 24,
    ];
    assert_eq!(
        (Config::LONGEST_TIMEOUT, Config::LARGEST_MAX_BODY),
        (day, 1_048_576)
    );
    for (number, change) in cases.into_iter().enumerate() {
        let mut config = Config::default();
        change(&mut config);
        assert!(
            config.check().is_ok(),
            "number {number}: {:?}",
            config.check()
        );
    }
}
