//! `Retry-After`: which delays and dates [`Error::retry_at`](meshconnect_auth_core::Error::retry_at)
//! follows.

use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
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
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(RETRY_AFTER, value);
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
        ("1.5", Some(2)),
        ("20.5", Some(21)),
        ("20.000", Some(20)),
        ("0.001", Some(1)),
        ("99999999999999999999999.5", Some(LONGEST)),
        (".5", None),
        ("20.", None),
        ("1.5.5", None),
        ("1.-5", None),
        ("1e3", None),
        ("1.5e3", None),
        ("-1.5", None),
        ("+5", None),
        ("1 5", None),
        ("\u{661}", None),
        ("Tue, 24 Nov 2026 00:02:00 UTC", Some(120)),
        ("Tue, 24 Nov 2026 00:02:00 +0000", Some(120)),
        ("Tue, 24 Nov 2026 00:02:00 -0000", Some(120)),
        ("Tuesday, 24-Nov-26 00:02:00 UTC", Some(120)),
        ("Tuesday, 24-Nov-26 00:02:00 +0000", Some(120)),
        ("Tue, 24 Nov 2026 00:01:60 GMT", Some(120)),
        ("Tue, 24 Nov 2026 00:01:60 +0000", Some(120)),
        ("Tuesday, 24-Nov-26 00:01:60 GMT", Some(120)),
        ("Tue Nov 24 00:01:60 2026", Some(120)),
        ("Tue, 24 Nov 2026 00:02:61 GMT", None),
        ("Tue, 24 Nov 2026 00:60:00 GMT", None),
        ("Tue, 24 Nov 2026 00:60 GMT", None),
        ("Tue, 24 Nov 2026 00:02:00 +0100", None),
        ("Tue, 24 Nov 2026 00:02:00 utc", None),
        ("Tue, 24 Nov 2026 00:02:00 Z", None),
        ("Tue Nov 24 00:02:00 2026 UTC", None),
        ("Mon, 24 Nov 2026 00:02:00 GMT", None),
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

/// Servers and proxies join lines with commas, and a date has a comma of its own.
#[test]
fn takes_the_longest_of_a_list() {
    const TWO_MINUTES: &str = "Tue, 24 Nov 2026 00:02:00 GMT";
    for (lines, seconds) in [
        (&["3, 10"][..], Some(10)),
        (&["10,3"], Some(10)),
        (&["3, 10", "7"], Some(10)),
        (&["soon, 3, , -1,"], Some(3)),
        (&["3.5 , 2"], Some(4)),
        (&[&format!("60, {TWO_MINUTES}")], Some(120)),
        (&[&format!("{TWO_MINUTES}, 60")], Some(120)),
        (&[&format!("{TWO_MINUTES},180")], Some(180)),
        (
            &[&format!("{TWO_MINUTES}, Tue, 24 Nov 2026 00:03:00 UTC")],
            Some(180),
        ),
        (
            &[&format!("Tuesday, 24-Nov-26 00:03:00 GMT, {TWO_MINUTES}")],
            Some(180),
        ),
        (&["Tue Nov 24 00:02:00 2026, 5"], Some(120)),
        (&["Tue, 5, 7"], Some(7)),
        (&["Tue"], None),
        (&["Tue,"], None),
        (&[",", ",,"], None),
    ] {
        assert_eq!(delay_of(lines, None), seconds, "{lines:?}");
    }
}

/// The raw answers of a case that was found in the field.
#[test]
fn leap_seconds_and_other_zones_count_against_the_date_header() {
    for (until, date, seconds) in [
        (
            "Sun, 01 Jan 2017 00:01:00 +0000",
            "Sat, 31 Dec 2016 23:59:00 GMT",
            120,
        ),
        (
            "Sat, 31 Dec 2016 23:59:60 GMT",
            "Sat, 31 Dec 2016 23:59:00 GMT",
            60,
        ),
        (
            "Sun, 01 Jan 2017 00:01:00 GMT",
            "Sat, 31 Dec 2016 23:59:60 GMT",
            60,
        ),
        (
            "Sun, 01 Jan 2017 00:01:00 GMT",
            "Sat, 31 Dec 2016 23:59:00 UTC",
            120,
        ),
    ] {
        assert_eq!(delay_of(&[until], Some(date)), Some(seconds), "{until}");
    }
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
