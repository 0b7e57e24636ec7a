//! Takes secrets out of text that a server chose, before anyone sees it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// What stands where a secret stood.
const MASK: &str = "[masked]";

/// Shorter secrets are not looked for: they would be found in ordinary words.
const SHORTEST: usize = 8;

/// A run of so many token characters is taken for a credential, whoever's it is.
const RUN: usize = 32;

/// Finds secrets in server text: raw, JSON-, percent- and base64-encoded.
pub(crate) struct Mask {
    needles: Vec<Zeroizing<String>>,
}

impl Mask {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            if secret.len() >= SHORTEST {
                needles.push(Zeroizing::new(secret.to_owned()));
                needles.extend(base64_forms(secret));
            }
        }
        Self { needles }
    }

    /// Text of a field that the service wrote for people: less the secrets, else as it stands.
    /// Longer than `limit` bytes, it is cut, after masking.
    pub(crate) fn field(&self, text: &str, limit: usize) -> String {
        cut(self.without_secrets(text), limit)
    }

    /// Text that nobody structured: also less the value of every `id_token` and every run of
    /// token characters, since a proxy may echo credentials that are not ours.
    pub(crate) fn excerpt(&self, text: &str, limit: usize) -> String {
        let text = without_id_tokens(&self.without_secrets(text));
        cut(without_runs(&text), limit)
    }

    fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for needle in &self.needles {
            text = text.replace(needle.as_str(), MASK);
            text = replace(&text, |rest| escaped_match(rest, needle));
        }
        text
    }
}

/// The characters that the secret has within any base64 text that holds it: at each of the three
/// alignments, less the characters that it shares with its neighbours; in both alphabets.
fn base64_forms(secret: &str) -> Vec<Zeroizing<String>> {
    let mut forms = Vec::new();
    for shift in 0..3_usize {
        let mut bytes = Zeroizing::new(vec![0; shift]);
        bytes.extend_from_slice(secret.as_bytes());
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(bytes.as_slice()));
        let first = shift.saturating_mul(8).div_ceil(6);
        let last = bytes.len().saturating_mul(8) / 6;
        if let Some(whole) = encoded.get(first..last) {
            let url_safe = Zeroizing::new(whole.replace('+', "-").replace('/', "_"));
            if url_safe.as_str() != whole {
                forms.push(url_safe);
            }
            forms.push(Zeroizing::new(whole.to_owned()));
        }
    }
    forms
}

