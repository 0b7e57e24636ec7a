//! The server side of the contract as a pure function.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Bytes;
use meshconnect_auth_core::{AuthenticationStatus, Credentials, Endpoint, OAuthTokenResponse};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::json;

use super::envelope::{
    NO_CLIENT_ID, NO_CLIENT_SECRET, NOT_A_TOKEN_REQUEST, NOT_FOUND, NOT_JSON, NOT_PERMITTED,
    Refusal, bare, granted,
};

/// Answers requests by the contract, for one pair of credentials.
///
/// It uses no clock, no randomness and no IO, so the same inputs give the same answer.
///
/// | `POST /admin/api/v1/Token` (a query changes nothing) | answer |
/// |---|---|
/// | any other method, `HEAD` and `OPTIONS` included | 405 with `Allow: POST` |
/// | a media type other than `application/json`, `text/json` and `application/*+json` | 415 |
/// | a body of more than [`MAX_BODY`](Self::MAX_BODY) bytes | 413 |
/// | a body that is not exactly a `ClientAdminTokenRequest` | 400, envelope `badRequest` |
/// | other credentials | 403, envelope `permissionDenied` |
/// | the right credentials | 200, envelope `ok`, a new token |
///
/// The first row that applies decides. An `Authorization` header is ignored: the contract lists
/// one, but does not say that the endpoint needs a token.
///
/// | any other path of `/admin/api/v1/`, by any method | answer |
/// |---|---|
/// | `Authorization: Bearer` with a token of this issuer that has not expired | 200, envelope `ok` |
/// | anything else | 401 with `WWW-Authenticate: Bearer` |
///
/// These represent the calls that need a token, such as `GET /admin/api/v1/SubClient`. Their
/// envelope has no content. Any other path gets a 404, envelope `notFound`. So does a misspelt path
/// of the token endpoint (other letter case, trailing slash).
///
/// The body of a 401, 405, 413 or 415 is `{"statusCode": …}` instead of the envelope, as other
/// admin endpoints document it. The only part of the request in an answer is the client id, inside
/// the token.
#[derive(Clone, Debug)]
pub struct Issuer {
    credentials: Credentials,
    lifetime: Duration,
    announced: Option<Duration>,
}

impl Issuer {
    /// The largest accepted body, in bytes: 64 KiB.
    pub const MAX_BODY: usize = 64 * 1024;

