//! The cases of `JSONTestSuite`, in every place where the service could send them.
//!
//! `.ci/json-suite` brings them, and names their folder in `JSON_SUITE`: one file a case, whose
//! name begins with `y_` for what a reader of JSON must accept, with `n_` for what it must refuse
//! and with `i_` for what it may decide.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, str};

use http::Response;
use meshconnect_auth_core::{Credentials, Endpoint, Error, ErrorKind, Exchange, Moment};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// How a case is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As JSON, wherever it stands.
    Accepted,
    /// As no JSON, wherever it stands.
    Refused,
    /// As JSON only where it is the whole body.
    AcceptedAlone,
}

/// What was decided where the suite leaves it open, or otherwise than the suite has it, and why.
const PINS: [(&str, Verdict, &str); 35] = {
    use Verdict::{Accepted, AcceptedAlone, Refused};

    const ROUNDED: &str = "RFC 8259 §6: a reader may round what a 64-bit float holds less exactly";
    const TOO_LARGE: &str = "RFC 8259 §6: a reader may refuse what no 64-bit float holds";
    const HALF: &str = "RFC 8259 §8.2: half of a surrogate pair is no character";
    const NOT_UTF_8: &str = "RFC 8259 §8.1: JSON between systems is UTF-8";
    const TOO_DEEP: &str = "RFC 8259 §9: a reader may limit the depth, and serde_json does at 127";
    const MARK: &str = "RFC 8259 §8.1: a reader may ignore the mark, which begins a body only";

    #[rustfmt::skip] // One line a case.
    let pins = [
        ("i_number_double_huge_neg_exp", Accepted, ROUNDED),
        ("i_number_huge_exp", Refused, TOO_LARGE),
        ("i_number_neg_int_huge_exp", Refused, TOO_LARGE),
        ("i_number_pos_double_huge_exp", Refused, TOO_LARGE),
        ("i_number_real_neg_overflow", Refused, TOO_LARGE),
        ("i_number_real_pos_overflow", Refused, TOO_LARGE),
        ("i_number_real_underflow", Accepted, ROUNDED),
        ("i_number_too_big_neg_int", Accepted, ROUNDED),
        ("i_number_too_big_pos_int", Accepted, ROUNDED),
        ("i_number_very_big_negative_int", Accepted, ROUNDED),
        ("i_object_key_lone_2nd_surrogate", Refused, HALF),
        ("i_string_1st_surrogate_but_2nd_missing", Refused, HALF),
        ("i_string_1st_valid_surrogate_2nd_invalid", Refused, HALF),
        ("i_string_UTF-16LE_with_BOM", Refused, NOT_UTF_8),
        ("i_string_UTF-8_invalid_sequence", Refused, NOT_UTF_8),
        ("i_string_UTF8_surrogate_U+D800", Refused, NOT_UTF_8),
        ("i_string_incomplete_surrogate_and_escape_valid", Refused, HALF),
        ("i_string_incomplete_surrogate_pair", Refused, HALF),
        ("i_string_incomplete_surrogates_escape_valid", Refused, HALF),
        ("i_string_invalid_lonely_surrogate", Refused, HALF),
        ("i_string_invalid_surrogate", Refused, HALF),
        ("i_string_invalid_utf-8", Refused, NOT_UTF_8),
        ("i_string_inverted_surrogates_U+1D11E", Refused, HALF),
        ("i_string_iso_latin_1", Refused, NOT_UTF_8),
        ("i_string_lone_second_surrogate", Refused, HALF),
        ("i_string_lone_utf8_continuation_byte", Refused, NOT_UTF_8),
        ("i_string_not_in_unicode_range", Refused, NOT_UTF_8),
        ("i_string_overlong_sequence_2_bytes", Refused, NOT_UTF_8),
        ("i_string_overlong_sequence_6_bytes", Refused, NOT_UTF_8),
        ("i_string_overlong_sequence_6_bytes_null", Refused, NOT_UTF_8),
        ("i_string_truncated-utf-8", Refused, NOT_UTF_8),
        ("i_string_utf16BE_no_BOM", Refused, NOT_UTF_8),
        ("i_string_utf16LE_no_BOM", Refused, NOT_UTF_8),
        ("i_structure_500_nested_arrays", Refused, TOO_DEEP),
        ("i_structure_UTF-8_BOM_empty_object", AcceptedAlone, MARK),
    ];
    pins
};

