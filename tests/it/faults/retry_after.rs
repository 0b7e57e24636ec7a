//! `Retry-After` in valid and malformed forms.

use crate::faults::row::Library::Ureq;
use crate::faults::row::{GRANTED, NOT_HTTP, Row, refused};
use crate::support::EXAMPLE_200;
use crate::support::server::response;
use crate::support::{SECRET, TOKEN};

/// The cap for longer delays.
const TEN_YEARS: u64 = 10 * 365 * 24 * 60 * 60;
const DATE: &str = "Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n";

pub fn rows() -> Vec<Row> {
    let with = |headers: &str| response("429 Too Many Requests", headers, EXAMPLE_200);
    let row = |name: &str, headers: &str| Row::responds(name, with(headers), refused(429));
    let ignored =
        |name: &str, value: &str| row(name, &format!("Retry-After: {value}\r\n")).no_retry_after();
    let until = |date: &str| format!("{DATE}Retry-After: {date}\r\n");
    let capped = TEN_YEARS - 10..TEN_YEARS + 10;
    let digits = |count: usize| with(&format!("Retry-After: {}\r\n", "9".repeat(count)));
    vec![
        row("no Retry-After", "").no_retry_after(),
        row("7 s", "Retry-After: 7\r\n").retry_after_secs(6..10),
        row("0 s", "Retry-After: 0\r\n").retry_after_secs(0..3),
        row(
            "7 s with leading zeros",
            "Retry-After: 0000000000000000000000000007\r\n",
        )
        .retry_after_secs(6..10),
        row("7 s with white space", "Retry-After: \t 7 \t\r\n").retry_after_secs(6..10),
        row(
            "two headers, the longer first",
            "Retry-After: 120\r\nRetry-After: 7\r\n",
        )
        .retry_after_secs(119..123),
        row(
            "two headers, the longer last",
            "Retry-After: 7\r\nRetry-After: 120\r\n",
        )
        .retry_after_secs(119..123),
        row(
            "two headers, one malformed",
            "Retry-After: soon\r\nRetry-After: 7\r\n",
        )
        .retry_after_secs(6..10),
        row("two delays in one header", "Retry-After: 7, 120\r\n").retry_after_secs(119..123),
        row("a fractional delay", "Retry-After: 20.5\r\n").retry_after_secs(20..24),
        row("a hundred headers", &"Retry-After: 7\r\n".repeat(100)).retry_after_secs(6..10),
        ignored("an empty Retry-After", ""),
        ignored("a word as Retry-After", "soon"),
        ignored("a negative delay", "-7"),
        ignored("a signed delay", "+7"),
        ignored("a delay with a unit", "7 s"),
        ignored("a hexadecimal delay", "0x7"),
        ignored("a delay in Arabic digits", "\u{667}"),
        ignored("the secret as Retry-After", SECRET),
        ignored("the token as Retry-After", TOKEN),
        ignored("non-ASCII bytes", "\u{80}\u{ff}"),
        row("2^64 s", "Retry-After: 18446744073709551616\r\n").retry_after_secs(capped.clone()),
        row("an IMF-fixdate", &until("Tue, 24 Nov 2026 00:02:00 GMT")).retry_after_secs(119..123),
        row("an RFC 850 date", &until("Tuesday, 24-Nov-26 00:02:00 GMT"))
            .retry_after_secs(119..123),
        row("an asctime date", &until("Tue Nov 24 00:02:00 2026")).retry_after_secs(119..123),
        row("a date in UTC", &until("Tue, 24 Nov 2026 00:02:00 UTC")).retry_after_secs(119..123),
        row("a date in +0000", &until("Tue, 24 Nov 2026 00:02:00 +0000"))
            .retry_after_secs(119..123),
        row("a leap second", &until("Tue, 24 Nov 2026 00:01:60 GMT")).retry_after_secs(119..123),
        row(
            "a delay and a date in one header",
            &until("7, Tue, 24 Nov 2026 00:02:00 GMT"),
        )
        .retry_after_secs(119..123),
        row(
            "a date in the past",
            &until("Mon, 23 Nov 2026 00:00:00 GMT"),
        )
        .retry_after_secs(0..3),
        row(
            "a date in the year 9999",
            &until("Fri, 31 Dec 9999 23:59:59 GMT"),
        )
        .retry_after_secs(capped.clone()),
        row("an invalid day", &until("Tue, 32 Nov 2026 00:00:00 GMT")).no_retry_after(),
        row("a date without a zone", &until("Tue, 24 Nov 2026 00:02:00")).no_retry_after(),
        row("an ISO 8601 date", &until("2026-11-24T00:02:00Z")).no_retry_after(),
        Row::responds("a delay of 60,000 digits", digits(60_000), refused(429))
            .retry_after_secs(capped.clone()),
        Row::responds(
            "a delay of 64 KiB of digits",
            digits(64 * 1024),
            refused(429),
        )
        .retry_after_secs(capped)
        .except(
            Ureq,
            NOT_HTTP,
            "ureq limits a head to 64 KiB, hyper to about 400 KiB",
        ),
        Row::responds(
            "64 KiB of garbage",
            with(&format!("Retry-After: {}\r\n", "x".repeat(64 * 1024))),
            refused(429),
        )
        .no_retry_after()
        .except(
            Ureq,
            NOT_HTTP,
            "ureq limits a head to 64 KiB, hyper to about 400 KiB",
        ),
        Row::responds(
            "a token with Retry-After",
            response("200 OK", "Retry-After: 7\r\n", EXAMPLE_200),
            GRANTED,
        ),
        Row::responds(
            "a redirect with Retry-After",
            response("307 Moved", "Retry-After: 7\r\nLocation: /x\r\n", ""),
            refused(307),
        )
        .retry_after_secs(6..10),
    ]
}
