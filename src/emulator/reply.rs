//! One scripted reply: what to send, and how badly.

use std::fmt;
use std::future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::delivery::{Delivery, Drip};

/// One reply for [`Emulator::script`](super::Emulator::script), built fluently.
///
/// ```
/// use std::time::Duration;
///
/// use http::StatusCode;
/// use http::header::RETRY_AFTER;
/// use meshconnect_auth::emulator::Reply;
///
/// let good_but_late = Reply::token().delay(Duration::from_millis(50));
/// let torn = Reply::token().torn_after(10);
/// let limited = Reply::status(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, 1);
/// let proxy = Reply::status(StatusCode::BAD_GATEWAY).body("<html>502</html>");
/// ```
///
/// `Debug` shows the body's length alone, because a body may hold a token.
#[derive(Clone)]
pub struct Reply {
    answer: Answer,
    headers: HeaderMap,
    body: Option<Bytes>,
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
    /// What the emulator answers without a script: a token, if the request deserves one.
    #[must_use]
    pub fn token() -> Self {
        Self::new(Answer::Issuer)
    }

    /// A status, with no header but `Date` and no body until they are given.
    ///
    /// An informational status (1xx) ends no exchange; it does what [`hung_up`](Self::hung_up)
    /// does.
    #[must_use]
    pub fn status(status: StatusCode) -> Self {
        Self::new(Answer::Status(status))
    }

    /// No answer, ever: the connection stays open until the client closes it or the emulator is
    /// dropped. Nothing that is set besides has an effect.
    #[must_use]
    pub fn stalled() -> Self {
        Self::new(Answer::Stalled)
    }

    /// No answer: the connection is closed once the request was read and the
    /// [`delay`](Self::delay) is over. Nothing else that is set has an effect.
    #[must_use]
    pub fn hung_up() -> Self {
        Self::new(Answer::HungUp)
    }

    fn new(answer: Answer) -> Self {
        Self {
            answer,
            headers: HeaderMap::new(),
            body: None,
            delay: Duration::ZERO,
            torn_after: None,
            drip: None,
        }
    }

    /// Sets a header in place of the answer's own of that name. The same name given twice is sent
    /// twice.
    ///
    /// `Content-Length` and `Transfer-Encoding` are ignored: the body that is sent decides them.
    /// A body comes without a `Content-Type` unless one is given here.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            self.headers.append(name, value.into());
        }
        self
    }

    /// Sets the body in place of the answer's own.
    ///
    /// HTTP has none after a request of `HEAD`, nor with a 204 or a 304; it is left out there.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Waits between the end of the request and the head of the response.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes the connection after so many bytes of the body; `Content-Length` promises all of
    /// it. A body that is no longer than that arrives whole.
    ///
    /// Bytes for which a client has left no room by then, in the buffers of the connection, are
    /// lost too. That takes a body of megabytes.
    #[must_use]
    pub fn torn_after(mut self, bytes: usize) -> Self {
        self.torn_after = Some(bytes);
        self
    }

    /// Sends the body in chunks of so many bytes (0 counts as 1), with a pause between.
    #[must_use]
    pub fn drip(mut self, chunk_size: usize, interval: Duration) -> Self {
        self.drip = Some(Drip {
            chunk_size: chunk_size.max(1),
            interval,
        });
        self
    }

    /// Waits, then gives what is to be sent; an error is a connection to close.
    pub(super) async fn perform(
        self,
        issuer: impl FnOnce() -> Response<Bytes>,
    ) -> io::Result<Response<Delivery>> {
        // Even a sleep of nothing takes until the timer's next tick.
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let (mut head, own_body) = match self.answer {
            Answer::Issuer => issuer().into_parts(),
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
        // `extend` replaces what stood under a name and keeps all that it brings itself.
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

    /// Polls a future that has nothing to wait for.
    fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn perform(reply: Reply) -> Poll<io::Result<Response<Delivery>>> {
        now(reply.perform(|| {
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
    fn the_issuers_answer_stands_where_nothing_replaces_it() {
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
    fn a_status_brings_nothing_along_and_no_framing_is_taken() {
        let reply = Reply::status(StatusCode::IM_A_TEAPOT).header(RETRY_AFTER, 1);
        let (status, headers, body) = sent(
            reply
                .header(CONTENT_LENGTH, 99)
                .header(TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        );
        assert_eq!((status, body.len(), headers.len()), (418, 0, 1));
    }

    #[test]
    fn what_is_no_answer_is_none() {
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
