//! Reads a response: success, refusal, or malformed.

use std::cell::OnceCell;
use std::str;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, WWW_AUTHENTICATE};
use http::{Response, StatusCode, response};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use super::body_buffer::{BodyBuffer, End};
use super::mask::Mask;
use super::retry_after::{date, retry_after};
use super::secret::Wiped;
use super::token::Grant;
use crate::error::{Answer, Error, ErrorKind, Rejection};
use crate::json::{self, Object, Text};
use crate::moment::Moment;
use crate::wire::{
    ApiResult, ApiResultStatus, AuthenticationStatus, Envelope, TokenContent, explanation,
};

/// The limit of one field of the envelope, or of one header, in an error, in bytes.
pub(super) const MAX_FIELD: usize = 8 * 1024;

/// The limit of the excerpt of a body that is not the envelope, in bytes.
const MAX_EXCERPT: usize = 1024;

/// Headers in which servers and gateways send the id of a request.
const TRACE_IDS: [&str; 8] = [
    "x-request-id",
    "request-id",
    "x-correlation-id",
    "x-trace-id",
    "traceparent",
    "x-azure-ref",
    "x-amzn-trace-id",
    "cf-ray",
];

/// One response, with the data for an error about it.
pub(super) struct ResponseReader<'a> {
    /// The secrets of the request.
    sent: [Option<&'a str>; 2],
    head: response::Parts,
    body: Wiped,
    limit: usize,
    end: End,
    received: Option<Moment>,
    mask: OnceCell<Mask>,
}

impl<'a> ResponseReader<'a> {
    pub(super) fn new(
        sent: [Option<&'a str>; 2],
        response: Response<impl Into<BodyBuffer>>,
        received: Option<Moment>,
    ) -> Self {
        let (head, body) = response.into_parts();
        let (body, limit, end) = body.into().into_parts();
        Self {
            sent,
            head,
            body,
            limit,
            end,
            received,
            mask: OnceCell::new(),
        }
    }

    /// Reads an answer of the token endpoint.
    pub(super) fn grant(&self, received: Moment) -> Result<Grant, Error> {
        let json = self.success()?;
        let Some(Object(content)) = self
            .envelope::<Object<TokenContent<'_>>, IgnoredAny>(json)?
            .content
        else {
            return Err(self.malformed("it has no content"));
        };
        let Some(id_token) = content.id_token.filter(|text| !text.as_str().is_empty()) else {
            return Err(match content.status {
                Some(AuthenticationStatus::Failed) => self.refused(
                    ErrorKind::AuthenticationFailed,
                    "the server answered that the authentication failed",
                    json,
                ),
                Some(AuthenticationStatus::MfaRequired) => self.refused(
                    ErrorKind::MfaRequired,
                    "the server requires a second factor, which this API has no way to send",
                    json,
                ),
                _ => self.malformed("it has no id_token"),
            });
        };
        Grant::new(
            id_token.as_str(),
            content.expires_in.map(|seconds| seconds.0),
            content.status.map(|status| self.masked(status)),
            || date(&self.head.headers, received.wall),
        )
        .map_err(|reason| self.malformed(reason))
    }

    /// Reads an answer of another endpoint.
    pub(super) fn content<T: DeserializeOwned>(&self) -> Result<ApiResult<T>, Error> {
        let json = self.success()?;
        self.envelope(json).map(Envelope::into_owned)
    }

    /// Returns the text of a complete 2xx.
    ///
    /// The HTTP status decides first: the body of a 429 or a 5xx is never read as success.
    fn success(&self) -> Result<&str, Error> {
        if !self.head.status.is_success() {
            return Err(self.refused_by_status());
        }
        match &self.end {
            End::Complete => {}
            End::TooLong => {
                return Err(self.malformed(&format!("it is longer than {} bytes", self.limit)));
            }
            End::Broken(error) => {
                let mut error = error.clone();
                error.map_detail(|detail| self.mask().field(detail, MAX_FIELD));
                return Err(Error::transport(error, Some(self.answer(None, false))));
            }
        }
        if self.body.trim_ascii().is_empty() {
            return Err(self.malformed("it is empty"));
        }
        json::text(&self.body).map_err(|_| self.malformed("it is not UTF-8"))
    }

    /// Returns the envelope of a 2xx, if its status is `ok`.
    fn envelope<'t, T: Deserialize<'t>, E: Deserialize<'t>>(
        &self,
        json: &'t str,
    ) -> Result<Envelope<T, E>, Error> {
        let envelope = Envelope::read(json);
        let status = match &envelope {
            Ok(envelope) => envelope.status.clone(),
            // Content of another shape must not hide a refusal.
            Err(_) => Envelope::<IgnoredAny, IgnoredAny>::read(json)
                .ok()
                .and_then(|envelope| envelope.status),
        };
        let status = status.filter(|status| !status.as_str().is_empty());
        match (status, envelope) {
            (Some(ApiResultStatus::Ok), Ok(envelope)) => Ok(envelope),
            (Some(ApiResultStatus::Ok) | None, Err(error)) => {
                let reason = without_quoted_string(&error.to_string());
                let reason = self.mask().excerpt(&reason, MAX_EXCERPT);
                Err(self.malformed(&reason))
            }
            (None, Ok(_)) => Err(self.malformed("it has no status")),
            (Some(status), _) => {
                let kind = match status {
                    ApiResultStatus::TooManyRequest => ErrorKind::Throttled,
                    ApiResultStatus::ServerFailure => ErrorKind::Unavailable,
                    _ => ErrorKind::Refused,
                };
                let error = self.refused(kind, &self.answered_with(), json);
                if !means_ok(&status) {
                    return Err(error);
                }
                Err(error.with_hint(format!(
                    "the envelope's status is \"{status}\", where the contract has exactly \"ok\" \
                     for a success; check which server answers at the base URL"
                )))
            }
        }
    }

