//! An envelope reads back as it was written, in any order and with unknown members.

use http::Response;
use meshconnect_auth_core::{
    ApiResult, ApiResultStatus, AuthenticationStatus, Error, ErrorKind, OAuthTokenResponse,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::differential::differential;
use crate::exchange::{SECRETS, exchange};
use crate::naive_reader::refused_as;

type Envelope = ApiResult<OAuthTokenResponse>;

/// The content, read by a separate derive.
#[derive(Debug, Deserialize)]
struct Content {
    id_token: Option<String>,
    expires_in: Option<i64>,
    status: Option<AuthenticationStatus>,
}

/// An unknown member, as a newer version of the contract may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "only tests use and build this")]
pub struct Newer {
    /// Whether it is a member of the content or of the envelope.
    pub in_content: bool,
    /// The index of the member that it precedes; wraps around.
    pub at: usize,
    /// Its name. A name of the contract is ignored.
    pub name: String,
    /// Its value: JSON with less than 100 levels.
    pub value: String,
}

/// Checks that an envelope reads back, also with its members in reverse order, with `null` for
/// missing members, and with unknown members, which have no effect.
pub fn envelope(written: &Envelope, newer: &[Newer]) {
    let Ok(plain) = serde_json::to_string(written) else {
        panic!("{written:?} cannot be serialized");
    };
    let extended = [false, true].map(|reversed| serialize(written, newer, reversed));
    for text in extended.iter().chain([&plain]) {
        check_reading(text, written);
        differential(text.as_bytes());
    }
}

/// Calls [`envelope`] with members that are read from lines of text. A line has a name, a space and
/// a value. The names of the content's members begin with `content.`; names that the contract does
/// not have are unknown members. A value is JSON or plain text.
pub fn envelope_bytes(data: &[u8]) {
    let mut written = Envelope::default();
    let mut newer = Vec::new();
    for (at, line) in String::from_utf8_lossy(data).lines().enumerate() {
        let (name, value) = match line.split_once(' ') {
            Some((name, value)) => (name, Some(value)),
            None => (line, None),
        };
        let text = value.map(text);
        if let Some(name) = name.strip_prefix("content.") {
            let content = written.content.get_or_insert_default();
            match name {
                "id_token" => content.id_token = text,
                "expires_in" => content.expires_in = value.and_then(|value| value.parse().ok()),
                "status" => {
                    content.status = text.as_deref().map(AuthenticationStatus::from);
                }
                _ => newer.push(Newer {
                    in_content: true,
                    at,
                    name: name.to_owned(),
                    value: json(value),
                }),
            }
            continue;
        }
        match name {
            "status" => written.status = text.as_deref().map(ApiResultStatus::from),
            "message" => written.message = text,
            "displayMessage" => written.display_message = text,
            "errorHash" => written.error_hash = text,
            "errorType" => written.error_type = text,
            "teamCode" => written.team_code = text,
            // `null` is the same as a missing member.
            "errorData" => {
                written.error_data = RawValue::from_string(json(value))
                    .ok()
                    .filter(|raw| raw.get() != "null");
            }
            "content" => written.content = value.is_some().then(OAuthTokenResponse::default),
            _ => newer.push(Newer {
                in_content: false,
                at,
                name: name.to_owned(),
                value: json(value),
            }),
        }
    }
    envelope(&written, &newer);
}

/// Returns the text of a JSON string, or any other value unchanged.
fn text(value: &str) -> String {
    serde_json::from_str(value).unwrap_or_else(|_| value.to_owned())
}

/// Returns JSON unchanged, and any other text as a JSON string.
fn json(value: Option<&str>) -> String {
    let Some(value) = value else {
        return "null".to_owned();
    };
    let reads = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    // The brackets add the nesting of an envelope and its content.
    let is_json = reads(value) && reads(&format!("[[{value}]]"));
    if is_json {
        value.to_owned()
    } else {
        quoted(value)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Serializes an envelope independently of its `Serialize` implementation.
fn serialize(written: &Envelope, newer: &[Newer], reversed: bool) -> String {
    let text = |text: Option<&str>| text.map_or("null".to_owned(), quoted);
    let content = written.content.as_ref().map(|content| {
        let members = vec![
            ("id_token", text(content.id_token.as_deref())),
            (
                "expires_in",
                content
                    .expires_in
                    .map_or("null".to_owned(), |seconds| seconds.to_string()),
            ),
            (
                "status",
                text(content.status.as_ref().map(AuthenticationStatus::as_str)),
            ),
        ];
        object(members, newer, true, reversed)
    });
    let error_data = written.error_data.as_ref();
    let members = vec![
        (
            "status",
            text(written.status.as_ref().map(ApiResultStatus::as_str)),
        ),
        ("message", text(written.message.as_deref())),
        ("displayMessage", text(written.display_message.as_deref())),
        ("errorHash", text(written.error_hash.as_deref())),
        ("errorType", text(written.error_type.as_deref())),
        (
            "errorData",
            error_data.map_or("null".to_owned(), |raw| raw.get().to_owned()),
        ),
        ("teamCode", text(written.team_code.as_deref())),
        ("content", content.unwrap_or_else(|| "null".to_owned())),
    ];
    object(members, newer, false, reversed)
}

fn object<'a>(
    mut members: Vec<(&'a str, String)>,
    newer: &'a [Newer],
    in_content: bool,
    reversed: bool,
) -> String {
    let own: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    for newer in newer {
        if newer.in_content == in_content && !own.contains(&newer.name.as_str()) {
            let places = members.len().saturating_add(1);
            let at = newer.at.checked_rem(places).unwrap_or_default();
            members.insert(at, (&newer.name, newer.value.clone()));
        }
    }
    if reversed {
        members.reverse();
    }
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\n{} : {value}", quoted(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn assert_same(read: &ApiResult<Content>, written: &Envelope, text: &str) {
    assert_eq!(read.status, written.status, "{text}");
    assert_eq!(read.message, written.message, "{text}");
    assert_eq!(read.display_message, written.display_message, "{text}");
    assert_eq!(read.error_hash, written.error_hash, "{text}");
    assert_eq!(read.error_type, written.error_type, "{text}");
    assert_eq!(read.team_code, written.team_code, "{text}");
    let content = read.content.as_ref().map(|content| {
        let mut read = OAuthTokenResponse::default();
        read.id_token.clone_from(&content.id_token);
        read.expires_in = content.expires_in;
        read.status.clone_from(&content.status);
        read
    });
    assert_eq!(content, written.content, "{text}");
    let raw = |data: &Option<Box<RawValue>>| Some(data.as_ref()?.get().to_owned());
    assert_eq!(raw(&read.error_data), raw(&written.error_data), "{text}");
}

/// Checks that the envelope reads back from the body of a 200, or that its error reports it.
fn check_reading(text: &str, written: &Envelope) {
    let response = Response::new(text.as_bytes());
    let result = exchange(SECRETS[0]).parse_as::<Content>(response);
    let status = written.status.as_ref().map_or("", ApiResultStatus::as_str);
    match (status, result) {
        ("ok", Ok(read)) => assert_same(&read, written, text),
        ("", Err(error)) => assert_eq!(error.kind(), ErrorKind::Malformed, "{text}"),
        (status, Err(error)) if status != "ok" => check_rejection(&error, written, text),
        (_, result) => panic!("{text} is read as {result:?}"),
    }
}

fn check_rejection(error: &Error, written: &Envelope, text: &str) {
    let kind = refused_as(written.status.as_ref().map_or("", ApiResultStatus::as_str));
    assert_eq!(error.kind(), kind, "{text}");
    let Some(rejection) = error.rejection() else {
        panic!("the error does not report {text}");
    };
    let fields = [
        (rejection.status().map(ApiResultStatus::as_str), {
            written.status.as_ref().map(ApiResultStatus::as_str)
        }),
        (rejection.message(), written.message.as_deref()),
        (
            rejection.display_message(),
            written.display_message.as_deref(),
        ),
        (rejection.error_hash(), written.error_hash.as_deref()),
        (rejection.error_type(), written.error_type.as_deref()),
        (
            rejection.error_data(),
            written.error_data.as_ref().map(|raw| raw.get()),
        ),
        (rejection.team_code(), written.team_code.as_deref()),
    ];
    for (reported, written) in fields {
        let written = written.filter(|text| !text.is_empty());
        // A text that repeats the response's own token is masked, and a long text is cut.
        let changed = |reported: &str| reported.contains("[masked]") || reported.ends_with('…');
        assert!(
            reported == written || written.is_some() && reported.is_some_and(changed),
            "the error reports {reported:?} for {text}"
        );
    }
}
