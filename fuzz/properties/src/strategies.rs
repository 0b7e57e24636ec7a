//! Strategies for [`proptest`](mod@proptest): values of callers and responses of servers.
//!
//! Most values are plain, and many are edge cases. Responses also include invalid ones:
//! [`granting`] and [`refusing`] generate valid responses, and [`response`] generates any response.

mod answers;
mod dates;
mod json;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshconnect_auth_core::{Credentials, Endpoint, Token};
use proptest::prelude::*;
use proptest::sample::select;

pub use self::answers::{
    api_result_status, authentication_status, content, document, envelope, granting, headers,
    refusing, response,
};
pub use self::json::{json, text};
use self::json::{members, quoted, seconds};

/// Generates credentials of any characters. The secret has at least 8 characters, because shorter
/// ones are not masked in a server's text.
pub fn credentials() -> impl Strategy<Value = Credentials> {
    let id = prop_oneof![3 => "[a-z0-9-]{1,36}", 1 => text()];
    (id, secret()).prop_filter_map("the client id or the secret is empty", |(id, secret)| {
        Credentials::new(id, secret).ok()
    })
}

/// Generates a client secret with characters that need escapes in every encoding. It never repeats
/// a single character.
pub fn secret() -> impl Strategy<Value = String> {
    "[ -~]{4}[a-z]{3}[0-9][ -~é例😀\n\t]{0,24}"
}

/// Generates an endpoint, loopback or not, with and without a port and a path.
pub fn endpoint() -> impl Strategy<Value = Endpoint> {
    let anywhere = (
        prop_oneof![
            "https://[a-z][a-z0-9]{0,8}(-[a-z]{1,3})?\\.example\\.?",
            Just("https://[2001:db8::1]".to_owned()),
        ],
        any::<bool>(),
    );
    let base = prop_oneof![
        1 => Just((Endpoint::PRODUCTION.to_owned(), false)),
        3 => anywhere,
        2 => (
            select(vec!["http://localhost", "http://127.0.0.1", "http://[::1]", "https://localhost"])
                .prop_map(str::to_owned),
            Just(true),
        ),
    ];
    (base, 1..=u16::MAX, "(/[a-z0-9]{1,6}){0,2}/?").prop_filter_map(
        "the base URL is invalid",
        |((base, has_port), port, path)| {
            let port = if has_port {
                format!(":{port}")
            } else {
                String::new()
            };
            Endpoint::parse(&format!("{base}{port}{path}")).ok()
        },
    )
}

/// Generates the text of a base URL, often invalid, as a user may type it.
pub fn base_url() -> impl Strategy<Value = String> {
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
        3 => select(vec![
            "", "/", "/gateway", "/gateway/", "//", "/a//b", "/.", "/%2E%2e/", "/%zz",
            "/admin/api/v1/Token", "/a?b", "/a#b", "\\",
        ])
        .prop_map(str::to_owned),
        1 => "(/[a-z%0-9.~:;=@|\"é ]{0,4}){0,3}",
    ];
    (scheme, userinfo, host, port, path).prop_map(|(scheme, userinfo, host, port, path)| {
        format!("{scheme}{userinfo}{host}{port}{path}")
    })
}

/// Generates a token that is valid in a header (RFC 6750 §2.1): opaque, or a JWT with any claims.
pub fn id_token() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[A-Za-z0-9._~+/-]{1,60}={0,2}",
        1 => claims().prop_map(|claims| jwt(&claims)),
    ]
}

/// Generates a token that expires between 1970 and 2100, without a status.
pub fn token() -> impl Strategy<Value = Token> {
    (id_token(), 0..4_102_444_800_u64).prop_filter_map(
        "the token is invalid",
        |(id_token, expiry)| {
            let expires_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expiry))?;
            Token::new(&id_token, expires_at).ok()
        },
    )
}

/// Generates the payload of a JWT: an object with `exp`, `iat` and `sub`, which can have wrong
/// types, be missing or occur twice.
pub fn claims() -> impl Strategy<Value = String> {
    members(vec![
        ("exp", seconds().boxed()),
        ("iat", seconds().boxed()),
        ("sub", quoted(text())),
    ])
}

/// Returns an unsigned token with these claims.
fn jwt(claims: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}
