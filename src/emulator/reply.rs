//! One scripted reply.

use std::fmt;
use std::future;
use std::io;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Bytes;

use super::delivery::{Delivery, Drip};

/// One reply for [`Emulator::script`](super::Emulator::script).
///
/// ```
/// use std::time::Duration;
///
/// use meshconnect_auth::emulator::Reply;
/// use meshconnect_auth::http::header::{DATE, RETRY_AFTER};
/// use meshconnect_auth::http::{HeaderValue, StatusCode};
///
/// let late = Reply::token().delay(Duration::from_millis(50));
/// let torn = Reply::token().torn_after(10);
/// let too_long = Reply::token().expires_in(Duration::from_secs(86_400));
/// let wrong_date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
/// let wrong_date = Reply::token().header(DATE, wrong_date);
/// let throttled = Reply::status(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, 1);
/// let proxy = Reply::status(StatusCode::BAD_GATEWAY).body("<html>502</html>");
/// ```
///
/// `Debug` shows only the length of the body, because a body may contain a token.
#[derive(Clone)]
pub struct Reply {
    answer: Answer,
    headers: HeaderMap,
    body: Option<Bytes>,
    expires_in: Option<Duration>,
    delay: Duration,
    torn_after: Option<usize>,
    drip: Option<Drip>,
}

#[derive(Clone, Debug)]
enum Answer {
    Issuer,
    Status(StatusCode),
    Stalled,
    HungUp,
}

impl Reply {
    /// Answers as the contract says: with a token, if the request is valid.
    #[must_use]
    pub fn token() -> Self {
        Self::new(Answer::Issuer)
    }

    /// Answers with a status, `Date`, and the headers and body that are set.
    ///
    /// An informational status (1xx) acts as [`hung_up`](Self::hung_up), because it is not a final
    /// response.
    #[must_use]
    pub fn status(status: StatusCode) -> Self {
        Self::new(Answer::Status(status))
    }

    /// Never answers. The connection stays open until the client closes it or the emulator is
    /// dropped. Other settings have no effect.
    #[must_use]
    pub fn stalled() -> Self {
        Self::new(Answer::Stalled)
    }

    /// Closes the connection after the whole request and the [`delay`](Self::delay).
    /// Other settings have no effect.
    #[must_use]
    pub fn hung_up() -> Self {
        Self::new(Answer::HungUp)
    }

    fn new(answer: Answer) -> Self {
        Self {
            answer,
            headers: HeaderMap::new(),
            body: None,
            expires_in: None,
            delay: Duration::ZERO,
            torn_after: None,
            drip: None,
        }
    }

    /// Sets a header, in place of the answer's own. `Date` can be set too. A name that is set twice
    /// is sent twice.
    ///
    /// `Content-Length` and `Transfer-Encoding` are ignored: they follow from the body.
    /// [`status`](Self::status) sends a body without a `Content-Type` unless it is set here.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            self.headers.append(name, value.into());
        }
        self
    }

    /// Sets the body in place of the answer's own.
    ///
    /// It is not sent where HTTP allows no body: in response to `HEAD`, and with a 204 or a 304.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the `expires_in` of a granted token, in whole seconds. The token's `exp` does not
    /// change.
    #[must_use]
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }

    /// Waits between the end of the request and the head of the response.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes the connection after this many bytes of the body. `Content-Length` announces the
    /// whole body. A body that is not longer arrives whole.
    ///
    /// Of a body of megabytes, more is lost: the bytes that do not fit into the connection's
    /// buffers when it is closed.
    #[must_use]
    pub fn torn_after(mut self, bytes: usize) -> Self {
        self.torn_after = Some(bytes);
        self
    }

    /// Sends the body in chunks of this many bytes (0 counts as 1), with a pause between them.
    #[must_use]
    pub fn drip(mut self, chunk_size: usize, interval: Duration) -> Self {
        self.drip = Some(Drip {
            chunk_size: chunk_size.max(1),
            interval,
        });
        self
    }

    /// Waits, then returns the response; an error closes the connection.
    ///
    /// `issue` returns the issuer's answer. Its argument is the `expires_in` to announce, if it
    /// differs from the lifetime.
    pub(super) async fn perform(
        self,
        issue: impl FnOnce(Option<Duration>) -> Response<Bytes>,
    ) -> io::Result<Response<Delivery>> {
        // Even a sleep of zero ends only at the timer's next tick.
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let (mut head, own_body) = match self.answer {
            Answer::Issuer => issue(self.expires_in).into_parts(),
            Answer::Status(status) if !status.is_informational() => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = status;
                response.into_parts()
            }
            Answer::Stalled => future::pending().await,
            Answer::Status(_) | Answer::HungUp => {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        };
        // `extend` replaces the values of a name and keeps repeated new ones.
        head.headers.extend(self.headers);
        let body = self.body.unwrap_or(own_body);
        let delivery = Delivery::new(body, self.torn_after, self.drip);
        Ok(Response::from_parts(head, delivery))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("answer", &self.answer)
            .field("headers", &self.headers)
            .field("body", &self.body.as_ref().map(Bytes::len))
            .field("expires_in", &self.expires_in)
            .field("delay", &self.delay)
            .field("torn_after", &self.torn_after)
            .field("drip", &self.drip)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use http::header::{CONTENT_TYPE, RETRY_AFTER, WARNING};
    use http_body_util::BodyExt;

    use super::*;

    /// Polls a future once.
    fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn perform(reply: Reply) -> Poll<io::Result<Response<Delivery>>> {
        now(reply.perform(|_| {
            Response::builder()
                .header(CONTENT_TYPE, "application/json")
                .header(WARNING, "a")
                .body(Bytes::from_static(b"issued"))
                .unwrap()
        }))
    }

    fn sent(reply: Reply) -> (u16, HeaderMap, Bytes) {
        let Poll::Ready(Ok(response)) = perform(reply) else {
            panic!("no response");
        };
        let (head, body) = response.into_parts();
        let Poll::Ready(Ok(body)) = now(body.collect()) else {
            panic!("no body");
        };
        (head.status.as_u16(), head.headers, body.to_bytes())
    }

    #[test]
    fn settings_replace_parts_of_the_answer() {
        let (status, headers, body) = sent(Reply::token());
        assert_eq!((status, &body[..]), (200, &b"issued"[..]));
        assert_eq!(headers.len(), 2);

        let reply = Reply::token().header(WARNING, HeaderValue::from_static("b"));
        let (status, headers, body) = sent(reply.header(WARNING, 3).body("mine"));
        assert_eq!((status, &body[..]), (200, &b"mine"[..]));
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        let warnings: Vec<_> = headers.get_all(WARNING).iter().collect();
        assert_eq!(warnings, ["b", "3"]);
    }

    #[test]
    fn framing_headers_are_ignored() {
        let reply = Reply::status(StatusCode::IM_A_TEAPOT).header(RETRY_AFTER, 1);
        let (status, headers, body) = sent(
            reply
                .header(CONTENT_LENGTH, 99)
                .header(TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        );
        assert_eq!((status, body.len(), headers.len()), (418, 0, 1));
    }

    #[test]
    fn stalled_and_hung_up_give_no_response() {
        assert!(perform(Reply::stalled()).is_pending());
        for reply in [Reply::hung_up(), Reply::status(StatusCode::CONTINUE)] {
            assert!(matches!(perform(reply), Poll::Ready(Err(_))));
        }
    }

    #[test]
    fn debug_does_not_show_the_body() {
        assert!(!format!("{:?}", Reply::token().body("s3cret")).contains("s3cret"));
    }
}
