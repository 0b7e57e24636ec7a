//! Takes secrets out of text that a server chose, before anyone sees it.
//!
//! Everything here is linear in the text: a server chooses both the text and, with its own token,
//! one of the secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use zeroize::Zeroizing;

/// What stands where a secret stood.
const MASK: &str = "[masked]";

/// Shorter secrets are not looked for: they would be found in ordinary words.
const SHORTEST: usize = 8;

/// A run of so many token characters is taken for a credential, whoever's it is.
const RUN: usize = 32;

/// Encodings that may lie upon each other: a secret in JSON, quoted by JSON, on a page.
const LAYERS: usize = 3;

/// Finds secrets in server text: raw, and JSON-, percent-, form-, HTML- and base64-encoded.
///
/// A text is searched as it stands and with its escapes undone, layer by layer, for each secret as
/// it stands and with what looks like an escape in it undone likewise.
pub(crate) struct Mask {
    needles: Vec<Zeroizing<Vec<u8>>>,
}

impl Mask {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets
            .into_iter()
            .filter(|secret| secret.len() >= SHORTEST)
        {
            let mut layer = Some(Layer::raw(secret));
            while let Some(view) = layer.filter(|view| view.bytes.len() >= SHORTEST) {
                layer = view.undone(any);
                // Forms have a plus for a space.
                let plus = |byte: &u8| if *byte == b' ' { b'+' } else { *byte };
                if view.bytes.contains(&b' ') {
                    needles.push(Zeroizing::new(view.bytes.iter().map(plus).collect()));
                }
                needles.push(view.bytes);
            }
            needles.extend(base64_forms(secret));
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
        let mut found = Vec::new();
        let raw = Layer::raw(text);
        // Side by side, one kind of escape can swallow the beginning of what another hides
        // (`\u00` before a secret that begins with hexadecimal digits), so each is also undone alone.
        for kind in [json, percent, html] {
            found.extend(raw.undone(kind).iter().flat_map(|view| self.places(view)));
        }
        let mut layer = Some(raw);
        while let Some(view) = layer {
            found.extend(self.places(&view));
            layer = view.undone(any);
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

    /// Where the secrets stand in this layer: from where to where in the original.
    fn places(&self, view: &Layer) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        for needle in &self.needles {
            for start in memmem::find_iter(&view.bytes, needle.as_slice()) {
                let end = start.saturating_add(needle.len());
                let place = view.from.get(start).zip(view.from.get(end));
                places.extend(place.map(|(start, end)| (*start, *end)));
            }
        }
        places
    }
}

/// The characters that the secret has within any base64 text that holds it: at each of the three
/// alignments, less the characters that it shares with its neighbours; in both alphabets.
fn base64_forms(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = Vec::new();
    for shift in 0..3_usize {
        let mut bytes = Zeroizing::new(vec![0; shift]);
        bytes.extend_from_slice(secret.as_bytes());
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(bytes.as_slice()));
        let first = shift.saturating_mul(8).div_ceil(6);
        let last = bytes.len().saturating_mul(8) / 6;
        if let Some(whole) = encoded.get(first..last) {
            let whole = Zeroizing::new(whole.as_bytes().to_vec());
            let mut url_safe = whole.clone();
            for byte in url_safe.iter_mut() {
                match byte {
                    b'+' => *byte = b'-',
                    b'/' => *byte = b'_',
                    _ => {}
                }
            }
            if url_safe != whole {
                forms.push(url_safe);
            }
            forms.push(whole);
        }
    }
    forms
}

/// A text with some layers of escapes undone, and where each byte of it, and its end, stood in the
/// original.
struct Layer {
    depth: usize,
    bytes: Zeroizing<Vec<u8>>,
    from: Vec<usize>,
}

/// Percent-encoding escapes bytes, of which only some together are a character.
enum Escaped {
    Byte(u8),
    Char(char),
}

impl Layer {
    fn raw(text: &str) -> Self {
        Self {
            depth: 0,
            bytes: Zeroizing::new(text.as_bytes().to_vec()),
            from: (0..=text.len()).collect(),
        }
    }

    /// The same with one more layer of such escapes undone, if there is one.
    fn undone(&self, kind: fn(&[u8]) -> Option<(Escaped, usize)>) -> Option<Self> {
        if self.depth >= LAYERS {
            return None;
        }
        memchr::memchr3(b'\\', b'%', b'&', &self.bytes)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        let mut from = Vec::with_capacity(self.from.len());
        let mut at = 0_usize;
        while let Some(rest @ [first, ..]) = self.bytes.get(at..) {
            let (escaped, length) = kind(rest).unwrap_or((Escaped::Byte(*first), 1));
            match escaped {
                Escaped::Byte(byte) => bytes.push(byte),
                Escaped::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            from.resize(bytes.len(), *self.from.get(at)?);
            at = at.saturating_add(length);
        }
        from.push(*self.from.last()?);
        (bytes.len() < self.bytes.len()).then_some(Self {
            depth: self.depth.saturating_add(1),
            bytes,
            from,
        })
    }
}

/// Whichever there is.
fn any(bytes: &[u8]) -> Option<(Escaped, usize)> {
    json(bytes)
        .or_else(|| percent(bytes))
        .or_else(|| html(bytes))
}

/// JSON (RFC 8259 §7).
fn json(bytes: &[u8]) -> Option<(Escaped, usize)> {
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
                let escape = bytes
                    .get(start..start.checked_add(6)?)?
                    .strip_prefix(b"\\u")?;
                hex(escape).and_then(|number| u16::try_from(number).ok())
            };
            let first = unit(0)?;
            let units = [Some(first), unit(6)].into_iter().flatten();
            let decoded = char::decode_utf16(units).next()?.ok()?;
            return Some((
                Escaped::Char(decoded),
                decoded.len_utf16().saturating_mul(6),
            ));
        }
        _ => return None,
    };
    Some((Escaped::Char(short), 2))
}

