//! `Retry-After`, in all that it should be and should not be.

use crate::faults::row::Which::Ureq;
use crate::faults::row::{NOT_HTTP, Row, TOKEN_SEEN, rejected};
use crate::support::EXAMPLE_200;
use crate::support::server::answer;
use crate::support::{SECRET, TOKEN};

/// What is longer counts as ten years.
const TEN_YEARS: u64 = 10 * 365 * 24 * 60 * 60;
const DATE: &str = "Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n";

pub fn rows() -> Vec<Row> {
    let with = |headers: &str| answer("429 Too Many Requests", headers, EXAMPLE_200);
    let row = |name: &str, headers: &str| Row::answers(name, with(headers), rejected(429));
    let nothing =
        |name: &str, value: &str| row(name, &format!("Retry-After: {value}\r\n")).asking_nothing();
    let until = |date: &str| format!("{DATE}Retry-After: {date}\r\n");
    let longest = TEN_YEARS - 10..TEN_YEARS + 10;
    let digits = |count: usize| with(&format!("Retry-After: {}\r\n", "9".repeat(count)));
    vec![
        row("no Retry-After", "").asking_nothing(),
        row("7 s", "Retry-After: 7\r\n").asking_again_in(6..10),
        row("0 s", "Retry-After: 0\r\n").asking_again_in(0..3),
        row(
            "zeros before 7 s",
            "Retry-After: 0000000000000000000000000007\r\n",
        )
        .asking_again_in(6..10),
        row("white space around 7 s", "Retry-After: \t 7 \t\r\n").asking_again_in(6..10),
        row(
            "two, the longer first",
            "Retry-After: 120\r\nRetry-After: 7\r\n",
        )
        .asking_again_in(119..123),
        row(
            "two, the longer last",
            "Retry-After: 7\r\nRetry-After: 120\r\n",
        )
        .asking_again_in(119..123),
        row(
            "two, one of them none",
            "Retry-After: soon\r\nRetry-After: 7\r\n",
        )
        .asking_again_in(6..10),
        row("a hundred", &"Retry-After: 7\r\n".repeat(100)).asking_again_in(6..10),
        nothing("two in one line", "7, 120"),
        nothing("an empty one", ""),
        nothing("a word", "soon"),
        nothing("a negative one", "-7"),
        nothing("a signed one", "+7"),
        nothing("a fraction", "7.5"),
        nothing("a unit", "7 s"),
        nothing("a hexadecimal one", "0x7"),
        nothing("Arabic digits", "\u{667}"),
        nothing("the secret", SECRET),
        nothing("the token", TOKEN),
        nothing("bytes", "\u{80}\u{ff}"),
        row("2^64 s", "Retry-After: 18446744073709551616\r\n").asking_again_in(longest.clone()),
        row("a date", &until("Tue, 24 Nov 2026 00:02:00 GMT")).asking_again_in(119..123),
        row(
            "a date in the old form",
            &until("Tuesday, 24-Nov-26 00:02:00 GMT"),
        )
        .asking_again_in(119..123),
        row(
            "a date of the C library",
            &until("Tue Nov 24 00:02:00 2026"),
        )
        .asking_again_in(119..123),
        row(
            "a date that is over",
            &until("Mon, 23 Nov 2026 00:00:00 GMT"),
        )
        .asking_again_in(0..3),
        row(
            "a date at the end of time",
            &until("Fri, 31 Dec 9999 23:59:59 GMT"),
        )
        .asking_again_in(longest.clone()),
        row(
            "a day that is none",
            &until("Tue, 32 Nov 2026 00:00:00 GMT"),
        )
        .asking_nothing(),
        row("a date without a zone", &until("Tue, 24 Nov 2026 00:02:00")).asking_nothing(),
        row("a date of another standard", &until("2026-11-24T00:02:00Z")).asking_nothing(),
        Row::answers("60,000 digits", digits(60_000), rejected(429))
            .asking_again_in(longest.clone()),
        Row::answers("64 KiB of digits", digits(64 * 1024), rejected(429))
            .asking_again_in(longest)
            .but(
                Ureq,
                NOT_HTTP,
                "its limit for a head is 64 KiB, hyper's is about 400 KiB",
            ),
        Row::answers(
            "64 KiB of nonsense",
            with(&format!("Retry-After: {}\r\n", "x".repeat(64 * 1024))),
            rejected(429),
        )
        .asking_nothing()
        .but(
            Ureq,
            NOT_HTTP,
            "its limit for a head is 64 KiB, hyper's is about 400 KiB",
        ),
        Row::answers(
            "a token that asks to be left alone",
            answer("200 OK", "Retry-After: 7\r\n", EXAMPLE_200),
            TOKEN_SEEN,
        ),
        Row::answers(
            "a redirect that asks to be left alone",
            answer("307 Moved", "Retry-After: 7\r\nLocation: /x\r\n", ""),
            rejected(307),
        )
        .asking_again_in(6..10),
    ]
}
