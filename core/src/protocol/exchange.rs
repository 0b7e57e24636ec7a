//! Credentials to a request, a response to a token: the two pure functions around the wire.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::str;
use std::sync::Arc;

use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue,
    USER_AGENT, WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode, response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::body::{BodyBuffer, End, RequestBody};
use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::mask::Mask;
use super::media_type::MediaType;
use super::retry_after::{date, retry_after};
use super::secret::{Secret, Wiped};
use super::token::{Grant, Token};
use crate::error::{Answer, Error, ErrorKind, Rejection};
use crate::json::{self, Skipped, Text};
use crate::moment::Moment;
use crate::wire::{
    ApiResult, ApiResultStatus, AuthenticationStatus, ClientAdminTokenRequest, Envelope,
    TokenContent,
};

/// How much of a body that is not the envelope an error keeps.
const EXCERPT: usize = 1024;

/// How much of one field of the envelope, or of one header, an error keeps.
const FIELD: usize = 8 * 1024;

/// Headers by which servers and the gateways before them name a request.
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

/// One kind of exchange with the token endpoint: the request it sends, and how its answer reads.
///
/// It does no IO. The request is serialized once, here; [`request`](Self::request) is a clone.
///
/// ```
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::{Credentials, Endpoint, Exchange, Moment};
/// use std::time::Duration;
///
/// let exchange = Exchange::new(Endpoint::default(), Credentials::new("id", "secret")?);
/// let request = exchange.request(); // hand it to any HTTP client …
/// assert_eq!(request.uri(), "https://admin-api.meshconnect.com/admin/api/v1/Token");
///
/// // … and hand its response back, whatever it is.
/// let body = r#"{"status":"ok","content":{"id_token":"eyJ.e30.c2ln","expires_in":3600}}"#;
/// let now = Moment { mono: Duration::ZERO, wall: Duration::from_secs(1_800_000_000) };
/// let grant = exchange.parse(http::Response::new(body.as_bytes()), now)?;
/// assert_eq!(grant.lifetime(), Duration::from_secs(3600));
/// assert_eq!(grant.into_token(now).header_value(), "Bearer eyJ.e30.c2ln");
/// # Ok(())
/// # }
/// ```
///
/// A clone is a reference count.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    endpoint: Endpoint,
    credentials: Credentials,
    bearer: Option<Token>,
    request: Request<RequestBody>,
}