/// Percent-encoding (RFC 3986 §2.1): one byte of a character.
fn percent(bytes: &[u8]) -> Option<(Escaped, usize)> {
    let number = hex(bytes.strip_prefix(b"%")?.get(..2)?)?;
    Some((Escaped::Byte(u8::try_from(number).ok()?), 3))
}

/// HTML's character references: numbers, and the five names that an encoder needs.
fn html(bytes: &[u8]) -> Option<(Escaped, usize)> {
    const LONGEST: usize = 10;
    let inner = bytes.strip_prefix(b"&")?;
    let length = inner.iter().take(LONGEST).position(|byte| *byte == b';')?;
    let name = inner.get(..length)?;
    let c = match name {
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
    Some((Escaped::Char(c), length.saturating_add(2)))
}

fn hex(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
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
        let value = after.trim_start_matches(|c: char| "\"'\\:=> \t\r\n".contains(c));
        let (between, _) = after.split_at(after.len().saturating_sub(value.len()));
        out.push_str(between);
        // Without a sign that it is a value, it is a word of a sentence.
        let end = if between.contains([':', '=', '>']) {
            value
                .find(|c: char| "\"',;&}<".contains(c) || c.is_whitespace())
                .unwrap_or(value.len())
        } else {
            0
        };
        if end > 0 {
            out.push_str(MASK);
        }
        rest = value.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn without_runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.bytes().take_while(|byte| is_token_char(*byte)).count();
        let (run, after) = rest.split_at(run);
        out.push_str(if run.len() >= RUN { MASK } else { run });
        let other = after.find(|c| u8::try_from(c).is_ok_and(is_token_char));
        let (other, next) = after.split_at(other.unwrap_or(after.len()));
        out.push_str(other);
        rest = next;
    }
    out
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

    const SECRET: &str = "s3cr€t/+\"\\ \n&<x😀y%41";

    fn escaped(text: &str, escape: impl Fn(u32) -> String) -> String {
        text.chars().map(|c| escape(u32::from(c))).collect()
    }

    fn percent_encoded(text: &str) -> String {
        text.bytes()
            .fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
    }

    #[test]
    fn every_escape_of_a_character_is_undone() {
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
    fn every_encoding_of_a_secret_is_found() {
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
            percent_encoded(json),
            names,
            escaped(SECRET, |c| format!("&#{c};")),
            escaped(SECRET, |c| format!("&#x{c:X};")),
            json.replace('&', "&amp;").replace('"', "&quot;"),
            SECRET.replace('%', "%25").replace('&', "%26"),
            serde_json::to_string(json)
                .unwrap()
                .trim_matches('"')
                .to_owned(),
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
    fn base64_is_found_in_both_alphabets() {
        let standard = STANDARD_NO_PAD.encode("???>>>???>>>");
        assert_eq!(standard, "Pz8/Pj4+Pz8/Pj4+");
        let mask = Mask::new(["???>>>???>>>"]);
        for encoded in [&standard, "Pz8_Pj4-Pz8_Pj4-"] {
            assert_eq!(mask.field(&format!("<{encoded}>"), 99), "<[masked]>");
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
    fn two_that_overlap_leave_nothing_of_either() {
        let mask = Mask::new(["secret-token", "token-secret"]);
        assert_eq!(mask.field("<secret-token-secret>", 99), "<[masked]>");
        assert_eq!(mask.field("<token-secret-token>", 99), "<[masked]>");
    }

    #[test]
    fn short_secrets_and_other_text_stay() {
        let mask = Mask::new(["short", "longenough"]);
        let text = "short, longenoug, \\u006cong %zz %e2%82 &#x; &nope; \\ud800 \\";
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
    fn a_hostile_text_takes_no_longer_than_another() {
        let text = "a".repeat(1 << 16);
        let needle = "a".repeat(1 << 15);
        let mask = Mask::new([needle.as_str(), "aaaaaaaab"]);
        assert_eq!(mask.field(&text, 99), "[masked][masked]");
        for text in ["\\u0061".repeat(1 << 13), "%61".repeat(1 << 14)] {
            assert!(mask.excerpt(&text, 99).len() < 110);
        }
    }
}
