//! The base URL of the API, and the rules for sending a secret to it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;

use crate::error::Error;

/// The base URL of the admin API.
///
/// It is https. Plain http is accepted for loopback hosts only (`localhost`, 127.0.0.0/8 as a dotted
/// quad, `[::1]`), because the request contains the client secret. Scheme and host are lowercased and
/// a default port is removed, so that equal endpoints print the same.
///
/// ```
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::Endpoint;
///
/// let gateway = Endpoint::parse("https://gateway.example/mesh/")?;
/// assert_eq!(gateway.to_string(), "https://gateway.example/mesh");
/// assert!(Endpoint::parse("http://gateway.example").is_err()); // the secret would be readable
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    base: Box<str>,
    token: Uri,
    https: bool,
    loopback: bool,
}

impl Endpoint {
    /// The base URL of the production service, the only server in the contract.
    pub const PRODUCTION: &'static str = "https://admin-api.meshconnect.com";

    /// The path of the token endpoint below the base URL (contract, `paths`).
    pub const TOKEN_PATH: &'static str = "/admin/api/v1/Token";

    /// Parses a base URL such as `https://admin-api.meshconnect.com` or `http://127.0.0.1:8080`.
    ///
    /// A path becomes a prefix of the API's own paths, for gateways. One trailing slash is removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), which names the refused part:
    /// another scheme, plain http to a host that is not loopback, userinfo, a query, a fragment, or a
    /// host or path that HTTP clients may read in more than one way.
    pub fn parse(base_url: &str) -> Result<Self, Error> {
        Self::new(base_url, false)
    }

    /// Parses a base URL like [`parse`](Self::parse), but accepts plain http to any host.
    ///
    /// Every host on the network path can then read the client secret and the token. Use it only for
    /// an emulator in a private container network.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), without the rule on plain http.
    pub fn parse_dangerously_allowing_plaintext(base_url: &str) -> Result<Self, Error> {
        Self::new(base_url, true)
    }

    fn new(base_url: &str, plaintext: bool) -> Result<Self, Error> {
        let parts = split(base_url)?;
        let host = check_host(parts.host).map_err(refuse)?;
        let port = check_port(parts.port, parts.https)?;
        let path = check_path(parts.path)?;
        if !parts.https && !host.loopback && !plaintext {
            return Err(Error::configuration(
                "the base URL is plain http to a host that is not loopback, which would send the \
                 client secret unencrypted; use https",
            ));
        }
        let scheme = if parts.https { "https" } else { "http" };
        let base = format!("{scheme}://{}{port}{path}", host.text);
        let token = Uri::from_str(&format!("{base}{}", Self::TOKEN_PATH))
            .map_err(|error| refuse(&format!("is not a URL: {error}")))?;
        Ok(Self {
            base: base.into(),
            token,
            https: parts.https,
            loopback: host.loopback,
        })
    }

    /// Returns the URL of the token endpoint.
    #[must_use]
    pub fn token_uri(&self) -> &Uri {
        &self.token
    }

    /// Returns whether the base URL ends in a part of the API's own path, such as `/admin/api/v1`. That
    /// is a mistake rather than the prefix of a gateway.
    pub(super) fn repeats_the_path(&self) -> bool {
        let same = |part: &str, other: &str| part.eq_ignore_ascii_case(other);
        let prefix = self.token.path().strip_suffix(Self::TOKEN_PATH);
        let last = prefix.and_then(|prefix| prefix.rsplit('/').next());
        let last = last.filter(|last| !last.is_empty());
        last.is_some_and(|last| Self::TOKEN_PATH.split('/').any(|part| same(part, last)))
    }

    /// Returns whether the connection is encrypted and the server verified.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Returns whether the host is this machine's loopback interface.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Returns whether a proxy of the environment may be used: only for https, because a proxy would
    /// read the secret of a plain request, and never for a loopback host, because a proxy's loopback
    /// is another machine.
    #[must_use]
    pub fn allows_proxy(&self) -> bool {
        self.https && !self.loopback
    }
}

impl Default for Endpoint {
    /// Returns the production service, [`Endpoint::PRODUCTION`].
    fn default() -> Self {
        Self {
            base: Self::PRODUCTION.into(),
            token: Uri::from_static("https://admin-api.meshconnect.com/admin/api/v1/Token"),
            https: true,
            loopback: false,
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(base_url: &str) -> Result<Self, Error> {
        Self::parse(base_url)
    }
}

impl fmt::Display for Endpoint {
    /// Writes the base URL, without a trailing slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.base)
    }
}

/// The parts of a base URL, split at its delimiters (RFC 3986 §3) and not yet checked.
///
/// `http::Uri` and the HTTP clients' URL types accept and repair different URLs. So only URLs that all
/// of them read the same are accepted, and an error can name the part.
struct Parts<'a> {
    https: bool,
    host: &'a str,
    port: Option<&'a str>,
    path: &'a str,
}

