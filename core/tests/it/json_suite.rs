//! The cases of `JSONTestSuite`, in every place where the service could send them.
//!
//! `.ci/json-suite` downloads them and sets `JSON_SUITE` to their folder. Each file is one case. Its
//! name begins with `y_` if a reader must accept it, `n_` if it must refuse it, and `i_` if it may do
//! either.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, str};

use http::Response;
use meshconnect_auth_core::{Credentials, Endpoint, Error, ErrorKind, Exchange, Moment};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// How a case is read in every place for a value that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused,
}

/// The decisions that the suite leaves open or makes differently, with the reasons.
const PINS: [(&str, Verdict, &str); 35] = {
    use Verdict::{Accepted, Refused};

    const ROUNDED: &str = "RFC 8259 §6: a reader may round a number to a 64-bit float";
    const TOO_LARGE: &str = "RFC 8259 §6: an unread number may have any size";
    const HALF: &str = "RFC 8259 §8.2: an unread string may have a lone surrogate";
    const NOT_UTF_8: &str = "RFC 8259 §8.1: JSON between systems is UTF-8";
    const DEEP: &str = "RFC 8259 §9: an unread value may nest to any depth";
    const MARK: &str =
        "RFC 8259 §8.1: a reader may ignore the mark, but only at the start of a body";

    #[rustfmt::skip] // One line a case.
    let pins = [
        ("i_number_double_huge_neg_exp", Accepted, ROUNDED),
        ("i_number_huge_exp", Accepted, TOO_LARGE),
        ("i_number_neg_int_huge_exp", Accepted, TOO_LARGE),
        ("i_number_pos_double_huge_exp", Accepted, TOO_LARGE),
        ("i_number_real_neg_overflow", Accepted, TOO_LARGE),
        ("i_number_real_pos_overflow", Accepted, TOO_LARGE),
        ("i_number_real_underflow", Accepted, ROUNDED),
        ("i_number_too_big_neg_int", Accepted, ROUNDED),
        ("i_number_too_big_pos_int", Accepted, ROUNDED),
        ("i_number_very_big_negative_int", Accepted, ROUNDED),
        ("i_object_key_lone_2nd_surrogate", Accepted, HALF),
        ("i_string_1st_surrogate_but_2nd_missing", Accepted, HALF),
        ("i_string_1st_valid_surrogate_2nd_invalid", Accepted, HALF),
        ("i_string_UTF-16LE_with_BOM", Refused, NOT_UTF_8),
        ("i_string_UTF-8_invalid_sequence", Refused, NOT_UTF_8),
        ("i_string_UTF8_surrogate_U+D800", Refused, NOT_UTF_8),
        ("i_string_incomplete_surrogate_and_escape_valid", Accepted, HALF),
        ("i_string_incomplete_surrogate_pair", Accepted, HALF),
        ("i_string_incomplete_surrogates_escape_valid", Accepted, HALF),
        ("i_string_invalid_lonely_surrogate", Accepted, HALF),
        ("i_string_invalid_surrogate", Accepted, HALF),
        ("i_string_invalid_utf-8", Refused, NOT_UTF_8),
        ("i_string_inverted_surrogates_U+1D11E", Accepted, HALF),
        ("i_string_iso_latin_1", Refused, NOT_UTF_8),
        ("i_string_lone_second_surrogate", Accepted, HALF),
        ("i_string_lone_utf8_continuation_byte", Refused, NOT_UTF_8),
        ("i_string_not_in_unicode_range", Refused, NOT_UTF_8),
        ("i_string_overlong_sequence_2_bytes", Refused, NOT_UTF_8),
        ("i_string_overlong_sequence_6_bytes", Refused, NOT_UTF_8),
        ("i_string_overlong_sequence_6_bytes_null", Refused, NOT_UTF_8),
        ("i_string_truncated-utf-8", Refused, NOT_UTF_8),
        ("i_string_utf16BE_no_BOM", Refused, NOT_UTF_8),
        ("i_string_utf16LE_no_BOM", Refused, NOT_UTF_8),
        ("i_structure_500_nested_arrays", Accepted, DEEP),
        ("i_structure_UTF-8_BOM_empty_object", Refused, MARK),
    ];
    pins
};

