//! What environment variables may change, proxies and trust, and what they may not. Variables
//! belong to a process, so each case runs the program as a child process.

mod unix {
    use std::os::unix::fs::symlink;
    use std::process::{Command, Output, Stdio};
    use std::time::Duration;

    use crate::support::files::{CaFile, Directory};
    use crate::support::process::output_within;
    use crate::support::server::{Server, response};
    use crate::support::tls::Ca;
    use crate::support::{EXAMPLE_200, SECRET, TOKEN};

    const PROXY_VARIABLES: [&str; 6] = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];

    fn token(transport: &str, base_url: &str, variables: &[(&str, &str)]) -> Output {
        command(transport, base_url, variables).output().unwrap()
    }

    fn command(transport: &str, base_url: &str, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshconnect-auth"));
        command
            .args([
                "token",
                "--timeout",
                "5s",
                "--max-attempts",
                "1",
                "--allow-plaintext",
            ])
            .args(["--transport", transport, "--base-url", base_url])
            .env_clear()
            .env("MESHCONNECT_CLIENT_ID", "id")
            .env("MESHCONNECT_CLIENT_SECRET", SECRET)
            .envs(variables.iter().copied());
        command
    }

    fn exit(output: &Output) -> (Option<i32>, String) {
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(
            !stderr.contains(SECRET) && !stderr.contains(TOKEN),
            "{stderr}"
        );
        (output.status.code(), stderr)
    }

    fn for_each_transport(case: impl Fn(&str)) {
        case("async");
        case("blocking");
    }

    #[test]
    fn loopback_requests_bypass_proxies() {
        for_each_transport(|transport| {
            let proxy = Server::respond(response("200 OK", "", EXAMPLE_200));
            let ca = Ca::new();
            let file = CaFile::new(&format!("loopback-{transport}.pem"), &ca);
            let plain = Server::respond(response("200 OK", "", EXAMPLE_200));
            let tls = ca.server("localhost");
            let encrypted = Server::respond_over_tls(tls, response("200 OK", "", EXAMPLE_200));
            let url = proxy.http();
            let mut variables = PROXY_VARIABLES.map(|name| (name, url.as_str())).to_vec();
            variables.push(("SSL_CERT_FILE", file.path()));
            for server in [plain.http(), encrypted.https()] {
                let output = token(transport, &server, &variables);
                assert_eq!(
                    exit(&output),
                    (Some(0), String::new()),
                    "{transport}, {server}"
                );
                assert_eq!(output.stdout, format!("{TOKEN}\n").into_bytes());
            }
            assert_eq!(proxy.connections(), 0, "{transport}");
        });
    }

    #[test]
    fn plaintext_requests_bypass_proxies() {
        for_each_transport(|transport| {
            let proxy = Server::respond(response("200 OK", "", EXAMPLE_200));
            let url = proxy.http();
            let variables = PROXY_VARIABLES.map(|name| (name, url.as_str()));
            let output = token(transport, "http://plain.invalid", &variables);
            assert_eq!(exit(&output).0, Some(4));
            assert_eq!(proxy.connections(), 0, "{transport}");
        });
    }

    #[test]
    fn https_proxy_is_used_and_sees_no_secret() {
        for_each_transport(|transport| {
            let proxy = Server::respond("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
            let url = proxy.http();
            for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
                let output = token(transport, "https://proxied.invalid", &[(name, &url)]);
                let (code, stderr) = exit(&output);
                assert_eq!(code, Some(4), "{transport}, {name}: {stderr}");
                assert!(
                    stderr.contains("no connection"),
                    "{transport}, {name}: {stderr}"
                );
            }
            let requests = proxy.requests();
            assert_eq!(requests.len(), 4, "{transport}");
            for request in requests {
                assert!(
                    request.starts_with("CONNECT proxied.invalid:443 "),
                    "{request}"
                );
                assert!(!request.contains(SECRET), "{request}");
            }
        });
    }

    #[test]
    fn unknown_host_is_reported_as_unresolved() {
        for_each_transport(|transport| {
            let output = token(transport, "https://no-such-host.invalid", &[]);
            let (code, stderr) = exit(&output);
            assert_eq!(code, Some(4), "{transport}: {stderr}");
            assert!(
                stderr.contains("could not be resolved"),
                "{transport}: {stderr}"
            );
        });
    }

    /// In a CGI program, a request header named `Proxy` sets `HTTP_PROXY`.
    #[test]
    fn http_proxy_is_ignored() {
        for_each_transport(|transport| {
            let proxy = Server::respond("HTTP/1.1 502 Bad Gateway\r\n\r\n");
            let url = proxy.http();
            let variables = [
                ("HTTP_PROXY", url.as_str()),
                ("http_proxy", url.as_str()),
                ("REQUEST_METHOD", "GET"),
            ];
            let output = token(transport, "https://proxied.invalid", &variables);
            assert_eq!(exit(&output).0, Some(4));
            assert_eq!(proxy.connections(), 0, "{transport}");
        });
    }

    #[test]
    fn platform_certificates_are_trusted_and_missing_ones_reported() {
        for_each_transport(|transport| {
            let ca = Ca::new();
            let file = CaFile::new(&format!("platform-{transport}.pem"), &ca);
            let other = CaFile::new(&format!("other-{transport}.pem"), &Ca::new());
            let tls = ca.server("localhost");
            let server = Server::respond_over_tls(tls, response("200 OK", "", EXAMPLE_200));
            for (trusted, expected) in [
                (file.path(), 0),
                (other.path(), 4),
                ("/nonexistent/certificates", 4),
            ] {
                let variables = [("SSL_CERT_FILE", trusted), ("SSL_CERT_DIR", "/nonexistent")];
                let (code, stderr) = exit(&token(transport, &server.https(), &variables));
                assert_eq!(code, Some(expected), "{transport}, {trusted}: {stderr}");
                let names_the_variable = stderr.contains("certificate could not be verified")
                    && stderr.contains("SSL_CERT_FILE");
                assert_eq!(
                    names_the_variable,
                    expected == 4,
                    "{transport}, {trusted}: {stderr}"
                );
            }
        });
    }

    /// A FIFO without a writer stands for a disk that does not respond. `build()` does not read it.
    /// A link to itself cannot be resolved, not even by root.
    #[test]
    fn an_odd_link_in_a_certificate_directory_hides_no_other_file() {
        let directory = Directory::new("certificates");
        let ca = Ca::new();
        directory.file("ca.pem", &ca.pem);
        symlink("loop.pem", directory.0.join("loop.pem")).unwrap();
        let path = directory.0.to_str().unwrap();
        let stranger = Ca::new();
        for_each_transport(|transport| {
            for (tls, says) in [
                (ca.server("localhost"), None),
                (stranger.server("localhost"), Some("loop.pem: ")),
            ] {
                let server = Server::respond_over_tls(tls, response("200 OK", "", EXAMPLE_200));
                let output = token(transport, &server.https(), &[("SSL_CERT_DIR", path)]);
                let (code, stderr) = exit(&output);
                assert_eq!(
                    code,
                    Some(if says.is_some() { 4 } else { 0 }),
                    "{transport}: {stderr}"
                );
                assert!(
                    stderr.contains(says.unwrap_or_default()),
                    "{transport}: {stderr}"
                );
            }
        });
    }

    #[test]
    fn stalled_certificate_file_does_not_block_the_call() {
        let directory = Directory::new("certificates");
        let fifo = directory.fifo();
        let variables = [("SSL_CERT_FILE", fifo.to_str().unwrap())];
        for transport in ["async", "blocking"] {
            let mut command = command(transport, "https://127.0.0.1:1", &variables);
            let child = command.stderr(Stdio::piped()).spawn().unwrap();
            let limit = Duration::from_secs(20);
            let (code, stderr) = exit(&output_within(limit, child).expect(transport));
            assert_eq!(code, Some(4), "{transport}: {stderr}");
            assert!(
                stderr.contains("were not read in time"),
                "{transport}: {stderr}"
            );
        }
    }
}
