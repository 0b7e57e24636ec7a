//! Builds the token request, and passes its response to the reader.

use std::fmt;
use std::io;
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use serde::de::DeserializeOwned;

use super::body_buffer::BodyBuffer;
use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::mask::Mask;
use super::media_type::MediaType;
use super::proxy::Proxy;
use super::request_body::RequestBody;
use super::response::{MAX_FIELD, ResponseReader};
use super::secret::Secret;
use super::token::{Grant, Token};
use crate::error::{Error, ErrorKind, Target};
use crate::moment::Moment;
use crate::wire::{ApiResult, ClientAdminTokenRequest};

/// An exchange with the token endpoint: the request, and the reader of its answer.
///
/// It does no IO. The request is serialized once, and [`request`](Self::request) clones it. A clone of
/// the exchange costs a reference count.
///
/// ```
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::{Credentials, Endpoint, Exchange, Moment};
/// use std::time::Duration;
///
/// let exchange = Exchange::new(Endpoint::default(), Credentials::new("id", "secret")?);
/// let request = exchange.request(); // send it with any HTTP client …
/// assert_eq!(request.uri(), "https://admin-api.meshconnect.com/admin/api/v1/Token");
///
/// // … and parse its response, which may be a refusal.
/// let body = r#"{"status":"ok","content":{"id_token":"eyJ.e30.c2ln","expires_in":3600}}"#;
/// let now = Moment { mono: Duration::ZERO, wall: Duration::from_secs(1_800_000_000) };
/// let grant = exchange.parse(http::Response::new(body.as_bytes()), now)?;
/// assert_eq!(grant.lifetime(), Duration::from_secs(3600));
/// assert_eq!(grant.into_token(now).header_value(), "Bearer eyJ.e30.c2ln");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    endpoint: Endpoint,
    /// What errors name.
    target: Arc<Target>,
    credentials: Credentials,
    bearer: Option<Token>,
    request: Request<RequestBody>,
}

