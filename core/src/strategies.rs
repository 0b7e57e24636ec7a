//! Strategies for [`proptest`](mod@proptest): whatever a caller or a server may bring, for the
//! properties of code that uses this crate (feature `proptest`).
//!
//! What is made is what may really come: mostly plain, often at an edge, and of servers also what
//! they should never send. [`granting`] and [`refusing`] are the two halves of what a server
//! should send; [`response`] is anything at all. There is no IO here and no clock.
//!
//! ```
//! use std::time::Duration;
//!
//! use meshconnect_auth_core::{Endpoint, Exchange, Moment, strategies};
//! use proptest::prelude::*;
//!
//! proptest! {
//!     # #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]
//!     # /*
//!     #[test]
//!     # */
//!     fn what_is_shown_to_a_user_is_one_line_without_the_secret(
//!         credentials in strategies::credentials(),
//!         response in strategies::response(),
//!     ) {
//!         let exchange = Exchange::new(Endpoint::default(), credentials.clone());
//!         let received = Moment { mono: Duration::ZERO, wall: Duration::from_secs(1_800_000_000) };
//!         if let Err(error) = exchange.parse(response, received) {
//!             let shown = error.to_string();
//!             prop_assert!(!shown.contains('\n'));
//!             prop_assert!(!shown.contains(credentials.client_secret().expose()));
//!         }
//!     }
//! }
//! # what_is_shown_to_a_user_is_one_line_without_the_secret();
//! ```

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;

use crate::{
    ApiResult, ApiResultStatus, AuthenticationStatus, Credentials, Endpoint, OAuthTokenResponse,
    Token,
};

const TEN_YEARS: i64 = 10 * 365 * 24 * 60 * 60;

/// Credentials of any characters, with a secret of 8 or more: those are masked in what a server
/// says.
pub fn credentials() -> impl Strategy<Value = Credentials> {
    let id = prop_oneof![3 => "[a-z0-9-]{1,36}", 1 => text()];
    (id, secret()).prop_filter_map("an empty half", |(id, secret)| {
        Credentials::new(id, secret).ok()
    })
}

/// A client secret, with characters that need an escape in every encoding; never one character
/// alone, over and over.
pub fn secret() -> impl Strategy<Value = String> {
    "[ -~]{4}[a-z]{3}[0-9][ -~é例😀\n\t]{0,24}"
}

/// An endpoint, loopback or not, with and without a port and a path.
pub fn endpoint() -> impl Strategy<Value = Endpoint> {
    let anywhere = (
        prop_oneof![
            "https://[a-z][a-z0-9]{0,8}(-[a-z]{1,3})?\\.example\\.?",
            Just("https://[2001:db8::1]".to_owned()),
        ],
        any::<bool>(),
    );
    let base = prop_oneof![
        1 => Just((Endpoint::PRODUCTION.to_owned(), false)),
        3 => anywhere,
        2 => (
            select(vec!["http://localhost", "http://127.0.0.1", "http://[::1]", "https://localhost"])
                .prop_map(str::to_owned),
            Just(true),
        ),
    ];
    (base, 1..=u16::MAX, "(/[a-z0-9]{1,6}){0,2}/?").prop_filter_map(
        "no base URL",
        |((base, has_port), port, path)| {
            let port = if has_port {
                format!(":{port}")
            } else {
                String::new()
            };
            Endpoint::parse(&format!("{base}{port}{path}")).ok()
        },
    )
}

/// A base URL out of parts of which many are odd: what a user may type.
pub fn base_url() -> impl Strategy<Value = String> {
    let scheme = select(vec![
        "https://", "http://", "HTTPS://", "hTTp://", "ftp://", "https:/", "",
    ]);
    let userinfo = select(vec!["", "", "", "", "user@", "user:password-1@", "@"]);
    let host = prop_oneof![
        select(vec![
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "127.0.0.1.example",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[0:0::1]",
            "[::1%25lo]",
            "[",
            "admin-api.meshconnect.com",
            "xn--e1afmkfd",
            "h_h",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9.-]{0,12}",
    ];
    let port = prop_oneof![
        6 => Just(String::new()),
        2 => any::<u16>().prop_map(|port| format!(":{port}")),
        1 => select(vec![":", ":443", ":80", ":0", ":+80", ":65536", ":8 0"]).prop_map(str::to_owned),
    ];
    let path = prop_oneof![
        3 => select(vec![
            "", "/", "/gateway", "/gateway/", "//", "/a//b", "/.", "/%2E%2e/", "/%zz",
            "/admin/api/v1/Token", "/a?b", "/a#b", "\\",
        ])
        .prop_map(str::to_owned),
        1 => "(/[a-z%0-9.~:;=@|\"é ]{0,4}){0,3}",
    ];
    (scheme, userinfo, host, port, path).prop_map(|(scheme, userinfo, host, port, path)| {
        format!("{scheme}{userinfo}{host}{port}{path}")
    })
}

/// The text of a token that can stand in a header (RFC 6750 §2.1): opaque, or a JWT with
/// claims of any sort.
pub fn id_token() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[A-Za-z0-9._~+/-]{1,60}={0,2}",
        1 => claims().prop_map(|claims| jwt(&claims)),
    ]
}

