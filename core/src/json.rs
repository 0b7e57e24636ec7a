//! Ground floor: JSON that is read strictly to its last byte.
//!
//! `serde_json` skips what nobody asked for without looking at its surrogates, depth or number
//! ranges. Everything here looks, so that whether a body is JSON never depends on which of its
//! fields we happen to read.

mod scan;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

pub(crate) use self::scan::Scanner;

/// The containers that one document may nest: `serde_json` refuses the 128th.
const MAX_DEPTH: u8 = 127;

/// As long as the longest name that is looked for, which is [`ARBITRARY_NUMBER`].
const LONGEST_NAME: usize = ARBITRARY_NUMBER.len();

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

/// The name of a member, if it is no longer than those that anyone looks for. It allocates nothing,
/// or a body that is full of escaped names would ask for memory once for each.
pub(crate) enum Name<'a> {
    Borrowed(&'a str),
    Unescaped([u8; LONGEST_NAME], usize),
    Long,
}

impl Name<'_> {
    /// One that is too long is as unknown as the empty one.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(name) => name,
            Self::Unescaped(bytes, length) => bytes
                .get(..*length)
                .and_then(|name| std::str::from_utf8(name).ok())
                .unwrap_or_default(),
            Self::Long => "",
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name::Borrowed(name))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Name<'de>, E> {
                let mut bytes = [0; LONGEST_NAME];
                Ok(match bytes.get_mut(..name.len()) {
                    Some(start) => {
                        start.copy_from_slice(name.as_bytes());
                        Name::Unescaped(bytes, name.len())
                    }
                    None => Name::Long,
                })
            }
        }

        deserializer.deserialize_str(NameVisitor)
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
        while map.next_key::<Skipped>()?.is_some() {
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

/// The key under which `serde_json` gives a number when some crate in the program has switched on
/// its `arbitrary_precision`.
const ARBITRARY_NUMBER: &str = "$serde_json::private::Number";

/// Reads a map that may be such a number; of any other map it gives nothing.
pub(crate) fn arbitrary_number<'de, A: MapAccess<'de>>(
    mut map: A,
) -> Result<Option<String>, A::Error> {
    // Where that is off, it is an object like any other, which anyone can write.
    let is_on = serde_json::from_str::<serde_json::Number>("1e400").is_ok();
    let mut number = None;
    while let Some(key) = map.next_key::<Name<'de>>()? {
        if is_on && key.as_str() == ARBITRARY_NUMBER {
            number = Some(map.next_value::<String>()?);
        } else {
            map.next_value::<Skipped>()?;
        }
    }
    Ok(number)
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
        let name = self.name;
        let value = self.once().ok_or_else(|| A::Error::duplicate_field(name))?;
        *value = map.next_value()?;
        Ok(())
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Where its value goes, the first time that this is asked.
    pub(crate) fn once(&mut self) -> Option<&mut Option<T>> {
        let first = !self.seen;
        self.seen = true;
        first.then_some(&mut self.value)
    }

    pub(crate) fn take(self) -> Option<T> {
        self.value
    }
}

/// The strings under the name `id_token` anywhere in a document, up to where it stops being JSON:
/// the first few of them, since each is a text to search for.
pub(crate) fn id_tokens(text: &str) -> Vec<Text<'_>> {
    let mut found = Vec::new();
    let collect = Collect {
        found: &mut found,
        wanted: false,
    };
    // What was found before an error counts.
    let _ = collect.deserialize(&mut serde_json::Deserializer::from_str(text));
    found
}

/// Collects one value, if it is wanted, and what is within it.
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
        while let Some(name) = map.next_key::<Name<'de>>()? {
            map.next_value_seed(Collect {
                found: &mut *self.found,
                wanted: name.as_str() == "id_token",
            })?;
        }
        Ok(())
    }
}

/// The text of a JSON document: UTF-8, less the byte order mark that some servers begin with (RFC 8259
/// §8.1). Anywhere else it is no mark, and no space either.
pub(crate) fn text(body: &[u8]) -> Result<&str, std::str::Utf8Error> {
    let text = std::str::from_utf8(body)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The text of a string with whatever it holds, for building a value that outlives the body.
pub(crate) fn owned(text: &Text<'_>) -> String {
    text.as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats beside JSON have values that JSON has not.
    #[test]
    fn what_is_no_json_value_is_refused_in_words() {
        let bytes = || de::value::BytesDeserializer::<de::value::Error>::new(b"x");
        let mut found = Vec::new();
        let collect = Collect {
            found: &mut found,
            wanted: false,
        };
        for error in [
            Skipped::deserialize(bytes()).err(),
            collect.deserialize(bytes()).err(),
        ] {
            let words = error.unwrap().to_string();
            assert!(words.ends_with("expected any JSON value"), "{words}");
        }
        let error = Text::deserialize(bytes()).err().unwrap();
        assert!(error.to_string().ends_with("expected a string"), "{error}");
        let error = Name::deserialize(bytes()).err().unwrap();
        assert!(error.to_string().ends_with("expected a name"), "{error}");
    }

    #[test]
    fn the_first_few_tokens_are_found_wherever_they_are() {
        let found = |text| {
            let found: Vec<_> = id_tokens(text)
                .iter()
                .map(|text| text.as_str().to_owned())
                .collect();
            found.join(" ")
        };
        let nested = r#"[{"id_token":"a"},{"x":{"id_token":["b",{"id_token":"c"}]}},{"y":"z"}]"#;
        assert_eq!(found(nested), "a b c");
        let many = r#"{"id_token":["a","b",1,null,true,"c","d","e"]}"#;
        assert_eq!(found(many), "a b c d");
        assert_eq!(
            found(r#"{"id_token":"a","id_token":"b" then no JSON"#),
            "a b"
        );
    }

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
