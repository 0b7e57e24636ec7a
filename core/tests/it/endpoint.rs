//! Which base URLs an [`Endpoint`] accepts.

use meshconnect_auth_core::Endpoint;

#[test]
fn prints_the_canonical_form() {
    for (given, printed) in [
        (Endpoint::PRODUCTION, Endpoint::PRODUCTION),
        ("HTTPS://Admin-API.MeshConnect.com/", Endpoint::PRODUCTION),
        ("https://h:443", "https://h"),
        ("https://h:80", "https://h:80"),
        ("http://localhost:443", "http://localhost:443"),
        ("http://localhost:80/", "http://localhost"),
        ("http://LOCALHOST:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.255.0.9", "http://127.255.0.9"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://h/gateway/mesh/", "https://h/gateway/mesh"),
        ("https://h/a%20b;v=1", "https://h/a%20b;v=1"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://h.example.:8443", "https://h.example.:8443"),
    ] {
        let endpoint = Endpoint::parse(given).unwrap();
        assert_eq!(endpoint.to_string(), printed);
        assert_eq!(Endpoint::parse(printed).unwrap(), endpoint);
        assert_eq!(
            endpoint.token_uri().to_string(),
            format!("{printed}/admin/api/v1/Token")
        );
    }
    assert_eq!(
        Endpoint::default(),
        Endpoint::parse(Endpoint::PRODUCTION).unwrap()
    );
}

#[test]
fn names_the_part_that_it_refuses() {
    for (given, word) in [
        ("", "empty"),
        ("admin-api.meshconnect.com", "scheme"),
        ("ftp://h", "scheme"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://user:pw@h", "userinfo"),
        ("https://user@h", "userinfo"),
        ("https://h?x=1", "query"),
        ("https://h/?", "query"),
        ("https://h#f", "fragment"),
        ("https://h/#", "fragment"),
        ("https://h:0", "port"),
        ("https://h:", "port"),
        ("https://h:+1", "port"),
        ("https://h:65536", "port"),
        ("https://h//x", "empty segment"),
        ("https://h/x//", "empty segment"),
        ("https://h/../x", "dot segment"),
        ("https://h/%2E%2e/x", "dot segment"),
        ("https://h/a|b", "percent-encoded"),
        ("https://h/%zz", "percent-encoded"),
        ("https://h/%2", "percent-encoded"),
        ("https://h/admin/api/v1/Token", "leave that path out"),
        ("https://h/admin/api/v1/token/", "leave that path out"),
        ("https://h\\x", "host name"),
        ("https://a..b", "host name"),
        ("https://-a.example", "host name"),
        ("https://a-.example", "host name"),
        ("https://h ", "character ' '"),
        ("https://h\r\n", "character '\\r'"),
        ("https://mesh.例", "xn--"),
        ("https://[::1", "host name"),
        ("https://[fe80::1%25eth0]", "IPv6"),
        ("https://127.1", "dotted quad"),
        ("https://0x7f000001", "dotted quad"),
        ("https://2130706433", "dotted quad"),
        ("https://127.0.0.01", "dotted quad"),
        ("https://1.2.3.4.", "dotted quad"),
        ("http://example.com", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("http://localhost.", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("http://128.0.0.1", "plain http"),
        ("http://0.0.0.0", "plain http"),
        ("http://[::ffff:127.0.0.1]", "plain http"),
        ("http://[::]", "plain http"),
        ("http://xn--lcalhost-e9a", "plain http"),
    ] {
        let error = Endpoint::parse(given).unwrap_err().to_string();
        assert!(error.contains(word), "{given}: {error}");
    }
}

#[test]
fn a_host_name_has_at_most_253_characters() {
    let host = |last: usize| {
        let label = "a".repeat(63);
        format!("https://{label}.{label}.{label}.{}", "b".repeat(last))
    };
    assert!(Endpoint::parse(&host(61)).is_ok());
    assert!(Endpoint::parse(&host(62)).is_err());
}

#[test]
fn knows_its_scheme_and_loopback_hosts() {
    for (base, https, loopback) in [
        ("https://h", true, false),
        ("https://localhost", true, true),
        ("http://[::1]", false, true),
        ("http://h", false, false),
    ] {
        let endpoint = Endpoint::parse_dangerously_allowing_plaintext(base).unwrap();
        assert_eq!(
            (endpoint.is_https(), endpoint.is_loopback()),
            (https, loopback),
            "{base}"
        );
        assert_eq!(format!("{endpoint:?}"), format!("Endpoint({base})"));
    }
}

#[test]
fn does_not_quote_a_refused_password() {
    let error = Endpoint::parse("https://user:hunter2hunter2@h").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn plaintext_and_loopback_allow_no_proxy() {
    let allows = |base: &str| {
        Endpoint::parse_dangerously_allowing_plaintext(base)
            .unwrap()
            .allows_proxy()
    };
    assert!(allows("https://h"));
    assert!(!allows("https://localhost"));
    assert!(!allows("https://[::1]"));
    assert!(!allows("http://h"));
    assert!(!allows("http://127.0.0.1"));
}
