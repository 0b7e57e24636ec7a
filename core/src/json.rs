//! Helpers for the `serde` derives of [`wire`](crate::wire), and a search for tokens in a text.
//!
//! `serde_json` skips the fields that a type does not name, whatever their value.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use zeroize::Zeroizing;

/// Returns the text of a JSON document without its byte order mark (RFC 8259 §8.1).
pub(crate) fn text(body: &[u8]) -> Result<&str, std::str::Utf8Error> {
    let text = std::str::from_utf8(body)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A `T` that is read from a JSON object only. A derived struct also accepts an array.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A string that borrows from the body if its JSON has no escapes.
///
/// It may be a token, so a copy is wiped. `Option<Cow<str>>` copies even with `#[serde(borrow)]`,
/// and the copy is not wiped.
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Zeroizing<String>),
}

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text::Borrowed(text))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text::Owned(Zeroizing::new(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text::Owned(Zeroizing::new(text)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Parses a whole number. It saturates beyond an `i64`, and returns `None` beyond an `f64`, as
/// `serde_json` does.
///
/// It parses the text because `serde_json` represents numbers differently if any crate in the
/// program enables its feature `arbitrary_precision`.
pub(crate) fn integer(json: &str) -> Option<i64> {
    /// 2^64: no `f64` from here on has a fraction.
    const BEYOND_U64: f64 = 18_446_744_073_709_551_616.0;
    const BELOW_I64: f64 = -9_223_372_036_854_775_808.0;
    if let Ok(number) = json.parse() {
        return Some(number);
    }
    let (negative, digits) = match json.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, json),
    };
    let number = json.parse::<f64>().ok().filter(|it| it.is_finite())?;
    let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_integer || number >= BEYOND_U64 || number <= BELOW_I64 {
        return Some(if negative { i64::MIN } else { i64::MAX });
    }
    None
}

/// Returns the strings under the name `id_token` at any depth, and those in a list under it. At most
/// four, because each of them is searched for in all text of the answer.
///
/// It goes from string to string and not through `serde_json`, so that it also finds the tokens of a
/// document that is not valid JSON.
pub(crate) fn id_tokens(json: &str) -> Vec<Text<'_>> {
    const MAX_TOKENS: usize = 4;
    let mut found = Vec::new();
    let (mut after_name, mut in_list) = (false, false);
    let mut rest = json;
    while let Some((between, string)) = rest.find('"').and_then(|at| rest.split_at_checked(at))
        && let Some((literal, after)) = split_string(string)
        && found.len() < MAX_TOKENS
    {
        let value = between.trim().strip_prefix(':').filter(|_| after_name);
        let is_value = value.is_some_and(|before| matches!(before.trim(), "" | "["));
        let goes_on = in_list && !between.contains([']', '{', '}']);
        in_list = goes_on || (is_value && between.contains('['));
        if is_value || in_list {
            found.extend(serde_json::from_str(literal).ok());
        }
        after_name = is_id_token(literal);
        rest = after;
    }
    found
}

/// Splits after the string literal that `json` starts with.
fn split_string(json: &str) -> Option<(&str, &str)> {
    let mut bytes = json.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return json.split_at_checked(at.saturating_add(1)),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

/// Returns whether a string literal is the name `id_token`, with escapes or without.
fn is_id_token(literal: &str) -> bool {
    const PLAIN: &str = r#""id_token""#;
    // Reading a literal with escapes allocates, so those that are too short are not read.
    literal == PLAIN
        || literal.len() > PLAIN.len()
            && literal.contains('\\')
            && serde_json::from_str(literal).is_ok_and(|name: Text<'_>| name.as_str() == "id_token")
}