/// Replaces what `length` finds at the start of each rest of `text`.
fn replace(text: &str, length: impl Fn(&str) -> Option<usize>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = length(rest).filter(|length| *length > 0);
        if let Some(after) = found.and_then(|length| rest.get(length..)) {
            out.push_str(MASK);
            rest = after;
        } else {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// How long the needle is at the start of `text`, if each of its characters stands there in any
/// JSON (RFC 8259 §7) or percent encoding.
fn escaped_match(text: &str, needle: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0_usize;
    for wanted in needle.chars() {
        at = at.checked_add(
            json_escape(bytes.get(at..)?, wanted).or_else(|| percent(bytes.get(at..)?, wanted))?,
        )?;
    }
    Some(at)
}

/// How long the JSON escape of `wanted` is at the start of `bytes`.
fn json_escape(bytes: &[u8], wanted: char) -> Option<usize> {
    if bytes.first() != Some(&b'\\') {
        return None;
    }
    let short = match bytes.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
        b'u' => {
            let mut units = [0; 2];
            let mut at = 0_usize;
            for (unit, slot) in wanted.encode_utf16(&mut units).iter().zip(0..) {
                let start = 6_usize.checked_mul(slot)?;
                let escape = std::str::from_utf8(bytes.get(start..start.checked_add(6)?)?).ok()?;
                let hex = escape.strip_prefix("\\u")?;
                if u16::from_str_radix(hex, 16).ok()? != *unit {
                    return None;
                }
                at = start.checked_add(6)?;
            }
            return Some(at);
        }
        _ => return None,
    };
    (short == wanted).then_some(2)
}

/// How long `wanted` is at the start of `bytes`, each byte of it raw or percent-encoded.
fn percent(bytes: &[u8], wanted: char) -> Option<usize> {
    let mut buffer = [0; 4];
    let mut at = 0_usize;
    for byte in wanted.encode_utf8(&mut buffer).bytes() {
        let found = *bytes.get(at)?;
        let hex = bytes
            .get(at.checked_add(1)?..at.checked_add(3)?)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if found == b'%' && hex == Some(byte) {
            at = at.checked_add(3)?;
        } else if found == byte || (found == b'+' && byte == b' ') {
            at = at.checked_add(1)?;
        } else {
            return None;
        }
    }
    Some(at)
}

/// Masks what follows each `id_token`, whether or not the text around it is JSON.
fn without_id_tokens(text: &str) -> String {
    const NAME: &str = "id_token";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest
        .as_bytes()
        .windows(NAME.len())
        .position(|window| window.eq_ignore_ascii_case(NAME.as_bytes()))
    {
        let (before, after) = rest.split_at(at.saturating_add(NAME.len()));
        out.push_str(before);
        let value = after.trim_start_matches(|c: char| "\"'\\:= \t\r\n".contains(c));
        out.push_str(
            after
                .get(..after.len().saturating_sub(value.len()))
                .unwrap_or_default(),
        );
        let end = value
            .find(|c: char| "\"',;&}<".contains(c) || c.is_whitespace())
            .unwrap_or(value.len());
        if end > 0 {
            out.push_str(MASK);
        }
        rest = value.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn without_runs(text: &str) -> String {
    replace(text, |rest| {
        let run = rest.bytes().take_while(|byte| is_token_char(*byte)).count();
        (run >= RUN).then_some(run)
    })
}

/// The characters of a Bearer token (RFC 6750 §2.1), padding included.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// At most `limit` bytes, and a sign where something was cut.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    const SECRET: &str = "s3cr€t/+\"\\ \n&<x😀y";

    fn percent_encoded(text: &str) -> String {
        text.bytes()
            .fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
    }

    #[test]
    fn every_encoding_of_a_secret_is_found() {
        let json = serde_json::to_string(SECRET).unwrap();
        let utf16 = SECRET
            .encode_utf16()
            .fold(String::new(), |text, unit| format!("{text}\\u{unit:04X}"));
        for encoded in [
            SECRET.to_owned(),
            json.trim_matches('"').to_owned(),
            json.trim_matches('"').replace('/', "\\/"),
            utf16,
            percent_encoded(SECRET),
            percent_encoded(SECRET).to_uppercase(),
            SECRET.replace(' ', "+").replace('&', "%26"),
        ] {
            let text = Mask::new([SECRET]).field(&format!("<<{encoded}>>"), 999);
            assert_eq!(text, "<<[masked]>>", "{encoded}");
        }
    }

    #[test]
    fn base64_is_found_at_every_alignment() {
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
    fn short_secrets_and_other_text_stay() {
        let mask = Mask::new(["short", "longenough"]);
        let text = "short, longenoug, \\u006cong";
        assert_eq!(mask.field(text, 999), text);
        assert_eq!(mask.field("", 999), "");
    }

    #[test]
    fn the_cut_comes_after_the_mask_and_between_characters() {
        let mask = Mask::new(["longenough"]);
        assert_eq!(mask.field("ab longenough", 6), "ab [ma…");
        assert_eq!(mask.field("a€b", 2), "a…");
        assert_eq!(mask.field("a€b", 5), "a€b");
    }

    #[test]
    fn an_excerpt_also_loses_what_looks_like_a_token() {
        let mask = Mask::new([]);
        let run = "a".repeat(RUN);
        assert_eq!(mask.excerpt(&format!("x {run}= y"), 999), "x [masked] y");
        assert_eq!(mask.excerpt(&run[1..], 999), &run[1..]);
        for (text, masked) in [
            (
                r#"{"id_token" : "abc", "x": 1}"#,
                r#"{"id_token" : "[masked]", "x": 1}"#,
            ),
            (r#"{"ID_TOKEN":"abc"#, r#"{"ID_TOKEN":"[masked]"#),
            ("id_token=abc&x=1", "id_token=[masked]&x=1"),
            ("no id_token", "no id_token"),
            (r#"{"id_token":""}"#, r#"{"id_token":""}"#),
        ] {
            assert_eq!(mask.excerpt(text, 999), masked);
        }
    }
}
