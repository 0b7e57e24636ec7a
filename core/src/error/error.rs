//! The error type: one word, cheap to clone, without secrets.

use std::borrow::Cow;
use std::error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;

use super::escaped::Escaped;
use super::rejection::Rejection;
use super::target::Target;
use super::transport::{TransportError, TransportErrorKind};
use crate::moment::Moment;

/// Why there is no token.
///
/// # Design
///
/// The type is opaque and one word large. It is cheap to clone, so that all callers that waited for
/// the same answer get the same error. [`kind`](Self::kind) is a `Copy` value to match on.
///
/// `{}` is one line, and `{:#}` is the same. [`report`](Self::report) is several lines with
/// everything in the server's answer, for a log or a support ticket. The client secret and the token are
/// masked in server text if they have at least eight characters: in an answer when the error is
/// created, in a [`TransportError`] when the [`Machine`](crate::Machine) takes the outcome. Control
/// characters and bidirectional overrides in it are escaped, so that an answer cannot forge a line or
/// control a terminal.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    /// What happened, without text from outside.
    what: Cow<'static, str>,
    source: Option<TransportError>,
    answer: Option<Box<Answer>>,
    /// The server that the request went to, if the error concerns a request.
    target: Option<Arc<Target>>,
    attempts: u32,
}

/// The answer that caused an error. Secrets are masked in all of its text.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) rejection: Option<Rejection>,
    /// What may explain the answer beyond its own words.
    pub(crate) hints: Vec<String>,
    pub(crate) retry_at: Option<Moment>,
    pub(crate) excerpt: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) date: Option<String>,
    pub(crate) www_authenticate: Option<String>,
    pub(crate) trace_ids: Vec<(&'static str, String)>,
}

/// What went wrong, as a value to match on.
///
/// Not exhaustive: finer kinds may be added. [`blame`](Self::blame) groups them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work. Nothing was sent. Blame: the caller.
    Configuration,
    /// The async client was called without the runtime that it needs. Blame: the caller.
    NoRuntime,
    /// The server refused the credentials or the request: by an HTTP status that is neither a 2xx nor
    /// one of the next two kinds, or, within a 2xx, by the envelope's status.
    Refused,
    /// The server asks for fewer requests: 429, or `tooManyRequest` within a 2xx.
    Throttled,
    /// The server cannot answer for now: 408, 425, 5xx, or `serverFailure` within a 2xx.
    Unavailable,
    /// The request was valid and the authentication failed (`content.status` is `failed`).
    AuthenticationFailed,
    /// The server requires a second factor (`content.status` is `mfaRequired`); this API has no way
    /// to send one.
    MfaRequired,
    /// A 2xx whose body is not a token response.
    Malformed,
    /// A token was requested with a longer lifetime than the service's tokens have. Blame: the
    /// caller.
    LifetimeTooShort,
    /// There was no answer or an incomplete one. Blame: the wire.
    Transport(TransportErrorKind),
}

impl ErrorKind {
    /// Returns which party has to act on it.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self {
            Self::Configuration | Self::NoRuntime | Self::LifetimeTooShort => Blame::Caller,
            Self::Refused
            | Self::Throttled
            | Self::Unavailable
            | Self::AuthenticationFailed
            | Self::MfaRequired
            | Self::Malformed => Blame::Server,
            Self::Transport(_) => Blame::Wire,
        }
    }
}

/// The party that has to act on an error.
///
/// Exhaustive on purpose: an exchange has no fourth party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "an exchange has no fourth party")]
pub enum Blame {
    /// The author or operator of the calling program.
    Caller,
    /// The server, or the administrator of the account.
    Server,
    /// The network between the two.
    Wire,
}

