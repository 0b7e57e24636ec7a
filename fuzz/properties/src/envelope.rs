//! An envelope is read as it was written, whatever else stands around its members.

use http::Response;
use meshconnect_auth_core::{
    ApiResult, ApiResultStatus, AuthenticationStatus, Error, ErrorKind, OAuthTokenResponse,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::differential::differential;
use crate::exchange::{SECRETS, exchange};

type Envelope = ApiResult<OAuthTokenResponse>;

/// The content, read by a derive of its own.
#[derive(Debug, Deserialize)]
struct Content {
    id_token: Option<String>,
    expires_in: Option<i64>,
    status: Option<AuthenticationStatus>,
}

/// A member that the contract does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "tests alone use this, and build it"
)]
pub struct Newer {
    /// Whether it stands within the content, if there is one, or beside it.
    pub in_content: bool,
    /// Before which of the others it stands; wraps around.
    pub at: usize,
    /// Its name. One that the contract has at that place is left out.
    pub name: String,
    /// Its value: JSON that nests less than a hundred times.
    pub value: String,
}

/// What is written is read as the same, also where its members stand in another order, what
/// is missing is `null`, and newer members stand between them: those leave no trace.
pub fn envelope(written: &Envelope, newer: &[Newer]) {
    let Ok(plain) = serde_json::to_string(written) else {
        panic!("{written:?} is not written");
    };
    let woven = [false, true].map(|reversed| woven(written, newer, reversed));
    for text in woven.iter().chain([&plain]) {
        answered(text, written);
        differential(text.as_bytes());
    }
}

/// [`envelope`] out of lines of text, each of a name, a space and a value: a field of the contract,
/// those of the content after `content.`, or a newer one at the place where it stands. A value is
/// JSON, or else text as it stands.
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
            // `null` is the same as nothing.
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

/// A JSON string's text, or anything else as it stands.
fn text(value: &str) -> String {
    serde_json::from_str(value).unwrap_or_else(|_| value.to_owned())
}

/// JSON as it stands, or anything else as a JSON string.
fn json(value: Option<&str>) -> String {
    let Some(value) = value else {
        return "null".to_owned();
    };
    let reads = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    // As deep as it will stand, in an envelope and its content.
    let good = reads(value) && reads(&format!("[[{value}]]"));
    if good {
        value.to_owned()
    } else {
        quoted(value)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A second writer of envelopes.
fn woven(written: &Envelope, newer: &[Newer], reversed: bool) -> String {
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

fn same(read: &ApiResult<Content>, written: &Envelope, text: &str) {
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

/// The same as the body of a 200: what was written is either read back or told by the error.
fn answered(text: &str, written: &Envelope) {
    let response = Response::new(text.as_bytes());
    let result = exchange(SECRETS[0]).parse_as::<Content>(response);
    let status = written.status.as_ref().map_or("", ApiResultStatus::as_str);
    match (status, result) {
        ("ok", Ok(read)) => same(&read, written, text),
        ("", Err(error)) => assert_eq!(error.kind(), ErrorKind::Malformed, "{text}"),
        (status, Err(error)) if status != "ok" => told(&error, written, text),
        (_, result) => panic!("{text} is read as {result:?}"),
    }
}

fn told(error: &Error, written: &Envelope, text: &str) {
    assert_eq!(error.kind(), ErrorKind::Rejected, "{text}");
    let Some(rejection) = error.rejection() else {
        panic!("nothing of {text} is told");
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
    for (told, written) in fields {
        let written = written.filter(|text| !text.is_empty());
        // A text that repeats the answer's own token is masked, and a long one is cut.
        let changed = |told: &str| told.contains("[masked]") || told.ends_with('…');
        assert!(
            told == written || written.is_some() && told.is_some_and(changed),
            "{told:?} is told of {text}"
        );
    }
}
