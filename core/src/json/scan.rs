//! Reads JSON of the usual kind in one pass, and gives up at whatever is not.
//!
//! `serde_json` reads everything, and says what is wrong with it. This says nothing, and takes a
//! fraction of the time, above all for what is skipped. It checks that all the same: whatever comes
//! to its end here, `serde_json` would have read as a [`Skipped`](super::Skipped). Who is given
//! `None` asks `serde_json`.
//!
//! The functions below take what is left of a text, and give what is left behind that which they
//! read.

use super::MAX_DEPTH;

/// A text of which the beginning has been read.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    rest: &'a [u8],
    /// How many objects are open.
    depth: u8,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            rest: space(text.as_bytes()),
            depth: 0,
        }
    }

    /// The end of the text, if nothing but space is left.
    pub(crate) fn end(self) -> Option<()> {
        space(self.rest).is_empty().then_some(())
    }

    /// Reads an object, each value by `member`, which is given its name. A name that has escapes
    /// is not of the usual kind.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.rest = space(self.rest.strip_prefix(b"{")?);
        self.depth = self.depth.checked_add(1).filter(|it| *it <= MAX_DEPTH)?;
        let mut more = !self.rest.starts_with(b"}");
        if !more {
            self.rest = self.rest.get(1..)?;
        }
        while more {
            let name = self.string()?;
            self.rest = colon(self.rest)?;
            member(self, name)?;
            (more, self.rest) = match space(self.rest) {
                [b',', rest @ ..] => (true, space(rest)),
                [b'}', rest @ ..] => (false, rest),
                _ => return None,
            };
        }
        self.depth = self.depth.saturating_sub(1);
        Some(())
    }

    /// Reads what `read` reads, or a `null`, which is none.
    pub(crate) fn option<T>(
        &mut self,
        into: &mut Option<T>,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix(b"null") {
            self.rest = rest;
        } else {
            *into = Some(read(self)?);
        }
        Some(())
    }

    /// A string without escapes.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        let begin = self.rest.strip_prefix(b"\"")?;
        let end = plain(begin);
        self.rest = end.strip_prefix(b"\"")?;
        self.between(begin, end)
    }

    /// An integer of so few digits that it fits an `i64`, whichever they are.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let begin = self.rest;
        self.rest = number(begin)?;
        let text = self.between(begin, self.rest)?;
        // To `serde_json`, -0 is no integer.
        (text.len() <= 18 && text != "-0").then_some(())?;
        text.parse().ok()
    }

    /// Skips a string, whatever escapes it has.
    pub(crate) fn skip_string(&mut self) -> Option<()> {
        self.rest = string(self.rest)?;
        Some(())
    }

    /// Skips any value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.rest = value(self.rest, self.depth)?;
        Some(())
    }

    fn between(&self, begin: &[u8], end: &[u8]) -> Option<&'a str> {
        let begin = self.text.len().checked_sub(begin.len())?;
        let end = self.text.len().checked_sub(end.len())?;
        self.text.get(begin..end)
    }
}

fn value(mut rest: &[u8], outside: u8) -> Option<&[u8]> {
    // What ends the innermost container, and, for those around it, what ends them.
    let mut end = 0;
    let mut ends = [0; MAX_DEPTH as usize];
    let ends = ends.get_mut(usize::from(outside)..)?;
    let mut depth = 0_usize;
    loop {
        rest = match rest {
            [open @ (b'{' | b'['), after @ ..] => {
                *ends.get_mut(depth)? = end;
                depth = depth.wrapping_add(1);
                // In ASCII, `]` is `[` + 2, and `}` is `{` + 2.
                end = open.wrapping_add(2);
                match space(after) {
                    inside @ [first, ..] if *first == end => inside,
                    inside => {
                        rest = if end == b']' { inside } else { name(inside)? };
                        continue;
                    }
                }
            }
            [b'"', ..] => string(rest)?,
            [b't', after @ ..] => after.strip_prefix(b"rue")?,
            [b'f', after @ ..] => after.strip_prefix(b"alse")?,
            [b'n', after @ ..] => after.strip_prefix(b"ull")?,
            _ => number(rest)?,
        };
        // A value has ended, or an empty container is about to: so may those around it.
        while let Some(around) = depth.checked_sub(1) {
            let (next, after) = space(rest).split_first()?;
            if *next == end {
                depth = around;
                end = *ends.get(depth)?;
                rest = after;
            } else if *next == b',' {
                let next = space(after);
                rest = if end == b']' { next } else { name(next)? };
                break;
            } else {
                return None;
            }
        }
        if depth == 0 {
            return Some(rest);
        }
    }
}