impl Exchange {
    /// An exchange of `credentials` for a token at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint, credentials: Credentials) -> Self {
        let mut request = Request::new(body(&credentials));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(endpoint.token_uri());
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            MediaType::APPLICATION_JSON.into_header_value(),
        );
        // A vendor suffix here can switch off the problem details of an ASP.NET server.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("meshconnect-auth/", env!("CARGO_PKG_VERSION"))),
        );
        Self(Arc::new(Inner {
            endpoint,
            credentials,
            bearer: None,
            request,
        }))
    }

    /// Sends the request under another of the contract's media types; the body stays JSON.
    #[must_use]
    pub fn with_media_type(mut self, media_type: MediaType) -> Self {
        let value = media_type.into_header_value();
        let inner = Arc::make_mut(&mut self.0);
        inner.request.headers_mut().insert(CONTENT_TYPE, value);
        self
    }

    /// Sends the request with `Authorization: Bearer`, as the contract shows it. It inherits that
    /// from the API's global rule; nothing shows that a token is needed to get a token.
    #[must_use]
    pub fn with_bearer(mut self, token: &Token) -> Self {
        let value = token.header_value().clone();
        let inner = Arc::make_mut(&mut self.0);
        inner.request.headers_mut().insert(AUTHORIZATION, value);
        inner.bearer = Some(token.clone());
        self
    }

    /// The same exchange for other credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        *inner.request.body_mut() = body(&credentials);
        inner.credentials = credentials;
        self
    }

    /// The request to send (contract, `POST /admin/api/v1/Token`).
    ///
    /// Send it to no other place than its URI: a redirect that is followed with it hands out the
    /// secret.
    #[must_use]
    pub fn request(&self) -> Request<RequestBody> {
        self.0.request.clone()
    }

    /// Where the request goes.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Whom the request is for.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// Reads an answer of the token endpoint. `received` is when it came; it matters to
    /// [`Error::retry_at`], and to what the two digits of a year mean in an old form of a date.
    ///
    /// Success is a 2xx whose envelope has the status `ok` and a token that can stand in a
    /// header. What else the content's status says is exposed, not judged.
    ///
    /// # Errors
    ///
    /// - [`Rejected`](ErrorKind::Rejected): any status but 2xx, or another envelope status in one.
    /// - [`AuthenticationFailed`](ErrorKind::AuthenticationFailed),
    ///   [`MfaRequired`](ErrorKind::MfaRequired): `ok`, but no token, and the content says why.
    /// - [`Malformed`](ErrorKind::Malformed): a 2xx with anything else, or over the body limit.
    /// - [`Transport`](ErrorKind::Transport): a 2xx whose body broke off.
    pub fn parse(
        &self,
        response: Response<impl Into<BodyBuffer>>,
        received: Moment,
    ) -> Result<Grant, Error> {
        let reader = ResponseReader::new(self, response, Some(received));
        let text = reader.success()?;
        let content = match TokenContent::scan(text) {
            Some(content) => Some(content),
            None => reader.envelope::<TokenContent<'_>>(text)?.content,
        };
        let Some(content) = content else {
            return Err(reader.malformed("it has no content"));
        };
        let Some(id_token) = content.id_token.filter(|text| !text.as_str().is_empty()) else {
            return Err(match content.status {
                Some(AuthenticationStatus::Failed) => reader.refused(
                    ErrorKind::AuthenticationFailed,
                    "the server answered that the authentication failed",
                    text,
                ),
                Some(AuthenticationStatus::MfaRequired) => reader.refused(
                    ErrorKind::MfaRequired,
                    "the server asks for a second factor, which this API has no way to give",
                    text,
                ),
                _ => reader.malformed("it has no id_token"),
            });
        };
        Grant::judge(
            id_token.as_str(),
            content.expires_in.map(|seconds| seconds.0),
            content.status.map(|status| reader.masked(status)),
            || date(&reader.head.headers, received.wall),
        )
        .map_err(|why| reader.malformed(why))
    }

    /// The same error, less what the HTTP client may have quoted in its words.
    pub(crate) fn masked(&self, error: Error) -> Error {
        let secret = self.credentials().client_secret().expose();
        error.map_detail(|detail| Mask::new([secret]).field(detail, FIELD))
    }

    /// Reads an answer of any other endpoint of the admin API: they share the envelope.
    ///
    /// The credentials' secret is masked in its errors as it is in those of
    /// [`parse`](Self::parse). The envelope's content may be missing.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), less what is said of the token.
    /// [`Malformed`](ErrorKind::Malformed) is also a content that is not a `T`.
    pub fn parse_as<T: DeserializeOwned>(
        &self,
        response: Response<impl Into<BodyBuffer>>,
    ) -> Result<ApiResult<T>, Error> {
        let reader = ResponseReader::new(self, response, None);
        let text = reader.success()?;
        // A `T` need not look at all of its JSON.
        if let Err(error) = serde_json::from_str::<Skipped>(text) {
            return Err(reader.unreadable(&error));
        }
        reader.envelope::<T>(text).map(Envelope::into_owned)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("endpoint", &self.0.endpoint)
            .field("credentials", &self.0.credentials)
            .field("request", &self.0.request)
            .finish_non_exhaustive()
    }
}