impl Exchange {
    /// Creates an exchange of `credentials` for a token at `endpoint`.
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
        // A vendor suffix here can disable the problem details of an ASP.NET server.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("meshconnect-auth/", env!("CARGO_PKG_VERSION"))),
        );
        let target = Target {
            endpoint: endpoint.to_string().into(),
            proxy: None,
        };
        Self(Arc::new(Inner {
            endpoint,
            target: Arc::new(target),
            credentials,
            bearer: None,
            request,
        }))
    }

    /// Sends the request with another media type of the contract. The body stays JSON.
    #[must_use]
    pub fn with_media_type(mut self, media_type: MediaType) -> Self {
        let value = media_type.into_header_value();
        let inner = Arc::make_mut(&mut self.0);
        inner.request.headers_mut().insert(CONTENT_TYPE, value);
        self
    }

    /// Sends the request with `Authorization: Bearer`, as the contract shows it.
    ///
    /// The contract inherits this from the API's global rule. The service is not known to require it
    /// for a token.
    #[must_use]
    pub fn with_bearer(mut self, token: &Token) -> Self {
        let value = token.header_value().clone();
        let inner = Arc::make_mut(&mut self.0);
        inner.request.headers_mut().insert(AUTHORIZATION, value);
        inner.bearer = Some(token.clone());
        self
    }

    /// Returns the same exchange for other credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        *inner.request.body_mut() = body(&credentials);
        inner.credentials = credentials;
        self
    }

    /// Names the proxy that the request goes through, in errors only: sending it there is up to the
    /// HTTP client.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Option<&Proxy>) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.target = Arc::new(Target {
            endpoint: inner.endpoint.to_string().into(),
            proxy: proxy.map(|proxy| proxy.to_string().into()),
        });
        self
    }

    /// Returns the request to send (contract, `POST /admin/api/v1/Token`).
    ///
    /// Send it to its own URI only: following a redirect would send the secret to another server.
    #[must_use]
    pub fn request(&self) -> Request<RequestBody> {
        self.0.request.clone()
    }

    /// Returns the endpoint that the request goes to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Returns the credentials in the request.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// Reads an answer of the token endpoint, received at `received`.
    ///
    /// Success is a 2xx whose envelope has the status `ok` and a token that a header can contain. The
    /// content's own status does not matter; [`Grant::status`] returns it.
    ///
    /// `received` is the base of [`Error::retry_at`], and of dates with a two-digit year.
    ///
    /// # Errors
    ///
    /// - [`Throttled`](crate::ErrorKind::Throttled): 429, or `tooManyRequest` in a 2xx.
    /// - [`Unavailable`](crate::ErrorKind::Unavailable): 408, 425, 5xx, or `serverFailure` in a 2xx.
    /// - [`Refused`](crate::ErrorKind::Refused): any other status than a 2xx, or any other envelope
    ///   status than `ok` in one.
    /// - [`AuthenticationFailed`](crate::ErrorKind::AuthenticationFailed),
    ///   [`MfaRequired`](crate::ErrorKind::MfaRequired): `ok` without a token, and the content's
    ///   status gives the reason.
    /// - [`Malformed`](crate::ErrorKind::Malformed): any other 2xx, or a body over the limit.
    /// - [`Transport`](crate::ErrorKind::Transport): a 2xx whose body broke off.
    pub fn parse(
        &self,
        response: Response<impl Into<BodyBuffer>>,
        received: Moment,
    ) -> Result<Grant, Error> {
        let read = self.reader(response, Some(received)).grant(received);
        read.map_err(|error| self.named(self.explained(error)))
    }

    /// Reads an answer of any other endpoint of the admin API. All of them use the same envelope.
    ///
    /// The client secret is masked in its errors as in those of [`parse`](Self::parse). The
    /// envelope's content may be missing.
    ///
    /// ```
    /// # fn main() -> Result<(), meshconnect_auth_core::Error> {
    /// # use meshconnect_auth_core::{Credentials, Endpoint, Exchange};
    /// # let exchange = Exchange::new(Endpoint::default(), Credentials::new("id", "secret")?);
    /// let body = br#"{"status":"ok","content":["https://example.com/callback"]}"#;
    /// let answer = exchange.parse_as::<Vec<String>>(http::Response::new(&body[..]))?;
    /// assert_eq!(answer.content.unwrap_or_default(), ["https://example.com/callback"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), without those about the token.
    /// [`Malformed`](crate::ErrorKind::Malformed) also if the content is not a `T`.
    pub fn parse_as<T: DeserializeOwned>(
        &self,
        response: Response<impl Into<BodyBuffer>>,
    ) -> Result<ApiResult<T>, Error> {
        let read = self.reader(response, None).content();
        read.map_err(|error| self.named(error))
    }

    /// Returns the same error with secrets masked in the HTTP client's text, which may quote them, and
    /// with the endpoint and the proxy of the request.
    pub(crate) fn masked(&self, error: Error) -> Error {
        let secrets = self.secrets().into_iter().flatten();
        self.named(error.map_detail(|detail| Mask::new(secrets).field(detail, MAX_FIELD)))
    }

    /// Returns the same error with the endpoint and the proxy of the request.
    pub(crate) fn named(&self, error: Error) -> Error {
        error.about(&self.0.target)
    }

    /// Returns the same error with hints at what this request has that may explain it.
    fn explained(&self, mut error: Error) -> Error {
        let status = error.http_status().map_or(0, |status| status.as_u16());
        let (about_credentials, about_path) = match error.kind() {
            ErrorKind::AuthenticationFailed => (true, false),
            ErrorKind::Malformed => (false, true),
            ErrorKind::Refused => (
                matches!(status, 200..=299 | 400..=499),
                matches!(status, 300..=399 | 401 | 404 | 405),
            ),
            _ => (false, false),
        };
        if about_credentials {
            for oddity in self.credentials().oddities() {
                error = error.with_hint(oddity);
            }
        }
        if about_path && self.endpoint().repeats_the_path() {
            let path = self.endpoint().token_uri().path();
            error = error.with_hint(format!(
                "the request went to {path}; leave the API's own path ({}), or a part of it, out of \
                 the base URL",
                Endpoint::TOKEN_PATH
            ));
        }
        error
    }

    /// Returns the secrets that the request contains.
    fn secrets(&self) -> [Option<&str>; 2] {
        let secret = self.credentials().client_secret().expose();
        [Some(secret), self.0.bearer.as_ref().map(Token::id_token)]
    }

    fn reader(
        &self,
        response: Response<impl Into<BodyBuffer>>,
        received: Option<Moment>,
    ) -> ResponseReader<'_> {
        ResponseReader::new(self.secrets(), response, received)
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

/// Returns the JSON body, in a buffer of exactly its size.
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
        client_id: credentials.client_id().as_str(),
        client_secret: credentials.client_secret().expose(),
    };
    let mut size = Count(0);
    // Two strings always serialize, and neither writer fails.
    let counted = serde_json::to_writer(&mut size, &request);
    RequestBody::new(Secret::with_size(size.0, |buffer| {
        let written = serde_json::to_writer(buffer, &request);
        debug_assert!(counted.is_ok() && written.is_ok());
    }))
}
