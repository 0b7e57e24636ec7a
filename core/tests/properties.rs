//! Properties: round trips, and the invariants under inputs that are nearly right.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use http::Response;
use meshconnect_auth_core::invariants::{self, RECEIVED, echoes, reveals};
use meshconnect_auth_core::{
    ApiResult, ApiResultStatus, AuthenticationStatus, ClientAdminTokenRequest, Credentials,
    Endpoint, ErrorKind, Exchange, OAuthTokenResponse,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;

fn config() -> ProptestConfig {
    ProptestConfig {
        // Finds become seeds of the fuzz targets instead, where they have a name.
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    }
}

fn exchange(secret: &str) -> Exchange {
    Exchange::new(
        Endpoint::default(),
        Credentials::new("client", secret).unwrap(),
    )
}

fn text() -> impl Strategy<Value = String> {
    "[a-z \"\\\\\u{0}-\u{1f}é例😀]{1,12}"
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._~+/-]{1,60}={0,2}"
}

fn authentication_status() -> impl Strategy<Value = AuthenticationStatus> {
    prop_oneof![
        select(AuthenticationStatus::KNOWN),
        text().prop_map(|text| AuthenticationStatus::from(text.as_str())),
    ]
}

fn result_status() -> impl Strategy<Value = ApiResultStatus> {
    prop_oneof![
        select(ApiResultStatus::KNOWN),
        text().prop_map(|text| ApiResultStatus::from(text.as_str())),
    ]
}

fn content() -> impl Strategy<Value = OAuthTokenResponse> {
    (
        option::of(token()),
        option::of(any::<i64>()),
        option::of(authentication_status()),
    )
        .prop_map(|(id_token, expires_in, status)| {
            let mut content = OAuthTokenResponse::default();
            content.id_token = id_token;
            content.expires_in = expires_in;
            content.status = status;
            content
        })
}

/// Any JSON value but `null`, as text.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        text().prop_map(|text| serde_json::to_string(&text).unwrap()),
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

fn envelope() -> impl Strategy<Value = ApiResult<OAuthTokenResponse>> {
    let words = || option::of(text());
    let words = (words(), words(), words(), words(), words());
    (
        result_status(),
        words,
        option::of(json()),
        option::of(content()),
    )
        .prop_map(
            |(
                status,
                (message, display_message, error_hash, error_type, team_code),
                error_data,
                content,
            )| {
                let mut result = ApiResult::default();
                result.status = Some(status);
                result.message = message;
                result.display_message = display_message;
                result.error_hash = error_hash;
                result.error_type = error_type;
                result.error_data = error_data.map(|text| RawValue::from_string(text).unwrap());
                result.team_code = team_code;
                result.content = content;
                result
            },
        )
}

/// An object as JSON text: members in any order, twice, missing, of the right type or not.
fn members(fields: Vec<(&'static str, BoxedStrategy<String>)>) -> impl Strategy<Value = String> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| {
            let other = prop_oneof![2 => Just("null".to_owned()), 1 => json()];
            prop_oneof![12 => value, 1 => other]
                .prop_map(move |value| format!("\"{name}\":{value}"))
        })
        .collect();
    // Most fields stand once, a few not at all or twice.
    let times = select(vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2]);
    let repeated: Vec<_> = fields
        .into_iter()
        .map(|member| {
            times
                .clone()
                .prop_flat_map(move |times| vec(member.clone(), times))
                .boxed()
        })
        .collect();
    repeated
        .prop_map(|members| members.concat())
        .prop_shuffle()
        .prop_map(|members| format!("{{{}}}", members.join(",")))
}

fn quoted(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    text.prop_map(|text| serde_json::to_string(&text).unwrap())
        .boxed()
}

/// Nearly an answer of the token endpoint, or exactly one.
fn document() -> impl Strategy<Value = String> {
    let seconds = prop_oneof![
        4 => (1..100_000_i64).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "\"?[0-9]{0,25}\"?",
        1 => "-?[0-9]{1,3}[.e][0-9]{1,2}",
    ];
    let jwt = |payload: String| {
        use base64::Engine;
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
        format!("e30.{payload}.c2ln")
    };
    let claims = members(vec![
        ("exp", seconds.clone().boxed()),
        ("iat", seconds.clone().boxed()),
        ("sub", quoted(text())),
    ]);
    let id_token =
        prop_oneof![4 => token(), 2 => claims.prop_map(jwt), 1 => text(), 1 => Just(String::new())];
    let status = prop_oneof![
        select(vec!["failed", "mfaRequired", "available", "succeeded"]).prop_map(str::to_owned),
        text()
    ];
    let content = members(vec![
        ("id_token", quoted(id_token)),
        ("expires_in", seconds.boxed()),
        ("status", quoted(status)),
        ("newer", json().boxed()),
    ]);
    let status = prop_oneof![6 => Just("ok".to_owned()), 1 => result_status().prop_map(|status| status.to_string())];
    members(vec![
        ("status", quoted(status)),
        ("content", content.boxed()),
        ("message", quoted(text())),
        ("errorData", json().boxed()),
        ("newer", json().boxed()),
    ])
}