/// The JSON body, in a buffer of exactly its size.
fn body(credentials: &Credentials) -> RequestBody {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let request = ClientAdminTokenRequest {
        client_id: Cow::Borrowed(credentials.client_id().as_str()),
        client_secret: Cow::Borrowed(credentials.client_secret().expose()),
    };
    let mut size = Count(0);
    // Two strings always serialize, and neither writer fails.
    let counted = serde_json::to_writer(&mut size, &request);
    RequestBody::new(Secret::with_size(size.0, |buffer| {
        let written = serde_json::to_writer(buffer, &request);
        debug_assert!(counted.is_ok() && written.is_ok());
    }))
}

/// One answer while it is read, and all that an error about it may need.
struct ResponseReader<'a> {
    exchange: &'a Exchange,
    head: response::Parts,
    body: Wiped,
    limit: usize,
    end: End,
    received: Option<Moment>,
    mask: OnceCell<Mask>,
}

impl<'a> ResponseReader<'a> {
    fn new(
        exchange: &'a Exchange,
        response: Response<impl Into<BodyBuffer>>,
        received: Option<Moment>,
    ) -> Self {
        let (head, body) = response.into_parts();
        let (body, limit, end) = body.into().into_parts();
        Self {
            exchange,
            head,
            body,
            limit,
            end,
            received,
            mask: OnceCell::new(),
        }
    }

