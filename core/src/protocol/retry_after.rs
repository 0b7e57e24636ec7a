//! `Retry-After` (RFC 9110 §10.2.3): the delay that a server requests.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

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

/// Returns the delay that `headers` request: the longest of several lines, and of several values in
/// a line, which are separated by commas.
///
/// A date counts against the response's own `Date`, so that the two clocks need not agree. Without
/// one it counts against `wall`, since the Unix epoch. An invalid value is ignored.
pub(crate) fn retry_after(headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    let now = date(headers, wall).unwrap_or(wall);
    let mut longest = None;
    for line in headers.get_all(RETRY_AFTER) {
        let mut rest = line.to_str().unwrap_or_default();
        while !rest.is_empty() {
            let (value, after) = split_value(rest);
            longest = longest.max(delay(value.trim(), now, wall));
            rest = after;
        }
    }
    longest
}

/// Splits off the first value of a list. The comma after the name of a weekday belongs to its date.
fn split_value(list: &str) -> (&str, &str) {
    let mut from = 0;
    if let Some((first, _)) = list.split_once(',')
        && WEEKDAYS.iter().any(|name| {
            let first = first.trim();
            first == *name || Some(first) == name.get(..3)
        })
    {
        from = first.len().saturating_add(1);
    }
    let comma = list.get(from..).and_then(|rest| rest.find(','));
    let end = comma.map_or(list.len(), |comma| from.saturating_add(comma));
    let (value, rest) = list.split_at_checked(end).unwrap_or((list, ""));
    (value, rest.strip_prefix(',').unwrap_or(rest))
}

fn delay(value: &str, now: Duration, wall: Duration) -> Option<Duration> {
    let delay = match seconds(value) {
        Some(seconds) => Duration::from_secs(seconds),
        None => http_date(value, wall)?.saturating_sub(now),
    };
    Some(delay.min(MAX_DELAY))
}

/// Reads a number of seconds, without a sign or an exponent. A fraction, which RFC 9110 does not
/// have, rounds up; it has digits before and after the point.
fn seconds(value: &str) -> Option<u64> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    // A number that overflows is still a number.
    let whole = whole.parse().unwrap_or(u64::MAX);
    let rounds_up = fraction.bytes().any(|digit| digit != b'0');
    Some(whole.saturating_add(rounds_up.into()))
}

/// Returns the response's own `Date`, since the Unix epoch.
pub(crate) fn date(headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    http_date(headers.get(DATE)?.to_str().ok()?.trim(), wall)
}

/// Parses an HTTP-date in any of its three forms (RFC 9110 §5.6.7), since the Unix epoch. A date
/// before 1970 is refused.
///
/// The zone may also be `UTC`, `+0000` or `-0000`, as servers write it in spite of the RFC. A leap
/// second is the second after `:59`, as the RFC's grammar allows it.
fn http_date(text: &str, wall: Duration) -> Option<Duration> {
    let zoned = match text.rsplit_once(' ') {
        Some((date, "UTC" | "+0000" | "-0000")) => Cow::Owned(format!("{date} GMT")),
        _ => Cow::Borrowed(text),
    };
    let regular = match zoned.split_once(":60 ") {
        Some((before, after)) => Cow::Owned(format!("{before}:59 {after}")),
        None => Cow::Borrowed(&*zoned),
    };
    let leap = Duration::from_secs((regular != zoned).into());
    // Only RFC 850 dates start with a longer day name. `httpdate` reads them too leniently.
    let date = match regular.as_bytes().get(3)? {
        letter if letter.is_ascii_alphabetic() => {
            httpdate::parse_http_date(&rfc850_year(&regular, wall)?)
        }
        _ => httpdate::parse_http_date(&regular),
    };
    let date = date.ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(date.saturating_add(leap))
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