/// Where a value may stand in a success without changing it.
const PLACES: [(&str, &str); 5] = [
    (
        r#"{"newer":"#,
        r#","status":"ok","content":{"id_token":"x"}}"#,
    ),
    (r#"{"status":"ok","content":{"id_token":"x"},"newer":"#, "}"),
    (
        r#"{"status":"ok","content":{"newer":"#,
        r#","id_token":"x"}}"#,
    ),
    (
        r#"{"status":"ok","newer":[{"a":"#,
        r#"}],"content":{"id_token":"x"}}"#,
    ),
    (
        r#"{"status":"ok","errorData":"#,
        r#","content":{"id_token":"x"}}"#,
    ),
];

#[test]
#[ignore = "its cases are not ours to keep: .ci/json-suite brings them"]
fn every_case_is_read_as_its_name_or_its_pin_says() {
    let cases = cases();
    let mut pins: BTreeMap<_, _> = PINS
        .map(|(name, verdict, why)| (name, (verdict, why)))
        .into();
    assert_eq!(pins.len(), PINS.len(), "a case is pinned twice");
    let mut failures = Vec::new();
    for (name, case) in &cases {
        let name = name.strip_suffix(".json").unwrap();
        let pin = pins.remove(name);
        let demanded = match name.split_once('_').unwrap().0 {
            "y" => Some(Verdict::Accepted),
            "n" => Some(Verdict::Refused),
            "i" => None,
            _ => panic!("what does the name of {name} mean?"),
        };
        let Some((expected, why)) = pin.or(demanded.map(|verdict| (verdict, "the suite says so")))
        else {
            failures.push(format!("{name} is {:?}, pinned nowhere", verdict(case)));
            continue;
        };
        if pin.is_some() && demanded == Some(expected) {
            failures.push(format!("{name} needs no pin"));
        }
        match verdict(case) {
            Ok(told) if told == expected => {}
            Ok(told) => failures.push(format!("{name} is {told:?}, not {expected:?}: {why}")),
            Err(contradiction) => failures.push(format!("{name}: {contradiction}")),
        }
    }
    failures.extend(
        pins.keys()
            .map(|name| format!("{name} is pinned, but no case")),
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
#[ignore = "its cases are not ours to keep: .ci/json-suite brings them"]
fn every_text_is_given_back_as_it_was() {
    /// How much of a field an error keeps.
    const FIELD: usize = 8 * 1024;

    let cases = cases();
    let texts: Vec<_> = cases
        .iter()
        .filter_map(|(name, case)| Some((name, str::from_utf8(case).ok()?)))
        .collect();
    assert_eq!(texts.len(), 293, "another number of cases is UTF-8");
    for (name, text) in texts {
        let quoted = serde_json::to_string(text).unwrap();
        let body = format!(r#"{{"status":"badRequest","message":{quoted}}}"#);
        let expected = match text.get(..FIELD) {
            _ if text.is_empty() => None,
            Some(beginning) if text.len() > FIELD => Some(format!("{beginning}…")),
            _ => Some(text.to_owned()),
        };
        for status in [400, 200] {
            let error = read(status, body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected, "{name}: {error}");
            let message = error.rejection().unwrap().message();
            assert_eq!(message, expected.as_deref(), "{name}");
        }
    }
}

/// The cases by their names.
fn cases() -> BTreeMap<String, Vec<u8>> {
    let Some(folder) = env::var_os("JSON_SUITE") else {
        panic!("JSON_SUITE names no folder of cases; .ci/json-suite does");
    };
    let folder = Path::new(&folder);
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 318, "{} is not the suite", folder.display());
    let case = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    paths.into_iter().map(case).collect()
}

/// How a case is read, if that is the same in all places of a kind.
fn verdict(case: &[u8]) -> Result<Verdict, String> {
    match (is_json_alone(case)?, is_json_within(case)?) {
        (true, true) => Ok(Verdict::Accepted),
        (false, false) => Ok(Verdict::Refused),
        (true, false) => Ok(Verdict::AcceptedAlone),
        (false, true) => Err("it is JSON only within other JSON".to_owned()),
    }
}

/// Whether a case is read as JSON where it is the whole body, which is no answer in any case.
fn is_json_alone(case: &[u8]) -> Result<bool, String> {
    let error = read(200, case).err().ok_or("it is a token")?;
    // It may stop at the first byte that begins no object, so of it only one half can be said.
    let stops = is_about_shape(&error)?;
    let error = exchange()
        .parse_as::<IgnoredAny>(Response::new(case))
        .err()
        .ok_or("it is an envelope")?;
    let is_json = is_about_shape(&error)?;
    if is_json && !stops {
        return Err("parse_as takes it for JSON, and parse does not".to_owned());
    }
    Ok(is_json)
}

/// Whether a case is read as JSON where it is one value of an envelope.
fn is_json_within(case: &[u8]) -> Result<bool, String> {
    let mut told = Vec::new();
    for (before, after) in PLACES {
        let body = [before.as_bytes(), case, after.as_bytes()].concat();
        told.push(is_granted(&body)?);
    }
    let content = [br#"{"status":"ok","content":"#, case, b"}"].concat();
    told.push(is_handed_out(&content, case)?);
    let data = [
        br#"{"status":"badRequest","message":"m","errorData":"#,
        case,
        b"}",
    ]
    .concat();
    told.push(is_explained(200, &data, case)?);
    told.push(is_explained(400, &data, case)?);
    let is_json = told.iter().all(|told| *told);
    if is_json != told.iter().any(|told| *told) {
        return Err(format!("it is JSON in some places only: {told:?}"));
    }
    Ok(is_json)
}

/// Whether a success is one; what is none is refused as no JSON.
fn is_granted(body: &[u8]) -> Result<bool, String> {
    match read(200, body) {
        Ok(token) if token == "x" => Ok(true),
        Ok(token) => Err(format!("the token is {token}")),
        Err(error) if is_about_shape(&error)? => Err(format!("beside a token: {error}")),
        Err(_) => Ok(false),
    }
}

/// Whether a refusal is explained, with the case as its data; of what is none, all is dropped.
fn is_explained(status: u16, body: &[u8], case: &[u8]) -> Result<bool, String> {
    let error = read(status, body).err().ok_or("a refusal is a token")?;
    let Some(rejection) = error.rejection() else {
        let dropped = match status {
            400 => error.kind() == ErrorKind::Rejected,
            _ => !is_about_shape(&error)?,
        };
        return if dropped {
            Ok(false)
        } else {
            Err(format!("with {status}: {error}"))
        };
    };
    let kept = (error.kind(), rejection.message(), rejection.error_data());
    if kept == (ErrorKind::Rejected, Some("m"), kept_of(case)) {
        Ok(true)
    } else {
        Err(format!("it is kept as {kept:?}"))
    }
}

/// Whether a success is handed out with the case as its content.
fn is_handed_out(body: &[u8], case: &[u8]) -> Result<bool, String> {
    let answer = match exchange().parse_as::<Box<RawValue>>(Response::new(body)) {
        Ok(answer) => answer,
        Err(error) if is_about_shape(&error)? => return Err(format!("as content: {error}")),
        Err(_) => return Ok(false),
    };
    let content = answer.content.as_deref().map(RawValue::get);
    if content == kept_of(case) {
        Ok(true)
    } else {
        Err(format!("it is handed out as {content:?}"))
    }
}

/// What is kept of a case as a value: white space around it is none of it, and `null` is the same
/// as no value.
fn kept_of(case: &[u8]) -> Option<&str> {
    let text = str::from_utf8(case.trim_ascii()).ok();
    text.filter(|text| *text != "null")
}

/// Whether a malformed success is JSON, and only not the envelope.
fn is_about_shape(error: &Error) -> Result<bool, String> {
    let said = error.to_string();
    let why = said
        .split_once("the body is not a valid answer: ")
        .map(|(_, why)| why)
        .filter(|_| error.kind() == ErrorKind::Malformed)
        .ok_or_else(|| format!("is not malformed: {said}"))?;
    if why == "it has no status" || why.contains(", expected an ApiResult object") {
        Ok(true)
    } else if why == "it is empty" || why == "it is not UTF-8" || why.contains(" at line ") {
        Ok(false)
    } else {
        Err(format!("is that about JSON? {why}"))
    }
}

fn exchange() -> Exchange {
    let credentials = Credentials::new("client", "a secret that nobody echoes").unwrap();
    Exchange::new(Endpoint::default(), credentials)
}

/// The token of an answer.
fn read(status: u16, body: &[u8]) -> Result<String, Error> {
    let now = Moment {
        mono: Duration::ZERO,
        wall: Duration::from_secs(1_795_478_400),
    };
    let response = Response::builder().status(status).body(body).unwrap();
    let grant = exchange().parse(response, now)?;
    Ok(grant.into_token(now).id_token().to_owned())
}
