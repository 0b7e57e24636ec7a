//! Replays what the fuzzers start from and what they once found, on any toolchain; and what is
//! told more shortly than kept in files: cuts at every byte, and JSON's edges in every place.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use http::Response;
use meshconnect_auth_core::{Credentials, Endpoint, ErrorKind, Exchange};
use meshconnect_auth_properties::{
    Property, RECEIVED, TARGETS, decode, differential, response, retry_after_bytes,
};

/// The `fuzz` folder of the repository.
fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(files: &[PathBuf], property: Property) {
    let broken = |file: &&PathBuf| {
        let data = fs::read(file).unwrap();
        catch_unwind(|| property(&data)).is_err()
    };
    let broken: Vec<_> = files.iter().filter(broken).collect();
    assert!(broken.is_empty(), "a property is broken by {broken:#?}");
}

#[test]
fn every_seed_keeps_its_property() {
    let fuzz = fuzz();
    for (target, property) in TARGETS {
        let seeds = files(&fuzz.join("seeds").join(target));
        assert!(!seeds.is_empty(), "there are no seeds for {target}");
        replay(&seeds, property);
    }
}

#[test]
fn every_golden_answer_keeps_its_property() {
    let mut answers = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    answers.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "http")
    });
    assert!(!answers.is_empty());
    replay(&answers, decode);
    replay(&answers, retry_after_bytes);
}

#[test]
fn every_property_has_a_target_and_every_folder_of_seeds_a_property() {
    let fuzz = fuzz();
    let mut targets: BTreeSet<String> =
        TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    // The emulator is in the facade, and its seeds are replayed there.
    targets.insert("emulator".to_owned());
    let stems = |folder: &str| -> BTreeSet<String> {
        let stem = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
        files(&fuzz.join(folder)).iter().map(stem).collect()
    };
    assert_eq!(stems("seeds"), targets);
    assert_eq!(stems("fuzz_targets"), targets);
    // What has no binary is never run.
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let binaries = manifest.split("[[bin]]").skip(1).filter_map(|bin| {
        let name = bin.lines().find_map(|line| line.strip_prefix("name = "));
        name.map(|name| name.trim_matches('"').to_owned())
    });
    assert_eq!(binaries.collect::<BTreeSet<_>>(), targets);
}

/// The contract's example of success, as a raw answer.
const CONTRACT: &str = include_str!("../golden/contract-200.http");

