//! Ground floor: JSON that is read strictly to its last byte.
//!
//! `serde_json` skips what nobody asked for without looking at its surrogates, depth or number
//! ranges. Everything here looks, so that whether a body is JSON never depends on which of its
//! fields we happen to read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The containers that one document may nest: `serde_json` refuses the 128th.
const MAX_DEPTH: u8 = 127;

/// A string that borrows from the body where its JSON has no escapes.
///
/// It may be a token, so a copy is wiped. (`Option<Cow<str>>` copies even with
/// `#[serde(borrow)]`, into a buffer that nobody wipes.)
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

/// A value that is read strictly and forgotten.
pub(crate) struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde_json counts the depth itself here; it stops before this count does.
        Walk { depth: u8::MAX }.deserialize(deserializer)
    }
}

/// Walks one value; `depth` is how many containers it may still open.
struct Walk {
    depth: u8,
}

impl Walk {
    fn deeper<E: de::Error>(&self) -> Result<u8, E> {
        self.depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = Skipped;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Skipped, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = Skipped;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_str<E>(self, _: &str) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_unit<E>(self) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Skipped, A::Error> {
        let depth = self.deeper()?;
        while seq.next_element_seed(Walk { depth })?.is_some() {}
        Ok(Skipped)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skipped, A::Error> {
        let depth = self.deeper()?;
        while map.next_key::<Text<'de>>()?.is_some() {
            map.next_value_seed(Walk { depth })?;
        }
        Ok(Skipped)
    }
}

/// A value whose JSON text is kept as it stands, after it was read strictly.
pub(crate) struct Raw(pub(crate) Box<RawValue>);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let mut inner = serde_json::Deserializer::from_str(raw.get());
        // A raw value is taken out of one container, so one level is already spent.
        let depth = MAX_DEPTH.saturating_sub(1);
        Walk { depth }
            .deserialize(&mut inner)
            .map_err(D::Error::custom)?;
        Ok(Self(raw))
    }
}

/// A field that may stand once.
pub(crate) struct Field<T> {
    name: &'static str,
    seen: bool,
    value: Option<T>,
}

impl<T> Field<T> {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            seen: false,
            value: None,
        }
    }

    /// Reads the value of this field; `null` is the same as none. A second one is an error: two
    /// readers of such a document may see two different values.
    pub(crate) fn read<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error>
    where
        T: Deserialize<'de>,
    {
        if self.seen {
            return Err(A::Error::duplicate_field(self.name));
        }
        self.seen = true;
        self.value = map.next_value()?;
        Ok(())
    }

    pub(crate) fn take(self) -> Option<T> {
        self.value
    }
}

/// The text of a JSON document: UTF-8, less the byte order mark that some servers send.
pub(crate) fn text(body: &[u8]) -> Result<&str, std::str::Utf8Error> {
    let text = std::str::from_utf8(body)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The text of a string with whatever it holds, for building a value that outlives the body.
pub(crate) fn owned(text: &Text<'_>) -> String {
    Cow::Borrowed(text.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(text: &str) -> bool {
        serde_json::from_str::<Skipped>(text).is_ok()
    }

    #[test]
    fn what_is_skipped_is_read_as_strictly_as_a_value() {
        let deepest = format!("{}{}", "[".repeat(127), "]".repeat(127));
        let too_deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
        for text in [
            r#""\ud83d\ude00""#,
            r#""\ud83d""#,
            r#""\udc00x""#,
            "1e400",
            "-1e400",
            "1e-400",
            r#"{"a":[1,2.5,null,true,"x"],"a":1}"#,
            "01",
            "[1,]",
            &deepest,
            &too_deep,
        ] {
            assert_eq!(
                strict(text),
                serde_json::from_str::<serde_json::Value>(text).is_ok(),
                "{text:.60}"
            );
        }
    }

    #[test]
    fn a_raw_value_counts_the_container_that_it_was_taken_from() {
        #[derive(Deserialize)]
        struct Holder {
            #[serde(rename = "raw")]
            _raw: Raw,
        }
        for depth in [1, 125, 126, 127, 128, 300] {
            let text = format!(r#"{{"raw":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
            assert_eq!(
                serde_json::from_str::<Holder>(&text).is_ok(),
                serde_json::from_str::<serde_json::Value>(&text).is_ok(),
                "{depth}"
            );
        }
    }
}
