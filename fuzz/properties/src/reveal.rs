//! Finds secrets in a text by decoding it. The mask in the core encodes the secret instead.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Returns whether `text` contains the secret, raw or in one layer of JSON escapes, percent
/// encoding or base64.
#[must_use]
pub fn reveals(text: &str, secret: &str) -> bool {
    let percent = |text: &str| contains(&percent_decoded(text), secret);
    let base64 = |extra| {
        // The encoded secret is longer than the secret.
        runs(text, extra, secret.len())
            .any(|run| alignments(&run).any(|bytes| contains(&bytes, secret)))
    };
    text.contains(secret)
        || (text.contains('\\') && unescaped(text).contains(secret))
        || (text.contains('%') && percent(text))
        || (text.contains('+') && percent(&text.replace('+', " ")))
        || base64("+/")
        || base64("-_")
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(secret)
}

/// Returns the secret in each encoding in which a server may echo it.
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

/// Decodes JSON and Rust escapes. Other text stays unchanged.
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

/// Decodes the escape at the start of `text`, and returns its UTF-16 units and its length.
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

/// Reads hexadecimal digits. `from_str_radix` would accept a sign, which decoders do not.
fn number(hex: &[u8]) -> Option<u32> {
    let digit = |sum: u32, byte: &u8| {
        let digit = char::from(*byte).to_digit(16)?;
        sum.checked_mul(16)?.checked_add(digit)
    };
    let (first, rest) = hex.split_first()?;
    rest.iter().try_fold(digit(0, first)?, digit)
}

/// Decodes percent encoding. Other text stays unchanged.
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

/// Returns the runs of at least `shortest` base64 characters in `text`, converted to the URL-safe
/// alphabet. `extra` has the last two characters of the alphabet in `text`.
fn runs(text: &str, extra: &'static str, shortest: usize) -> impl Iterator<Item = String> {
    text.split(move |c: char| !c.is_ascii_alphanumeric() && !extra.contains(c))
        .filter(move |run| run.len() >= shortest)
        .map(|run| run.replace('+', "-").replace('/', "_"))
}

/// Decodes a run of base64 from each of its first four characters.
fn alignments(run: &str) -> impl Iterator<Item = Vec<u8>> {
    (0..4).filter_map(|start| {
        let run = run.get(start..)?;
        let whole = run.len().checked_sub(run.len() % 4)?;
        let tail = run.get(whole..)?;
        // The last group may be partial, and its spare bits are not part of the secret.
        let mut bytes = URL_SAFE_NO_PAD.decode(run.get(..whole)?).ok()?;
        let last = URL_SAFE_NO_PAD.decode(format!("{tail:A<4}")).ok()?;
        let known = tail.len().saturating_mul(6) / 8;
        bytes.extend_from_slice(last.get(..known)?);
        Some(bytes)
    })
}
