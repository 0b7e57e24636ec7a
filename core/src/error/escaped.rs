//! How outside text is printed.

use std::fmt::{self, Write as _};

/// Outside text for a terminal or a log, with everything escaped that is not printable.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\'' | '\\' => f.write_char(c)?,
                // Covers control characters, bidirectional overrides and unusual white space.
                _ => c.escape_debug().try_for_each(|c| f.write_char(c))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_cannot_drive_a_terminal() {
        let text = "a\u{1b}[2J\r\nb\u{202e}c\u{2066}\u{200b}\u{7f}\u{85}\u{2028}d \"e\" \\ é 例";
        let shown = Escaped(text).to_string();
        assert!(!shown.chars().any(char::is_control), "{shown}");
        for odd in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}'] {
            assert!(!shown.contains(odd), "{shown}");
        }
        assert!(shown.ends_with("d \"e\" \\ é 例"), "{shown}");
    }
}