impl Error {
    /// Returns an error about a configuration that cannot work.
    ///
    /// `what` names the problem and the remedy. It must not contain a secret.
    #[must_use]
    pub fn configuration(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Configuration, what)
    }

    /// Returns an error about an async client that was called outside its runtime.
    #[must_use]
    pub fn no_runtime(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NoRuntime, what)
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the same request may succeed later. The clients have then retried it already.
    ///
    /// That is so for [`Throttled`](ErrorKind::Throttled); for [`Unavailable`](ErrorKind::Unavailable)
    /// by 408, 425, 500, 502, 503, 504 or `serverFailure`; and for
    /// [`Transport`](ErrorKind::Transport), except a certificate that is not accepted and an answer
    /// that is not HTTP.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::Throttled => true,
            ErrorKind::Unavailable => self.http_status().is_some_and(|status| {
                status.is_success() || matches!(status.as_u16(), 408 | 425 | 500 | 502 | 503 | 504)
            }),
            ErrorKind::Transport(kind) => !matches!(
                kind,
                TransportErrorKind::Certificate | TransportErrorKind::NotHttp
            ),
            _ => false,
        }
    }

    /// Returns the base URL that the request went to, if the error concerns a request.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        Some(&self.0.target.as_ref()?.endpoint)
    }

    /// Returns the URL of the proxy that the request went through, without its credentials.
    ///
    /// Returns `None` if the HTTP client is your own, because this crate does not know its proxy.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.0.target.as_ref()?.proxy.as_deref()
    }

    /// Returns the HTTP status of the answer, if there was one.
    #[must_use]
    pub fn http_status(&self) -> Option<StatusCode> {
        self.answer().map(|answer| answer.status)
    }

    /// Returns the service's explanation, if its answer was the envelope.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.answer()?.rejection.as_ref()
    }

    /// Returns the time from which the server accepts another request (`Retry-After`, RFC 9110
    /// §10.2.3), by this machine's wall clock.
    ///
    /// The latest of several values counts. A fraction of a second rounds up, a date counts against the
    /// answer's own `Date`, and its zone may be `GMT`, `UTC`, `+0000` or `-0000`.
    #[must_use]
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.retry_moment()?.system_time()
    }

    /// Returns how many requests were sent before this error was returned.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns the start of a body that was not the service's envelope, masked; at most 1 KiB, with
    /// `…` at its end if it is cut.
    #[must_use]
    pub fn excerpt(&self) -> Option<&str> {
        self.answer()?.excerpt.as_deref()
    }

    /// Returns the answer's `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.answer()?.content_type.as_deref()
    }

    /// Returns the answer's `Date` as received: the time of the answer by the server's clock.
    #[must_use]
    pub fn date(&self) -> Option<&str> {
        self.answer()?.date.as_deref()
    }

    /// Returns the answer's `WWW-Authenticate`, which may contain the only reason for a 401.
    #[must_use]
    pub fn www_authenticate(&self) -> Option<&str> {
        self.answer()?.www_authenticate.as_deref()
    }

    /// Returns the answer's request and trace ids, each with the name of its header.
    pub fn trace_ids(&self) -> impl Iterator<Item = (&str, &str)> {
        let answer = self.answer();
        let ids = answer.map_or(&[][..], |answer| &answer.trace_ids);
        ids.iter().map(|(name, value)| (*name, value.as_str()))
    }

    pub(crate) fn lifetime_too_short() -> Self {
        Self::new(
            ErrorKind::LifetimeTooShort,
            "the service's tokens do not live as long as requested; request a shorter lifetime",
        )
    }

    /// Returns an error about an answer.
    pub(crate) fn answered(
        kind: ErrorKind,
        what: impl Into<Cow<'static, str>>,
        answer: Answer,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            what: what.into(),
            source: None,
            answer: Some(Box::new(answer)),
            target: None,
            attempts: 1,
        }))
    }

    /// Returns an error about the transport, with the received part of the answer if there is one.
    pub(crate) fn transport(source: TransportError, answer: Option<Answer>) -> Self {
        Self(Arc::new(Inner {
            kind: ErrorKind::Transport(source.kind()),
            what: source.describe(),
            source: Some(source),
            answer: answer.map(Box::new),
            target: None,
            attempts: 1,
        }))
    }

    /// Returns the same error with another number of attempts.
    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        Arc::make_mut(&mut self.0).attempts = attempts;
        self
    }

    /// Returns the same error with a hint, if it is about an answer.
    pub(crate) fn with_hint(mut self, hint: String) -> Self {
        if let Some(answer) = &mut Arc::make_mut(&mut self.0).answer {
            answer.hints.push(hint);
        }
        self
    }

    /// Returns the same error about a request to `target`, unless it already names one.
    pub(crate) fn about(mut self, target: &Arc<Target>) -> Self {
        if self.0.target.is_none() {
            let inner = Arc::make_mut(&mut self.0);
            if inner.kind == ErrorKind::Transport(TransportErrorKind::Dns) && target.proxy.is_some()
            {
                inner.what = "the proxy's host name could not be resolved".into();
            }
            inner.target = Some(Arc::clone(target));
        }
        self
    }

    /// Returns the same error with the HTTP client's text mapped.
    pub(crate) fn map_detail(mut self, map: impl FnOnce(&str) -> String) -> Self {
        if self.0.source.is_some()
            && let Some(source) = &mut Arc::make_mut(&mut self.0).source
        {
            source.map_detail(map);
        }
        self
    }

    /// Returns [`retry_at`](Self::retry_at) on both clocks.
    pub(crate) fn retry_moment(&self) -> Option<Moment> {
        self.answer()?.retry_at
    }

    pub(super) fn answer(&self) -> Option<&Answer> {
        self.0.answer.as_deref()
    }

    pub(super) fn cause(&self) -> Option<&TransportError> {
        self.0.source.as_ref()
    }

    fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            what: what.into(),
            source: None,
            answer: None,
            target: None,
            attempts: 0,
        }))
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::transport(error, None)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0.what).fmt(f)?;
        let hints = self.answer().map_or(&[][..], |answer| &answer.hints);
        if let Some(rejection) = self.rejection() {
            // A grant without a token has the status `ok`, which explains nothing.
            let explains = matches!(
                self.0.kind,
                ErrorKind::Refused | ErrorKind::Throttled | ErrorKind::Unavailable
            );
            if let Some(status) = rejection.status().filter(|_| explains) {
                write!(f, ", {}", Escaped(status.as_str()))?;
            }
            let message = rejection.message().or(rejection.display_message());
            if let Some(message) = message {
                // A hint follows after a semicolon.
                let ends = hints.is_empty();
                let message = message
                    .strip_suffix('.')
                    .filter(|_| !ends)
                    .unwrap_or(message);
                write!(f, ": {}", Escaped(message))?;
            }
        }
        for hint in hints {
            write!(f, "; {}", Escaped(hint))?;
        }
        // Its kind alone says too little: the words of the system or of the panic are the message.
        if let Some(source) = &self.0.source
            && source.kind() == TransportErrorKind::Client
        {
            write!(f, ": {source}")?;
        }
        match &self.0.target {
            Some(target) => write!(f, " ({target})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("what", &self.0.what);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        if let Some(answer) = &self.0.answer {
            debug.field("answer", answer);
        }
        if let Some(target) = &self.0.target {
            debug.field("target", target);
        }
        debug.field("attempts", &self.0.attempts).finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}
