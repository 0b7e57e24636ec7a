//! Writing the token to stdout.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use meshconnect_auth::{AuthenticationStatus, Token};
use serde::Serialize;
use zeroize::Zeroizing;

/// The last second that RFC 3339 can express, 9999-12-31T23:59:59Z, since the Unix epoch.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// The output format.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// The token
    Text,
    /// A line `Authorization: Bearer …`
    Header,
    /// An object with `id_token`, `authorization`, `expires_at` and `status`
    Json,
}

/// Writes the token and a line break to stdout.
pub(crate) fn write(token: &Token, format: Format) -> io::Result<()> {
    let line = render(token, format)?;
    let mut stdout = io::stdout().lock();
    // A single write, so that a reader never gets a part of the token.
    stdout.write_all(&line)?;
    stdout.flush()
}

fn render(token: &Token, format: Format) -> io::Result<Zeroizing<Vec<u8>>> {
    let authorization = token.header_value().to_str().map_err(io::Error::other)?;
    let status = token.status().map(AuthenticationStatus::as_str);
    let mut line = Zeroizing::new(Vec::with_capacity(capacity(authorization, status)));
    match format {
        Format::Text => line.write_all(token.id_token().as_bytes())?,
        Format::Header => write!(line, "Authorization: {authorization}")?,
        Format::Json => {
            let object = Object {
                id_token: token.id_token(),
                authorization,
                expires_at: rfc_3339(token.expires_at()),
                status,
            };
            serde_json::to_writer(&mut *line, &object)?;
        }
    }
    line.push(b'\n');
    Ok(line)
}

#[derive(Serialize)]
struct Object<'a> {
    id_token: &'a str,
    authorization: &'a str,
    expires_at: String,
    status: Option<&'a str>,
}

/// Returns a capacity that suffices for every format.
///
/// A buffer that grows leaves a copy of the token in the freed memory. JSON may escape each byte of
/// the server's status with six.
fn capacity(authorization: &str, status: Option<&str>) -> usize {
    let status = status.map_or(0, str::len).saturating_mul(6);
    authorization
        .len()
        .saturating_mul(2)
        .saturating_add(status)
        .saturating_add(256)
}

/// Formats a time in whole seconds, rounded down, so that an expiry is never shown too late.
fn rfc_3339(time: SystemTime) -> String {
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    // humantime panics outside of these bounds.
    let time = SystemTime::UNIX_EPOCH.checked_add(since_epoch.min(LAST_SECOND));
    let time = time.unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Prints a message to stderr. A failure is ignored, because there is no other place to report it.
pub(super) fn print_message(message: impl Display) {
    let _ = io::stderr().write_all(format!("{message}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(format: Format) -> String {
        let expires_at = Duration::from_millis(1_700_000_000_999);
        let expires_at = SystemTime::UNIX_EPOCH.checked_add(expires_at).unwrap();
        let line = render(&Token::new("a.b-c", expires_at).unwrap(), format).unwrap();
        String::from_utf8(line.to_vec()).unwrap()
    }

    #[test]
    fn every_format_is_one_line() {
        assert_eq!(rendered(Format::Text), "a.b-c\n");
        assert_eq!(rendered(Format::Header), "Authorization: Bearer a.b-c\n");
        assert_eq!(
            rendered(Format::Json),
            "{\"id_token\":\"a.b-c\",\"authorization\":\"Bearer a.b-c\",\
             \"expires_at\":\"2023-11-14T22:13:20Z\",\"status\":null}\n"
        );
    }

    #[test]
    fn capacity_suffices_for_every_format() {
        let token = Token::new(&"t".repeat(5000), SystemTime::UNIX_EPOCH).unwrap();
        for format in [Format::Text, Format::Header, Format::Json] {
            let expected = capacity(token.header_value().to_str().unwrap(), None);
            assert_eq!(render(&token, format).unwrap().capacity(), expected);
        }
    }

    #[test]
    fn times_beyond_rfc_3339_are_clamped() {
        let second = Duration::from_secs(1);
        for (time, expected) in [
            (
                SystemTime::UNIX_EPOCH.checked_sub(second),
                "1970-01-01T00:00:00Z",
            ),
            (
                SystemTime::UNIX_EPOCH.checked_add(LAST_SECOND + second),
                "9999-12-31T23:59:59Z",
            ),
        ] {
            assert_eq!(rfc_3339(time.unwrap()), expected);
        }
    }
}
