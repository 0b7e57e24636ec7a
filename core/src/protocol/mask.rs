//! Masks secrets in text that a server or an HTTP client chose.
//!
//! Everything here is linear in the text: a server chooses the text and, with its own token, one of
//! the secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use zeroize::Zeroizing;

/// What stands where a secret stood.
const MASK: &str = "[masked]";

/// Shorter secrets are not searched for: ordinary words would match.
const MIN_SECRET: usize = 8;

/// A run of token characters of this length is masked as a credential, whether or not it is ours.
const MIN_RUN: usize = 32;

/// Finds secrets in text: as they are, and JSON-, percent-, HTML- and base64-encoded.
pub(super) struct Mask {
    /// The secrets, and the characters that stand for them in base64.
    needles: Vec<Zeroizing<Vec<u8>>>,
}

impl Mask {
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            if secret.len() >= MIN_SECRET {
                // A form has a plus for a space.
                needles.push(Zeroizing::new(secret.replace(' ', "+").into_bytes()));
                needles.push(Zeroizing::new(secret.as_bytes().to_vec()));
                needles.extend(base64_forms(secret));
            }
        }
        Self { needles }
    }

    /// Masks the secrets in a field that the service wrote for people, then cuts it to `limit`
    /// bytes.
    pub(super) fn field(&self, text: &str, limit: usize) -> String {
        cut(self.without_secrets(text), limit)
    }

    /// Masks unstructured text: also the value of every `id_token` and every run of token
    /// characters, because a proxy may echo credentials that are not ours.
    pub(super) fn excerpt(&self, text: &str, limit: usize) -> String {
        let text = without_id_tokens(&self.without_secrets(text));
        cut(without_runs(&text), limit)
    }

    fn without_secrets(&self, text: &str) -> String {
        let mut found: Vec<_> = self.places(text.as_bytes()).collect();
        for escape in [json, percent, html] {
            let (bytes, offsets) = decode(text, escape);
            let places = self.places(&bytes);
            found.extend(
                places.filter_map(|(start, end)| Some((*offsets.get(start)?, *offsets.get(end)?))),
            );
        }
        found.sort_unstable();
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (start, end) in found {
            if start >= done {
                out.push_str(text.get(done..start).unwrap_or_default());
                out.push_str(MASK);
            }
            done = done.max(end);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out
    }

    /// Returns the start and end of each secret.
    fn places(&self, bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
        self.needles.iter().flat_map(|needle| {
            memmem::find_iter(bytes, needle.as_slice())
                .map(|start| (start, start.saturating_add(needle.len())))
        })
    }
}

/// Returns the characters that the secret has within any base64 text that contains it: for each of
/// the three alignments, without those that it shares with its neighbours; in both alphabets.
fn base64_forms(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = Vec::new();
    for shift in 0..3_usize {
        let mut bytes = Zeroizing::new(vec![0; shift]);
        bytes.extend_from_slice(secret.as_bytes());
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(bytes.as_slice()));
        let first = shift.saturating_mul(8).div_ceil(6);
        let last = bytes.len().saturating_mul(8) / 6;
        if let Some(whole) = encoded.get(first..last) {
            let url_safe = whole.bytes().map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                _ => byte,
            });
            forms.push(Zeroizing::new(url_safe.collect()));
            forms.push(Zeroizing::new(whole.as_bytes().to_vec()));
        }
    }
    forms
}

/// A decoded escape; percent-encoding escapes single bytes of a character.
enum Decoded {
    Byte(u8),
    Char(char),
}

