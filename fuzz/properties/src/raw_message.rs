//! Reads raw HTTP messages.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// Reads a raw HTTP response from any bytes: a status line, header lines and an empty line, each
/// terminated by LF, then the body. Invalid header lines are ignored. Without a status line, all
/// bytes are the body of a 200.
#[must_use]
pub fn response(data: &[u8]) -> Response<Vec<u8>> {
    let Some((head, body)) = split_head(data) else {
        return Response::new(data.to_vec());
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        words.next().filter(|word| word.starts_with(b"HTTP/"))?;
        StatusCode::from_bytes(words.next()?).ok()
    });
    let Some(status) = status else {
        return Response::new(data.to_vec());
    };
    let mut response = Response::new(body.to_vec());
    *response.status_mut() = status;
    *response.headers_mut() = headers(lines);
    response
}

/// Splits a raw message at its first empty line into head and body.
pub(crate) fn split_head(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.windows(2).position(|pair| pair == b"\n\n")?;
    Some((data.get(..at)?, data.get(at.checked_add(2)?..)?))
}

/// Reads header lines, and ignores the invalid ones.
pub(crate) fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(at);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}
