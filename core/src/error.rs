//! What can go wrong, grouped by who has to do something about it.

use std::borrow::Cow;
use std::error;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::moment::Moment;
use crate::wire::ApiResultStatus;

/// Why there is no token.
///
/// It is one word large and cheap to clone, so that everyone who waited for the same answer can
/// have it. Text that a server chose has the client secret and the token masked out of it when
/// the error is made.
///
/// `{}` is one line. `{:#}` is a report of several lines with all that the server told, for a
/// log or a support ticket. In both, control characters and bidirectional overrides in server
/// text are escaped, so that no answer can forge a line or drive a terminal.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    /// What happened, in our own words.
    what: Cow<'static, str>,
    source: Option<TransportError>,
    answer: Option<Box<Answer>>,
    attempts: u32,
}

/// What is known of the answer that an error is about. All text in it has been masked.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) rejection: Option<Rejection>,
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
    /// You: the configuration cannot work. Nothing was sent.
    Configuration,
    /// You: the async client was called without the runtime that it needs.
    NoRuntime,
    /// The server: it said no, by its HTTP status or, within a 2xx, by the envelope's status.
    Rejected,
    /// The server: the request was fine and the authentication failed (`content.status` is
    /// `failed`).
    AuthenticationFailed,
    /// The server: it wants a second factor (`content.status` is `mfaRequired`), which this API
    /// has no way to give.
    MfaRequired,
    /// The server: a 2xx whose body is not a token response.
    Malformed,
    /// You: a token was asked for that is good for longer than the service's tokens are.
    LifetimeTooShort,
    /// The server: the token was refused where it was used, and so was the one before it.
    TokenRejected,
    /// The wire: there was no answer, or only a part of one.
    Transport(TransportErrorKind),
}

impl ErrorKind {
    /// Who has to do something about it.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self {
            Self::Configuration | Self::NoRuntime | Self::LifetimeTooShort => Blame::Caller,
            Self::Rejected
            | Self::AuthenticationFailed
            | Self::MfaRequired
            | Self::Malformed
            | Self::TokenRejected => Blame::Server,
            Self::Transport(_) => Blame::Wire,
        }
    }
}

/// Who has to do something about an error.
///
/// Exhaustive on purpose: an exchange has no fourth party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "an exchange has no fourth party")]
pub enum Blame {
    /// Whoever wrote or configured the calling program.
    Caller,
    /// The server, or whoever administers the account there.
    Server,
    /// Whatever is between the two.
    Wire,
}

/// At which step a transport failed.
///
/// Not exhaustive: finer kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host name could not be resolved.
    Dns,
    /// No connection could be made, to the server or through the proxy.
    Connect,
    /// The TLS handshake failed for a reason other than the certificate.
    Tls,
    /// The server's certificate was not accepted.
    Certificate,
    /// It took too long.
    Timeout,
    /// What came back is not HTTP.
    NotHttp,
    /// The connection broke off after it was made, or anything else happened to it.
    Broken,
}

impl TransportErrorKind {
    fn describe(self) -> &'static str {
        match self {
            Self::Dns => "the server's host name could not be resolved",
            Self::Connect => "no connection to the server could be made",
            Self::Tls => "the TLS handshake with the server failed",
            Self::Certificate => {
                "the server's certificate could not be verified; let its CA be trusted: install \
                 CA certificates on this machine, name a file of them in SSL_CERT_FILE (Linux), \
                 or use the setters root_certificates_pem or webpki_roots"
            }
            Self::Timeout => "the server did not answer in time",
            Self::NotHttp => "what the server answered is not HTTP",
            Self::Broken => "the connection to the server broke off",
        }
    }
}

/// How a transport failed: the step, and the HTTP client's own words.
///
/// The words are a copy of the client's whole chain of sources, so that none of its types becomes
/// part of this API, and so that they can be masked.
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    detail: String,
}

impl TransportError {
    /// Describes a failure by the error that the HTTP client gave, with its chain of sources.
    #[must_use]
    pub fn new(kind: TransportErrorKind, error: &(dyn error::Error + 'static)) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let words = error.to_string();
            // Many errors repeat their source's words in their own.
            if !detail.contains(&words) {
                detail.push_str(": ");
                detail.push_str(&words);
            }
            source = error.source();
        }
        Self { kind, detail }
    }

    /// Describes a failure in words of one's own.
    #[must_use]
    pub fn with_detail(kind: TransportErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// At which step it failed.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    pub(crate) fn map_detail(&mut self, map: impl FnOnce(&str) -> String) {
        self.detail = map(&self.detail);
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.detail).fmt(f)
    }
}

impl error::Error for TransportError {}

/// What the service said in its envelope when it said no (contract, `ApiResult`).
///
/// Empty text is the same as none. All of it has been masked, and cut where it was very long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejection {
    pub(crate) status: Option<ApiResultStatus>,
    pub(crate) message: Option<String>,
    pub(crate) display_message: Option<String>,
    pub(crate) error_hash: Option<String>,
    pub(crate) error_type: Option<String>,
    pub(crate) error_data: Option<String>,
    pub(crate) team_code: Option<String>,
}

