//! Which proxy a host is reached through.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use super::endpoint::{Endpoint, check_host};
use crate::error::Error;

/// The proxy that stands between a client and its endpoint. `Debug` and `Display` do not show its
/// credentials.
#[derive(Clone)]
pub struct Proxy {
    https: bool,
    host: Box<str>,
    port: u16,
    credentials: Option<(Zeroizing<String>, Zeroizing<String>)>,
}

impl Proxy {
    /// Returns the proxy for `endpoint` that the environment asks for, which `variable` looks up.
    ///
    /// The variables are those of curl: the proxy is the first of `https_proxy`, `HTTPS_PROXY`,
    /// `all_proxy` and `ALL_PROXY` that is set and not empty; it is `http` or `https`, or without a
    /// scheme `http`. `no_proxy`, else `NO_PROXY`, lists the hosts that need none, separated by
    /// commas or blanks:
    ///
    /// | entry | excludes |
    /// |---|---|
    /// | `example.com`, `.example.com` | this host, and all below it |
    /// | `*.example.com` | all hosts below it |
    /// | `10.0.0.1`, `fd00::1`, `[fd00::1]` | this address |
    /// | `10.0.0.0/8`, `fd00::/8` | the addresses of this range |
    /// | any of these with a port, such as `example.com:8443` or `[fd00::1]:8443` | the same, at this port |
    /// | `*` | every host |
    ///
    /// Any other entry excludes no host. An endpoint of plain http or on a loopback host never
    /// has a proxy: a proxy would see the secret, and its loopback is another. `HTTP_PROXY` is not
    /// looked up: whoever calls a CGI program can set it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming a variable that
    /// cannot be read, but never its value. A proxy that is not needed is not read.
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
            let excluded = excluded
                .to_str()
                .ok_or_else(|| refuse(name, "is not UTF-8"))?;
            if is_excluded(endpoint.token_uri(), excluded) {
                return Ok(None);
            }
        }
        let value = Zeroizing::new(value.into_encoded_bytes());
        let value = str::from_utf8(&value).map_err(|_| refuse(name, "is not UTF-8"))?;
        let proxy = Self::parse(value).map_err(|why| {
            refuse(
                name,
                &format!("{why}; it should look like http://proxy.example:3128"),
            )
        })?;
        Ok(Some(proxy))
    }

    /// Returns whether the connection to the proxy is encrypted itself.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Returns the host; an IPv6 address is in brackets.
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
        Some((user, password))
    }

    /// Returns the credentials as the value of a `Proxy-Authorization` header, marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.credentials()?;
        let both = Zeroizing::new(format!("{user}:{password}"));
        let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())));
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whatever is odd is refused: clients would mend it, each in its own way.
    fn parse(value: &str) -> Result<Self, &'static str> {
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("holds white space, a line break or another character that no URL holds");
        }
        let (https, rest) = match value.split_once("://") {
            None => (false, value),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some(_) => return Err("has a scheme that is neither http nor https"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err("has a path, a query or a fragment");
        }
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let (host, port) = match split_port(host) {
            (host, None) => (host, if https { 443 } else { 80 }),
            (host, Some(port)) => (host, read_port(port).ok_or("has a port that is none")?),
        };
        let credentials = userinfo.map(|userinfo| {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            Ok::<_, &'static str>((percent_decoded(user)?, percent_decoded(password)?))
        });
        Ok(Self {
            https,
            host: check_host(host)?.text.into(),
            port,
            credentials: credentials.transpose()?,
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

fn percent_decoded(text: &str) -> Result<Zeroizing<String>, &'static str> {
    const WHY: &str = "has a user name or password that is not percent-encoded UTF-8";
    let mut bytes = text.bytes();
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let value = digit().zip(digit()).map(|(high, low)| high << 4 | low);
            value
                .and_then(|value| u8::try_from(value).ok())
                .ok_or(WHY)?
        } else {
            byte
        };
        decoded.push(byte);
    }
    let decoded = str::from_utf8(&decoded).map_err(|_| WHY)?;
    Ok(Zeroizing::new(decoded.to_owned()))
}

/// Whether the list excludes the host and port of `uri`.
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
    if only.is_some_and(|only| read_port(only) != Some(port)) {
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
    // The bits that differ lie beyond the prefix.
    let (differing, bits) = match (address(network), host) {
        (Some(IpAddr::V4(network)), IpAddr::V4(host)) => {
            let differing = network.to_bits() ^ host.to_bits();
            (differing.leading_zeros(), 32)
        }
        (Some(IpAddr::V6(network)), IpAddr::V6(host)) => {
            let differing = network.to_bits() ^ host.to_bits();
            (differing.leading_zeros(), 128)
        }
        _ => return false,
    };
    length <= bits && differing >= length
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

/// An address, in brackets or not.
fn address(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => host.parse().ok(),
    }
}

/// The colons within an IPv6 address are no port.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && !port.contains('/') => (host, Some(port)),
        _ => (host, None),
    }
}