    /// Creates an issuer that accepts these credentials. Tokens live for one hour.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            lifetime: Duration::from_secs(60 * 60),
            announced: None,
        }
    }

    /// Sets the lifetime of tokens. A fraction of a second is cut off. Default: one hour.
    #[must_use]
    pub fn expires_in(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// Returns the accepted credentials.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Answers one request.
    ///
    /// `now` is the time since the Unix epoch; it becomes the token's `iat`. `serial` becomes the
    /// token's `jti`, so another serial gives another token.
    ///
    /// A token has three base64url segments like a JWT, and its header says HS256. The third
    /// segment is a fixed text instead of a signature, so no other verifier accepts it. The issuer
    /// recognizes its tokens by creating them again from their claims.
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>, now: Duration, serial: u64) -> Response<Bytes> {
        match Route::of(request) {
            Route::TokenEndpoint => self.answer_for_token(request, now, serial),
            Route::Downstream => {
                Self::answer_downstream(request, |token| self.serial_of(token, now).is_some())
            }
            Route::Nowhere => NOT_FOUND.answer(),
        }
    }

    /// Returns the serial of a token, if this issuer created it and it has not expired at `now`.
    pub(super) fn serial_of(&self, token: &str, now: Duration) -> Option<u64> {
        #[derive(Deserialize)]
        struct Claims {
            iat: u64,
            exp: u64,
            jti: String,
        }

        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        let serial = claims.jti.strip_prefix(SERIAL_PREFIX)?.parse().ok()?;
        let own = self.token(Duration::from_secs(claims.iat), serial) == token;
        (own && now.as_secs() < claims.exp).then_some(serial)
    }

    /// Returns an issuer of the same tokens that announces another `expires_in`.
    pub(super) fn announcing(&self, expires_in: Duration) -> Self {
        let announced = Some(expires_in);
        Self {
            announced,
            ..self.clone()
        }
    }

    /// Returns the lifetime of tokens, which sets their `exp`.
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Answers a call that needs a token; `accepts` decides whether the token is valid.
    pub(super) fn answer_downstream(
        request: &Request<Bytes>,
        accepts: impl FnOnce(&str) -> bool,
    ) -> Response<Bytes> {
        if bearer(request.headers()).is_some_and(accepts) {
            return granted::<()>(None);
        }
        let mut response = bare(StatusCode::UNAUTHORIZED);
        let challenge = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
    }

    fn answer_for_token(
        &self,
        request: &Request<Bytes>,
        now: Duration,
        serial: u64,
    ) -> Response<Bytes> {
        if request.method() != Method::POST {
            let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = HeaderValue::from_static("POST");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        if !is_json(request.headers()) {
            return bare(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        if request.body().len() > Self::MAX_BODY {
            return bare(StatusCode::PAYLOAD_TOO_LARGE);
        }
        match TokenRequest::read(request.body()) {
            Ok(given) if self.accepts(&given) => self.grant(now, serial),
            Ok(_) => NOT_PERMITTED.answer(),
            Err(refusal) => refusal.answer(),
        }
    }

    fn accepts(&self, given: &TokenRequest<'_>) -> bool {
        given.client_id == self.credentials.client_id().as_str()
            && given.client_secret == self.credentials.client_secret().expose()
    }

    fn grant(&self, now: Duration, serial: u64) -> Response<Bytes> {
        let mut token = OAuthTokenResponse::default();
        token.id_token = Some(self.token(now, serial));
        let expires_in = self.announced.unwrap_or(self.lifetime).as_secs();
        token.expires_in = Some(i64::try_from(expires_in).unwrap_or(i64::MAX));
        token.status = Some(AuthenticationStatus::Available);
        granted(Some(token))
    }

    fn token(&self, issued: Duration, serial: u64) -> String {
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let payload = json!({
            "sub": self.credentials.client_id().as_str(),
            "iat": issued.as_secs(),
            "exp": issued.as_secs().saturating_add(self.lifetime.as_secs()),
            "jti": format!("{SERIAL_PREFIX}{serial}"),
        });
        [header.to_string(), payload.to_string(), NO_SIGNATURE.into()]
            .map(|segment| URL_SAFE_NO_PAD.encode(segment))
            .join(".")
    }
}

/// Precedes the serial in a token's `jti`.
const SERIAL_PREFIX: &str = "emulator-";

/// Has the length of an HS256 signature: 32 bytes.
const NO_SIGNATURE: &str = "emulator token without signature";

/// The endpoint of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    TokenEndpoint,
    /// Any other endpoint of the admin API; it needs a token.
    Downstream,
    Nowhere,
}

impl Route {
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        let path = request.uri().path();
        if path == Endpoint::TOKEN_PATH {
            return Self::TokenEndpoint;
        }
        let Some(rest) = path.strip_prefix("/admin/api/v1/") else {
            return Self::Nowhere;
        };
        let name = rest.split('/').next().unwrap_or_default();
        // A client that misspells the token endpoint gets a 404, not a 401.
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_name && !name.eq_ignore_ascii_case("Token") {
            Self::Downstream
        } else {
            Self::Nowhere
        }
    }
}

/// A complete `ClientAdminTokenRequest`.
struct TokenRequest<'a> {
    client_id: Cow<'a, str>,
    client_secret: Cow<'a, str>,
}

impl<'a> TokenRequest<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        /// `ClientAdminTokenRequest` with optional fields, because a missing field has its own
        /// refusal.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Fields<'a> {
            #[serde(borrow)]
            client_id: Option<Cow<'a, str>>,
            #[serde(borrow)]
            client_secret: Option<Cow<'a, str>>,
        }

        // serde's messages may quote the body, so they are not returned.
        let fields: Fields<'a> =
            serde_json::from_slice(body).map_err(|error| match error.classify() {
                Category::Data => NOT_A_TOKEN_REQUEST,
                Category::Syntax | Category::Eof | Category::Io => NOT_JSON,
            })?;
        // serde accepts an array for a struct; the contract does not.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(NOT_A_TOKEN_REQUEST);
        }
        let given = |field: Option<Cow<'a, str>>| field.filter(|text| !text.is_empty());
        Ok(Self {
            client_id: given(fields.client_id).ok_or(NO_CLIENT_ID)?,
            client_secret: given(fields.client_secret).ok_or(NO_CLIENT_SECRET)?,
        })
    }
}

