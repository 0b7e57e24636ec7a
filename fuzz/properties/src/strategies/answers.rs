//! Strategies for the responses of a server.

use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use meshconnect_auth_core::{ApiResult, ApiResultStatus, AuthenticationStatus, OAuthTokenResponse};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;

use super::dates::{date, retry_after};
use super::id_token;
use super::json::{json, members, quoted, seconds, text};

const TEN_YEARS: i64 = 10 * 365 * 24 * 60 * 60;

/// Generates a result status: a value of the contract or an unknown one.
pub fn api_result_status() -> impl Strategy<Value = ApiResultStatus> {
    prop_oneof![
        3 => select(ApiResultStatus::KNOWN),
        1 => text().prop_map(|text| ApiResultStatus::from(text.as_str())),
    ]
}

/// Generates an authentication status: a value of the contract or an unknown one.
pub fn authentication_status() -> impl Strategy<Value = AuthenticationStatus> {
    prop_oneof![
        3 => select(AuthenticationStatus::KNOWN),
        1 => text().prop_map(|text| AuthenticationStatus::from(text.as_str())),
    ]
}

/// Generates the content of a token response. Any field can be missing, and `expires_in` is
/// arbitrary.
pub fn content() -> impl Strategy<Value = OAuthTokenResponse> {
    (
        option::of(id_token()),
        option::of(any::<i64>()),
        option::of(authentication_status()),
    )
        .prop_map(|(id_token, expires_in, status)| token_response(id_token, expires_in, status))
}

/// Generates an envelope with any status. Any other field can be missing.
pub fn envelope() -> impl Strategy<Value = ApiResult<OAuthTokenResponse>> {
    let field = || option::of(text());
    (
        api_result_status(),
        (field(), field(), field(), field(), field()),
        option::of(
            json().prop_filter("`null` is the same as a missing field", |json| {
                json != "null"
            }),
        ),
        option::of(content()),
    )
        .prop_map(|(status, fields, error_data, content)| {
            let (message, display_message, error_hash, error_type, team_code) = fields;
            let mut envelope = ApiResult::default();
            envelope.status = Some(status);
            envelope.message = message;
            envelope.display_message = display_message;
            envelope.error_hash = error_hash;
            envelope.error_type = error_type;
            envelope.error_data = error_data.and_then(|text| RawValue::from_string(text).ok());
            envelope.team_code = team_code;
            envelope.content = content;
            envelope
        })
}

/// Generates the headers that the core reads, in valid and invalid forms. A header can occur more
/// than once.
pub fn headers() -> impl Strategy<Value = HeaderMap> {
    let trace_id = (
        select(vec![
            "x-request-id",
            "traceparent",
            "cf-ray",
            "x-azure-ref",
            "server",
        ])
        .prop_map(HeaderName::from_static),
        "[ -~]{0,40}",
    );
    let media_type = select(vec![
        "application/json; charset=utf-8",
        "text/html",
        "application/problem+json",
        "",
    ]);
    let header = prop_oneof![
        1 => (Just(CONTENT_TYPE), media_type.prop_map(str::to_owned)),
        2 => (Just(DATE), date()),
        3 => (Just(RETRY_AFTER), retry_after()),
        1 => (Just(WWW_AUTHENTICATE), "Bearer realm=\"[ -~]{0,20}\""),
        1 => trace_id,
    ];
    vec(header, 0..6).prop_map(|headers| {
        headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
            // Collecting would keep only the last value of a name.
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    })
}

/// Generates a response that grants a token: a 200 with the envelope status `ok` and a lifetime of
/// up to ten years.
pub fn granting() -> impl Strategy<Value = Response<Vec<u8>>> {
    let content = (
        "[A-Za-z0-9_~+/-]{1,60}={0,2}",
        1..=TEN_YEARS,
        option::of(authentication_status()),
    );
    (envelope(), content, headers()).prop_filter_map(
        "the envelope cannot be serialized",
        |(mut envelope, (id_token, expires_in, status), headers)| {
            envelope.status = Some(ApiResultStatus::Ok);
            envelope.content = Some(token_response(Some(id_token), Some(expires_in), status));
            answer(StatusCode::OK, headers, serde_json::to_vec(&envelope).ok()?)
        },
    )
}

/// Generates a response with a status other than 2xx, with an envelope, problem details, a page, or
/// an empty body.
pub fn refusing() -> impl Strategy<Value = Response<Vec<u8>>> {
    let common = select(vec![400, 401, 403, 404, 429, 500, 502, 503, 504]);
    let code = prop_oneof![3 => common, 1 => prop_oneof![300..1000_u16, 100..200_u16]];
    let body = prop_oneof![
        4 => envelope().prop_map(|envelope| serde_json::to_vec(&envelope).unwrap_or_default()),
        1 => text().prop_map(|text| format!("<html>{text}</html>").into_bytes()),
        1 => (400..600_u16, text()).prop_map(|(status, title)| {
            serde_json::json!({ "status": status, "title": title }).to_string().into_bytes()
        }),
        1 => Just(Vec::new()),
    ];
    (code, headers(), body).prop_filter_map("the status is invalid", |(code, headers, body)| {
        answer(StatusCode::from_u16(code).ok()?, headers, body)
    })
}

/// Generates any response: grants, refusals, nearly valid bodies ([`document`]), and any bytes.
pub fn response() -> impl Strategy<Value = Response<Vec<u8>>> {
    let body = prop_oneof![
        3 => document().prop_map(String::into_bytes),
        1 => any::<String>().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..200),
    ];
    let code = prop_oneof![3 => Just(200), 1 => 100..1000_u16];
    let odd = (code, headers(), body)
        .prop_filter_map("the status is invalid", |(code, headers, body)| {
            answer(StatusCode::from_u16(code).ok()?, headers, body)
        });
    prop_oneof![1 => granting(), 2 => refusing(), 3 => odd]
}

/// Generates a body that is valid or nearly valid: its members can be in any order, be missing,
/// occur twice, or have the wrong type.
pub fn document() -> impl Strategy<Value = String> {
    let id_token = prop_oneof![6 => id_token(), 1 => text(), 1 => Just(String::new())];
    let status = authentication_status().prop_map(|status| status.to_string());
    let content = members(vec![
        ("id_token", quoted(id_token)),
        ("expires_in", seconds().boxed()),
        ("status", quoted(status)),
        ("newer", json().boxed()),
    ]);
    let status = prop_oneof![
        6 => Just("ok".to_owned()),
        1 => api_result_status().prop_map(|status| status.to_string()),
    ];
    members(vec![
        ("status", quoted(status)),
        ("content", content.boxed()),
        ("message", quoted(text())),
        ("errorData", json().boxed()),
        ("newer", json().boxed()),
    ])
}

fn token_response(
    id_token: Option<String>,
    expires_in: Option<i64>,
    status: Option<AuthenticationStatus>,
) -> OAuthTokenResponse {
    let mut content = OAuthTokenResponse::default();
    content.id_token = id_token;
    content.expires_in = expires_in;
    content.status = status;
    content
}

fn answer(status: StatusCode, headers: HeaderMap, body: Vec<u8>) -> Option<Response<Vec<u8>>> {
    let mut response = Response::builder().status(status).body(body).ok()?;
    *response.headers_mut() = headers;
    Some(response)
}
