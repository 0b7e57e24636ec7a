//! A raw HTTP response out of any bytes.

use http::header::HeaderName;
use http::{HeaderValue, Response, StatusCode};

/// A raw HTTP response out of any bytes: a status line, header lines and an empty line, each
/// ended by LF, then the body to the last byte. A head line that is none is left out, and
/// without a status line all of it is the body of a 200.
#[must_use]
pub fn response(data: &[u8]) -> Response<Vec<u8>> {
    let split = data.windows(2).position(|pair| pair == b"\n\n");
    let parts = split.and_then(|at| Some((data.get(..at)?, data.get(at.checked_add(2)?..)?)));
    let Some((head, body)) = parts else {
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
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(at);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}