/// A host that all clients read the same.
pub(super) struct Host {
    pub(super) text: String,
    loopback: bool,
}

/// Returns an error with the reason but without the URL, which may contain a password.
fn refuse(why: &str) -> Error {
    Error::configuration(format!(
        "the base URL {why}; it should look like {}",
        Endpoint::PRODUCTION
    ))
}

fn split(base_url: &str) -> Result<Parts<'_>, Error> {
    if base_url.is_empty() {
        return Err(refuse("is empty"));
    }
    if let Some(invalid) = base_url.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(refuse(&format!(
            "contains the character {invalid:?}, which a URL must not contain (write an \
             international host name in its xn-- form)"
        )));
    }
    let Some((scheme, rest)) = base_url.split_once("://") else {
        return Err(refuse("has no scheme"));
    };
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return Err(refuse("has a scheme that is neither https nor http"));
    }
    // RFC 3986 splits off the fragment first, then the query.
    if rest.contains('#') {
        return Err(refuse("has a fragment (#…)"));
    }
    if rest.contains('?') {
        return Err(refuse("has a query (?…)"));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if authority.contains('@') {
        return Err(refuse(
            "has userinfo (user:password@); credentials go into the request's body",
        ));
    }
    let (host, port) = split_port(authority);
    Ok(Parts {
        https,
        host,
        port,
        path,
    })
}

/// Returns the host in its canonical form, or what is wrong with it.
pub(super) fn check_host(host: &str) -> Result<Host, &'static str> {
    if host.is_empty() {
        return Err("has no host");
    }
    if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let address: Ipv6Addr = inner
            .parse()
            .map_err(|_| "has a host in brackets that is not an IPv6 address")?;
        return Ok(Host {
            text: format!("[{address}]"),
            loopback: address.is_loopback(),
        });
    }
    let text = host.to_ascii_lowercase();
    let labels = text.strip_suffix('.').unwrap_or(&text);
    let well_formed = labels.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    if !well_formed || text.len() > 253 {
        return Err("has a host that is not a host name");
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host {
            text,
            loopback: address.is_loopback(),
        });
    }
    // Some clients read 127.1, 0x7f.1 or 2130706433 as an IPv4 address (WHATWG URL, "ends in a
    // number"), others resolve them as names.
    let last = labels.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").unwrap_or("x");
    if last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Err("has a host that ends in a number and is not a dotted quad");
    }
    Ok(Host {
        loopback: text == "localhost",
        text,
    })
}

/// Returns the port with its colon, or nothing if it is the scheme's default.
fn check_port(port: Option<&str>, https: bool) -> Result<String, Error> {
    let Some(port) = port else {
        return Ok(String::new());
    };
    match (read_port(port).map_err(refuse)?, https) {
        (443, true) | (80, false) => Ok(String::new()),
        (number, _) => Ok(format!(":{number}")),
    }
}

/// Splits off the port. The colons within an IPv6 address do not start one.
pub(super) fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && !port.contains('/') => (host, Some(port)),
        _ => (host, None),
    }
}

/// Reads a port: digits only, from 1 to 65535.
pub(super) fn read_port(port: &str) -> Result<u16, &'static str> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let number = port.parse().ok().filter(|&number| digits && number != 0);
    number.ok_or("has a port that is not a number from 1 to 65535")
}

/// Returns the path without its trailing slash, if the API's own paths can be appended to it.
fn check_path(path: &str) -> Result<&str, Error> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(path);
    }
    if path
        .to_ascii_lowercase()
        .ends_with(&Endpoint::TOKEN_PATH.to_ascii_lowercase())
    {
        return Err(refuse(
            "already ends in the token endpoint's path; leave that path out",
        ));
    }
    for segment in path.split('/').skip(1) {
        if segment.is_empty() {
            return Err(refuse("has a path with an empty segment (//)"));
        }
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        if dots == "." || dots == ".." {
            return Err(refuse("has a path with a dot segment (. or ..)"));
        }
        check_segment(segment)?;
    }
    Ok(path)
}

/// Checks a segment (RFC 3986 §3.3). HTTP clients encode other characters differently.
fn check_segment(segment: &str) -> Result<(), Error> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
                hex(bytes.next()) && hex(bytes.next())
            }
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' | b':' | b'@' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !fits {
            return Err(refuse(
                "has a path with a character that must be percent-encoded there",
            ));
        }
    }
    Ok(())
}
