//! The retry time of an error agrees with a naive reader of RFC 9110.

use std::time::Duration;

use http::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use meshconnect_auth_core::Moment;

use crate::exchange::{RECEIVED, SECRETS, TEN_YEARS, exchange};
use crate::raw_message::response;

const DAY: u64 = 24 * 60 * 60;

/// The times at which the response is received: now, the lowest reading, before and after turns of
/// a century and of a year, the last second of an HTTP-date, and the highest reading.
const CLOCKS: [Duration; 7] = [
    RECEIVED.wall,
    Duration::ZERO,
    Duration::from_secs(946_684_799),
    Duration::from_secs(1_830_297_600),
    Duration::from_secs(2_524_608_000),
    Duration::from_secs(253_402_300_799),
    Duration::MAX,
];

/// Checks that the retry time is the one that a naive reader finds in `headers`, and at most ten
/// years away.
pub fn retry_after(headers: &HeaderMap) {
    for wall in CLOCKS {
        let received = Moment {
            mono: RECEIVED.mono,
            wall,
        };
        let mut response = Response::new(&b""[..]);
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().clone_from(headers);
        let Err(error) = exchange(SECRETS[0]).parse(response, received) else {
            panic!("a 429 granted a token");
        };
        let retry_at = error.retry_at();
        if let Some(at) = retry_at {
            assert!(
                Some(at) >= received.system_time()
                    && Some(at) <= received.after(TEN_YEARS).system_time(),
                "{at:?} is out of range"
            );
        }
        let delay = naive(headers, wall);
        assert_eq!(
            retry_at,
            delay.and_then(|delay| received.after(delay).system_time()),
            "{:?} with {:?} at {wall:?} means {delay:?}",
            headers.get_all(RETRY_AFTER).iter().collect::<Vec<_>>(),
            headers.get(DATE)
        );
    }
}

/// Calls [`retry_after`] with the headers of a [`response`].
pub fn retry_after_bytes(data: &[u8]) {
    retry_after(response(data).headers());
}

fn naive(headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    let sent = headers.get(DATE).and_then(|value| http_date(value, wall));
    let now = sent.map_or(wall, Duration::from_secs);
    let lines = headers.get_all(RETRY_AFTER).iter();
    let values = lines.flat_map(|line| values(line.to_str().unwrap_or_default()));
    let delays = values.filter_map(|value| {
        if let Some(seconds) = whole_seconds(&value) {
            return Some(Duration::from_secs(seconds));
        }
        let until = Duration::from_secs(date(&value, wall)?);
        Some(until.checked_sub(now).unwrap_or_default())
    });
    delays.max().map(|delay| delay.min(TEN_YEARS))
}

/// Returns the values of a line. A weekday belongs to what follows it.
fn values(line: &str) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    let mut weekday = false;
    for part in line.split(',') {
        match values.last_mut() {
            Some(before) if weekday => {
                before.push(',');
                before.push_str(part);
                weekday = false;
            }
            _ => {
                values.push(part.to_owned());
                let name = part.trim();
                weekday = DAYS
                    .iter()
                    .any(|day| name == *day || Some(name) == day.get(..3));
            }
        }
    }
    values
}

/// Reads a number of seconds. One with a fraction counts as the next whole one.
fn whole_seconds(value: &str) -> Option<u64> {
    let parts: Vec<&str> = value.trim().split('.').collect();
    let good = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    if parts.len() > 2 || !parts.iter().all(good) {
        return None;
    }
    let number = parts.first()?.trim_start_matches('0');
    let number = number.get(..12).unwrap_or(number).parse().unwrap_or(0_u64);
    let has_rest = parts.get(1).is_some_and(|rest| rest.contains(|c| c != '0'));
    number.checked_add(u64::from(has_rest))
}

/// Reads the value of a `Date` header.
pub(crate) fn http_date(value: &HeaderValue, wall: Duration) -> Option<u64> {
    date(value.to_str().ok()?, wall)
}

/// Reads an HTTP-date (RFC 9110 §5.6.7), in seconds since the Unix epoch. Dates before 1970 are
/// invalid. The zone may have another name.
fn date(text: &str, wall: Duration) -> Option<u64> {
    const ZONES: [&str; 4] = ["GMT", "UTC", "+0000", "-0000"];
    let words: Vec<&str> = text.trim().split(' ').collect();
    match *words.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [weekday, day, month, year, time, zone] if ZONES.contains(&zone) => seconds(
            weekday.strip_suffix(',').filter(|name| name.len() == 3)?,
            digits(day, 2)?,
            month,
            digits(year, 4)?,
            time,
        ),
        // Sunday, 06-Nov-94 08:49:37 GMT
        [weekday, date, time, zone] if ZONES.contains(&zone) => {
            let parts: Vec<&str> = date.split('-').collect();
            let [day, month, year] = *parts.as_slice() else {
                return None;
            };
            let weekday = weekday.strip_suffix(',')?;
            seconds(
                weekday.get(..3).filter(|_| DAYS.contains(&weekday))?,
                digits(day, 2)?,
                month,
                year_ending_in(digits(year, 2)?, wall)?,
                time,
            )
        }
        // Sun Nov  6 08:49:37 1994, with a day of one or two digits
        [weekday, month, "", day, time, year] => {
            seconds(weekday, digits(day, 1)?, month, digits(year, 4)?, time)
        }
        [weekday, month, day, time, year] => {
            seconds(weekday, digits(day, 2)?, month, digits(year, 4)?, time)
        }
        _ => None,
    }
}

const DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

fn digits(text: &str, length: usize) -> Option<u64> {
    let good = text.len() == length && text.chars().all(|c| c.is_ascii_digit());
    good.then(|| text.parse().ok())?
}

fn seconds(weekday: &str, day: u64, month: &str, year: u64, time: &str) -> Option<u64> {
    let parts: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = *parts.as_slice() else {
        return None;
    };
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    let at = MONTHS.iter().position(|(name, _)| *name == month)?;
    let (before, after) = MONTHS.split_at_checked(at)?;
    let length = |(name, days): &(&str, u64)| {
        let leap = *name == "Feb" && days_in(year) == 366;
        days.saturating_add(leap.into())
    };
    let exists = (1..=after.first().map(length)?).contains(&day)
        && (1970..=9999).contains(&year)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !exists {
        return None;
    }
    let days: u64 = (1970..year)
        .map(days_in)
        .chain(before.iter().map(length))
        .chain([day.checked_sub(1)?])
        .sum();
    let index = usize::try_from(days.checked_rem(7)?).ok()?;
    let good = weekday.len() == 3 && DAYS.get(index)?.starts_with(weekday);
    let parts = [(days, DAY), (hour, 3600), (minute, 60), (second, 1)];
    let seconds = parts
        .iter()
        .map(|(times, unit)| times.saturating_mul(*unit));
    good.then(|| seconds.sum())
}

fn days_in(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

/// Returns the year that two digits stand for. A year more than 50 years in the future is in the
/// past instead.
fn year_ending_in(digits: u64, wall: Duration) -> Option<u64> {
    let mut days = wall.as_secs().checked_div(DAY)?;
    let this = (1970..=9999).find(|year| match days.checked_sub(days_in(*year)) {
        Some(left) => {
            days = left;
            false
        }
        None => true,
    });
    (0..=this?.saturating_add(50))
        .rev()
        .find(|year| year.checked_rem(100) == Some(digits))
}