impl Rejection {
    /// The envelope's status.
    #[must_use]
    pub fn status(&self) -> Option<&ApiResultStatus> {
        self.status.as_ref()
    }

    /// A message generated by the API.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// A message that can be presented to an end user.
    #[must_use]
    pub fn display_message(&self) -> Option<&str> {
        self.display_message.as_deref()
    }

    /// An opaque hash by which the service groups its errors; worth having in a support ticket.
    #[must_use]
    pub fn error_hash(&self) -> Option<&str> {
        self.error_hash.as_deref()
    }

    /// The type of the error. The contract lists none, and its own examples use one for two
    /// different causes: show it, decide nothing by it.
    #[must_use]
    pub fn error_type(&self) -> Option<&str> {
        self.error_type.as_deref()
    }

    /// Data about the error: JSON text of no declared shape, at most 8 KiB of it.
    #[must_use]
    pub fn error_data(&self) -> Option<&str> {
        self.error_data.as_deref()
    }

    /// A team to alert, from newer versions of the service.
    #[must_use]
    pub fn team_code(&self) -> Option<&str> {
        self.team_code.as_deref()
    }
}

impl Error {
    /// An error of the caller's own making: a configuration that cannot work. `what` says what is
    /// wrong and what to do, and cooldowns no secret.
    #[must_use]
    pub fn configuration(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Configuration, what)
    }

    /// The async client was called outside of the runtime that it needs; `what` says which.
    #[must_use]
    pub fn no_runtime(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NoRuntime, what)
    }

    pub(crate) fn lifetime_too_short() -> Self {
        Self::new(
            ErrorKind::LifetimeTooShort,
            "the service's tokens do not live for as long as was asked for",
        )
    }

    pub(crate) fn token_rejected() -> Self {
        Self::new(
            ErrorKind::TokenRejected,
            "the service keeps refusing its own tokens; asking for more of them would not help",
        )
    }

    /// The same error, after so many requests.
    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        Arc::make_mut(&mut self.0).attempts = attempts;
        self
    }

    /// The same error, with the HTTP client's words changed.
    pub(crate) fn map_detail(mut self, map: impl FnOnce(&str) -> String) -> Self {
        if self.0.source.is_some()
            && let Some(source) = &mut Arc::make_mut(&mut self.0).source
        {
            source.map_detail(map);
        }
        self
    }

    fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            what: what.into(),
            source: None,
            answer: None,
            attempts: 0,
        }))
    }

    /// An error about an answer.
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
            attempts: 1,
        }))
    }

    /// A transport failure, with what is known of the answer if there was a part of one.
    pub(crate) fn transport(source: TransportError, answer: Option<Answer>) -> Self {
        Self(Arc::new(Inner {
            kind: ErrorKind::Transport(source.kind),
            what: source.kind.describe().into(),
            source: Some(source),
            answer: answer.map(Box::new),
            attempts: 1,
        }))
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status of the answer, if there was one.
    #[must_use]
    pub fn http_status(&self) -> Option<StatusCode> {
        self.answer().map(|answer| answer.status)
    }

    /// What the service said in its envelope, if its answer was one.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.answer()?.rejection.as_ref()
    }

    /// When the server wants to be asked again (`Retry-After`, RFC 9110 §10.2.3). To show it to a
    /// person, use its wall reading; the monotonic one has an origin of the transport's choice.
    #[must_use]
    pub fn retry_at(&self) -> Option<Moment> {
        self.answer()?.retry_at
    }

    /// How many requests were sent before this error was given.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The beginning of a body that was not the service's envelope, masked; at most 1 KiB.
    #[must_use]
    pub fn excerpt(&self) -> Option<&str> {
        self.answer()?.excerpt.as_deref()
    }

    /// The answer's `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.answer()?.content_type.as_deref()
    }

    /// The answer's `Date` as it stood: when it happened, by the server's clock.
    #[must_use]
    pub fn date(&self) -> Option<&str> {
        self.answer()?.date.as_deref()
    }

    /// The answer's `WWW-Authenticate`, which may hold the only reason of a 401.
    #[must_use]
    pub fn www_authenticate(&self) -> Option<&str> {
        self.answer()?.www_authenticate.as_deref()
    }

    /// The answer's request and trace ids, each with the name of its header.
    pub fn trace_ids(&self) -> impl Iterator<Item = (&str, &str)> {
        let answer = self.answer();
        let ids = answer.map_or(&[][..], |answer| &answer.trace_ids);
        ids.iter().map(|(name, value)| (*name, value.as_str()))
    }

    fn answer(&self) -> Option<&Answer> {
        self.0.answer.as_deref()
    }

    fn report(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.0.source {
            write!(f, "\n  cause: {source}")?;
        }
        let Some(answer) = self.answer() else {
            return Ok(());
        };
        let mut line = |name: &str, value: Option<&str>| match value {
            Some(value) => write!(f, "\n  {name}: {}", Escaped(value)),
            None => Ok(()),
        };
        if let Some(rejection) = &answer.rejection {
            line("display message", rejection.display_message())?;
            line("error type", rejection.error_type())?;
            line("error hash", rejection.error_hash())?;
            line("error data", rejection.error_data())?;
            line("team code", rejection.team_code())?;
        }
        // httpdate stops at the year 9999, which a wall clock may be set to.
        let retry_at = answer
            .retry_at
            .filter(|at| at.wall < Duration::from_secs(253_370_764_800))
            .and_then(Moment::system_time);
        let retry_at = retry_at.map(httpdate::fmt_http_date);
        line("ask again at", retry_at.as_deref())?;
        line("www-authenticate", answer.www_authenticate.as_deref())?;
        line("date", answer.date.as_deref())?;
        for (name, value) in &answer.trace_ids {
            line(name, Some(value))?;
        }
        if answer.excerpt.is_some() {
            line("content-type", answer.content_type.as_deref())?;
            line("body", answer.excerpt.as_deref())?;
        }
        Ok(())
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
        if let Some(rejection) = self.rejection() {
            // Of a grant without a token, an `ok` explains nothing.
            let says = self.0.kind == ErrorKind::Rejected;
            if let Some(status) = rejection.status().filter(|_| says) {
                write!(f, ", {}", Escaped(status.as_str()))?;
            }
            let message = rejection.message().or(rejection.display_message());
            if let Some(message) = message {
                write!(f, ": {}", Escaped(message))?;
            }
        }
        if f.alternate() {
            self.report(f)?;
        }
        Ok(())
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
        debug.field("attempts", &self.0.attempts).finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// Text that may go to a terminal or a log: what is not printable is escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\'' | '\\' => f.write_char(c)?,
                // Covers control characters, bidirectional overrides and odd white space.
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
    fn an_error_is_one_word_and_shared() {
        fn shared<T: Send + Sync + Clone + 'static>() {}
        shared::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }

    #[test]
    fn each_kind_is_somebodys_to_mend() {
        for (kind, blame) in [
            (ErrorKind::Configuration, Blame::Caller),
            (ErrorKind::NoRuntime, Blame::Caller),
            (ErrorKind::LifetimeTooShort, Blame::Caller),
            (ErrorKind::Rejected, Blame::Server),
            (ErrorKind::AuthenticationFailed, Blame::Server),
            (ErrorKind::MfaRequired, Blame::Server),
            (ErrorKind::Malformed, Blame::Server),
            (ErrorKind::TokenRejected, Blame::Server),
            (ErrorKind::Transport(TransportErrorKind::Dns), Blame::Wire),
        ] {
            assert_eq!(kind.blame(), blame, "{kind:?}");
        }
        let error = Error::no_runtime("call it within tokio");
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
        assert_eq!(error.to_string(), "call it within tokio");
    }

    #[test]
    fn server_text_cannot_drive_a_terminal() {
        let text = "a\u{1b}[2J\r\nb\u{202e}c\u{2066}\u{200b}\u{7f}\u{85}\u{2028}d \"e\" \\ é 例";
        let shown = Escaped(text).to_string();
        assert!(!shown.chars().any(char::is_control), "{shown}");
        for odd in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}'] {
            assert!(!shown.contains(odd), "{shown}");
        }
        assert!(shown.ends_with("d \"e\" \\ é 例"), "{shown}");
        let detail = TransportError::with_detail(TransportErrorKind::Broken, text);
        let what = Error::configuration(text);
        assert!(!format!("{detail}{what}{what:#}").contains('\u{1b}'));
    }

    #[test]
    fn a_transport_error_tells_the_whole_chain_once() {
        #[derive(Debug)]
        struct Link(&'static str, Option<Box<Link>>);
        impl fmt::Display for Link {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl error::Error for Link {
            fn source(&self) -> Option<&(dyn error::Error + 'static)> {
                self.1.as_ref().map(|link| &**link as _)
            }
        }
        let deepest = Link("refused", None);
        let middle = Link("tcp: refused", Some(Box::new(deepest)));
        let top = Link("connecting", Some(Box::new(middle)));
        let error = TransportError::new(TransportErrorKind::Connect, &top);
        assert_eq!(error.to_string(), "connecting: tcp: refused");
        assert_eq!(error.kind(), TransportErrorKind::Connect);
        let error = Error::from(error);
        assert_eq!(
            format!("{error:#}"),
            "no connection to the server could be made\n  cause: connecting: tcp: refused"
        );
        assert_eq!(
            error.to_string(),
            "no connection to the server could be made"
        );
        assert_eq!(error.kind().blame(), Blame::Wire);
        assert!(error::Error::source(&error).is_some());
    }
}
