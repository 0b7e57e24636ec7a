//! Strategies for dates and delays in headers.

use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Generates the value of a `Retry-After`: delays and dates, some of them in a list.
pub(super) fn retry_after() -> impl Strategy<Value = String> {
    let one = || prop_oneof![date(), delay()];
    prop_oneof![3 => one(), 1 => vec(one(), 2..4).prop_map(|list| list.join(", "))]
}

/// Generates a delay in seconds, valid or not.
fn delay() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..100_000_u64).prop_map(|seconds| seconds.to_string()),
        1 => "[0-9]{1,25}",
        1 => "[0-9]{1,3}\\.[0-9]{0,3}",
        1 => select(vec!["", "-1", "+1", ".5", "1e3", "soon", "0x10", "5s"]).prop_map(str::to_owned),
    ]
}

/// Generates a date from 1970 to 9999 in any of the three forms of RFC 9110 §5.6.7, and sometimes
/// an invalid one.
pub(super) fn date() -> impl Strategy<Value = String> {
    let near = 1_790_000_000..1_800_000_000_u64;
    let at = prop_oneof![3 => near, 1 => 0..253_402_300_800_u64];
    let odd = select(vec![
        "",
        "today",
        "Tue, 31 Feb 2026 00:00:00 GMT",
        "Mon, 24 Nov 2026 00:00:00 GMT",
        "Tue, 24 Nov 2026 00:00:00",
        "Sat, 31 Dec 2016 23:59:60 GMT",
    ]);
    let zone = select(vec!["GMT", "GMT", "UTC", "+0000", "-0000", "+0100", "Z"]);
    let form = at.prop_flat_map(|at| select(dates(at)));
    let form = (form, zone).prop_map(|(date, zone)| date.replace("GMT", zone));
    let leap = form.clone().prop_map(|date| date.replace(":59", ":60"));
    prop_oneof![6 => form, 1 => leap, 1 => odd.prop_map(str::to_owned)]
}

/// Formats a time, in seconds since the Unix epoch, in the three forms of a date.
fn dates(at: u64) -> Vec<String> {
    let at = Duration::from_secs(at).min(Duration::from_secs(253_402_300_799));
    let date = SystemTime::UNIX_EPOCH.checked_add(at);
    let fixed = httpdate::fmt_http_date(date.unwrap_or(SystemTime::UNIX_EPOCH));
    let words: Vec<&str> = fixed.split([' ', ',']).collect();
    let [weekday, "", day, month, year, time, zone] = *words.as_slice() else {
        return vec![fixed];
    };
    let names = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let name = names.into_iter().find(|name| name.starts_with(weekday));
    let name = name.unwrap_or(weekday);
    let two_digits = year.get(2..).unwrap_or(year);
    let padded = match day.strip_prefix('0') {
        Some(digit) => format!(" {digit}"),
        None => day.to_owned(),
    };
    vec![
        format!("{name}, {day}-{month}-{two_digits} {time} {zone}"),
        format!("{weekday} {month} {padded} {time} {year}"),
        fixed,
    ]
}