fn read_port(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|&port| digits && port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the environment asks for `base_url`: the proxy and its credentials, or why not.
    fn proxy(base_url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let endpoint = Endpoint::parse_dangerously_allowing_plaintext(base_url).unwrap();
        let variable = |asked: &str| {
            let (_, value) = variables.iter().find(|(name, _)| *name == asked)?;
            Some(value.into())
        };
        match Proxy::for_endpoint(&endpoint, variable) {
            Ok(proxy) => Ok(proxy.map(|proxy| match proxy.credentials() {
                Some((user, password)) => format!("{proxy} {user} {password}"),
                None => proxy.to_string(),
            })),
            Err(error) => {
                assert_eq!(error.kind(), crate::ErrorKind::Configuration);
                Err(error.to_string())
            }
        }
    }

    #[test]
    fn takes_the_first_variable_that_is_set() {
        const HOST: &str = "https://a.example";
        for (variables, expected) in [
            (&[][..], None),
            (&[("HTTPS_PROXY", "")], None),
            (
                &[("HTTP_PROXY", "http://p:1"), ("http_proxy", "http://p:2")],
                None,
            ),
            (&[("ALL_PROXY", "http://p:1")], Some("http://p:1")),
            (
                &[("ALL_PROXY", "http://p:1"), ("all_proxy", "http://p:2")],
                Some("http://p:2"),
            ),
            (
                &[("all_proxy", "http://p:1"), ("HTTPS_PROXY", "http://p:2")],
                Some("http://p:2"),
            ),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("https_proxy", "http://p:2")],
                Some("http://p:2"),
            ),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("https_proxy", "")],
                Some("http://p:1"),
            ),
            (
                &[
                    ("HTTPS_PROXY", "http://p:1"),
                    ("no_proxy", ""),
                    ("NO_PROXY", "example"),
                ],
                None,
            ),
            (
                &[
                    ("HTTPS_PROXY", "http://p:1"),
                    ("no_proxy", "b"),
                    ("NO_PROXY", "example"),
                ],
                Some("http://p:1"),
            ),
            // What is not needed is not read.
            (
                &[("HTTPS_PROXY", "not a proxy"), ("NO_PROXY", "example")],
                None,
            ),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("ALL_PROXY", "not a proxy")],
                Some("http://p:1"),
            ),
        ] {
            let found = proxy(HOST, variables);
            assert_eq!(found, Ok(expected.map(str::to_owned)), "{variables:?}");
        }
    }

    #[test]
    fn plain_http_and_loopback_have_no_proxy() {
        for base_url in [
            "http://a.example",
            "http://127.0.0.1:80",
            "https://localhost",
            "https://127.1.2.3",
            "https://[::1]:8443",
        ] {
            // Not even one that cannot be read.
            for value in ["http://p:1", "not a proxy"] {
                assert_eq!(
                    proxy(base_url, &[("HTTPS_PROXY", value)]),
                    Ok(None),
                    "{base_url}"
                );
            }
        }
    }

    #[test]
    fn reads_proxies() {
        for (value, expected) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("http://proxy.example:3128/", "http://proxy.example:3128"),
            ("HTTP://Proxy.Example", "http://proxy.example:80"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("proxy", "http://proxy:80"),
            ("user:word@proxy:1", "http://proxy:1 user word"),
            ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("http://[fd00::1]", "http://[fd00::1]:80"),
            ("http://[FD00::1]:8080", "http://[fd00::1]:8080"),
            ("http://user@p:1", "http://p:1 user "),
            ("http://:word@p:1", "http://p:1  word"),
            (
                "http://u%3Aser:p%40s%2Fs%25+%c3%a9@p:1",
                "http://p:1 u:ser p@s/s%+é",
            ),
            ("http://a@b:c:d@p:1", "http://p:1 a@b c:d"),
        ] {
            let found = proxy("https://a.example", &[("all_proxy", value)]);
            assert_eq!(found, Ok(Some(expected.to_owned())), "{value}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read_and_names_the_variable() {
        for value in [
            " http://proxy:1",
            "http://proxy:1 ",
            "http://127.0.0.1:9\n",
            "http://127.0.0.1:9\r",
            "\"http://proxy:1\"",
            "'http://proxy:1'",
            "http//proxy:1",
            "http:/proxy:1",
            "http:proxy:1",
            "http:",
            "://proxy",
            "http://",
            "http://:3128",
            "http://proxy:",
            "http://proxy:0",
            "http://proxy:65536",
            "http://proxy:+80",
            "http://proxy:80:80",
            "http://fd00::1:80",
            "http://[fd00::1",
            "http://[fd00]:80",
            "http://127.1:80",
            "http://pro xy:80",
            "http://pröxy:80",
            "http://pro,xy:80",
            "http://proxy:80/path",
            "http://proxy:80?query",
            "http://proxy:80#fragment",
            "http://user:hid#den@proxy:80",
            "http://user:hid/den@proxy:80",
            "http://user:hidden%@proxy:80",
            "http://user:hidden%2@proxy:80",
            "http://user:hidden%+2@proxy:80",
            "http://user:hidden%ff@proxy:80",
            "socks5://user:hidden@proxy:1080",
            "file:///etc/passwd",
            "DIRECT;",
        ] {
            let error = proxy("https://a.example", &[("ALL_PROXY", value)]).expect_err(value);
            assert!(error.contains("ALL_PROXY"), "{value}: {error}");
            for quoted in ["hidden", "hid#den", "127.0.0.1", "/etc", "DIRECT", "socks"] {
                assert!(!error.contains(quoted), "{value} is quoted: {error}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn refuses_what_is_not_unicode() {
        use std::os::unix::ffi::OsStringExt;
        let broken = |name: &'static str| {
            move |asked: &str| match asked {
                _ if asked == name => Some(OsString::from_vec(b"http://p\xFF".to_vec())),
                "https_proxy" => Some("http://proxy:1".into()),
                _ => None,
            }
        };
        for name in ["https_proxy", "no_proxy", "NO_PROXY"] {
            let error = Proxy::for_endpoint(&Endpoint::default(), broken(name)).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn reads_no_proxy_as_curl_does() {
        let (name, port) = ("https://sub.Example.com", "https://sub.example.com:8443");
        let (dot, v4) = ("https://sub.example.com.", "https://10.1.2.3");
        let (v6, v6_port) = ("https://[fd00::1]", "https://[fd00::1]:8443");
        for (list, host, excluded) in [
            ("sub.example.com", name, true),
            ("SUB.EXAMPLE.COM", name, true),
            ("example.com", name, true),
            ("com", name, true),
            (".example.com", name, true),
            (".sub.example.com", name, true),
            ("*.example.com", name, true),
            ("*.sub.example.com", name, false),
            ("*.com", name, true),
            ("*", name, true),
            ("other, *", name, true),
            ("*example.com", name, false),
            ("sub.*", name, false),
            ("ub.example.com", name, false),
            ("other.example.com", name, false),
            ("sub.example.com.org", name, false),
            ("sub.example.com.", name, true),
            ("example.com", dot, true),
            ("example.com.", dot, true),
            (".", name, false),
            ("*.", name, false),
            ("..example.com", name, false),
            (",,", name, false),
            ("foo, example.com", name, true),
            ("  example.com  ,foo", name, true),
            ("foo\texample.com\r\n", name, true),
            ("foo example.com", name, true),
            ("foo,,example.com,", name, true),
            ("example.com:443", name, true),
            ("example.com:8443", name, false),
            ("example.com:8443", port, true),
            (".example.com:8443", port, true),
            ("*.example.com:8443", port, true),
            ("example.com:443", port, false),
            ("example.com", port, true),
            ("example.com:", name, false),
            ("example.com:x", name, false),
            (":443", name, false),
            ("10.1.2.3", v4, true),
            ("10.1.2.3:443", v4, true),
            ("10.1.2.3:80", v4, false),
            ("10.1.2.30", v4, false),
            (".1.2.3", v4, false),
            ("2.3", v4, false),
            ("10.0.0.0/8", v4, true),
            ("10.1.2.3/32", v4, true),
            ("10.1.2.2/31", v4, true),
            ("10.1.2.2/32", v4, false),
            ("10.1.3.0/24", v4, false),
            ("11.0.0.0/8", v4, false),
            ("0.0.0.0/0", v4, true),
            ("10.0.0.0/33", v4, false),
            ("10.0.0.0/", v4, false),
            ("10.0.0.0/x", v4, false),
            ("10.0.0.0/8/8", v4, false),
            ("192.168.0.0/16, 10.0.0.0/8", v4, true),
            ("10.0.0.0/8", name, false),
            ("0.0.0.0/0", v6, false),
            ("fd00::1", v6, true),
            ("FD00:0::1", v6, true),
            ("[fd00::1]", v6, true),
            ("[fd00::1]:443", v6, true),
            ("[fd00::1]:443", v6_port, false),
            ("[fd00::1]:8443", v6_port, true),
            ("fd00::1", v6_port, true),
            ("fd00::/8", v6, true),
            ("[fd00::]/8", v6, true),
            ("fd00::/128", v6, false),
            ("fd00::1/128", v6, true),
            ("fd00::/129", v6, false),
            ("::/0", v6, true),
            ("::/0", v4, false),
            ("fe80::/10", v6, false),
        ] {
            let variables = [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)];
            let expected = (!excluded).then(|| "http://p:1".to_owned());
            assert_eq!(proxy(host, &variables), Ok(expected), "{list:?}, {host}");
        }
    }

    #[test]
    fn shows_no_credentials() {
        let variable = |_: &str| Some("http://user:hidden@proxy:1".into());
        let endpoint = Endpoint::parse("https://a.example").unwrap();
        let asked = |name: &str| {
            if name.starts_with("no") || name.starts_with("NO") {
                None
            } else {
                variable(name)
            }
        };
        let proxy = Proxy::for_endpoint(&endpoint, asked).unwrap().unwrap();
        let header = proxy.authorization().unwrap();
        assert_eq!(header, "Basic dXNlcjpoaWRkZW4=");
        let shown = format!("{proxy} {proxy:?} {header:?}");
        assert_eq!(shown, "http://proxy:1 Proxy(http://proxy:1) Sensitive");
    }
}
