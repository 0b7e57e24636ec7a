//! How secrets are masked in text that a server chose.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use http::{Response, StatusCode};
use meshconnect_auth_core::{Credentials, Endpoint, Error, Exchange, Moment, Token};

/// What an error keeps of one field.
const MAX_FIELD: usize = 8 * 1024;

/// What an error keeps of a body that is not the envelope.
const MAX_EXCERPT: usize = 1024;

/// The length from which a run of token characters is masked.
const MIN_RUN: usize = 32;

const MASK: &str = "[masked]";

/// An exchange whose request contains the secrets to mask.
struct Mask(Exchange);

impl Mask {
    fn new(secret: &str) -> Self {
        let credentials = Credentials::new("id", secret).unwrap();
        Self(Exchange::new(Endpoint::default(), credentials))
    }

    fn and_bearer(self, token: &str) -> Self {
        let token = Token::new(token, SystemTime::UNIX_EPOCH).unwrap();
        Self(self.0.with_bearer(&token))
    }

    fn error(&self, body: String) -> Error {
        let mut response = Response::new(body.into_bytes());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        let now = Moment::new(std::time::Duration::ZERO, SystemTime::UNIX_EPOCH);
        self.0.parse(response, now).unwrap_err()
    }

    /// Returns the message of an envelope with this message.
    fn field(&self, message: &str) -> String {
        let message = serde_json::to_string(message).unwrap();
        let error = self.error(format!(r#"{{"message":{message}}}"#));
        let message = error.rejection().unwrap().message();
        message.unwrap_or_default().to_owned()
    }

    /// Returns the excerpt of this body, which is not an envelope.
    fn excerpt(&self, body: &str) -> String {
        let error = self.error(body.to_owned());
        assert!(error.rejection().is_none(), "{error}");
        error.excerpt().unwrap().to_owned()
    }
}

const SECRET: &str = "s3cr€t/+\"\\ \n&<x😀y%41";

fn escaped(text: &str, escape: impl Fn(u32) -> String) -> String {
    text.chars().map(|c| escape(u32::from(c))).collect()
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
}

#[test]
fn decodes_every_escape_of_a_character() {
    for (c, escape) in [
        ('\u{8}', r"\b"),
        ('\u{c}', r"\f"),
        ('\n', r"\n"),
        ('\r', r"\r"),
        ('\t', r"\t"),
        ('"', r#"\""#),
        ('/', r"\/"),
        ('\\', r"\\"),
        ('é', r"\u00e9"),
        ('\u{1f600}', r"\ud83d\ude00"),
        ('%', "%25"),
        ('é', "%C3%a9"),
        ('&', "&amp;"),
        ('<', "&lt;"),
        ('>', "&gt;"),
        ('"', "&quot;"),
        ('\'', "&apos;"),
        ('\'', "&#39;"),
        ('\'', "&#x27;"),
        ('\'', "&#X27;"),
        ('\u{10ffff}', "&#1114111;"),
    ] {
        let secret = format!("before-{c}-after");
        let mask = Mask::new(&secret);
        let masked = mask.field(&format!("<before-{escape}-after>"));
        assert_eq!(masked, "<[masked]>", "{escape}");
    }
}

#[test]
fn finds_every_encoding_of_a_secret() {
    let json = serde_json::to_string(SECRET).unwrap();
    let json = json.trim_matches('"');
    let utf16 = SECRET
        .encode_utf16()
        .fold(String::new(), |text, unit| format!("{text}\\u{unit:04X}"));
    let names = SECRET
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;");
    for encoded in [
        SECRET.to_owned(),
        json.to_owned(),
        json.replace('/', "\\/"),
        utf16,
        percent_encoded(SECRET),
        percent_encoded(SECRET).to_uppercase(),
        percent_encoded(SECRET).replace("%20", "+"),
        names,
        escaped(SECRET, |c| format!("&#{c};")),
        escaped(SECRET, |c| format!("&#x{c:X};")),
        SECRET.replace('%', "%25").replace('&', "%26"),
    ] {
        let text = Mask::new(SECRET).field(&format!("<<{encoded}>>"));
        assert_eq!(text, "<<[masked]>>", "{encoded}");
    }
}

#[test]
fn one_kind_of_escape_hides_nothing_from_another() {
    let mask = Mask::new("c4n&ry 12345");
    for text in [
        r"\u00c4n%26ry%2012345",
        r"\u00c4n&amp;ry 12345",
        r"%c4n\u0026ry 12345",
        r"%c4n&amp;ry 12345",
        r"&#xc4n%26ry%2012345",
    ] {
        let masked = mask.field(text);
        assert!(masked.ends_with(MASK), "{masked}");
    }
}

#[test]
fn finds_base64_in_both_alphabets() {
    let standard = STANDARD_NO_PAD.encode("???>>>???>>>");
    assert_eq!(standard, "Pz8/Pj4+Pz8/Pj4+");
    let mask = Mask::new("???>>>???>>>");
    for encoded in [&standard, "Pz8_Pj4-Pz8_Pj4-"] {
        assert_eq!(mask.field(&format!("<{encoded}>")), "<[masked]>");
    }
}

#[test]
fn finds_base64_at_every_alignment() {
    for before in ["", "i", "id", "id:", "some"] {
        for after in ["", "!", "!!"] {
            let whole = format!("{before}{SECRET}{after}");
            for encoded in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
                let text = Mask::new(SECRET).field(&encoded);
                assert!(text.contains(MASK), "{encoded} -> {text}");
                assert!(text.len() < MASK.len() + 16, "{encoded} -> {text}");
            }
        }
    }
}

#[test]
fn masks_overlapping_secrets_as_one() {
    let mask = Mask::new("secret-token").and_bearer("token-secret");
    assert_eq!(mask.field("<secret-token-secret>"), "<[masked]>");
    assert_eq!(mask.field("<token-secret-token>"), "<[masked]>");
}

#[test]
fn keeps_short_secrets_and_other_text() {
    let mask = Mask::new("short").and_bearer("longenough");
    let text = "short, longenoug, \\u006cong %zz %e2%82 &#x; &nope; \\ud800 \\";
    assert_eq!(mask.field(text), text);
    assert_eq!(mask.excerpt(text), text);
}

#[test]
fn cuts_after_masking_and_between_characters() {
    let mask = Mask::new("longenough");
    let pad = ", ".repeat(MAX_FIELD / 2);
    for (before, text, shown) in [
        (MAX_FIELD - 9, "ab longenough", "ab [ma…"),
        (MAX_FIELD - 4, "a€b", "a…"),
        (MAX_FIELD - 5, "a€b", "a€b"),
    ] {
        let field = mask.field(&format!("{}{text}", &pad[..before]));
        assert_eq!(field, format!("{}{shown}", &pad[..before]), "{text}");
    }
    for (before, text, shown) in [
        (MAX_EXCERPT - 9, "ab longenough", "ab [ma…"),
        (MAX_EXCERPT - 4, "a€b", "a…"),
        (MAX_EXCERPT - 5, "a€b", "a€b"),
    ] {
        let excerpt = mask.excerpt(&format!("{}{text}", &pad[..before]));
        assert_eq!(excerpt, format!("{}{shown}", &pad[..before]), "{text}");
    }
}

#[test]
fn masks_tokens_in_an_excerpt() {
    let mask = Mask::new("short");
    let run = "a".repeat(MIN_RUN);
    assert_eq!(mask.excerpt(&format!("x {run}= y")), "x [masked] y");
    assert_eq!(mask.excerpt(&format!("é{run}é")), "é[masked]é");
    assert_eq!(mask.excerpt(&run[1..]), &run[1..]);
    for (text, masked) in [
        (
            r#"{"id_token" : "abc", "x": 1}"#,
            r#"{"id_token" : "[masked]", "x": 1}"#,
        ),
        (r#"{"ID_TOKEN":"abc"#, r#"{"ID_TOKEN":"[masked]"#),
        ("id_token=abc&x=1", "id_token=[masked]&x=1"),
        ("no id_token", "no id_token"),
        ("its id_token has a fault", "its id_token has a fault"),
        ("<id_token>abc</id_token>", "<id_token>[masked]</id_token>"),
        (r#"{"id_token":""}"#, r#"{"id_token":""}"#),
    ] {
        assert_eq!(mask.excerpt(text), masked);
    }
}

/// A quadratic search takes minutes for these.
#[test]
#[cfg_attr(miri, ignore = "a measurement of time, for which miri needs hours")]
fn masks_hostile_text_in_linear_time() {
    let text = "a".repeat(1 << 16);
    let needle = "a".repeat(1 << 15);
    let mask = Mask::new(&needle).and_bearer("aaaaaaaab");
    assert_eq!(mask.field(&text), "[masked][masked]");
    for text in [
        "\\u0061".repeat(1 << 17),
        "%61".repeat(1 << 18),
        "id_token".repeat(1 << 17),
        "id_token:".repeat(1 << 17),
        "id_token: ".repeat(1 << 17),
    ] {
        let begun = Instant::now();
        assert!(mask.excerpt(&text).len() <= MAX_EXCERPT);
        assert!(mask.field(&text).len() <= MAX_FIELD);
        assert!(begun.elapsed() < Duration::from_secs(30), "{text:.20}");
    }
}
