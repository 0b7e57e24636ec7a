//! The proxy for an endpoint, from the environment's variables.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use super::endpoint::{Endpoint, check_host, read_port, split_port};
use super::secret::Secret;
use crate::error::Error;

const NOT_UTF8: &str = "is not UTF-8; correct it or unset it";

/// The scheme, with the space that follows it (RFC 7617 §2).
const BASIC: &str = "Basic ";

/// The proxy between a client and its endpoint. `Debug` and `Display` do not show its credentials.
#[derive(Clone)]
pub struct Proxy {
    https: bool,
    host: Box<str>,
    port: u16,
    credentials: Option<(Secret, Secret)>,
}

impl Proxy {
    /// Returns the proxy for `endpoint` according to the environment, which `variable` looks up.
    ///
    /// The variables are those of curl, and an empty one counts as unset, as in curl. The proxy is the
    /// first of `https_proxy`, `HTTPS_PROXY`, `all_proxy` and `ALL_PROXY`. Its scheme is `http` or
    /// `https`; the default is `http`, and the port of the scheme (80 or 443). A user name and a
    /// password can stand before the host, percent-encoded or as they are; `/`, `?`, `#` and white
    /// space must be encoded. `no_proxy`, or else `NO_PROXY`, lists the hosts without a proxy, separated
    /// by commas or blanks:
    ///
    /// | entry | excludes |
    /// |---|---|
    /// | `example.com`, `.example.com` | this host and its subdomains |
    /// | `*.example.com` | its subdomains |
    /// | `10.0.0.1`, `fd00::1`, `[fd00::1]` | this address |
    /// | `10.0.0.0/8`, `fd00::/8` | the addresses of this range |
    /// | any of these with a port, such as `example.com:8443` or `[fd00::1]:8443` | the same, at this port |
    /// | `*` | every host |
    ///
    /// Any other entry excludes no host, such as `https://example.com`, an address with a zone, or an
    /// international name that is not in its `xn--` form. An endpoint with plain http or on a loopback host never has a
    /// proxy: a proxy would read the secret, and its loopback is another machine. `HTTP_PROXY` is
    /// ignored, because a caller of a CGI program can set it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if a variable cannot be read. The
    /// error names the variable, but never its value. A variable that is not needed is not read.
    ///
    /// ```
    /// # use meshconnect_auth_core::{Endpoint, Proxy};
    /// let variable = |name: &str| match name {
    ///     "HTTPS_PROXY" => Some("http://user:p%40ss@proxy.example:3128".into()),
    ///     "NO_PROXY" => Some("localhost, .internal.example".into()),
    ///     _ => None,
    /// };
    /// let proxy = Proxy::for_endpoint(&Endpoint::default(), variable)?.expect("HTTPS_PROXY");
    /// assert_eq!(proxy.to_string(), "http://proxy.example:3128");
    /// assert_eq!(proxy.credentials(), Some(("user", "p@ss")));
    ///
    /// let internal = Endpoint::parse("https://mesh.internal.example")?;
    /// assert!(Proxy::for_endpoint(&internal, variable)?.is_none());
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn for_endpoint(
        endpoint: &Endpoint,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, Error> {
        if !endpoint.allows_proxy() {
            return Ok(None);
        }
        let first = |names: &[&'static str]| {
            names.iter().find_map(|&name| {
                let value = variable(name).filter(|value| !value.is_empty())?;
                Some((name, value))
            })
        };
        let Some((name, value)) = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
        else {
            return Ok(None);
        };
        if let Some((name, excluded)) = first(&["no_proxy", "NO_PROXY"]) {
            let excluded = excluded.to_str().ok_or_else(|| refuse(name, NOT_UTF8))?;
            if is_excluded(endpoint.token_uri(), excluded) {
                return Ok(None);
            }
        }
        let value = Zeroizing::new(value.into_encoded_bytes());
        let value = str::from_utf8(&value).map_err(|_| refuse(name, NOT_UTF8))?;
        let proxy = Self::parse(value).map_err(|why| {
            refuse(
                name,
                &format!("{why}; it should look like http://proxy.example:3128"),
            )
        })?;
        Ok(Some(proxy))
    }

    /// Returns whether the connection to the proxy is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Returns the host. An IPv6 address is in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the user name and the password, percent-decoded.
    #[must_use]
    pub fn credentials(&self) -> Option<(&str, &str)> {
        let (user, password) = self.credentials.as_ref()?;
        Some((user.as_str(), password.as_str()))
    }

    /// Returns the credentials as the value of a `Proxy-Authorization` header, marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.credentials()?;
        let joined = Secret::concat(&[user, ":", password]);
        let encoded = base64::encoded_len(joined.as_str().len(), true)?;
        let value = Secret::with_size(BASIC.len().checked_add(encoded)?, |buffer| {
            buffer.extend_from_slice(BASIC.as_bytes());
            buffer.resize(buffer.capacity(), 0);
            if let Some(encoded) = buffer.get_mut(BASIC.len()..) {
                let _ = STANDARD.encode_slice(joined.as_str(), encoded);
            }
        });
        let mut value = HeaderValue::from_maybe_shared(value.bytes()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Parses the URL of a proxy. Unusual URLs are refused, because HTTP clients repair them differently.
    fn parse(value: &str) -> Result<Self, &'static str> {
        if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("contains white space, a line break or another control character");
        }
        let (https, rest) = match value.split_once("://") {
            None => (false, value),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
                return Err("names a SOCKS proxy, which is not supported");
            }
            Some(_) => return Err("has a scheme that is neither http nor https"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(
                "has a path, a query or a fragment (write / ? # in a password as %2F %3F %23)",
            );
        }
        let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = match split_port(host) {
            (host, None) => (host, if https { 443 } else { 80 }),
            (host, Some(port)) => (host, read_port(port)?),
        };
        Ok(Self {
            https,
            host: check_host(host)?.text.into(),
            port,
            credentials: credentials(userinfo)?,
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

fn refuse(name: &str, why: &str) -> Error {
    Error::configuration(format!("the environment variable {name} {why}"))
}

/// Returns the user name and the password, or nothing if both are empty.
fn credentials(userinfo: &str) -> Result<Option<(Secret, Secret)>, &'static str> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    if user.is_empty() && password.is_empty() {
        return Ok(None);
    }
    let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
    if user.as_str().contains(':') {
        return Err("has a user name with a colon, which Basic authentication cannot express");
    }
    Ok(Some((user, password)))
}

/// Decodes as curl does: a `%` without two hexadecimal digits stands for itself.
fn percent_decoded(text: &str) -> Result<Secret, &'static str> {
    let mut bytes = text.bytes();
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let mut digit = || char::from(ahead.next()?).to_digit(16);
        let escaped = digit().zip(digit());
        match escaped.and_then(|(high, low)| u8::try_from(high << 4 | low).ok()) {
            Some(escaped) if byte == b'%' => {
                decoded.push(escaped);
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    let decoded = str::from_utf8(&decoded)
        .map_err(|_| "has a user name or password that is not percent-encoded UTF-8")?;
    if decoded.contains(char::is_control) {
        return Err("has a user name or password with a control character");
    }
    Ok(Secret::concat(&[decoded]))
}

/// Returns whether the list excludes the host and port of `uri`.
fn is_excluded(uri: &Uri, list: &str) -> bool {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(443);
    list.split([',', ' ', '\t', '\r', '\n'])
        .filter(|entry| !entry.is_empty())
        .any(|entry| excludes(entry, host, port))
}

fn excludes(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (pattern, only) = if entry.parse::<IpAddr>().is_ok() {
        (entry, None)
    } else {
        split_port(entry)
    };
    if only.is_some_and(|only| read_port(only) != Ok(port)) {
        return false;
    }
    match address(host) {
        Some(address) => excludes_address(pattern, address),
        None => excludes_name(pattern, host),
    }
}

fn excludes_address(pattern: &str, host: IpAddr) -> bool {
    let Some((network, length)) = pattern.split_once('/') else {
        return address(pattern) == Some(host);
    };
    let Ok(length) = length.parse::<u32>() else {
        return false;
    };
    // The address is in the range if all bits of the prefix are the same.
    let same_bits = match (address(network), host) {
        (Some(IpAddr::V4(network)), IpAddr::V4(host)) => {
            (network.to_bits() ^ host.to_bits()).leading_zeros()
        }
        (Some(IpAddr::V6(network)), IpAddr::V6(host)) => {
            (network.to_bits() ^ host.to_bits()).leading_zeros()
        }
        _ => return false,
    };
    same_bits >= length
}

fn excludes_name(pattern: &str, host: &str) -> bool {
    let (pattern, below_only) = match pattern.strip_prefix("*.") {
        Some(pattern) => (pattern, true),
        None => (pattern.strip_prefix('.').unwrap_or(pattern), false),
    };
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern).as_bytes();
    let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let Some((above, end)) = host
        .len()
        .checked_sub(pattern.len())
        .and_then(|at| host.split_at_checked(at))
    else {
        return false;
    };
    !pattern.is_empty()
        && end.eq_ignore_ascii_case(pattern)
        && (if above.is_empty() {
            !below_only
        } else {
            above.ends_with(b".")
        })
}

/// Parses an address, with or without brackets.
fn address(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => host.parse().ok(),
    }
}
