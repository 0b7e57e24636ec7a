//! The three forms of an HTTP-date (RFC 9110 §5.6.7), of which a client has to read all.

use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// The last second that has a year of four digits, 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// From the first day of the epoch on.
const WEEKDAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

/// How a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`, the one that is preferred.
    ImfFixdate,
    /// `Sunday, 06-Nov-94 08:49:37 GMT`
    Rfc850,
    /// `Sun Nov  6 08:49:37 1994`
    Asctime,
}

impl Form {
    /// Writes a time since the Unix epoch, in whole seconds.
    pub(super) fn write(self, time: Duration) -> String {
        let seconds = time.as_secs().min(LAST_SECOND);
        let weekday = weekday(seconds / DAY);
        let short = weekday.get(..3).unwrap_or(weekday);
        let (year, month, day) = calendar(seconds / DAY);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let time = format!("{hour:02}:{minute:02}:{second:02}");
        match self {
            Self::ImfFixdate => format!("{short}, {day:02} {month} {year} {time} GMT"),
            Self::Rfc850 => {
                let year = year % 100;
                format!("{weekday}, {day:02}-{month}-{year:02} {time} GMT")
            }
            Self::Asctime => format!("{short} {month} {day:2} {time} {year}"),
        }
    }
}

/// The weekday of a day since the Unix epoch.
fn weekday(days: u64) -> &'static str {
    let of_week = usize::try_from(days % 7).ok();
    let weekday = of_week.and_then(|day| WEEKDAYS.get(day));
    weekday.copied().unwrap_or_default()
}

/// The date of a day since the Unix epoch: year, month, day of the month.
fn calendar(mut days: u64) -> (u64, &'static str, u64) {
    let mut year = 1970;
    loop {
        for (month, length) in months(year) {
            match days.checked_sub(length) {
                Some(rest) => days = rest,
                None => return (year, month, days.saturating_add(1)),
            }
        }
        year = year.saturating_add(1);
    }
}

fn months(year: u64) -> [(&'static str, u64); 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [
        ("Jan", 31),
        ("Feb", if leap { 29 } else { 28 }),
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
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first three are RFC 9110's own examples.
    #[test]
    fn each_form() {
        for (seconds, form, expected) in [
            (
                784_111_777,
                Form::ImfFixdate,
                "Sun, 06 Nov 1994 08:49:37 GMT",
            ),
            (784_111_777, Form::Rfc850, "Sunday, 06-Nov-94 08:49:37 GMT"),
            (784_111_777, Form::Asctime, "Sun Nov  6 08:49:37 1994"),
            (
                1_800_000_000,
                Form::Rfc850,
                "Friday, 15-Jan-27 08:00:00 GMT",
            ),
            (1_800_000_000, Form::Asctime, "Fri Jan 15 08:00:00 2027"),
        ] {
            assert_eq!(form.write(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_calendar() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let date = Form::ImfFixdate.write(Duration::from_secs(seconds));
            assert_eq!(date, expected, "{seconds}");
        }
    }
}