/// The places for a value in a success that do not change its result.
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
#[ignore = "needs the cases that .ci/json-suite downloads"]
fn reads_every_case_as_its_name_or_pin_says() {
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
            _ => panic!("{name} has an unknown prefix"),
        };
        let Some((expected, why)) = pin.or(demanded.map(|verdict| (verdict, "the suite decides")))
        else {
            failures.push(format!("{name} is {:?} and has no pin", verdict(case)));
            continue;
        };
        if pin.is_some() && demanded == Some(expected) {
            failures.push(format!("{name} needs no pin"));
        }
        match verdict(case) {
            Ok(actual) if actual == expected => {}
            Ok(actual) => failures.push(format!("{name} is {actual:?}, not {expected:?}: {why}")),
            Err(contradiction) => failures.push(format!("{name}: {contradiction}")),
        }
    }
    failures.extend(
        pins.keys()
            .map(|name| format!("{name} is pinned, but is not a case")),
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
#[ignore = "needs the cases that .ci/json-suite downloads"]
fn keeps_every_text_unchanged() {
    /// The limit of a field in an error.
    const FIELD: usize = 8 * 1024;

    let cases = cases();
    let texts: Vec<_> = cases
        .iter()
        .filter_map(|(name, case)| Some((name, str::from_utf8(case).ok()?)))
        .collect();
    assert_eq!(texts.len(), 293, "the number of UTF-8 cases has changed");
    for (name, text) in texts {
        let quoted = serde_json::to_string(text).unwrap();
        let body = format!(r#"{{"status":"badRequest","message":{quoted}}}"#);
        let expected = match text.get(..FIELD - "…".len()) {
            _ if text.is_empty() => None,
            Some(beginning) if text.len() > FIELD => Some(format!("{beginning}…")),
            _ => Some(text.to_owned()),
        };
        for status in [400, 200] {
            let error = read(status, body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{name}: {error}");
            let message = error.rejection().unwrap().message();
            assert_eq!(message, expected.as_deref(), "{name}");
        }
    }
}

/// Returns the cases by their names.
fn cases() -> BTreeMap<String, Vec<u8>> {
    let Some(folder) = env::var_os("JSON_SUITE") else {
        panic!("JSON_SUITE is not set; run .ci/json-suite");
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

/// Returns how a case is read, or an error if that differs between places.
fn verdict(case: &[u8]) -> Result<Verdict, String> {
    is_never_an_answer(case)?;
    Ok(if is_json_within(case)? {
        Verdict::Accepted
    } else {
        Verdict::Refused
    })
}

/// Checks that a case is malformed if it is the whole body.
fn is_never_an_answer(case: &[u8]) -> Result<(), String> {
    let token = read(200, case).err().ok_or("it is a token")?;
    let other = exchange().parse_as::<IgnoredAny>(Response::new(case));
    for error in [token, other.err().ok_or("it is an envelope")?] {
        if error.kind() != ErrorKind::Malformed {
            return Err(format!("is not malformed: {error}"));
        }
    }
    Ok(())
}

/// Returns whether a case is read as JSON if it is one value of an envelope.
fn is_json_within(case: &[u8]) -> Result<bool, String> {
    let mut verdicts = Vec::new();
    for (before, after) in PLACES {
        let body = [before.as_bytes(), case, after.as_bytes()].concat();
        verdicts.push(is_granted(&body)?);
    }
    let content = [br#"{"status":"ok","content":"#, case, b"}"].concat();
    verdicts.push(is_returned(&content, case)?);
    let data = [
        br#"{"status":"badRequest","message":"m","errorData":"#,
        case,
        b"}",
    ]
    .concat();
    verdicts.push(is_explained(200, &data, case)?);
    verdicts.push(is_explained(400, &data, case)?);
    let is_json = verdicts.iter().all(|is_json| *is_json);
    if is_json != verdicts.iter().any(|is_json| *is_json) {
        return Err(format!("it is JSON in some places only: {verdicts:?}"));
    }
    Ok(is_json)
}

/// Returns whether a success is granted. If not, it has to be refused as invalid JSON.
fn is_granted(body: &[u8]) -> Result<bool, String> {
    match read(200, body) {
        Ok(token) if token == "x" => Ok(true),
        Ok(token) => Err(format!("the token is {token}")),
        Err(error) if is_about_shape(&error)? => Err(format!("with a token: {error}")),
        Err(_) => Ok(false),
    }
}

/// Returns whether a refusal is explained, with the case as its data. Otherwise it has to have no
/// explanation at all.
fn is_explained(status: u16, body: &[u8], case: &[u8]) -> Result<bool, String> {
    let error = read(status, body).err().ok_or("a refusal is a token")?;
    let Some(rejection) = error.rejection() else {
        let dropped = match status {
            400 => error.kind() == ErrorKind::Refused,
            _ => !is_about_shape(&error)?,
        };
        return if dropped {
            Ok(false)
        } else {
            Err(format!("with {status}: {error}"))
        };
    };
    let kept = (error.kind(), rejection.message(), rejection.error_data());
    // An empty string explains nothing, so it is the same as no data.
    let data = kept_of(case).filter(|data| *data != r#""""#);
    if kept == (ErrorKind::Refused, Some("m"), data) {
        Ok(true)
    } else {
        Err(format!("it is kept as {kept:?}"))
    }
}

/// Returns whether a success is returned with the case as its content.
fn is_returned(body: &[u8], case: &[u8]) -> Result<bool, String> {
    let answer = match exchange().parse_as::<Box<RawValue>>(Response::new(body)) {
        Ok(answer) => answer,
        Err(error) if is_about_shape(&error)? => return Err(format!("as content: {error}")),
        Err(_) => return Ok(false),
    };
    let content = answer.content.as_deref().map(RawValue::get);
    if content == kept_of(case) {
        Ok(true)
    } else {
        Err(format!("it is returned as {content:?}"))
    }
}

/// Returns the value of a case without surrounding white space. `null` is the same as no value.
fn kept_of(case: &[u8]) -> Option<&str> {
    let text = str::from_utf8(case.trim_ascii()).ok();
    text.filter(|text| *text != "null")
}

/// Returns whether a malformed success is JSON, but not the envelope.
fn is_about_shape(error: &Error) -> Result<bool, String> {
    let line = error.to_string();
    // Without the endpoint.
    let why = line
        .strip_suffix(&format!(" ({})", Endpoint::PRODUCTION))
        .and_then(|line| line.split_once("the body is not a valid answer: "))
        .map(|(_, why)| why)
        .filter(|_| error.kind() == ErrorKind::Malformed)
        .ok_or_else(|| format!("is not malformed: {line}"))?;
    if why == "it has no status" || why.contains(", expected a JSON object") {
        Ok(true)
    } else if why == "it is empty" || why == "it is not UTF-8" || why.contains(" at line ") {
        Ok(false)
    } else {
        Err(format!("unknown reason: {why}"))
    }
}

fn exchange() -> Exchange {
    let credentials = Credentials::new("client", "a secret that no server echoes").unwrap();
    Exchange::new(Endpoint::default(), credentials)
}

/// Returns the token of an answer.
fn read(status: u16, body: &[u8]) -> Result<String, Error> {
    let now = Moment {
        mono: Duration::ZERO,
        wall: Duration::from_secs(1_795_478_400),
    };
    let response = Response::builder().status(status).body(body).unwrap();
    let grant = exchange().parse(response, now)?;
    Ok(grant.into_token(now).id_token().to_owned())
}
