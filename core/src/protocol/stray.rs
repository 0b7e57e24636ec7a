//! Characters that rarely belong to a credential, and that a terminal does not show.

/// Returns where a credential begins or ends with a stray character, and which, or `None`.
///
/// It is about the first and the last character only, and shows no other.
pub(super) fn stray_ends(text: &str) -> Option<String> {
    let first = text.chars().next().filter(|c| is_stray(*c));
    let last = text.chars().next_back().filter(|c| is_stray(*c));
    match (first, last) {
        (None, None) => None,
        (Some(first), Some(last)) if first == last => {
            Some(format!("begins and ends with {}", name(first)))
        }
        (Some(first), Some(last)) => Some(format!(
            "begins with {} and ends with {}",
            name(first),
            name(last)
        )),
        (Some(first), None) => Some(format!("begins with {}", name(first))),
        (None, Some(last)) => Some(format!("ends with {}", name(last))),
    }
}

/// Returns the text without the stray characters at its ends.
pub(super) fn without_stray_ends(text: &str) -> &str {
    text.trim_matches(is_stray)
}

fn is_stray(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_quote(c) || is_invisible(c)
}

fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '`' | '«' | '»' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}'
    )
}

/// Returns whether the character has no visible form: `Default_Ignorable_Code_Point` of Unicode, the blank
/// of Braille, and the anchors of annotations.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn name(c: char) -> String {
    let name = match c {
        '\n' => "a line feed",
        '\r' => "a carriage return",
        '\t' => "a tab",
        ' ' => "a space",
        '\0' => "a NUL",
        '\u{a0}' => "a no-break space",
        '\u{200b}' => "a zero-width space",
        '\u{feff}' => "a byte order mark",
        '"' => "a double quote",
        '\'' => "a single quote",
        '`' => "a backtick",
        _ if is_quote(c) => "a quotation mark",
        _ if c.is_whitespace() => "a white space character",
        _ if c.is_control() => "a control character",
        _ => "an invisible character",
    };
    format!("{name} (U+{:04X})", u32::from(c))
}
