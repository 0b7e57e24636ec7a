//! Whether a text gives a secret away: found by undoing encodings, where the mask looks for them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Whether someone who reads `text` can tell the secret: raw, or by undoing one layer of JSON
/// escapes, percent encoding or base64.
#[must_use]
pub fn reveals(text: &str, secret: &str) -> bool {
    let percent = |text: &str| holds(&percent_decoded(text), secret);
    let base64 = |extra| {
        // Encoded, it is longer than it was.
        runs(text, extra, secret.len())
            .any(|run| alignments(&run).any(|bytes| holds(&bytes, secret)))
    };
    text.contains(secret)
        || (text.contains('\\') && unescaped(text).contains(secret))
        || (text.contains('%') && percent(text))
        || (text.contains('+') && percent(&text.replace('+', " ")))
        || base64("+/")
        || base64("-_")
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(secret)
}

/// The secret in each encoding that a server might echo it in.
#[must_use]
pub fn echoes(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json
        .trim_start_matches('"')
        .strip_suffix('"')
        .unwrap_or_default()
        .to_owned();
    let units: Vec<String> = secret
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let percent = |keep: &str| -> String {
        let encode = |byte: u8| match char::from(byte) {
            c if c.is_ascii_alphanumeric() || keep.contains(c) => c.to_string(),
            _ => format!("%{byte:02X}"),
        };
        secret.bytes().map(encode).collect()
    };
    let all_percent: Vec<String> = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let base64 = |text: String| STANDARD.encode(text);
    vec![
        secret.to_owned(),
        json.replace('/', "\\/"),
        json,
        units.concat(),
        percent(""),
        percent("-._~/"),
        all_percent.concat(),
        base64(secret.to_owned()),
        base64(format!("canary-client:{secret}")),
        base64(format!("a{secret}b")),
        URL_SAFE_NO_PAD.encode(format!("ab{secret}")),
    ]
}

/// JSON and Rust escapes undone; what is no escape stays.
fn unescaped(text: &str) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (found, length) = escape(rest).unwrap_or_else(|| {
            let mut buffer = [0; 2];
            (c.encode_utf16(&mut buffer).to_vec(), c.len_utf8())
        });
        units.extend(found);
        rest = rest.get(length..).unwrap_or_default();
    }
    String::from_utf16_lossy(&units)
}

/// The escape at the start of `text`, as UTF-16 units, and its length.
fn escape(text: &str) -> Option<(Vec<u16>, usize)> {
    let rest = text.strip_prefix('\\')?;
    let short = match rest.chars().next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        '0' => '\0',
        c @ ('"' | '\'' | '\\' | '/') => c,
        'u' => {
            if let Some(hex) = rest.strip_prefix("u{") {
                let (hex, _) = hex.split_once('}')?;
                let c = char::from_u32(number(hex.as_bytes())?)?;
                let mut buffer = [0; 2];
                return Some((
                    c.encode_utf16(&mut buffer).to_vec(),
                    hex.len().checked_add(4)?,
                ));
            }
            let unit = number(rest.as_bytes().get(1..5)?)?;
            return Some((vec![u16::try_from(unit).ok()?], 6));
        }
        _ => return None,
    };
    Some((vec![u16::try_from(u32::from(short)).ok()?], 2))
}

/// Digits alone: `from_str_radix` takes a sign for one, which no decoder does.
fn number(hex: &[u8]) -> Option<u32> {
    let digit = |sum: u32, byte: &u8| {
        let digit = char::from(*byte).to_digit(16)?;
        sum.checked_mul(16)?.checked_add(digit)
    };
    let (first, rest) = hex.split_first()?;
    rest.iter().try_fold(digit(0, first)?, digit)
}

/// Percent encoding undone; what is none stays.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| u8::try_from(number(hex)?).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    bytes
}

/// The runs of base64 characters in `text`, in the alphabet that ends in `extra`, of at
/// least the length `shortest`, as text in the URL-safe alphabet.
fn runs(text: &str, extra: &'static str, shortest: usize) -> impl Iterator<Item = String> {
    text.split(move |c: char| !c.is_ascii_alphanumeric() && !extra.contains(c))
        .filter(move |run| run.len() >= shortest)
        .map(|run| run.replace('+', "-").replace('/', "_"))
}

/// What a run of base64 decodes to from each of its first four characters on.
fn alignments(run: &str) -> impl Iterator<Item = Vec<u8>> {
    (0..4).filter_map(|start| {
        let run = run.get(start..)?;
        let whole = run.len().checked_sub(run.len() % 4)?;
        let tail = run.get(whole..)?;
        // The last, partial group: its spare bits belong to something else.
        let mut bytes = URL_SAFE_NO_PAD.decode(run.get(..whole)?).ok()?;
        let last = URL_SAFE_NO_PAD.decode(format!("{tail:A<4}")).ok()?;
        let known = tail.len().saturating_mul(6) / 8;
        bytes.extend_from_slice(last.get(..known)?);
        Some(bytes)
    })
}
