//! Masks secrets in text that a server or an HTTP client chose.
//!
//! All of it takes linear time, because a server chooses the text and, by its token, one of the secrets.

use std::iter;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use zeroize::Zeroizing;

use super::stray::without_stray_ends;

/// The replacement for a secret.
const MASK: &str = "[masked]";

/// Shorter secrets are not searched for: ordinary words would match.
const MIN_SECRET: usize = 8;

/// JSON text within JSON strings is searched to this depth, so that the time stays linear. Each level
/// doubles the backslashes, so text of a limited size has few levels.
const MAX_DEPTH: usize = 8;

/// A run of token characters of this length is masked, because it may be a credential.
const MIN_RUN: usize = 32;

/// Finds secrets in text: plain, or JSON-, percent-, HTML- or base64-encoded.
pub(super) struct Mask {
    /// The secrets, plain and in base64.
    needles: Vec<Zeroizing<Vec<u8>>>,
}

impl Mask {
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            // A server may remove what does not belong to the secret before it echoes it.
            let trimmed = Some(without_stray_ends(secret)).filter(|trimmed| *trimmed != secret);
            for secret in iter::once(secret).chain(trimmed) {
                if secret.len() < MIN_SECRET {
                    continue;
                }
                // Form encoding has a plus for a space.
                needles.push(Zeroizing::new(secret.replace(' ', "+").into_bytes()));
                needles.push(Zeroizing::new(secret.as_bytes().to_vec()));
                needles.extend(base64_forms(secret));
            }
        }
        Self { needles }
    }

    /// Masks the secrets in a field of the envelope, then cuts it to `limit` bytes.
    pub(super) fn field(&self, text: &str, limit: usize) -> String {
        cut(self.without_secrets(text), limit)
    }

    /// Masks JSON text like a field. The value of every `id_token` is masked too.
    pub(super) fn json(&self, text: &str, limit: usize) -> String {
        cut(without_id_tokens(&self.without_secrets(text)), limit)
    }

    /// Masks unstructured text. The value of every `id_token` and every run of token characters is
    /// masked too, because a proxy may echo credentials of others.
    pub(super) fn excerpt(&self, text: &str, limit: usize) -> String {
        let text = without_id_tokens(&self.without_secrets(text));
        cut(without_runs(&text), limit)
    }

    fn without_secrets(&self, text: &str) -> String {
        let mut found = Vec::new();
        let mut find = |layer: &Layer| {
            let places = self.places(&layer.bytes);
            found.extend(
                places.filter_map(|(start, end)| Some((layer.origin(start)?, layer.origin(end)?))),
            );
        };
        let Some(mut layer) = Layer::of(text) else {
            return MASK.to_owned();
        };
        for _ in 0..=MAX_DEPTH {
            find(&layer);
            for escape in [percent, html] {
                find(&layer.decoded(escape));
            }
            let inner = layer.decoded(json);
            if inner.bytes.len() == layer.bytes.len() {
                break;
            }
            layer = inner;
        }
        found.sort_unstable();
        let mut out = String::with_capacity(text.len());
        let mut done = 0_usize;
        let offset = |at| usize::try_from(at).unwrap_or(text.len());
        for (start, end) in found {
            let (start, end) = (offset(start), offset(end));
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

/// Returns the secret as it appears within longer base64 text: in both alphabets, at each of the three
/// alignments, without the characters that it shares with its neighbours.
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

/// Text with its escapes decoded, and the offset of each byte, and of the end, in the original. The
/// original itself has no offsets.
struct Layer {
    bytes: Zeroizing<Vec<u8>>,
    offsets: Vec<u32>,
}

impl Layer {
    /// Returns the original, if 32 bits are enough for its offsets.
    fn of(text: &str) -> Option<Self> {
        u32::try_from(text.len()).ok()?;
        Some(Self {
            bytes: Zeroizing::new(text.as_bytes().to_vec()),
            offsets: Vec::new(),
        })
    }

    /// Returns the offset in the original.
    fn origin(&self, at: usize) -> Option<u32> {
        if self.offsets.is_empty() {
            return u32::try_from(at).ok();
        }
        self.offsets.get(at).copied()
    }

    /// Decodes one kind of escape. `escape` decodes the escape at the start of some bytes, and returns
    /// its length. Every escape is longer than what it stands for.
    fn decoded(&self, escape: fn(&[u8]) -> Option<(Decoded, usize)>) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        let mut offsets = Vec::with_capacity(self.bytes.len().saturating_add(1));
        let mut at = 0_usize;
        while let Some(rest @ [first, ..]) = self.bytes.get(at..) {
            let (decoded, length) = escape(rest).unwrap_or((Decoded::Byte(*first), 1));
            match decoded {
                Decoded::Byte(byte) => bytes.push(byte),
                Decoded::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            offsets.resize(bytes.len(), self.origin(at).unwrap_or_default());
            at = at.saturating_add(length);
        }
        offsets.extend(self.origin(self.bytes.len()));
        Self { bytes, offsets }
    }
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

/// HTML's character references: numbers, and the five names that encoders use.
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
        let (between, _) = after.split_at(after.len().saturating_sub(value.len()));
        // Without a separator it is only a word in a sentence.
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

/// Cuts `text` to at most `limit` bytes, including the ellipsis at its end.
fn cut(mut text: String, limit: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() > limit {
        let room = limit.saturating_sub(ELLIPSIS.len_utf8());
        let end = (0..=room).rfind(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push(ELLIPSIS);
    }
    text
}
