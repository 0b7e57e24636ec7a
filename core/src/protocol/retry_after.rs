//! `Retry-After` (RFC 9110 §10.2.3): the delay that a server requests.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, HeaderValue, RETRY_AFTER};

/// A longer delay is cut to this, so that adding it to a date stays in range.
const MAX_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Returns the delay that `headers` request: the longest of several.
///
/// A date counts against the response's own `Date`, so that the two clocks need not agree. Without
/// one it counts against `wall`, since the Unix epoch. An invalid value is ignored.
pub(crate) fn retry_after(headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    let mut longest = None;
    for value in headers.get_all(RETRY_AFTER) {
        longest = longest.max(delay(value, headers, wall));
    }
    longest
}

fn delay(value: &HeaderValue, headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows is still a number.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_DELAY));
    }
    let until = http_date(text, wall)?;
    let now = date(headers, wall).unwrap_or(wall);
    Some(until.saturating_sub(now).min(MAX_DELAY))
}

/// Returns the response's own `Date`, since the Unix epoch.
pub(crate) fn date(headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    http_date(headers.get(DATE)?.to_str().ok()?.trim(), wall)
}

/// Parses an HTTP-date in any of its three forms (RFC 9110 §5.6.7), since the Unix epoch. A date
/// before 1970 is refused.
fn http_date(text: &str, wall: Duration) -> Option<Duration> {
    // Only RFC 850 dates start with a longer day name. `httpdate` reads them too leniently.
    let date = match text.as_bytes().get(3)? {
        letter if letter.is_ascii_alphabetic() => {
            httpdate::parse_http_date(&rfc850_year(text, wall)?)
        }
        _ => httpdate::parse_http_date(text),
    };
    let date = date.ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// Returns an RFC 850 date as an IMF-fixdate with a year of four digits. A year more than 50 years
/// ahead is the most recent one in the past (RFC 9110 §5.6.7). `httpdate` takes every year from 70 on
/// for one of the last century.
fn rfc850_year(text: &str, wall: Duration) -> Option<String> {
    let (weekday, rest) = text.split_once(", ")?;
    let (date, time) = rest.split_once(' ')?;
    let mut parts = date.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = year.len() == 2 && year.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || !digits || !WEEKDAYS.contains(&weekday) {
        return None;
    }
    let weekday = weekday.get(..3)?;
    let digits: u64 = year.parse().ok()?;
    let this = current_year(wall)?;
    let century = this.checked_sub(this.checked_rem(100)?)?;
    // The latest of three centuries that is not too far ahead.
    let year = [
        century.checked_add(100)?,
        century,
        century.checked_sub(100)?,
    ]
    .into_iter()
    .map(|century| century.saturating_add(digits))
    .find(|year| *year <= this.saturating_add(50))?;
    Some(format!("{weekday}, {day} {month} {year} {time}"))
}

/// Returns the year of a reading of the wall clock, if an HTTP-date can express it.
fn current_year(wall: Duration) -> Option<u64> {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let now = SystemTime::UNIX_EPOCH
        .checked_add(wall)
        .filter(|_| wall <= LAST)?;
    httpdate::fmt_http_date(now).get(12..16)?.parse().ok()
}