/// The name of a member, and the colon.
#[inline]
fn name(rest: &[u8]) -> Option<&[u8]> {
    colon(string(rest)?)
}

#[inline]
fn colon(rest: &[u8]) -> Option<&[u8]> {
    space(rest).strip_prefix(b":").map(space)
}

#[inline]
fn string(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = rest.strip_prefix(b"\"")?;
    loop {
        rest = match plain(rest) {
            [b'"', after @ ..] => return Some(after),
            [b'\\', after @ ..] => escape(after)?,
            _ => return None,
        };
    }
}

/// What is left from the first quote, backslash or control character on (RFC 8259 §7).
#[inline]
fn plain(mut rest: &[u8]) -> &[u8] {
    while let Some((eight, after)) = rest.split_first_chunk() {
        let ends = ends_of_plain(u64::from_le_bytes(*eight));
        if ends != 0 {
            let before_it = ends.trailing_zeros() as usize / 8;
            return rest.get(before_it..).unwrap_or_default();
        }
        rest = after;
    }
    while let [byte, after @ ..] = rest
        && !matches!(byte, b'"' | b'\\' | 0..0x20)
    {
        rest = after;
    }
    rest
}

/// The highest bit of the first byte that ends what is plain, and maybe of some behind it; the
/// first byte is the lowest.
#[inline]
fn ends_of_plain(eight: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Up to the first byte that is less, no subtraction borrows from the next.
    let less = |bytes: u64, limit: u64| bytes.wrapping_sub(EACH.wrapping_mul(limit)) & !bytes;
    let same = |byte: u8| less(eight ^ EACH.wrapping_mul(byte.into()), 1);
    (less(eight, 0x20) | same(b'"') | same(b'\\')) & (EACH << 7)
}

/// What follows a backslash. Surrogates are not of the usual kind.
fn escape(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
            after @ ..,
        ] => Some(after),
        [
            b'u',
            b'd' | b'D',
            b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F',
            ..,
        ] => None,
        [b'u', a, b, c, d, after @ ..] => [a, b, c, d]
            .iter()
            .all(|digit| digit.is_ascii_hexdigit())
            .then_some(after),
        _ => None,
    }
}

/// A number without an exponent, of so few digits that it is in anyone's range.
fn number(begin: &[u8]) -> Option<&[u8]> {
    let rest = begin.strip_prefix(b"-").unwrap_or(begin);
    let rest = match rest {
        [b'0', after @ ..] => after,
        _ => digits(rest)?,
    };
    let rest = match rest {
        [b'.', after @ ..] => digits(after)?,
        _ => rest,
    };
    let goes_on = matches!(rest, [b'0'..=b'9' | b'e' | b'E', ..]);
    let length = begin.len().checked_sub(rest.len())?;
    (length < 300 && !goes_on).then_some(rest)
}

/// One or more.
fn digits(begin: &[u8]) -> Option<&[u8]> {
    let mut rest = begin;
    while let [b'0'..=b'9', after @ ..] = rest {
        rest = after;
    }
    (rest.len() < begin.len()).then_some(rest)
}