/// A base URL out of parts of which most are odd.
fn base_url() -> impl Strategy<Value = String> {
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
        3 => select(vec!["", "/", "/gateway", "/gateway/", "//", "/a//b", "/.", "/%2E%2e/", "/%zz", "/admin/api/v1/Token", "/a?b", "/a#b", "\\"]).prop_map(str::to_owned),
        1 => "(/[a-z%0-9.~:;=@|\"é ]{0,4}){0,3}",
    ];
    (scheme, userinfo, host, port, path).prop_map(|(scheme, userinfo, host, port, path)| {
        format!("{scheme}{userinfo}{host}{port}{path}")
    })
}

/// A secret that is masked: 8 characters or more, not all alike.
fn secret() -> impl Strategy<Value = String> {
    "[ -~]{4}[a-z]{4}[ -~é例😀\n\t]{0,24}"
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_credentials_are_written_and_read_back(id in any::<String>(), secret in any::<String>()) {
        invariants::request(&id, &secret);
    }

    #[test]
    fn a_request_reads_back_as_the_contracts_schema(id in text(), secret in text()) {
        let exchange = Exchange::new(Endpoint::default(), Credentials::new(id.as_str(), secret.as_str()).unwrap());
        let request = exchange.request();
        let read: ClientAdminTokenRequest<'_> = serde_json::from_slice(request.body().as_ref()).unwrap();
        prop_assert_eq!((read.client_id, read.client_secret), (id.into(), secret.into()));
    }

    #[test]
    fn any_base_url_is_safe_or_refused(url in base_url()) {
        invariants::endpoint(&url);
    }

    #[test]
    fn any_text_as_a_base_url_is_safe_or_refused(text in any::<String>()) {
        invariants::endpoint(&text);
    }

    #[test]
    fn any_document_is_read_as_a_second_reader_does(document in document()) {
        invariants::differential(document.as_bytes());
    }

    #[test]
    fn any_answer_keeps_the_invariants(
        status in 100..1000_u16,
        content_type in select(vec!["application/json", "text/html; charset=utf-8", ""]),
        date in select(vec!["Tue, 24 Nov 2026 00:00:00 GMT", "Tuesday, 24-Nov-26 00:00:00 GMT", "today"]),
        retry_after in select(vec!["5", "Tue, 24 Nov 2026 00:00:09 GMT", "99999999999999999999", "-1"]),
        echo in select(invariants::SECRETS.iter().flat_map(|secret| echoes(secret)).collect::<Vec<_>>()),
        success in any::<bool>(),
        body in prop_oneof![document(), any::<String>()],
    ) {
        let status = if success { 200 } else { status };
        // A header takes no line feed.
        let header = echo.replace('\n', "%0A");
        let body = body.replace("newer", &echo);
        let answer = format!(
            "HTTP/1.1 {status} X\nContent-Type: {content_type}\nDate: {date}\nRetry-After: {retry_after}\n\
             X-Request-Id: {header}\nWWW-Authenticate: Bearer realm=\"{header}\"\n\n{body}{echo}"
        );
        invariants::decode(answer.as_bytes());
        invariants::decode(answer.strip_suffix(&echo).unwrap().as_bytes());
    }

    #[test]
    fn any_bytes_are_an_answer(data in vec(any::<u8>(), 0..200)) {
        invariants::decode(&data);
        invariants::differential(&data);
    }

    #[test]
    fn an_envelope_is_read_as_it_was_written(written in envelope()) {
        let json = serde_json::to_string(&written).unwrap();
        let result = exchange("a secret that nobody echoes")
            .parse_as::<OAuthTokenResponse>(Response::new(json.clone().into_bytes()));
        let read: ApiResult<OAuthTokenResponse> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), json.as_str());
        match result {
            Ok(read) => {
                prop_assert_eq!(read.status, Some(ApiResultStatus::Ok));
                prop_assert_eq!(read.message, written.message);
                prop_assert_eq!(read.display_message, written.display_message);
                prop_assert_eq!(read.error_hash, written.error_hash);
                prop_assert_eq!(read.error_type, written.error_type);
                prop_assert_eq!(read.error_data.map(|raw| raw.to_string()), written.error_data.map(|raw| raw.to_string()));
                prop_assert_eq!(read.team_code, written.team_code);
                prop_assert_eq!(read.content, written.content);
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Rejected);
                let read = error.rejection().unwrap();
                prop_assert_ne!(read.status(), Some(&ApiResultStatus::Ok));
                prop_assert_eq!(read.status(), written.status.as_ref());
                prop_assert_eq!(read.message(), written.message.as_deref());
                prop_assert_eq!(read.display_message(), written.display_message.as_deref());
                prop_assert_eq!(read.error_hash(), written.error_hash.as_deref());
                prop_assert_eq!(read.error_type(), written.error_type.as_deref());
                prop_assert_eq!(read.error_data(), written.error_data.as_ref().map(|raw| raw.get()));
                prop_assert_eq!(read.team_code(), written.team_code.as_deref());
            }
        }
    }

    #[test]
    fn a_granted_token_is_the_one_that_was_written(
        id_token in token(),
        seconds in 1..=315_360_000_i64,
        status in option::of(authentication_status()),
    ) {
        let mut content = OAuthTokenResponse::default();
        content.id_token = Some(id_token.clone());
        content.expires_in = Some(seconds);
        content.status = status.clone();
        let mut written = ApiResult::default();
        written.status = Some(ApiResultStatus::Ok);
        written.content = Some(content);
        let json = serde_json::to_vec(&written).unwrap();
        let grant = exchange("a secret that nobody echoes").parse(Response::new(json), RECEIVED).unwrap();
        prop_assert_eq!(grant.lifetime().as_secs(), seconds.unsigned_abs());
        prop_assert_eq!(grant.status(), status.as_ref());
        let token = grant.into_token(RECEIVED);
        prop_assert_eq!(token.id_token(), id_token);
        let expiry = RECEIVED.system_time().unwrap() + std::time::Duration::from_secs(seconds.unsigned_abs());
        prop_assert_eq!(token.expires_at(), expiry);
    }

    #[test]
    fn an_enumeration_keeps_any_text(text in prop_oneof![any::<String>(), "[a-zA-Z]{2,12}"]) {
        let json = serde_json::to_string(&text).unwrap();
        let result = ApiResultStatus::from(text.as_str());
        prop_assert_eq!(result.as_str(), text.as_str());
        prop_assert_eq!(serde_json::to_string(&result).unwrap(), json.as_str());
        prop_assert_eq!(serde_json::from_str::<ApiResultStatus>(&json).unwrap(), result);
        let authentication = AuthenticationStatus::from(text.as_str());
        prop_assert_eq!(authentication.as_str(), text.as_str());
        prop_assert_eq!(serde_json::to_string(&authentication).unwrap(), json.as_str());
        prop_assert_eq!(serde_json::from_str::<AuthenticationStatus>(&json).unwrap(), authentication);
    }

    #[test]
    fn no_error_shows_a_secret_that_a_server_echoes(secret in secret(), status in select(vec![200, 400, 403, 500])) {
        let exchange = exchange(&secret);
        for echo in echoes(&secret) {
            let word = serde_json::to_string(&format!("<{echo}>")).unwrap();
            let envelope = format!(
                r#"{{"status":{word},"message":{word},"displayMessage":{word},"errorHash":{word},
                "errorType":{word},"errorData":{{{word}:{word}}},"teamCode":{word}}}"#
            );
            for body in [envelope, format!("<p>{echo}</p>"), format!("{{\"status\":{word}")] {
                let mut response = Response::new(body.clone().into_bytes());
                *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                for name in ["x-request-id", "www-authenticate", "content-type", "date"] {
                    if let Ok(value) = echo.parse() {
                        response.headers_mut().insert(name, value);
                    }
                }
                let error = exchange.parse(response, RECEIVED).unwrap_err();
                let rejection = error.rejection();
                let fields = [
                    rejection.and_then(|rejection| Some(rejection.status()?.as_str())),
                    rejection.and_then(|rejection| rejection.message()),
                    rejection.and_then(|rejection| rejection.display_message()),
                    rejection.and_then(|rejection| rejection.error_hash()),
                    rejection.and_then(|rejection| rejection.error_type()),
                    rejection.and_then(|rejection| rejection.error_data()),
                    rejection.and_then(|rejection| rejection.team_code()),
                    error.excerpt(), error.www_authenticate(), error.content_type(), error.date(),
                    error.trace_ids().next().map(|(_, value)| value),
                ];
                let shown = [error.to_string(), format!("{error:#}"), format!("{error:?}")];
                for text in fields.into_iter().flatten().chain(shown.iter().map(String::as_str)) {
                    prop_assert!(!reveals(text, &secret), "{} in {} of {}", secret, text, body);
                }
            }
        }
    }
}

#[test]
fn the_values_of_the_contract_are_known() {
    for status in ApiResultStatus::KNOWN {
        assert_eq!(ApiResultStatus::from(status.as_str()), *status);
    }
    for status in AuthenticationStatus::KNOWN {
        assert_eq!(AuthenticationStatus::from(status.as_str()), *status);
    }
}

#[test]
fn the_detector_sees_every_echo() {
    for secret in invariants::SECRETS {
        for echo in echoes(secret) {
            assert!(reveals(&format!("before {echo} after"), secret), "{echo}");
            let other = echo.replace(['c', 'M', 'a', 'Y', '6'], "_");
            assert!(!reveals(&other, secret), "{other}");
        }
    }
}
