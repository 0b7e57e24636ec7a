//! Reading a client secret from a file or from stdin.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

use zeroize::Zeroizing;

/// A secret is short; a larger file is the wrong one.
const MAX_SIZE: usize = 64 * 1024;

const UTF_8_BOM: &[u8] = &[0xEF, 0xBB, 0xBF];
const UTF_16_BOMS: [&[u8]; 2] = [&[0xFE, 0xFF], &[0xFF, 0xFE]];

/// The source of a client secret.
#[derive(Clone, Debug)]
pub(crate) enum SecretFile {
    Stdin,
    Path(PathBuf),
}

impl SecretFile {
    /// Reads the file to its end. This blocks while a pipe is open.
    ///
    /// One LF or CRLF at the end is dropped; everything else is the secret. The error is one
    /// sentence that says what to do.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, String> {
        // One byte more than the limit detects a larger file. The buffer has its final size,
        // because a buffer that grows leaves a copy of the secret in the freed memory.
        let mut buffer = Zeroizing::new(vec![0; MAX_SIZE.saturating_add(1)]);
        let length = match self {
            // A read this large bypasses std's buffer for stdin, which is never wiped.
            Self::Stdin => fill(&mut buffer, io::stdin().lock()),
            Self::Path(path) => File::open(path).and_then(|file| fill(&mut buffer, file)),
        }
        .map_err(|error| self.unreadable(&error))?;
        let content = buffer.get(..length).unwrap_or_default();
        secret(content).map_err(|why| format!("{self} {why}"))
    }

    fn unreadable(&self, error: &io::Error) -> String {
        match error.kind() {
            ErrorKind::NotFound => format!("{self} does not exist; check its path"),
            ErrorKind::PermissionDenied => {
                format!("{self} may not be read by this user; check its permissions")
            }
            ErrorKind::IsADirectory => format!("{self} is a directory; name the file in it"),
            _ => format!("{self} cannot be read: {error}"),
        }
    }
}

impl From<OsString> for SecretFile {
    fn from(argument: OsString) -> Self {
        if argument == "-" {
            Self::Stdin
        } else {
            Self::Path(argument.into())
        }
    }
}

impl fmt::Display for SecretFile {
    #[allow(
        clippy::unnecessary_debug_formatting,
        reason = "Debug escapes the terminal sequences that a path may contain"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("the client secret on stdin"),
            Self::Path(path) => write!(f, "the client secret file {path:?}"),
        }
    }
}

/// Reads until the end or until the buffer is full, and returns the number of bytes.
fn fill(buffer: &mut [u8], mut reader: impl Read) -> io::Result<usize> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Returns the secret in a file's bytes. The error completes a sentence that begins with the file.
fn secret(content: &[u8]) -> Result<Zeroizing<String>, &'static str> {
    if content.len() > MAX_SIZE {
        return Err("has more than 64 KiB; name a file that contains only the secret");
    }
    if content.starts_with(UTF_8_BOM) || UTF_16_BOMS.iter().any(|bom| content.starts_with(bom)) {
        return Err("begins with a byte order mark; save it as UTF-8 without one");
    }
    if content.contains(&0) {
        return Err("contains a NUL byte; save it as plain UTF-8 text");
    }
    let text = std::str::from_utf8(content)
        .map_err(|_| "is not valid UTF-8; save it as plain UTF-8 text")?;
    let text = match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    };
    if text.is_empty() {
        return Err("is empty; write the secret into it");
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_one_line_break_at_the_end() {
        for (content, expected) in [
            ("s", "s"),
            ("s\n", "s"),
            ("s\r\n", "s"),
            ("s\n\n", "s\n"),
            ("s\r\n\r\n", "s\r\n"),
            ("s\r", "s\r"),
            (" s \n", " s "),
            ("a\nb", "a\nb"),
            ("\u{e9}\n", "\u{e9}"),
        ] {
            assert_eq!(
                secret(content.as_bytes()).unwrap().as_str(),
                expected,
                "{content:?}"
            );
        }
    }

    #[test]
    fn invalid_contents_are_refused_with_a_reason() {
        for (content, word) in [
            (&b""[..], "empty"),
            (b"\n", "empty"),
            (b"\r\n", "empty"),
            (b"\xEF\xBB\xBFs", "byte order mark"),
            (b"\xFF\xFEs\0", "byte order mark"),
            (b"\xFE\xFF\0s", "byte order mark"),
            (b"s\0", "NUL"),
            (b"s\xFF", "UTF-8"),
            (&vec![b's'; MAX_SIZE + 1], "64 KiB"),
        ] {
            let why = secret(content).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        assert_eq!(secret(&vec![b's'; MAX_SIZE]).unwrap().len(), MAX_SIZE);
    }

    #[test]
    fn endless_file_is_read_up_to_the_buffer_size() {
        let mut buffer = [1; 10];
        assert_eq!(fill(&mut buffer, io::repeat(0)).unwrap(), 10);
    }

    #[test]
    fn file_in_pieces_is_read_to_its_end() {
        let pieces = b"ab".chain(&b"c"[..]).chain(&b"def"[..]);
        let mut buffer = [0; 10];
        assert_eq!(fill(&mut buffer, pieces).unwrap(), 6);
        assert!(buffer.starts_with(b"abcdef"));
    }

    #[test]
    fn path_is_escaped() {
        let path = OsString::from("a\u{1b}[2J\n\u{202e}b");
        let shown = SecretFile::from(path).to_string();
        assert!(!shown.contains(['\u{1b}', '\n', '\u{202e}']), "{shown}");
        assert!(shown.contains('b'), "{shown}");
    }
}
