//! Which proxy [`Proxy::for_endpoint`] chooses, and how it reads the variables: the rows of
//! `proxies.json`. The tests of the clients run the rows with `over_sockets` against a proxy.

use std::collections::BTreeMap;
use std::ffi::OsString;

use meshconnect_auth_core::{Endpoint, ErrorKind, Proxy};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    documentation: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default = "default_endpoint")]
    endpoint: String,
    variables: BTreeMap<String, String>,
    /// `direct`, the proxy's URL without credentials, or `error: ` and words of the error.
    expected: String,
    /// The user name and the password, joined by a colon.
    credentials: Option<String>,
    #[serde(default, rename = "over_sockets")]
    _over_sockets: bool,
}

fn default_endpoint() -> String {
    "https://a.invalid".to_owned()
}

impl Row {
    fn check(&self) -> Result<(), String> {
        let endpoint = Endpoint::parse_dangerously_allowing_plaintext(&self.endpoint).unwrap();
        let variable = |name: &str| self.variables.get(name).map(OsString::from);
        let found = Proxy::for_endpoint(&endpoint, variable);
        if let Some(words) = self.expected.strip_prefix("error: ") {
            let error = found.err().ok_or("expected an error")?;
            let text = error.to_string();
            let named = self.variables.keys().any(|name| text.contains(name));
            let quoted = ["hid", "den", "DIRECT", "passwd", "127.1", "fd00", "not_a"];
            let passed = error.kind() == ErrorKind::Configuration
                && text.contains(words)
                && named
                && !quoted.iter().any(|quoted| text.contains(quoted));
            return passed.then_some(()).ok_or(text);
        }
        let found = found.map_err(|error| error.to_string())?;
        let credentials = found.as_ref().and_then(Proxy::credentials);
        let credentials = credentials.map(|(user, password)| format!("{user}:{password}"));
        let found = found.map_or("direct".to_owned(), |proxy| proxy.to_string());
        let passed = found == self.expected && credentials == self.credentials;
        passed
            .then_some(())
            .ok_or_else(|| format!("{found}, {credentials:?}"))
    }
}

#[test]
fn chooses_the_proxy_of_each_row() {
    let sections: Vec<Section> = serde_json::from_str(include_str!("../proxies.json")).unwrap();
    let mut wrong = Vec::new();
    for section in &sections {
        for row in &section.rows {
            if let Err(found) = row.check() {
                wrong.push(format!(
                    "{}\n  {} with {:?}: expected {:?} {:?}, found {found}",
                    section.documentation,
                    row.endpoint,
                    row.variables,
                    row.expected,
                    row.credentials
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn shows_no_credentials() {
    for (value, expected) in [
        ("http://user:hidden@proxy:1", "Basic dXNlcjpoaWRkZW4="),
        ("http://u:h@proxy:1", "Basic dTpo"),
        ("http://u@proxy:1", "Basic dTo="),
        ("http://é:é@proxy:1", "Basic w6k6w6k="),
    ] {
        let variable = |name: &str| (name == "HTTPS_PROXY").then(|| value.into());
        let proxy = Proxy::for_endpoint(&Endpoint::default(), variable);
        let proxy = proxy.unwrap().unwrap();
        let header = proxy.authorization().unwrap();
        assert_eq!(header, expected);
        let shown = format!("{proxy} {proxy:?} {header:?}");
        assert_eq!(shown, "http://proxy:1 Proxy(http://proxy:1) Sensitive");
    }
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
