//! Properties: round trips, and the property bodies of the fuzz targets with nearly valid inputs.

use std::env;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use http::header::DATE;
use meshconnect_auth_core::{
    ApiResult, ApiResultStatus, AuthenticationStatus, Credentials, Endpoint, ErrorKind, Exchange,
    OAuthTokenResponse,
};
use meshconnect_auth_properties::strategies::{
    authentication_status, base_url, claims, credentials, document, endpoint, envelope, granting,
    headers, id_token, json, refusing, response, secret, text, token,
};
use meshconnect_auth_properties::{self as properties, Newer, RECEIVED, echoes, reveals};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Returns the configuration: `PROPTEST_CASES` cases, or a few by default.
fn config() -> ProptestConfig {
    let few = || ProptestConfig::with_cases(64);
    ProptestConfig {
        // Failing inputs become named seeds of the fuzz targets instead.
        failure_persistence: None,
        ..env::var_os("PROPTEST_CASES").map_or_else(few, |_| ProptestConfig::default())
    }
}

fn exchange(secret: &str) -> Exchange {
    Exchange::new(
        Endpoint::default(),
        Credentials::new("client", secret).unwrap(),
    )
}

/// Returns members that are unknown in their place, some with a name that is known elsewhere.
fn newer() -> impl Strategy<Value = Newer> {
    let name = prop_oneof![
        2 => select(vec![
            "Status", "error_data", "id_token", "expires_in", "status", "message", "content",
            "$serde_json::private::Number", "$serde_json::private::RawValue", "",
        ])
        .prop_map(str::to_owned),
        1 => text(),
    ];
    (any::<bool>(), 0..12_usize, name, json()).prop_map(|(in_content, at, name, value)| Newer {
        in_content,
        at,
        name,
        value,
    })
}

/// The contract's `ClientAdminTokenRequest`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenRequest {
    client_id: String,
    client_secret: String,
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn credentials_survive_a_round_trip(id in any::<String>(), secret in any::<String>()) {
        properties::request(&id, &secret);
    }

    #[test]
    fn a_request_matches_the_contracts_schema(id in text(), secret in text()) {
        let exchange = Exchange::new(Endpoint::default(), Credentials::new(id.as_str(), secret.as_str()).unwrap());
        let request = exchange.request();
        let read: TokenRequest = serde_json::from_slice(request.body().as_ref()).unwrap();
        prop_assert_eq!((read.client_id, read.client_secret), (id, secret));
    }

    #[test]
    fn any_base_url_is_safe_or_refused(url in base_url()) {
        properties::endpoint(&url);
    }

    #[test]
    fn any_text_as_a_base_url_is_safe_or_refused(text in any::<String>()) {
        properties::endpoint(&text);
    }

    #[test]
    fn reads_documents_like_the_naive_reader(document in document()) {
        properties::differential(document.as_bytes());
    }

    #[test]
    fn answers_with_echoes_keep_the_invariants(
        response in response(),
        echo in select(properties::SECRETS.iter().flat_map(|secret| echoes(secret)).collect::<Vec<_>>()),
    ) {
        let (head, body) = response.into_parts();
        let mut raw = format!("HTTP/1.1 {} X\n", head.status.as_str()).into_bytes();
        for (name, value) in &head.headers {
            raw.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
        // A header cannot contain a line feed.
        let header = echo.replace('\n', "%0A");
        raw.extend(format!("X-Request-Id: {header}\nWWW-Authenticate: Bearer realm=\"{header}\"\n\n").into_bytes());
        // In place of a word of the body, and after the body.
        let text = String::from_utf8_lossy(&body).replace("newer", &echo);
        let changed = if text.contains(&echo) { text.into_bytes() } else { body };
        raw.extend(changed);
        properties::decode(&raw);
        raw.extend(echo.into_bytes());
        properties::decode(&raw);
    }

    #[test]
    fn any_bytes_keep_the_invariants(data in vec(any::<u8>(), 0..200)) {
        properties::decode(&data);
        properties::differential(&data);
    }

    #[test]
    fn an_envelope_survives_a_round_trip(written in envelope(), newer in vec(newer(), 0..6)) {
        properties::envelope(&written, &newer);
    }

    #[test]
    fn reads_retry_after_like_the_naive_reader(headers in headers()) {
        properties::retry_after(&headers);
    }

    #[test]
    fn claims_never_extend_a_lifetime(
        id_token in id_token(),
        claims in claims(),
        expires_in in option::of(prop_oneof![1..100_000_i64, any::<i64>()]),
        headers in headers(),
    ) {
        let date = headers.get(DATE);
        properties::claims(&id_token, expires_in, date);
        let payload = URL_SAFE_NO_PAD.encode(claims);
        properties::claims(&format!("e30.{payload}.c2ln"), expires_in, date);
    }

    #[test]
    fn the_strategies_grant_and_refuse_as_named(
        credentials in credentials(),
        granting in granting(),
        refusing in refusing(),
    ) {
        let exchange = Exchange::new(Endpoint::default(), credentials);
        prop_assert!(exchange.parse(granting, RECEIVED).is_ok());
        let refused = exchange.parse(refusing, RECEIVED).map_err(|error| error.kind());
        prop_assert!(matches!(
            refused,
            Err(ErrorKind::Refused | ErrorKind::Throttled | ErrorKind::Unavailable)
        ));
    }

    #[test]
    fn the_strategies_of_valid_values_are_valid(
        credentials in credentials(),
        endpoint in endpoint(),
        token in token(),
    ) {
        properties::request(
            credentials.client_id().as_str(),
            credentials.client_secret().expose(),
        );
        properties::endpoint(&endpoint.to_string());
        properties::claims(token.id_token(), None, None);
    }

    #[test]
    fn a_granted_token_survives_a_round_trip(
        id_token in "[A-Za-z0-9._~+/-]{1,60}={0,2}",
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
        let grant = exchange("a secret that no server echoes").parse(Response::new(json), RECEIVED).unwrap();
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
    fn errors_show_no_echoed_secret(secret in secret(), status in select(vec![200, 400, 403, 500])) {
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
                let shown = [error.to_string(), error.report().to_string(), format!("{error:?}")];
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
    for secret in properties::SECRETS {
        for echo in echoes(secret) {
            assert!(reveals(&format!("before {echo} after"), secret), "{echo}");
            let other = echo.replace(['c', 'M', 'a', 'Y', '6'], "_");
            assert!(!reveals(&other, secret), "{other}");
        }
    }
}