/// Returns `text` with one kind of escape decoded, and the offset of each byte, and of the end, in
/// `text`. `escape` decodes the escape at the start of some bytes, and returns its length.
fn decode(
    text: &str,
    escape: fn(&[u8]) -> Option<(Decoded, usize)>,
) -> (Zeroizing<Vec<u8>>, Vec<usize>) {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut offsets = Vec::with_capacity(text.len().saturating_add(1));
    let mut at = 0_usize;
    while let Some(rest @ [first, ..]) = text.as_bytes().get(at..) {
        let (decoded, length) = escape(rest).unwrap_or((Decoded::Byte(*first), 1));
        match decoded {
            Decoded::Byte(byte) => bytes.push(byte),
            Decoded::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        offsets.resize(bytes.len(), at);
        at = at.saturating_add(length);
    }
    offsets.push(text.len());
    (bytes, offsets)
}

/// JSON (RFC 8259 §7).
fn json(bytes: &[u8]) -> Option<(Decoded, usize)> {
    let [b'\\', kind, ..] = bytes else {
        return None;
    };
    let short = match kind {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'"' | b'\\' | b'/' => char::from(*kind),
        b'u' => {
            let unit = |start: usize| {
                let escape = bytes.get(start..start.checked_add(6)?)?;
                let digits = escape.strip_prefix(b"\\u")?;
                u16::try_from(hex(digits)?).ok()
            };
            let units = [Some(unit(0)?), unit(6)].into_iter().flatten();
            let c = char::decode_utf16(units).next()?.ok()?;
            return Some((Decoded::Char(c), c.len_utf16().saturating_mul(6)));
        }
        _ => return None,
    };
    Some((Decoded::Char(short), 2))
}

/// Percent-encoding (RFC 3986 §2.1): one byte of a character.
fn percent(bytes: &[u8]) -> Option<(Decoded, usize)> {
    let number = hex(bytes.strip_prefix(b"%")?.get(..2)?)?;
    Some((Decoded::Byte(u8::try_from(number).ok()?), 3))
}

/// HTML's character references: numbers, and the five names that an encoder needs.
fn html(bytes: &[u8]) -> Option<(Decoded, usize)> {
    const MAX_NAME: usize = 10;
    let inner = bytes.strip_prefix(b"&")?;
    let length = inner.iter().take(MAX_NAME).position(|byte| *byte == b';')?;
    let c = match inner.get(..length)? {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(hex(digits)?)?,
        [b'#', digits @ ..] => {
            let digits = std::str::from_utf8(digits).ok()?;
            char::from_u32(digits.parse().ok()?)?
        }
        _ => return None,
    };
    Some((Decoded::Char(c), length.saturating_add(2)))
}

fn hex(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Masks the value after each `id_token`, whether or not the text is JSON.
fn without_id_tokens(text: &str) -> String {
    const NAME: &str = "id_token";
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut done = 0_usize;
    for (at, _) in lower.match_indices(NAME) {
        let after = text
            .get(at.saturating_add(NAME.len())..)
            .unwrap_or_default();
        let value = after.trim_start_matches(|c: char| "\"'\\:=> \t\r\n".contains(c));
        let start = text.len().saturating_sub(value.len());
        let between = after.strip_suffix(value).unwrap_or_default();
        // Without a separator it is a word in a sentence.
        if start >= done && between.contains([':', '=', '>']) {
            let end = |c: char| "\"',;&}<".contains(c) || c.is_whitespace();
            let length = value.find(end).unwrap_or(value.len());
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(if length > 0 { MASK } else { "" });
            done = start.saturating_add(length);
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Masks each long run of the characters of a Bearer token (RFC 6750 §2.1), padding included.
fn without_runs(text: &str) -> String {
    let in_run = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive(|c| !in_run(c)) {
        let run = part.trim_end_matches(|c| !in_run(c));
        let rest = part.get(run.len()..).unwrap_or_default();
        out.push_str(if run.len() >= MIN_RUN { MASK } else { run });
        out.push_str(rest);
    }
    out
}

/// Cuts `text` to at most `limit` bytes, and marks the cut.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rfind(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    const SECRET: &str = "s3cr€t/+\"\\ \n&<x😀y%41";

    fn escaped(text: &str, escape: impl Fn(u32) -> String) -> String {
        text.chars().map(|c| escape(u32::from(c))).collect()
    }

    fn percent_encoded(text: &str) -> String {
        text.bytes()
            .fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
    }

    #[test]
    fn decodes_every_escape_of_a_character() {
        for (c, escape) in [
            ('\u{8}', r"\b"),
            ('\u{c}', r"\f"),
            ('\n', r"\n"),
            ('\r', r"\r"),
            ('\t', r"\t"),
            ('"', r#"\""#),
            ('/', r"\/"),
            ('\\', r"\\"),
            ('é', r"\u00e9"),
            ('\u{1f600}', r"\ud83d\ude00"),
            ('%', "%25"),
            ('é', "%C3%a9"),
            ('&', "&amp;"),
            ('<', "&lt;"),
            ('>', "&gt;"),
            ('"', "&quot;"),
            ('\'', "&apos;"),
            ('\'', "&#39;"),
            ('\'', "&#x27;"),
            ('\'', "&#X27;"),
            ('\u{10ffff}', "&#1114111;"),
        ] {
            let secret = format!("before-{c}-after");
            let mask = Mask::new([secret.as_str()]);
            let masked = mask.field(&format!("<before-{escape}-after>"), 100);
            assert_eq!(masked, "<[masked]>", "{escape}");
        }
    }

    #[test]
    fn finds_every_encoding_of_a_secret() {
        let json = serde_json::to_string(SECRET).unwrap();
        let json = json.trim_matches('"');
        let utf16 = SECRET
            .encode_utf16()
            .fold(String::new(), |text, unit| format!("{text}\\u{unit:04X}"));
        let names = SECRET
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        for encoded in [
            SECRET.to_owned(),
            json.to_owned(),
            json.replace('/', "\\/"),
            utf16,
            percent_encoded(SECRET),
            percent_encoded(SECRET).to_uppercase(),
            percent_encoded(SECRET).replace("%20", "+"),
            names,
            escaped(SECRET, |c| format!("&#{c};")),
            escaped(SECRET, |c| format!("&#x{c:X};")),
            SECRET.replace('%', "%25").replace('&', "%26"),
        ] {
            let text = Mask::new([SECRET]).field(&format!("<<{encoded}>>"), 999);
            assert_eq!(text, "<<[masked]>>", "{encoded}");
        }
    }

    #[test]
    fn one_kind_of_escape_hides_nothing_from_another() {
        let mask = Mask::new(["c4n&ry 12345"]);
        for text in [
            r"\u00c4n%26ry%2012345",
            r"\u00c4n&amp;ry 12345",
            r"%c4n\u0026ry 12345",
            r"%c4n&amp;ry 12345",
            r"&#xc4n%26ry%2012345",
        ] {
            let masked = mask.field(text, 99);
            assert!(masked.ends_with(MASK), "{masked}");
        }
    }

    #[test]
    fn finds_base64_in_both_alphabets() {
        let standard = STANDARD_NO_PAD.encode("???>>>???>>>");
        assert_eq!(standard, "Pz8/Pj4+Pz8/Pj4+");
        let mask = Mask::new(["???>>>???>>>"]);
        for encoded in [&standard, "Pz8_Pj4-Pz8_Pj4-"] {
            assert_eq!(mask.field(&format!("<{encoded}>"), 99), "<[masked]>");
        }
    }

    #[test]
    fn finds_base64_at_every_alignment() {
        for before in ["", "i", "id", "id:", "some"] {
            for after in ["", "!", "!!"] {
                let whole = format!("{before}{SECRET}{after}");
                for encoded in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
                    let text = Mask::new([SECRET]).field(&encoded, 999);
                    assert!(text.contains(MASK), "{encoded} -> {text}");
                    assert!(text.len() < MASK.len() + 16, "{encoded} -> {text}");
                }
            }
        }
    }

    #[test]
    fn masks_overlapping_secrets_as_one() {
        let mask = Mask::new(["secret-token", "token-secret"]);
        assert_eq!(mask.field("<secret-token-secret>", 99), "<[masked]>");
        assert_eq!(mask.field("<token-secret-token>", 99), "<[masked]>");
    }

    #[test]
    fn keeps_short_secrets_and_other_text() {
        let mask = Mask::new(["short", "longenough"]);
        let text = "short, longenoug, \\u006cong %zz %e2%82 &#x; &nope; \\ud800 \\";
        assert_eq!(mask.field(text, 999), text);
        assert_eq!(mask.field("", 999), "");
    }

    #[test]
    fn cuts_after_masking_and_between_characters() {
        let mask = Mask::new(["longenough"]);
        assert_eq!(mask.field("ab longenough", 6), "ab [ma…");
        assert_eq!(mask.field("a€b", 2), "a…");
        assert_eq!(mask.field("a€b", 5), "a€b");
    }

    #[test]
    fn masks_what_looks_like_a_token_in_an_excerpt() {
        let mask = Mask::new([]);
        let run = "a".repeat(MIN_RUN);
        assert_eq!(mask.excerpt(&format!("x {run}= y"), 999), "x [masked] y");
        assert_eq!(mask.excerpt(&format!("é{run}é"), 999), "é[masked]é");
        assert_eq!(mask.excerpt(&run[1..], 999), &run[1..]);
        for (text, masked) in [
            (
                r#"{"id_token" : "abc", "x": 1}"#,
                r#"{"id_token" : "[masked]", "x": 1}"#,
            ),
            (r#"{"ID_TOKEN":"abc"#, r#"{"ID_TOKEN":"[masked]"#),
            ("id_token=abc&x=1", "id_token=[masked]&x=1"),
            ("no id_token", "no id_token"),
            ("its id_token has a fault", "its id_token has a fault"),
            ("<id_token>abc</id_token>", "<id_token>[masked]</id_token>"),
            (r#"{"id_token":""}"#, r#"{"id_token":""}"#),
        ] {
            assert_eq!(mask.excerpt(text, 999), masked);
        }
    }

    /// With a quadratic search each of these takes minutes; here they take no time worth noting,
    /// so that the bound can be generous.
    #[test]
    #[cfg_attr(miri, ignore = "it is about time, of which miri takes hours")]
    fn masks_hostile_text_in_linear_time() {
        let text = "a".repeat(1 << 16);
        let needle = "a".repeat(1 << 15);
        let mask = Mask::new([needle.as_str(), "aaaaaaaab"]);
        assert_eq!(mask.field(&text, 99), "[masked][masked]");
        for text in ["\\u0061".repeat(1 << 13), "%61".repeat(1 << 14)] {
            assert!(mask.excerpt(&text, 99).len() < 110);
        }
    }
}
