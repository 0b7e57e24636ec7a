//! `Retry-After`: which delays and dates [`Error::retry_at`](meshconnect_auth_core::Error::retry_at)
//! follows.

use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use meshconnect_auth_core::{Credentials, Endpoint, Exchange, Moment};

/// 2026-11-24T00:00:00Z.
const NOW: Moment = Moment {
    mono: Duration::from_secs(5),
    wall: Duration::from_secs(1_795_478_400),
};

/// The longest delay, in seconds: ten years.
const LONGEST: u64 = 10 * 365 * 24 * 60 * 60;

/// Returns the requested delay in seconds.
fn delay_of(values: &[&str], date: Option<&str>) -> Option<u64> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(RETRY_AFTER, value.parse().unwrap());
    }
    if let Some(date) = date {
        headers.insert(DATE, date.parse().unwrap());
    }
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    *response.headers_mut() = headers;
    let exchange = Exchange::new(
        Endpoint::default(),
        Credentials::new("id", "secret").unwrap(),
    );
    let error = exchange.parse(response, NOW).unwrap_err();
    let wall = error.retry_at()?.duration_since(SystemTime::UNIX_EPOCH);
    let delay = wall.unwrap().checked_sub(NOW.wall).unwrap();
    assert_eq!(delay.subsec_nanos(), 0);
    Some(delay.as_secs())
}

#[test]
fn reads_seconds_and_the_three_forms_of_a_date() {
    for (value, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("99999999999999999999999", Some(LONGEST)),
        ("Tue, 24 Nov 2026 00:02:00 GMT", Some(120)),
        ("Tuesday, 24-Nov-26 00:02:00 GMT", Some(120)),
        ("Tue Nov 24 00:02:00 2026", Some(120)),
        ("Mon, 23 Nov 2026 00:00:00 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("120s", None),
        ("0x10", None),
        ("soon", None),
        ("Tue, 31 Feb 2026 00:00:00 GMT", None),
        ("Tue, 24 Nov 2026 00:02:00", None),
        ("Tuesday, 24-Nov-+7 00:02:00 GMT", None),
        ("Tuexyz, 24-Nov-77 00:02:00 GMT", None),
        ("Tuesdays, 24-Nov-26 00:02:00 GMT", None),
        ("Tuesday, 24-Nov-0026 00:02:00 GMT", None),
        ("Tuesday, 24-Nov-26-0 00:02:00 GMT", None),
    ] {
        assert_eq!(delay_of(&[value], None), seconds, "{value:?}");
    }
    assert_eq!(delay_of(&[], None), None);
}

#[test]
fn takes_the_longest_and_ignores_invalid_ones() {
    assert_eq!(delay_of(&["3", "10"], None), Some(10));
    assert_eq!(delay_of(&["10", "3"], None), Some(10));
    assert_eq!(delay_of(&["x", "3", ""], None), Some(3));
}

#[test]
fn a_date_counts_against_the_servers_clock() {
    let until = "Tue, 24 Nov 2020 00:05:00 GMT";
    assert_eq!(delay_of(&[until], None), Some(0));
    assert_eq!(
        delay_of(&[until], Some("Tue, 24 Nov 2020 00:00:00 GMT")),
        Some(300)
    );
    assert_eq!(delay_of(&[until], Some("no date")), Some(0));
}

#[test]
fn a_two_digit_year_is_at_most_fifty_years_ahead() {
    for (until, date) in [
        (
            "Tuesday, 24-Nov-76 00:05:00 GMT",
            "Tue, 24 Nov 2076 00:00:00 GMT",
        ),
        (
            "Thursday, 24-Nov-77 00:05:00 GMT",
            "Thu, 24 Nov 1977 00:00:00 GMT",
        ),
        (
            "Wednesday, 24-Nov-99 00:05:00 GMT",
            "Wed, 24 Nov 1999 00:00:00 GMT",
        ),
        (
            "Friday, 24-Nov-00 00:05:00 GMT",
            "Fri, 24 Nov 2000 00:00:00 GMT",
        ),
    ] {
        assert_eq!(delay_of(&[until], Some(date)), Some(300), "{until}");
    }
}