/// Returns whether the request declares exactly one media type, and the contract allows it.
fn is_json(headers: &HeaderMap) -> bool {
    let mut declared = headers.get_all(CONTENT_TYPE).iter();
    let (Some(declared), None) = (declared.next(), declared.next()) else {
        return false;
    };
    let declared = declared.to_str().unwrap_or_default().to_ascii_lowercase();
    let media_type = declared.split(';').next().unwrap_or_default().trim();
    match media_type.split_once('/') {
        Some(("application" | "text", "json")) => true,
        Some(("application", subtype)) => subtype.strip_suffix("+json").is_some_and(is_name),
        _ => false,
    }
}

/// Returns the Bearer token of a single `Authorization` header (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else {
        return None;
    };
    let (scheme, token) = given.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token)
}

/// Returns whether a text is a `restricted-name` (RFC 6838 §4.2) of any length.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const GOOD: &str = r#"{"clientId":"id","clientSecret":"s3cret-\u00fc"}"#;
    const SECRET: &str = "s3cret-ü";
    const PATH: &str = Endpoint::TOKEN_PATH;
    const JSON: &str = "application/json";
    const AT: Duration = Duration::from_millis(1_700_000_000_999);

    fn issuer() -> Issuer {
        Issuer::new(Credentials::new("id", SECRET).unwrap())
    }

    fn request(method: &str, path: &str, media_type: &str, body: &[u8]) -> Request<Bytes> {
        let mut request = Request::builder().method(method).uri(path);
        if !media_type.is_empty() {
            request = request.header(CONTENT_TYPE, media_type);
        }
        request.body(Bytes::copy_from_slice(body)).unwrap()
    }

    fn post(body: &[u8]) -> Request<Bytes> {
        request("POST", PATH, JSON, body)
    }

    fn body(response: &Response<Bytes>) -> Value {
        serde_json::from_slice(response.body()).unwrap()
    }

    fn claims(token: &str) -> Value {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    /// Checks the properties that all answers share, and returns the code with the envelope's
    /// `status` and `errorType`.
    fn outcome(request: &Request<Bytes>) -> (u16, String, String) {
        let response = issuer().answer(request, AT, 7);
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "application/json; charset=utf-8"
        );
        let text = std::str::from_utf8(response.body()).unwrap();
        assert!(!text.contains("s3cret"), "{text}");

        let body = body(&response);
        let code = response.status().as_u16();
        if body.get("statusCode").is_some() {
            assert_eq!(body, json!({ "statusCode": code }));
            return (code, String::new(), String::new());
        }
        for field in ["status", "message", "errorHash", "errorType"] {
            assert!(body[field].is_string(), "{field} in {text}");
        }
        assert_eq!(body["errorHash"].as_str().unwrap().len(), 8);
        assert_eq!(body["displayMessage"].is_string(), code != 200);
        assert_eq!(body["content"].is_object(), code == 200);
        let word = |field: &str| body[field].as_str().unwrap().to_owned();
        (code, word("status"), word("errorType"))
    }

    #[track_caller]
    fn check(request: &Request<Bytes>, code: u16, status: &str, error_type: &str) {
        let expected = (code, status.to_owned(), error_type.to_owned());
        assert_eq!(outcome(request), expected, "{request:?}");
    }

    #[test]
    fn answer_depends_on_the_body() {
        let long = "x".repeat(Issuer::MAX_BODY);
        let padded = format!("{GOOD}{}", " ".repeat(Issuer::MAX_BODY - GOOD.len()));
        let table = [
            (
                (200, "ok", ""),
                vec![
                    GOOD,
                    " \r\n\t{\"clientSecret\":\"s3cret-ü\",\"clientId\":\"\\u0069d\"}\n",
                    &padded,
                ],
            ),
            (
                (403, "permissionDenied", "missingField"),
                vec![
                    r#"{"clientId":"id","clientSecret":"s3cret"}"#,
                    r#"{"clientId":"ID","clientSecret":"s3cret-ü"}"#,
                    r#"{"clientId":"s3cret-ü","clientSecret":"id"}"#,
                    r#"{"clientId":"id","clientSecret":"s3cret-ü "}"#,
                ],
            ),
            (
                (400, "badRequest", "missingField"),
                vec![
                    r#"{"clientId":"id"}"#,
                    r#"{"clientSecret":"s3cret-ü"}"#,
                    r#"{"clientId":"","clientSecret":"s3cret-ü"}"#,
                    r#"{"clientId":"id","clientSecret":""}"#,
                    r#"{"clientId":"id","clientSecret":null}"#,
                    "{}",
                ],
            ),
            (
                (400, "badRequest", "invalidField"),
                vec![
                    r#"{"clientId":"id","clientSecret":"s3cret-ü","s3cret":1}"#,
                    r#"{"ClientId":"id","clientSecret":"s3cret-ü"}"#,
                    r#"{"clientId":"id","clientId":"id","clientSecret":"s3cret-ü"}"#,
                    r#"{"clientId":1,"clientSecret":"s3cret-ü"}"#,
                    r#"{"clientId":"id","clientSecret":["s3cret-ü"]}"#,
                    r#"["id","s3cret-ü"]"#,
                    r#""s3cret-ü""#,
                    "null",
                ],
            ),
            (
                (400, "badRequest", "invalidJson"),
                vec![
                    "",
                    "clientId=id&clientSecret=s3cret",
                    r#"{"clientId":"id","clientSecret":"s3cret-ü""#,
                    r#"{"clientId":"id","clientSecret":"s3cret-ü"}x"#,
                    &long,
                ],
            ),
        ];
        for ((code, status, error_type), bodies) in table {
            for body in bodies {
                check(&post(body.as_bytes()), code, status, error_type);
            }
        }
        check(
            &post(b"{\"clientId\":\"\xff\"}"),
            400,
            "badRequest",
            "invalidJson",
        );
        check(&post(format!("{padded} ").as_bytes()), 413, "", "");
    }

    #[test]
    fn answer_depends_on_path_and_method() {
        let good = GOOD.as_bytes();
        for path in [
            PATH,
            "/admin/api/v1/Token?a=b",
            "http://other.example/admin/api/v1/Token?",
        ] {
            check(&request("POST", path, JSON, good), 200, "ok", "");
            for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "BREW"] {
                let request = request(method, path, "", b"");
                check(&request, 405, "", "");
                let response = issuer().answer(&request, AT, 7);
                assert_eq!(response.headers()[ALLOW], "POST");
            }
        }
        for path in [
            "/",
            "*",
            "/admin/api/v1/Token/",
            "/admin/api/v1/token",
            "/admin/api/v1//Token",
            "/admin/api/v1/%54oken",
        ] {
            check(
                &request("POST", path, JSON, good),
                404,
                "notFound",
                "notFound",
            );
            check(
                &request("GET", path, JSON, good),
                404,
                "notFound",
                "notFound",
            );
        }
    }

    #[test]
    fn other_media_types_are_refused() {
        for media_type in [
            JSON,
            "text/json",
            "Application/JSON ; Charset=UTF-8",
            "application/json;charset=utf-8;x=y",
            "application/vnd.mesh.v1+json",
            "APPLICATION/A+JSON; charset=utf-8",
        ] {
            let request = request("POST", PATH, media_type, GOOD.as_bytes());
            check(&request, 200, "ok", "");
        }
        for media_type in [
            "",
            "json",
            "text/plain",
            "text/x+json",
            "application/+json",
            "application/ +json",
            "application/x/y+json",
            "application/jsonx",
            "application/json, application/json",
            "application/x-www-form-urlencoded",
            "application/json\u{e9}",
        ] {
            let request = request("POST", PATH, media_type, GOOD.as_bytes());
            check(&request, 415, "", "");
        }
        let mut twice = post(GOOD.as_bytes());
        let again = HeaderValue::from_static(JSON);
        twice.headers_mut().append(CONTENT_TYPE, again);
        check(&twice, 415, "", "");
    }

    #[test]
    fn authorization_is_ignored() {
        for (given, code) in [
            (GOOD, 200),
            (r#"{"clientId":"id","clientSecret":"x"}"#, 403),
        ] {
            let mut request = post(given.as_bytes());
            let bearer = HeaderValue::from_static("Bearer x");
            request.headers_mut().insert("authorization", bearer);
            assert_eq!(outcome(&request).0, code);
        }
    }

    #[test]
    fn tokens_depend_only_on_the_inputs() {
        let issuer = issuer().expires_in(Duration::from_millis(90_500));
        let answer = |serial| issuer.answer(&post(GOOD.as_bytes()), AT, serial);
        assert_eq!(answer(1).body(), answer(1).body());

        let envelope = body(&answer(1));
        assert_eq!(envelope["message"], "");
        assert_eq!(envelope["content"]["expires_in"], 90);
        assert_eq!(envelope["content"]["status"], "available");

        let token = |serial| body(&answer(serial))["content"]["id_token"].clone();
        assert_ne!(token(1), token(2));
        let token = token(u64::MAX);
        let token = token.as_str().unwrap();
        assert_eq!(
            claims(token),
            json!({
                "sub": "id",
                "iat": 1_700_000_000,
                "exp": 1_700_000_090,
                "jti": "emulator-18446744073709551615",
            })
        );
        let signature = token.split('.').nth(2).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(signature).unwrap().len(), 32);
        assert_eq!(token.split('.').count(), 3);
    }

    #[test]
    fn downstream_accepts_own_tokens_until_they_expire() {
        let issuer = issuer().expires_in(Duration::from_secs(90));
        let good = issuer.token(AT, 7);
        let ask = |authorization: &[&str], later: u64| {
            let mut request = request("GET", "/admin/api/v1/SubClient", "", b"");
            for value in authorization {
                let value = HeaderValue::from_str(value).unwrap();
                request.headers_mut().append(AUTHORIZATION, value);
            }
            issuer.answer(&request, AT + Duration::from_secs(later), 8)
        };
        let bearer = format!("Bearer {good}");
        for (authorization, later) in [(&bearer[..], 0), (&format!("bearer {good}"), 89)] {
            let accepted = ask(&[authorization], later);
            assert_eq!(accepted.status(), StatusCode::OK);
            assert_eq!(
                body(&accepted),
                json!({ "status": "ok", "message": "", "errorHash": "811c9dc5", "errorType": "" })
            );
        }
        let other = Issuer::new(Credentials::new("other", "x").unwrap());
        let (header, claims) = good.split_once('.').unwrap();
        for (authorization, later) in [
            (&[][..], 0),
            (&[&bearer[..], &bearer], 0),
            (&[&bearer], 90),
            (&[&good], 0),
            (&[&format!("Basic {good}")], 0),
            (&[&format!("Bearer  {good}")], 0),
            (&[&format!("{bearer}x")], 0),
            (&[&format!("Bearer x{header}.{claims}")], 0),
            (&[&format!("Bearer {header}.{claims}.")], 0),
            (&[&format!("Bearer {}", other.token(AT, 7))], 0),
            (&["Bearer"], 0),
            (&["Bearer x"], 0),
            (&["Bearer x.e30.x"], 0),
        ] {
            let refused = ask(authorization, later);
            assert_eq!(
                refused.status(),
                StatusCode::UNAUTHORIZED,
                "{authorization:?}"
            );
            assert_eq!(refused.headers()[WWW_AUTHENTICATE], "Bearer");
            assert_eq!(body(&refused), json!({ "statusCode": 401 }));
        }
        assert_eq!(issuer.serial_of(&good, AT), Some(7));
        let granted = body(&issuer.answer(&post(GOOD.as_bytes()), AT, 7));
        assert_eq!(granted["content"]["id_token"], good);
    }

    #[test]
    fn route_depends_on_the_path() {
        for (path, route) in [
            (PATH, Route::TokenEndpoint),
            ("/admin/api/v1/SubClient", Route::Downstream),
            ("/admin/api/v1/SubClient/1/logo?a", Route::Downstream),
            ("/admin/api/v1/Tokens", Route::Downstream),
            ("/admin/api/v1/", Route::Nowhere),
            ("/admin/api/v1", Route::Nowhere),
            ("/admin/api/v1/Token/x", Route::Nowhere),
            ("/admin/api/v1/TOKEN", Route::Nowhere),
            ("/admin/api/v2/SubClient", Route::Nowhere),
        ] {
            assert_eq!(Route::of(&request("PUT", path, "", b"")), route, "{path}");
        }
    }

    #[test]
    fn announces_another_expires_in_than_the_lifetime() {
        let issuer = issuer().expires_in(Duration::from_secs(7));
        let announcing = issuer.announcing(Duration::from_secs(3600));
        let envelope = body(&announcing.answer(&post(GOOD.as_bytes()), AT, 1));
        assert_eq!(envelope["content"]["expires_in"], 3600);
        let token = envelope["content"]["id_token"].as_str().unwrap();
        assert_eq!(claims(token)["exp"], 1_700_000_007);
        assert_eq!(issuer.serial_of(token, AT), Some(1));
        assert!(
            issuer
                .serial_of(token, AT + Duration::from_secs(7))
                .is_none()
        );
    }

    #[test]
    fn long_lifetimes_saturate() {
        let issuer = issuer().expires_in(Duration::MAX);
        let response = issuer.answer(&post(GOOD.as_bytes()), Duration::MAX, 0);
        assert_eq!(body(&response)["content"]["expires_in"], i64::MAX);
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        assert!(!format!("{:?}", issuer()).contains(SECRET));
    }
}
