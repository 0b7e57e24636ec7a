//! Searches text for secrets or parts of them, plain or encoded.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The length of the pieces that are searched for, in characters of a canary.
const PIECE: usize = 12;

/// The pieces of all encodings of the canaries, grouped by length.
pub struct Search(HashMap<usize, HashSet<Vec<u8>>>);

impl Search {
    pub fn new(canaries: &[&str]) -> Self {
        let mut pieces: HashMap<usize, HashSet<Vec<u8>>> = HashMap::new();
        for canary in canaries {
            for (encoded, per_character) in encodings(canary) {
                let length = PIECE * per_character;
                let windows = encoded.as_bytes().windows(length).map(<[u8]>::to_vec);
                pieces.entry(length).or_default().extend(windows);
            }
        }
        Self(pieces)
    }

    /// Returns the first piece of a canary that the text contains.
    pub fn revealed(&self, text: &str) -> Option<String> {
        self.0.iter().find_map(|(length, pieces)| {
            let mut windows = text.as_bytes().windows(*length);
            let piece = windows.find(|piece| pieces.contains(*piece))?;
            Some(String::from_utf8_lossy(piece).into_owned())
        })
    }
}

/// Returns each encoding of a text, with the number of characters it uses per input byte.
pub fn encodings(text: &str) -> Vec<(String, usize)> {
    let bytes = |byte: &dyn Fn(u8) -> String| text.bytes().map(byte).collect::<String>();
    let mut encodings = vec![
        (text.to_owned(), 1),
        (json(text), 1),
        (text.escape_debug().to_string(), 1),
        (text.as_bytes().escape_ascii().to_string(), 1),
        (bytes(&|byte| format!("%{byte:02X}")), 3),
        (bytes(&|byte| format!("%{byte:02x}")), 3),
        (bytes(&|byte| format!("{byte:02X}")), 2),
        (bytes(&|byte| format!("{byte:02x}")), 2),
        (bytes(&|byte| format!("{byte:02X} ")), 3),
        (bytes(&|byte| format!("{byte:02x} ")), 3),
        (bytes(&|byte| format!("{byte}, ")), 4),
    ];
    // The Base64 encoding depends on the offset of the text within its groups of three bytes.
    for before in ["", "a", "ab"] {
        let shifted = format!("{before}{text}");
        for encoded in [STANDARD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let whole = encoded.get(if before.is_empty() { 0 } else { 4 }..);
            encodings.push((whole.unwrap().to_owned(), 1));
        }
    }
    encodings
}

/// Escapes a text for use inside a JSON string.
pub fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}
