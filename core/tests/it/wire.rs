//! How answers are read: objects, seconds, duplicate and unknown fields.

use std::time::Duration;

use http::header::WWW_AUTHENTICATE;
use http::{Response, StatusCode};
use meshconnect_auth_core::{Credentials, Endpoint, Exchange, Grant, Moment};
use serde::de::IgnoredAny;

const NOW: Moment = Moment {
    mono: Duration::from_secs(5),
    wall: Duration::from_secs(1_800_000_000),
};

fn exchange() -> Exchange {
    let credentials = Credentials::new("id", "a-client-secret").unwrap();
    Exchange::new(Endpoint::default(), credentials)
}

fn parse(json: &str) -> Result<Grant, String> {
    exchange()
        .parse(Response::new(json.as_bytes()), NOW)
        .map_err(|error| error.to_string())
}

fn with_content(content: &str) -> String {
    format!(r#"{{"status":"ok","content":{content}}}"#)
}

/// Returns which of the tokens `a-token-a`, `a-token-b` … are masked in the text of an answer with
/// this body.
fn masked_tokens(body: &str) -> String {
    let letters = 'a'..='f';
    let tokens: Vec<_> = letters.clone().map(|c| format!("a-token-{c}")).collect();
    let response = Response::builder()
        .status(StatusCode::FORBIDDEN)
        .header(WWW_AUTHENTICATE, tokens.join(" "))
        .body(body.as_bytes())
        .unwrap();
    let error = exchange().parse(response, NOW).unwrap_err();
    let shown = error.www_authenticate().unwrap();
    assert_eq!(shown.split(' ').count(), tokens.len(), "{shown}");
    letters
        .zip(shown.split(' '))
        .filter_map(|(c, shown)| (shown == "[masked]").then_some(c))
        .collect()
}

#[test]
fn masks_id_tokens_at_any_depth() {
    let expand = |body: &str| {
        ('a'..='f').fold(body.to_owned(), |body, c| {
            body.replace(&format!(r#""{c}""#), &format!(r#""a-token-{c}""#))
        })
    };
    let nested = r#"[{"id_token":"a"},{"x":{"id_token":["b",{"id_token":"c"}]}},{"y":"d"}]"#;
    assert_eq!(masked_tokens(&expand(nested)), "abc");
    let many = r#"{"id_token":["a","b",1,null,true,"c","d","e"]}"#;
    assert_eq!(masked_tokens(&expand(many)), "abcd");
    let broken = r#"{"id_token":"a","id\u005ftoken":"b" then no JSON {"id_token":"c"}"#;
    assert_eq!(masked_tokens(&expand(broken)), "abc");
    let others = r#"{"id_token":1,"x":"a","id_token":{"y":"b"},"id_token" "c","z\"id_token":"d"}"#;
    assert_eq!(masked_tokens(&expand(others)), "");
}

#[test]
fn masks_id_tokens_whatever_unread_fields_contain() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for value in ["1e999", r#""\ud800""#, r#""\\""#, &deep] {
        let body = format!(r#"{{"x":{value},"content":{{"y":{value},"id_token":"a-token-a"}}}}"#);
        assert_eq!(masked_tokens(&body), "a", "{body}");
        let content = r#"{"id_token":"a-token-a","status":"a-token-a"}"#;
        let body = format!(r#"{{"x":{value},"status":"ok","content":{content}}}"#);
        let grant = exchange()
            .parse(Response::new(body.as_bytes()), NOW)
            .unwrap();
        assert_eq!(grant.status().unwrap().as_str(), "[masked]", "{body}");
    }
}

#[test]
fn reads_objects_only() {
    assert!(parse(&with_content(r#"{"id_token":"a","b":"\ud800"}"#)).is_ok());
    for json in ["[1]", "1", r#""a""#] {
        for json in [json.to_owned(), with_content(json)] {
            let error = parse(&json).unwrap_err();
            assert!(error.contains("expected a JSON object"), "{json}: {error}");
        }
    }
    let error = parse("null").unwrap_err();
    assert!(error.contains("expected a JSON object"), "{error}");
    let error = parse(&with_content("null")).unwrap_err();
    assert!(error.contains("it has no content"), "{error}");
}

#[test]
fn reads_seconds_as_an_integer_or_as_digits() {
    const TEN_YEARS: u64 = 315_360_000;
    const NEGATIVE: &str = "its expires_in is not positive";
    const FRACTION: &str = "expires_in is not a whole number of seconds";
    const TEXT: &str = "expires_in is a string, but not one of digits";
    const OTHER: &str = "expected a number of seconds";
    for (json, expected) in [
        ("3600", Ok(3600)),
        ("0", Err(NEGATIVE)),
        ("-1", Err(NEGATIVE)),
        ("9223372036854775807", Ok(TEN_YEARS)),
        ("9223372036854775808", Ok(TEN_YEARS)),
        ("-9223372036854775809", Err(NEGATIVE)),
        ("1e30", Ok(TEN_YEARS)),
        ("-1e30", Err(NEGATIVE)),
        ("18446744073709551616.0", Ok(TEN_YEARS)),
        ("1e400", Err(FRACTION)),
        ("-1e400", Err(FRACTION)),
        ("1.0", Err(FRACTION)),
        ("1e2", Err(FRACTION)),
        ("1.5", Err(FRACTION)),
        (r#""3600""#, Ok(3600)),
        (r#""007""#, Ok(7)),
        (r#""1""#, Ok(1)),
        (r#""99999999999999999999""#, Ok(TEN_YEARS)),
        (r#""""#, Err(TEXT)),
        (r#""-1""#, Err(TEXT)),
        (r#"" 1""#, Err(TEXT)),
        (r#""1s""#, Err(TEXT)),
        ("true", Err(OTHER)),
        ("[1]", Err(OTHER)),
        ("{}", Err(OTHER)),
    ] {
        let content = format!(r#"{{"id_token":"a","expires_in":{json}}}"#);
        match (parse(&with_content(&content)), expected) {
            (Ok(grant), expected) => assert_eq!(Ok(grant.lifetime().as_secs()), expected, "{json}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{json}: {error}"),
            (Err(error), Ok(_)) => panic!("{json}: {error}"),
        }
    }
}

#[test]
fn a_duplicate_field_is_refused() {
    let twice = |name: &str| format!(r#"{{"{name}":null,"x":1,"x":2,"{name}":null}}"#);
    let envelope = [
        "status",
        "message",
        "displayMessage",
        "errorHash",
        "errorType",
        "errorData",
        "teamCode",
        "content",
    ];
    let content = ["id_token", "expires_in", "status"];
    let answers = envelope.map(twice).into_iter();
    for json in answers.chain(content.map(|name| with_content(&twice(name)))) {
        let error = parse(&json).unwrap_err();
        assert!(error.contains("duplicate field"), "{json}: {error}");
    }
}

#[test]
fn unknown_fields_may_contain_anything() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for value in [r#""\ud800""#, "1e400", "[{\"a\":1,\"a\":2}]", &deep] {
        let json = format!(
            r#"{{"status":"ok","new":{value},"errorData":{value},"content":{{"new":{value},"id_token":"a"}}}}"#
        );
        let token = parse(&json).unwrap().into_token(NOW);
        assert_eq!(token.id_token(), "a");
        let response = Response::new(json.replace(&format!(r#""new":{value},"id"#), r#""id"#));
        let response = response.map(String::into_bytes);
        let envelope = exchange().parse_as::<IgnoredAny>(response).unwrap();
        assert_eq!(envelope.error_data.unwrap().get(), value);
    }
}