#[inline]
fn space(mut rest: &[u8]) -> &[u8] {
    while let [byte, after @ ..] = rest
        && *byte <= b' '
        && matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
    {
        rest = after;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::super::Skipped;
    use super::*;

    fn scanned(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.skip().and_then(|()| scanner.end()).is_some()
    }

    fn strict(text: &str) -> bool {
        serde_json::from_str::<Skipped>(text).is_ok()
    }

    /// Every text of so many of these pieces at most.
    fn each_text(pieces: &[&str], most: u32, see: &mut impl FnMut(&str)) {
        fn longer(text: &mut String, pieces: &[&str], more: u32, see: &mut impl FnMut(&str)) {
            see(text);
            let length = text.len();
            for piece in pieces.iter().take_while(|_| more > 0) {
                text.push_str(piece);
                longer(text, pieces, more.saturating_sub(1), see);
                text.truncate(length);
            }
        }
        longer(&mut String::new(), pieces, most, see);
    }

    #[test]
    #[cfg_attr(miri, ignore = "so many texts take it hours")]
    fn every_short_text_is_taken_or_not_as_serde_json_takes_it() {
        let mut taken = 0;
        let pieces = [
            "[", "]", "{", "}", r#""a""#, ",", ":", "1", "0", "-", ".", " ", "null", "true",
            "false", "t",
        ];
        each_text(&pieces, 5, &mut |text| {
            assert_eq!(scanned(text), strict(text), "{text}");
            taken += u32::from(scanned(text));
        });
        assert!(taken > 100, "{taken}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "so many texts take it hours")]
    fn every_short_string_is_taken_or_not_as_serde_json_takes_it() {
        let pieces = ["\"", "\\", "\\u", "d", "8", "0", "n", "\t", "é", "\u{7f}"];
        each_text(&pieces, 5, &mut |inner| {
            let text = format!("\"{inner}\"");
            assert_eq!(scanned(&text), strict(&text), "{text}");
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "so many texts take it hours")]
    fn surrogates_are_left_and_all_other_escapes_taken() {
        for code in 0..=u16::MAX {
            for text in [format!(r#""\u{code:04x}""#), format!(r#""\u{code:04X}""#)] {
                assert_eq!(scanned(&text), strict(&text), "{text}");
            }
        }
        let pair = r#""\ud83d\ude00""#;
        assert!(strict(pair) && !scanned(pair));
    }

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_is() {
        for length in 0..26 {
            for place in 0..=length {
                for byte in [
                    "\"", "\\", "\u{1f}", "\u{0}", " ", "!", "#", "[", "]", "\u{7f}", "é", "\u{80}",
                ] {
                    let (before, after) = ("x".repeat(place), "x".repeat(length - place));
                    let text = format!("\"{before}{byte}{after}\"");
                    assert_eq!(scanned(&text), strict(&text), "{text}");
                    let string = Scanner::new(&text).string();
                    let expected = match byte {
                        "\"" => Some(before.as_str()),
                        "\\" | "\u{1f}" | "\u{0}" => None,
                        _ => text.get(1..text.len() - 1),
                    };
                    assert_eq!(string, expected, "{text}");
                }
            }
        }
    }

    #[test]
    fn as_deep_as_serde_json_goes() {
        let read = |text: &str| {
            let mut scanner = Scanner::new(text);
            scanner.object(|scanner, name| match name {
                "read" => scanner.object(|scanner, _| scanner.skip()),
                _ => scanner.skip(),
            })?;
            scanner.end()
        };
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":[0,"#, "]}]")] {
            // Flat ones, and those about the limit, which is 42 where three begin at a time.
            for depth in (0..4).chain(38..46).chain(122..132) {
                let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                assert_eq!(scanned(&text), strict(&text), "{text}");
                for text in [
                    format!(r#"{{"skipped":{text}}}"#),
                    format!(r#"{{"read":{{"skipped":{text}}}}}"#),
                    format!(r#"{{"read":{{}},"skipped":{text}}}"#),
                ] {
                    assert_eq!(read(&text).is_some(), strict(&text), "{text}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_of_the_usual_kind_or_left() {
        let long = |digits: usize| "1".repeat(digits);
        for (text, taken, integer) in [
            ("0", true, Some(0)),
            ("-1", true, Some(-1)),
            ("3600", true, Some(3600)),
            ("999999999999999999", true, Some(999_999_999_999_999_999)),
            ("1000000000000000000", true, None),
            ("-0", true, None),
            ("1.0", true, None),
            ("1e2", false, None),
            ("1E400", false, None),
            (&long(299), true, None),
            (&long(300), false, None),
            (&format!("0.{}", long(297)), true, None),
            ("01", false, None),
            ("+1", false, None),
            ("1.", false, None),
            (".1", false, None),
            ("-", false, None),
            ("", false, None),
            ("1x", false, Some(1)),
        ] {
            assert_eq!(scanned(text), taken, "{text}");
            assert!(strict(text) || !taken, "{text}");
            assert_eq!(Scanner::new(text).integer(), integer, "{text}");
        }
    }

    #[test]
    fn an_object_is_read_member_by_member() {
        let read = |text: &'static str| {
            let mut members = Vec::new();
            let mut scanner = Scanner::new(text);
            scanner.object(|scanner, name| {
                let mut value = None;
                scanner.option(&mut value, Scanner::integer)?;
                members.push((name, value));
                Some(())
            })?;
            scanner.end()?;
            Some(members)
        };
        assert_eq!(read("{}"), Some(vec![]));
        assert_eq!(
            read(" {\r\n\t\"a\" : 1 , \"b\":null , \"a\":2 } "),
            Some(vec![("a", Some(1)), ("b", None), ("a", Some(2))])
        );
        for text in [
            "",
            "[]",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":nul}"#,
            r#"{"a":1}x"#,
            r#"{"\u0061":1}"#,
            "{a:1}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