    /// Returns the error for a status that is not a 2xx, with the explanation in the body.
    fn refused_by_status(&self) -> Error {
        let mut what = self.answered_with();
        if self.head.status.is_redirection() && self.head.status != StatusCode::NOT_MODIFIED {
            what.push_str(", a redirect, which is never followed with a secret");
        }
        if self.head.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            what.push_str(", to a media type of the contract");
        }
        let kind = match self.head.status.as_u16() {
            429 => ErrorKind::Throttled,
            408 | 425 | 500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Refused,
        };
        match self.complete_text() {
            Some(json) => self.refused(kind, &what, json),
            None => Error::answered(kind, what, self.answer(None, true)),
        }
    }

    /// Returns a refusal, with the explanation in the envelope or an excerpt.
    fn refused(&self, kind: ErrorKind, what: &str, json: &str) -> Error {
        let rejection = self.rejection(json);
        let excerpt = rejection.is_none();
        Error::answered(kind, what.to_owned(), self.answer(rejection, excerpt))
    }

    /// Returns the error for a 2xx that is not a valid answer. `reason` must not contain secrets.
    fn malformed(&self, reason: &str) -> Error {
        let what = format!(
            "{}, but the body is not a valid answer: {reason}",
            self.answered_with(),
        );
        Error::answered(ErrorKind::Malformed, what, self.answer(None, true))
    }

    fn answered_with(&self) -> String {
        let status = self.head.status;
        match status.canonical_reason() {
            Some(reason) => format!("the server answered {} {reason}", status.as_str()),
            None => format!("the server answered {}", status.as_str()),
        }
    }

    /// Returns the envelope of a refusal, if the body is one: it has a status or an explanation.
    fn rejection(&self, json: &str) -> Option<Rejection> {
        let envelope = Envelope::<IgnoredAny, &RawValue>::read(json).ok()?;
        let mask = self.mask();
        let field = |json: Option<&RawValue>| {
            let text = explanation(json?);
            (!text.as_str().is_empty()).then(|| mask.field(text.as_str(), MAX_FIELD))
        };
        let rejection = Rejection {
            status: envelope
                .status
                .filter(|status| !status.as_str().is_empty())
                .map(|status| match status {
                    ApiResultStatus::Unknown(text) => {
                        ApiResultStatus::Unknown(mask.field(&text, MAX_EXCERPT))
                    }
                    known => known,
                }),
            message: field(envelope.message),
            display_message: field(envelope.display_message),
            error_hash: field(envelope.error_hash),
            error_type: field(envelope.error_type),
            error_data: envelope
                .error_data
                .filter(|raw| raw.get() != "\"\"")
                .map(|raw| mask.json(raw.get(), MAX_FIELD)),
            team_code: field(envelope.team_code),
        };
        (rejection != Rejection::default()).then_some(rejection)
    }

    /// Masks an unknown status, which is text from the server.
    fn masked(&self, status: AuthenticationStatus) -> AuthenticationStatus {
        match status {
            AuthenticationStatus::Unknown(text) => {
                AuthenticationStatus::Unknown(self.mask().field(&text, MAX_EXCERPT))
            }
            known => known,
        }
    }

    fn answer(&self, rejection: Option<Rejection>, excerpt: bool) -> Answer {
        let mask = self.mask();
        let header = |name: &str| Some(mask.field(self.header(name)?, MAX_FIELD));
        // A torn body may end within a secret, and the mask does not find a secret in UTF-16.
        let body = self.body.trim_ascii();
        let shown = excerpt && self.is_complete() && !body.is_empty();
        let excerpt = (shown && !body.contains(&0))
            .then(|| mask.excerpt(&String::from_utf8_lossy(body), MAX_EXCERPT));
        let encoding = self.claimed_encoding().filter(|_| shown && !self.is_json());
        let hint = encoding.map(|claim| {
            let claim = mask.field(&claim, MAX_EXCERPT);
            format!(
                "the header Content-Encoding claims \"{claim}\", which the request did not allow"
            )
        });
        Answer {
            status: self.head.status,
            rejection,
            hints: hint.into_iter().collect(),
            retry_at: self.received.and_then(|received| {
                let delay = retry_after(&self.head.headers, received.wall)?;
                Some(received.after(delay))
            }),
            excerpt,
            content_type: header(CONTENT_TYPE.as_str()),
            date: header(DATE.as_str()),
            www_authenticate: header(WWW_AUTHENTICATE.as_str()),
            trace_ids: TRACE_IDS
                .iter()
                .filter_map(|name| Some((*name, header(name)?)))
                .collect(),
        }
    }

    /// Returns the encodings that the answer claims, if there is one besides `identity`. Servers
    /// claim encodings that they do not apply, so it matters only if the body cannot be read.
    fn claimed_encoding(&self) -> Option<String> {
        let lines = self.head.headers.get_all(CONTENT_ENCODING).iter();
        let lines: Vec<_> = lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        let claim = lines.join(", ");
        let encodings = claim.split(',').map(str::trim);
        let is_plain = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("identity");
        (!encodings.into_iter().all(is_plain)).then_some(claim)
    }

    fn is_json(&self) -> bool {
        let text = self.complete_text();
        text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
    }

    fn is_complete(&self) -> bool {
        matches!(self.end, End::Complete)
    }

    /// Returns the body as text, if all of it was received.
    fn complete_text(&self) -> Option<&str> {
        self.is_complete().then(|| json::text(&self.body).ok())?
    }

    /// Returns a header's value, if it is UTF-8.
    fn header(&self, name: &str) -> Option<&str> {
        str::from_utf8(self.head.headers.get(name)?.as_bytes()).ok()
    }

    /// Returns a mask for the secrets in the request and for the tokens in this answer, even if it is
    /// malformed.
    fn mask(&self) -> &Mask {
        self.mask.get_or_init(|| {
            let tokens = json::text(&self.body).map(json::id_tokens);
            let tokens = tokens.unwrap_or_default();
            let received = tokens.iter().map(Text::as_str);
            Mask::new(self.sent.into_iter().flatten().chain(received))
        })
    }
}

/// Returns whether a server that sent this status probably means `ok`.
fn means_ok(status: &ApiResultStatus) -> bool {
    let text = status.as_str().trim();
    ["ok", "success", "succeeded"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Returns an error text of `serde` without the string of the body that it quotes. The quoted form has
/// escapes that the mask does not know.
fn without_quoted_string(text: &str) -> String {
    match (text.find('"'), text.rfind('"')) {
        (Some(start), Some(end)) => {
            let before = text.get(..start).map(str::trim_end);
            let after = text.get(end.saturating_add(1)..);
            before.into_iter().chain(after).collect()
        }
        _ => text.to_owned(),
    }
}