/// A token that expires between 1970 and 2100, without a status.
pub fn token() -> impl Strategy<Value = Token> {
    (id_token(), 0..4_102_444_800_u64).prop_filter_map("no token", |(id_token, expiry)| {
        let expires_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expiry))?;
        Token::new(&id_token, expires_at).ok()
    })
}

/// The payload of a JWT: `exp`, `iat` and more as an object, of the right types or not, which may
/// be missing or stand twice.
pub fn claims() -> impl Strategy<Value = String> {
    members(vec![
        ("exp", seconds().boxed()),
        ("iat", seconds().boxed()),
        ("sub", quoted(text())),
    ])
}

/// What came of a request: a value of the contract, or one that is not in it yet.
pub fn api_result_status() -> impl Strategy<Value = ApiResultStatus> {
    prop_oneof![
        3 => select(ApiResultStatus::KNOWN),
        1 => text().prop_map(|text| ApiResultStatus::from(text.as_str())),
    ]
}

/// What came of an authentication: a value of the contract, or one that is not in it yet.
pub fn authentication_status() -> impl Strategy<Value = AuthenticationStatus> {
    prop_oneof![
        3 => select(AuthenticationStatus::KNOWN),
        1 => text().prop_map(|text| AuthenticationStatus::from(text.as_str())),
    ]
}

/// The content of a token answer, of which any field may be missing, and with any `expires_in`.
pub fn content() -> impl Strategy<Value = OAuthTokenResponse> {
    (
        option::of(id_token()),
        option::of(any::<i64>()),
        option::of(authentication_status()),
    )
        .prop_map(|(id_token, expires_in, status)| OAuthTokenResponse {
            id_token,
            expires_in,
            status,
        })
}

/// An envelope of any status, of which any other field may be missing.
pub fn envelope() -> impl Strategy<Value = ApiResult<OAuthTokenResponse>> {
    let words = || option::of(text());
    (
        api_result_status(),
        (words(), words(), words(), words(), words()),
        option::of(json().prop_filter("the same as none", |json| json != "null")),
        option::of(content()),
    )
        .prop_map(|(status, words, error_data, content)| {
            let (message, display_message, error_hash, error_type, team_code) = words;
            ApiResult {
                status: Some(status),
                message,
                display_message,
                error_hash,
                error_type,
                error_data: error_data.and_then(|text| RawValue::from_string(text).ok()),
                team_code,
                content,
            }
        })
}

/// Headers of an answer: those that the core reads, each of them in good and bad forms, and
/// perhaps more than once.
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
        3 => (Just(RETRY_AFTER), prop_oneof![date(), delay()]),
        1 => (Just(WWW_AUTHENTICATE), "Bearer realm=\"[ -~]{0,20}\""),
        1 => trace_id,
    ];
    vec(header, 0..6).prop_map(|headers| {
        headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
            // One name, several values: a map would keep the last alone.
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    })
}

/// An answer that grants a token: a 200, an envelope `ok`, a lifetime of up to ten years.
pub fn granting() -> impl Strategy<Value = Response<Vec<u8>>> {
    let content = (
        "[A-Za-z0-9_~+/-]{1,60}={0,2}",
        1..=TEN_YEARS,
        option::of(authentication_status()),
    );
    (envelope(), content, headers()).prop_filter_map(
        "no JSON",
        |(envelope, (id_token, expires_in, status), headers)| {
            let content = OAuthTokenResponse {
                id_token: Some(id_token),
                expires_in: Some(expires_in),
                status,
            };
            let envelope = ApiResult {
                status: Some(ApiResultStatus::Ok),
                content: Some(content),
                ..envelope
            };
            answer(StatusCode::OK, headers, serde_json::to_vec(&envelope).ok()?)
        },
    )
}

/// An answer of any status but 2xx, with an envelope, problem details, a page, or nothing.
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
    (code, headers(), body).prop_filter_map("no status", |(code, headers, body)| {
        answer(StatusCode::from_u16(code).ok()?, headers, body)
    })
}