    /// The text of a whole 2xx. The status decides first, so that a 429 or a 5xx is never taken
    /// for anything that its body might look like.
    fn success(&self) -> Result<&str, Error> {
        if !self.head.status.is_success() {
            return Err(self.rejected_by_status());
        }
        match &self.end {
            End::Complete => {}
            End::TooLong => {
                return Err(self.malformed(&format!("it is longer than {} bytes", self.limit)));
            }
            End::Broken(error) => {
                let mut error = error.clone();
                error.map_detail(|detail| self.mask().field(detail, FIELD));
                return Err(Error::transport(error, Some(self.answer(None, false))));
            }
        }
        if self.body.trim_ascii().is_empty() {
            return Err(self.malformed("it is empty"));
        }
        if let Some(encoding) = self.header(CONTENT_ENCODING.as_str())
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(self.malformed("it is compressed, although nobody asked for that"));
        }
        json::text(&self.body).map_err(|_| self.malformed("it is not UTF-8"))
    }

    /// The envelope of a 2xx, if its status is `ok`.
    fn envelope<'t, T: Deserialize<'t>>(&self, text: &'t str) -> Result<Envelope<'t, T>, Error> {
        let read = serde_json::from_str::<Envelope<'t, T>>(text);
        let status = match &read {
            Ok(envelope) => envelope.status.clone(),
            // A content of another shape must not hide that the answer is a no.
            Err(_) => serde_json::from_str::<Envelope<'_, Skipped>>(text)
                .ok()
                .and_then(|envelope| envelope.status),
        };
        let status = status.filter(|status| !status.as_str().is_empty());
        match (status, read) {
            (Some(ApiResultStatus::Ok), Ok(envelope)) => Ok(envelope),
            (Some(ApiResultStatus::Ok) | None, Err(error)) => Err(self.unreadable(&error)),
            (None, Ok(_)) => Err(self.malformed("it has no status")),
            (Some(_), _) => Err(self.refused(ErrorKind::Rejected, &self.answered_with(), text)),
        }
    }

    /// A no by the HTTP status, with whatever the body tells.
    fn rejected_by_status(&self) -> Error {
        let mut what = self.answered_with();
        if self.head.status.is_redirection() && self.head.status != StatusCode::NOT_MODIFIED {
            what.push_str(", a redirect, which is never followed with a secret");
        }
        if self.head.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            what.push_str(", to a media type of the contract");
        }
        match self.whole_text() {
            Some(text) => self.refused(ErrorKind::Rejected, &what, text),
            None => Error::answered(ErrorKind::Rejected, what, self.answer(None, true)),
        }
    }

    /// A no that the service may have explained in an envelope.
    fn refused(&self, kind: ErrorKind, what: &str, text: &str) -> Error {
        let rejection = self.rejection(text);
        let excerpt = rejection.is_none();
        Error::answered(kind, what.to_owned(), self.answer(rejection, excerpt))
    }

    /// `why` holds no text of the server's that was not masked.
    fn malformed(&self, why: &str) -> Error {
        let what = format!(
            "{}, but the body is no valid answer: {}",
            self.answered_with(),
            why
        );
        Error::answered(ErrorKind::Malformed, what, self.answer(None, true))
    }

    fn unreadable(&self, error: &serde_json::Error) -> Error {
        // serde's words may quote the body.
        let words = self.mask().excerpt(&error.to_string(), EXCERPT);
        self.malformed(&words)
    }

    fn answered_with(&self) -> String {
        let status = self.head.status;
        match status.canonical_reason() {
            Some(reason) => format!("the server answered {} {reason}", status.as_str()),
            None => format!("the server answered {}", status.as_str()),
        }
    }

    /// The envelope of an error, if the body is one: it has a status, or a word of explanation.
    fn rejection(&self, text: &str) -> Option<Rejection> {
        let envelope = serde_json::from_str::<Envelope<'_, Skipped>>(text).ok()?;
        let mask = self.mask();
        let field = |text: Option<Text<'_>>| {
            let text = text?;
            (!text.as_str().is_empty()).then(|| mask.field(text.as_str(), FIELD))
        };
        let rejection = Rejection {
            status: envelope
                .status
                .filter(|status| !status.as_str().is_empty())
                .map(|status| match status {
                    ApiResultStatus::Unknown(text) => {
                        ApiResultStatus::Unknown(mask.field(&text, EXCERPT))
                    }
                    known => known,
                }),
            message: field(envelope.message),
            display_message: field(envelope.display_message),
            error_hash: field(envelope.error_hash),
            error_type: field(envelope.error_type),
            error_data: envelope.error_data.map(|raw| mask.field(raw.get(), FIELD)),
            team_code: field(envelope.team_code),
        };
        (rejection != Rejection::default()).then_some(rejection)
    }

    /// A status that the token exposes: one that nobody knows is text like any other.
    fn masked(&self, status: AuthenticationStatus) -> AuthenticationStatus {
        match status {
            AuthenticationStatus::Unknown(text) => {
                AuthenticationStatus::Unknown(self.mask().field(&text, EXCERPT))
            }
            known => known,
        }
    }

    fn answer(&self, rejection: Option<Rejection>, excerpt: bool) -> Answer {
        let mask = self.mask();
        let header = |name: &str| Some(mask.field(self.header(name)?, FIELD));
        // Of a torn body the last piece of a secret might stay unseen, and so might one in UTF-16.
        let body = self.body.trim_ascii();
        let shown = excerpt && self.is_whole() && !body.is_empty() && !body.contains(&0);
        let excerpt = shown.then(|| mask.excerpt(&String::from_utf8_lossy(body), EXCERPT));
        Answer {
            status: self.head.status,
            rejection,
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

    fn is_whole(&self) -> bool {
        matches!(self.end, End::Complete)
    }

    /// The body as text, if all of it came: of a torn one, the status alone is told.
    fn whole_text(&self) -> Option<&str> {
        self.is_whole().then(|| json::text(&self.body).ok())?
    }

    /// A header's value as far as it is text.
    fn header(&self, name: &str) -> Option<&str> {
        text_of(&self.head.headers, name)
    }

    /// A mask for the secrets of both directions: what we sent, and the tokens that this answer
    /// may hold, whatever else is wrong with it.
    fn mask(&self) -> &Mask {
        self.mask.get_or_init(|| {
            let tokens = json::text(&self.body).map(json::id_tokens);
            let tokens = tokens.unwrap_or_default();
            let sent = [
                Some(self.exchange.0.credentials.client_secret().expose()),
                self.exchange.0.bearer.as_ref().map(Token::id_token),
            ];
            let received = tokens.iter().map(Text::as_str);
            Mask::new(sent.into_iter().flatten().chain(received))
        })
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let bytes = headers.get(name)?.as_bytes();
    str::from_utf8(bytes).ok()
}