/// What the body of a 200 is read as: a token, or what is wrong.
fn read(body: &[u8]) -> Result<String, ErrorKind> {
    let credentials = Credentials::new("client", "a secret that nobody echoes").unwrap();
    let exchange = Exchange::new(Endpoint::default(), credentials);
    match exchange.parse(Response::new(body), RECEIVED) {
        Ok(grant) => Ok(grant.into_token(RECEIVED).id_token().to_owned()),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn the_contracts_success_grants_its_token_whole_and_nothing_when_cut_at_any_byte() {
    for at in 0..=CONTRACT.len() {
        decode(&CONTRACT.as_bytes()[..at]);
        // In the head of a refusal, too.
        let refusal = CONTRACT.replace("200 OK", "403 Forbidden");
        decode(&refusal.as_bytes()[..at]);
    }
    let body = response(CONTRACT.as_bytes()).into_body();
    for at in 0..body.len() {
        differential(&body[..at]);
        assert_eq!(read(&body[..at]), Err(ErrorKind::Malformed), "{at} bytes");
        differential(&body[at..]);
        if at > 0 {
            assert_eq!(read(&body[at..]), Err(ErrorKind::Malformed), "from {at} on");
        }
    }
    assert!(read(&body).unwrap().starts_with("eyJ"));
}

/// What is JSON: literals and numbers, strings and escapes, lists and objects.
const GOOD: &str = r#"
    null true false
    0 -0 1 -1 0.0 -0.5 1e2 1E+2 1e-2 0e0 0.1e1 3600 3600.0 3.6e3
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
    18446744073709551615 18446744073709551616 123456789012345678901234567890
    1e18 1e19 1e20 1e308 -1e308 1e-400 5e-324 0.1234567890123456789012345678901234567890
    "" "a" "3600" "0" "-1" "+1" "1.5" "007" "99999999999999999999"
    "\"\\\/\b\f\n\r\t" "\u0000" "\u0061" "\u00e9" "\u2028\u2029" "\uFEFF" "\uffff"
    "\ud83d\ude00" "\uDBFF\uDFFF" "é😀"
    "ok" "OK" "failed" "mfaRequired" "badRequest" "a.b.c" "a=" "="
    [] {} [[],{}] ["ok"] {"":0} {"a":1,"a":2} {"\u0061":1} {"status":"ok"}
    {"id_token":"x","expires_in":1,"status":"available"}
    {"$serde_json::private::Number":"1"} {"$serde_json::private::RawValue":"1"}
"#;

/// The same, with white space.
const GOOD_SPACED: [&str; 7] = [
    "[ ]",
    "{ }",
    "\t[\r\n1 , 2\n]\t",
    "\" \"",
    "\" 1\"",
    "\"a b\"",
    "\"\u{7f}\u{80}\u{a0}\u{2028}\u{fffd}\u{10ffff}\"",
];

/// What is JSON by its grammar, but has no value: lone halves of surrogate pairs, and numbers out of
/// range.
const VALUELESS: &str = r#"
    "\ud83d" "\ude00" "\ud83d\ud83d" "\ude00\ud83d" "\ud83dx" "\ud83d\u0061" ["\ud83d"] {"a":1e400}
    1e400 -1e400 {"\ud83d":1}
"#;

/// What is no JSON; the last line is what other readers allow.
const BAD: &str = r#"
    nul Null NULL True nulll undefined NaN Infinity -Infinity
    +1 01 -01 00 1. .5 -.5 1.e2 1e 1e+ 1e1.5 1_000 0x10 0b1 1f --1 1a １
    " "a a" 'a' a "\" "\x61" "\a" "\'" "\0" "\u" "\u00" "\u006" "\u00g0" "\u{61}" "\U0061"
    "\ud83d\"
    [ ] { } [1 [1, [1,] [,1] [,] [1;2] [1} (1)
    {"a"} {"a":} {"a":1 {"a":1,} {,"a":1} {"a"=1} {a:1} {'a':1} {1:1} {"a":1] {"a"::1} {null:1}
    /**/1 1// #1 1; * <1>
"#;

/// The same, with white space and what looks like it, and with other characters below U+0020.
const BAD_SPACED: [&str; 17] = [
    "",
    " ",
    "1 2",
    "- 1",
    "[1 2]",
    "{\"a\":1 \"b\":2}",
    "\"\n\"",
    "\"\r\"",
    "\"\t\"",
    "\"\0\"",
    "\"\u{1f}\"",
    "\u{a0}1",
    "\u{2028}1",
    "\u{b}1",
    "\u{c}1",
    "1\0",
    "\u{feff}1",
];

/// What stands where a value should: JSON or not, and whether it has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Value,
    Valueless,
    NotJson,
}

fn texts() -> Vec<(String, Text)> {
    let nested = |depth: usize, open: &str, close: &str| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    let good = GOOD.split_ascii_whitespace().chain(GOOD_SPACED);
    let bad = BAD.split_ascii_whitespace().chain(BAD_SPACED);
    let valueless = VALUELESS.split_ascii_whitespace();
    let mut texts: Vec<(String, Text)> = good
        .map(|text| (text.to_owned(), Text::Value))
        .chain(valueless.map(|text| (text.to_owned(), Text::Valueless)))
        .chain(bad.map(|text| (text.to_owned(), Text::NotJson)))
        .collect();
    for depth in [1, 100, 120] {
        texts.push((nested(depth, "[", "]"), Text::Value));
        texts.push((nested(depth, r#"{"a":"#, "}"), Text::Value));
    }
    // Deeper than serde_json builds a value.
    for depth in [128, 129, 1000] {
        texts.push((nested(depth, "[", "]"), Text::Valueless));
        texts.push((nested(depth, r#"{"a":"#, "}"), Text::Valueless));
        texts.push(("[".repeat(depth), Text::NotJson));
        texts.push((r#"{"a":"#.repeat(depth), Text::NotJson));
    }
    texts
}

/// Where a value may stand, and whether it costs nothing there because nobody reads it.
const PLACES: [(&str, bool); 14] = [
    (
        r#"{"status":"ok","content":{"id_token":"x","newer":@}}"#,
        true,
    ),
    (
        r#"{"status":"ok","content":{"newer":[@,{"a":@}],"id_token":"x"}}"#,
        true,
    ),
    (
        r#"{"newer":@,"status":"ok","content":{"id_token":"x"}}"#,
        true,
    ),
    (
        r#"{"status":"ok","newer":{"a":[0,@]},"content":{"id_token":"x"}}"#,
        true,
    ),
    (
        r#"{"status":"ok","errorData":@,"content":{"id_token":"x"}}"#,
        true,
    ),
    (
        r#"{"status":"ok","message":@,"content":{"id_token":"x"}}"#,
        false,
    ),
    (r#"{"status":@,"content":{"id_token":"x"}}"#, false),
    (
        r#"{"status":"ok","content":{"id_token":@,"expires_in":60}}"#,
        false,
    ),
    (
        r#"{"status":"ok","content":{"id_token":"x","expires_in":@}}"#,
        false,
    ),
    (
        r#"{"status":"ok","content":{"id_token":"x","status":@}}"#,
        false,
    ),
    (r#"{"status":"ok","content":{"status":@}}"#, false),
    (r#"{"status":"ok","content":@}"#, false),
    ("[@]", false),
    ("@", false),
];

#[test]
fn every_edge_of_json_in_every_place_is_read_as_a_naive_reader_does() {
    for (value, kind) in texts() {
        for (place, is_free) in PLACES {
            let body = place.replace('@', &value);
            differential(body.as_bytes());
            let outcome = read(body.as_bytes());
            match kind {
                Text::Value | Text::Valueless if is_free => {
                    assert_eq!(outcome.as_deref(), Ok("x"), "{body}");
                }
                Text::Value => {}
                Text::Valueless | Text::NotJson => {
                    assert_eq!(outcome, Err(ErrorKind::Malformed), "{body}");
                }
            }
        }
        // Of a refusal, whatever its body is, the status is told.
        let body = format!(r#"{{"status":"badRequest","message":"m","errorData":{value}}}"#);
        decode(format!("HTTP/1.1 400 Bad Request\n\n{body}").as_bytes());
    }
}

#[test]
fn a_field_that_stands_twice_is_malformed_however_its_name_is_written() {
    let beside = [
        "status",
        "message",
        "displayMessage",
        "errorHash",
        "errorType",
        "errorData",
        "teamCode",
        "content",
    ];
    let within = ["id_token", "expires_in", "status"];
    let spelled = |name: &str| {
        let escaped: Vec<_> = name.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        [name.to_owned(), escaped.concat()]
    };
    let document = |around: &str, inside: &str| {
        format!(
            r#"{{{around}"status":"ok","message":"","displayMessage":null,"errorHash":"","errorType":"","errorData":1,
            "teamCode":"","content":{{{inside}"id_token":"x","expires_in":60,"status":"available"}}}}"#
        )
    };
    assert_eq!(read(document("", "").as_bytes()).as_deref(), Ok("x"));
    for value in ["null", "\"ok\"", "\"x\"", "60", "{}"] {
        for name in beside.iter().flat_map(|name| spelled(name)) {
            let body = document(&format!(r#""{name}":{value},"#), "");
            differential(body.as_bytes());
            assert_eq!(read(body.as_bytes()), Err(ErrorKind::Malformed), "{body}");
        }
        for name in within.iter().flat_map(|name| spelled(name)) {
            let body = document("", &format!(r#""{name}":{value},"#));
            differential(body.as_bytes());
            assert_eq!(read(body.as_bytes()), Err(ErrorKind::Malformed), "{body}");
        }
        // What nobody reads may stand as often as it likes, and so may a name at another level.
        let body = document(
            &format!(r#""newer":{value},"newer":{value},"id_token":{value},"#),
            &format!(r#""newer":{value},"newer":{value},"message":{value},"#),
        );
        differential(body.as_bytes());
        assert_eq!(read(body.as_bytes()).as_deref(), Ok("x"), "{body}");
    }
}

#[test]
fn only_utf_8_is_read_with_or_without_its_mark() {
    let text = r#"{"status":"ok","message":"é€😀","content":{"id_token":"x"}}"#;
    let utf_16 =
        |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(bytes).collect() };
    let utf_32 = |bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
        text.chars().flat_map(|c| bytes(u32::from(c))).collect()
    };
    let with = |mark: &[u8], body: &[u8]| [mark, body].concat();
    let within = |bytes: &[u8]| {
        with(
            &[br#"{"status":"ok","message":""#, bytes].concat(),
            br#"","content":{"id_token":"x"}}"#,
        )
    };
    for good in [
        text.as_bytes().to_vec(),
        with(b"\xef\xbb\xbf", text.as_bytes()),
        with(b" \r\n\t", &with(text.as_bytes(), b" \r\n\t")),
        within("\u{feff}\u{fffe}\u{10ffff}".as_bytes()),
    ] {
        differential(&good);
        assert_eq!(read(&good).as_deref(), Ok("x"), "{good:x?}");
    }
    for bad in [
        utf_16(u16::to_le_bytes),
        utf_16(u16::to_be_bytes),
        with(b"\xff\xfe", &utf_16(u16::to_le_bytes)),
        with(b"\xfe\xff", &utf_16(u16::to_be_bytes)),
        utf_32(u32::to_le_bytes),
        utf_32(u32::to_be_bytes),
        with(b"\xff\xfe\0\0", &utf_32(u32::to_le_bytes)),
        with(b"\xef\xbb\xbf\xef\xbb\xbf", text.as_bytes()),
        with(b"\xef\xbb", text.as_bytes()),
        with(text.as_bytes(), b"\0"),
        with(text.as_bytes(), b"\xef\xbb\xbf"),
        with(b"\x1f\x8b\x08\0", text.as_bytes()),
        // Latin-1, a lone continuation, cut sequences, overlong forms, surrogates, beyond Unicode.
        within(b"\xe9"),
        within(b"\x80"),
        within(b"\xc3"),
        within(b"\xe2\x82"),
        within(b"\xf0\x9f\x98"),
        within(b"\xc0\xa2"),
        within(b"\xe0\x80\xa2"),
        within(b"\xed\xa0\xbd\xed\xb8\x80"),
        within(b"\xf4\x90\x80\x80"),
        within(b"\xf8\x88\x80\x80\x80"),
        within(b"\xfe"),
        within(b"\xff"),
    ] {
        differential(&bad);
        assert_eq!(read(&bad), Err(ErrorKind::Malformed), "{bad:x?}");
        decode(&with(b"HTTP/1.1 500 Internal Server Error\n\n", &bad));
    }
}
