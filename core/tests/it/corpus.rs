//! Replays the seeds and finds of the fuzz targets on any toolchain. Also tests generated inputs: cuts
//! at every byte, and edge cases of JSON in every place.

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
    assert!(
        broken.is_empty(),
        "these inputs break a property: {broken:#?}"
    );
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
fn properties_targets_and_seed_folders_match() {
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
    // A target without a binary would never run.
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let binaries = manifest.split("[[bin]]").skip(1).filter_map(|bin| {
        let name = bin.lines().find_map(|line| line.strip_prefix("name = "));
        name.map(|name| name.trim_matches('"').to_owned())
    });
    assert_eq!(binaries.collect::<BTreeSet<_>>(), targets);
}

/// The contract's example of success, as a raw answer.
const CONTRACT: &str = include_str!("../golden/contract-200.http");

/// Returns the token or the error kind of a 200 with this body.
fn read(body: &[u8]) -> Result<String, ErrorKind> {
    let credentials = Credentials::new("client", "a secret that no server echoes").unwrap();
    let exchange = Exchange::new(Endpoint::default(), credentials);
    match exchange.parse(Response::new(body), RECEIVED) {
        Ok(grant) => Ok(grant.into_token(RECEIVED).id_token().to_owned()),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn a_success_that_is_cut_at_any_byte_is_malformed() {
    for at in 0..=CONTRACT.len() {
        decode(&CONTRACT.as_bytes()[..at]);
        // The same cut of a refusal.
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

/// Valid JSON: literals, numbers, strings, escapes, lists and objects.
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

/// Valid JSON with white space.
const GOOD_SPACED: [&str; 7] = [
    "[ ]",
    "{ }",
    "\t[\r\n1 , 2\n]\t",
    "\" \"",
    "\" 1\"",
    "\"a b\"",
    "\"\u{7f}\u{80}\u{a0}\u{2028}\u{fffd}\u{10ffff}\"",
];

/// JSON by its grammar, but without a value: lone surrogates, and numbers out of range.
const VALUELESS: &str = r#"
    "\ud83d" "\ude00" "\ud83d\ud83d" "\ude00\ud83d" "\ud83dx" "\ud83d\u0061" ["\ud83d"] {"a":1e400}
    1e400 -1e400 {"\ud83d":1}
"#;

/// Invalid JSON. The last line is accepted by other readers.
const BAD: &str = r#"
    nul Null NULL True nulll undefined NaN Infinity -Infinity
    +1 01 -01 00 1. .5 -.5 1.e2 1e 1e+ 1e1.5 1_000 0x10 0b1 1f --1 1a １
    " "a a" 'a' a "\" "\x61" "\a" "\'" "\0" "\u" "\u00" "\u006" "\u00g0" "\u{61}" "\U0061"
    "\ud83d\"
    [ ] { } [1 [1, [1,] [,1] [,] [1;2] [1} (1)
    {"a"} {"a":} {"a":1 {"a":1,} {,"a":1} {"a"=1} {a:1} {'a':1} {1:1} {"a":1] {"a"::1} {null:1}
    /**/1 1// #1 1; * <1>
"#;

/// Invalid JSON with white space, similar characters, or control characters.
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

/// Whether a text is JSON, and whether it has a value.
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
    // Deeper than the limit of serde_json.
    for depth in [128, 129, 1000] {
        texts.push((nested(depth, "[", "]"), Text::Valueless));
        texts.push((nested(depth, r#"{"a":"#, "}"), Text::Valueless));
        texts.push(("[".repeat(depth), Text::NotJson));
        texts.push((r#"{"a":"#.repeat(depth), Text::NotJson));
    }
    texts
}

/// The places for a value, and whether it is skipped there.
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
        true,
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
fn reads_json_edge_cases_like_the_naive_reader() {
    for (value, kind) in texts() {
        for (place, is_skipped) in PLACES {
            let body = place.replace('@', &value);
            differential(body.as_bytes());
            let outcome = read(body.as_bytes());
            match kind {
                Text::Value | Text::Valueless if is_skipped => {
                    assert_eq!(outcome.as_deref(), Ok("x"), "{body}");
                }
                Text::Value => {}
                Text::Valueless | Text::NotJson => {
                    assert_eq!(outcome, Err(ErrorKind::Malformed), "{body}");
                }
            }
        }
        // A refusal keeps its status, whatever its body is.
        let body = format!(r#"{{"status":"badRequest","message":"m","errorData":{value}}}"#);
        decode(format!("HTTP/1.1 400 Bad Request\n\n{body}").as_bytes());
    }
}

#[test]
fn a_duplicate_field_is_malformed_even_if_escaped() {
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
        for name in envelope.iter().flat_map(|name| spelled(name)) {
            let body = document(&format!(r#""{name}":{value},"#), "");
            differential(body.as_bytes());
            assert_eq!(read(body.as_bytes()), Err(ErrorKind::Malformed), "{body}");
        }
        for name in within.iter().flat_map(|name| spelled(name)) {
            let body = document("", &format!(r#""{name}":{value},"#));
            differential(body.as_bytes());
            assert_eq!(read(body.as_bytes()), Err(ErrorKind::Malformed), "{body}");
        }
        // Duplicates of skipped fields are valid, and so is a known name at another level.
        let body = document(
            &format!(r#""newer":{value},"newer":{value},"id_token":{value},"#),
            &format!(r#""newer":{value},"newer":{value},"message":{value},"#),
        );
        differential(body.as_bytes());
        assert_eq!(read(body.as_bytes()).as_deref(), Ok("x"), "{body}");
    }
}

#[test]
fn reads_utf_8_only_with_or_without_a_byte_order_mark() {
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