/// Any answer at all: good ones, refusals, what is nearly an answer ([`document`]), and bytes.
pub fn response() -> impl Strategy<Value = Response<Vec<u8>>> {
    let body = prop_oneof![
        3 => document().prop_map(String::into_bytes),
        1 => any::<String>().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..200),
    ];
    let code = prop_oneof![3 => Just(200), 1 => 100..1000_u16];
    let odd = (code, headers(), body).prop_filter_map("no status", |(code, headers, body)| {
        answer(StatusCode::from_u16(code).ok()?, headers, body)
    });
    prop_oneof![1 => granting(), 2 => refusing(), 3 => odd]
}

/// Nearly a body of the token endpoint, or exactly one: members in any order, twice, missing, of
/// the right type or not.
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

/// Any JSON value, as text with white space here and there.
pub fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        quoted(text()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(" , "))),
            vec(("[a-z]{0,3}", inner), 0..3).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\": {value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// A few characters, never none, of which some need an escape in JSON.
pub fn text() -> impl Strategy<Value = String> {
    "[a-z \"\\\\\u{0}-\u{1f}é例😀]{1,12}"
}

/// An `expires_in` or a date of a token: mostly a number, good or not.
fn seconds() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        4 => (1..100_000_i64).prop_map(|number| number.to_string()),
        2 => (1_790_000_000..1_800_000_000_i64).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "\"?[0-9]{0,25}\"?",
        1 => "-?[0-9]{1,3}[.e][0-9]{1,2}",
    ]
}

/// A delay in seconds, good or not.
fn delay() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..100_000_u64).prop_map(|seconds| seconds.to_string()),
        1 => "[0-9]{1,25}",
        1 => select(vec!["", "-1", "+1", "1.5", "soon", "3, 10", "0x10", "5s"]).prop_map(str::to_owned),
    ]
}

/// A date from 1970 to 9999 in any of the three forms (RFC 9110 §5.6.7), with a year of two
/// digits in one of them; now and then one that does not exist.
fn date() -> impl Strategy<Value = String> {
    let near = 1_790_000_000..1_800_000_000_u64;
    let at = prop_oneof![3 => near, 1 => 0..253_402_300_800_u64];
    let odd = select(vec![
        "",
        "today",
        "Tue, 31 Feb 2026 00:00:00 GMT",
        "Mon, 24 Nov 2026 00:00:00 GMT",
        "Tue, 24 Nov 2026 00:00:00",
        "Sat, 31 Dec 2016 23:59:60 GMT",
    ]);
    let form = at.prop_flat_map(|at| select(dates(at)));
    prop_oneof![6 => form, 1 => odd.prop_map(str::to_owned)]
}

/// A date, in seconds since the Unix epoch, in its three forms.
fn dates(at: u64) -> Vec<String> {
    let at = Duration::from_secs(at).min(Duration::from_secs(253_402_300_799));
    let date = SystemTime::UNIX_EPOCH.checked_add(at);
    let fixed = httpdate::fmt_http_date(date.unwrap_or(SystemTime::UNIX_EPOCH));
    let words: Vec<&str> = fixed.split([' ', ',']).collect();
    let [weekday, "", day, month, year, time, zone] = *words.as_slice() else {
        return vec![fixed];
    };
    let names = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let name = names.into_iter().find(|name| name.starts_with(weekday));
    let name = name.unwrap_or(weekday);
    let two_digits = year.get(2..).unwrap_or(year);
    let padded = match day.strip_prefix('0') {
        Some(digit) => format!(" {digit}"),
        None => day.to_owned(),
    };
    vec![
        format!("{name}, {day}-{month}-{two_digits} {time} {zone}"),
        format!("{weekday} {month} {padded} {time} {year}"),
        fixed,
    ]
}

/// An object as JSON text: members in any order, twice, missing, of the right type or not.
fn members(fields: Vec<(&'static str, BoxedStrategy<String>)>) -> impl Strategy<Value = String> {
    // Most fields stand once, a few not at all or twice.
    let times = select(vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2]);
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| {
            let other = prop_oneof![2 => Just("null".to_owned()), 1 => json()];
            let member = prop_oneof![12 => value, 1 => other]
                .prop_map(move |value| format!("\"{name}\":{value}"))
                .boxed();
            times
                .clone()
                .prop_flat_map(move |times| vec(member.clone(), times))
                .boxed()
        })
        .collect();
    fields
        .prop_map(|members| members.concat())
        .prop_shuffle()
        .prop_map(|members| format!("{{{}}}", members.join(",")))
}

fn quoted(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    text.prop_map(|text| serde_json::Value::from(text).to_string())
        .boxed()
}

fn jwt(claims: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn answer(status: StatusCode, headers: HeaderMap, body: Vec<u8>) -> Option<Response<Vec<u8>>> {
    let mut response = Response::builder().status(status).body(body).ok()?;
    *response.headers_mut() = headers;
    Some(response)
}
