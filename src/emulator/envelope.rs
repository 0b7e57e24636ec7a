//! The bodies of the issuer's answers. Refusals have fixed texts, so they never repeat a secret.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Bytes;
use meshconnect_auth_core::{ApiResult, ApiResultStatus, OAuthTokenResponse};
use serde::Serialize;
use serde_json::json;

/// An error envelope as in the contract's examples.
pub(super) struct Refusal {
    code: StatusCode,
    status: ApiResultStatus,
    message: &'static str,
    display_message: &'static str,
    error_type: &'static str,
}

pub(super) const NO_CLIENT_ID: Refusal = Refusal {
    code: StatusCode::BAD_REQUEST,
    status: ApiResultStatus::BadRequest,
    message: "The field clientId is missing or empty.",
    display_message: "A client id is needed.",
    error_type: "missingField",
};

pub(super) const NO_CLIENT_SECRET: Refusal = Refusal {
    message: "The field clientSecret is missing or empty.",
    display_message: "A client secret is needed.",
    ..NO_CLIENT_ID
};

pub(super) const NOT_A_TOKEN_REQUEST: Refusal = Refusal {
    message: "The body is not an object of the strings clientId and clientSecret, each once.",
    display_message: "The request is not correct.",
    error_type: "invalidField",
    ..NO_CLIENT_ID
};

pub(super) const NOT_JSON: Refusal = Refusal {
    message: "The body is not JSON.",
    error_type: "invalidJson",
    ..NOT_A_TOKEN_REQUEST
};

pub(super) const NOT_PERMITTED: Refusal = Refusal {
    code: StatusCode::FORBIDDEN,
    status: ApiResultStatus::PermissionDenied,
    message: "The client id or the client secret is not correct.",
    display_message: "Permission denied.",
    // The value in the contract's only example of a 403.
    error_type: "missingField",
};

pub(super) const NOT_FOUND: Refusal = Refusal {
    code: StatusCode::NOT_FOUND,
    status: ApiResultStatus::NotFound,
    message: "There is nothing at this path.",
    display_message: "Not found.",
    error_type: "notFound",
};

impl Refusal {
    pub(super) fn answer(self) -> Response<Bytes> {
        let mut refused = ApiResult::<OAuthTokenResponse>::default();
        refused.status = Some(self.status);
        refused.message = Some(self.message.to_owned());
        refused.display_message = Some(self.display_message.to_owned());
        refused.error_hash = Some(error_hash(self.message));
        refused.error_type = Some(self.error_type.to_owned());
        respond(self.code, &refused)
    }
}

/// Returns an answer without the envelope, as other admin endpoints document it.
pub(super) fn bare(code: StatusCode) -> Response<Bytes> {
    respond(code, &json!({ "statusCode": code.as_u16() }))
}

/// Returns the envelope of a success, with empty fields present as in the contract's example.
pub(super) fn granted<T: Serialize>(content: Option<T>) -> Response<Bytes> {
    let mut granted = ApiResult::default();
    granted.status = Some(ApiResultStatus::Ok);
    granted.message = Some(String::new());
    granted.error_hash = Some(error_hash(""));
    granted.error_type = Some(String::new());
    granted.content = content;
    respond(StatusCode::OK, &granted)
}

fn respond(code: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    // Structs of strings and integers always serialize.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

/// Returns a hash of eight hex digits as in the contract's examples: 32-bit FNV-1a.
fn error_hash(message: &str) -> String {
    let hash = message.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:08x}")
}
