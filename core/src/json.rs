//! Helpers for the `serde` derives of [`wire`](crate::wire).
//!
//! `serde_json` skips the fields that a type does not name, whatever their value.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
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

/// Returns the strings under the name `id_token` at any depth, up to the first syntax error. At most
/// four, because each of them is searched for in all text of the answer.
pub(crate) fn id_tokens(text: &str) -> Vec<Text<'_>> {
    let mut found = Vec::new();
    let collect = Collect {
        found: &mut found,
        wanted: false,
    };
    // The tokens before an error count.
    let _ = collect.deserialize(&mut serde_json::Deserializer::from_str(text));
    found
}

/// The name of a member. Reading one allocates nothing, even if it has escapes.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    IdToken,
    #[serde(other)]
    Other,
}

/// Collects the strings in a value if it is wanted, and the tokens inside it.
struct Collect<'f, 'de> {
    found: &'f mut Vec<Text<'de>>,
    wanted: bool,
}

impl<'de> Collect<'_, 'de> {
    const MOST: usize = 4;

    fn take(self, text: Text<'de>) {
        if self.wanted && self.found.len() < Self::MOST {
            self.found.push(text);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Collect<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.take(Text::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.take(Text::Owned(Zeroizing::new(text.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq
            .next_element_seed(Collect {
                found: &mut *self.found,
                wanted: self.wanted,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Name>()? {
            map.next_value_seed(Collect {
                found: &mut *self.found,
                wanted: matches!(name, Name::IdToken),
            })?;
        }
        Ok(())
    }
}
