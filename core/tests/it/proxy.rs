//! Which proxy [`Proxy::for_endpoint`] chooses, and how it reads the variables.

use std::ffi::OsString;

use meshconnect_auth_core::{Endpoint, ErrorKind, Proxy};

/// Returns the proxy for `base_url` with its credentials, or the error.
fn proxy(base_url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
    let endpoint = Endpoint::parse_dangerously_allowing_plaintext(base_url).unwrap();
    let variable = |wanted: &str| {
        let (_, value) = variables.iter().find(|(name, _)| *name == wanted)?;
        Some(value.into())
    };
    match Proxy::for_endpoint(&endpoint, variable) {
        Ok(proxy) => Ok(proxy.map(|proxy| match proxy.credentials() {
            Some((user, password)) => format!("{proxy} {user} {password}"),
            None => proxy.to_string(),
        })),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration);
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
        // A variable that is not needed is not read.
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
fn plain_http_and_loopback_use_no_proxy() {
    for base_url in [
        "http://a.example",
        "http://127.0.0.1:80",
        "https://localhost",
        "https://127.1.2.3",
        "https://[::1]:8443",
    ] {
        // A variable that cannot be read does not matter either.
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
fn names_the_variable_that_it_cannot_read() {
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
fn refuses_variables_that_are_not_unicode() {
    use std::os::unix::ffi::OsStringExt;
    let broken = |name: &'static str| {
        move |wanted: &str| match wanted {
            _ if wanted == name => Some(OsString::from_vec(b"http://p\xFF".to_vec())),
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
    let variable =
        |name: &str| (name == "HTTPS_PROXY").then(|| "http://user:hidden@proxy:1".into());
    let endpoint = Endpoint::default();
    let proxy = Proxy::for_endpoint(&endpoint, variable).unwrap().unwrap();
    let header = proxy.authorization().unwrap();
    assert_eq!(header, "Basic dXNlcjpoaWRkZW4=");
    let shown = format!("{proxy} {proxy:?} {header:?}");
    assert_eq!(shown, "http://proxy:1 Proxy(http://proxy:1) Sensitive");
}

#[test]
fn returns_its_parts() {
    for (value, https, host, port) in [
        ("http://proxy.example:3128", false, "proxy.example", 3128),
        ("https://proxy.example", true, "proxy.example", 443),
        ("proxy.example", false, "proxy.example", 80),
        ("http://[fd00::1]:8080", false, "[fd00::1]", 8080),
    ] {
        let variable = |name: &str| (name == "HTTPS_PROXY").then(|| value.into());
        let proxy = Proxy::for_endpoint(&Endpoint::default(), variable);
        let proxy = proxy.unwrap().unwrap();
        let parts = (proxy.is_https(), proxy.host(), proxy.port());
        assert_eq!(parts, (https, host, port), "{value}");
    }
}

#[test]
fn excludes_ranges_at_a_port() {
    for (base_url, no_proxy, excluded) in [
        ("https://10.1.2.3:8443", "10.0.0.0/8:8443", true),
        ("https://10.1.2.3", "10.0.0.0/8:8443", false),
        ("https://[fd00::1]:8443", "[fd00::]/8:8443", true),
        ("https://[fd00::1]", "fd00::/8", true),
    ] {
        let variables = [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", no_proxy)];
        let found = proxy(base_url, &variables).unwrap();
        assert_eq!(found.is_none(), excluded, "{base_url} with {no_proxy}");
    }
}
