//! The builder of a client.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::process;

use meshconnect_auth_core::shared::Shared;
use meshconnect_auth_core::{
    Config, Credentials, Endpoint, Error, Event, Exchange, Machine, Proxy, Token,
};

use crate::client::Client;
use crate::clock;
use crate::http::{self, Http, Settings};
use crate::tls::Trust;

/// Builds a [`Client`]. Every setting except the credentials has a default.
///
/// ```
/// use meshconnect_auth_core::{Credentials, Endpoint};
/// use meshconnect_auth_reqwest::ClientBuilder;
///
/// let client = ClientBuilder::new(Credentials::new("id", "secret")?)
///     .endpoint(Endpoint::parse("https://gateway.example/mesh")?)
///     .build()?;
/// assert_eq!(client.endpoint().to_string(), "https://gateway.example/mesh");
/// # Ok::<_, meshconnect_auth_core::Error>(())
/// ```
#[must_use]
pub struct ClientBuilder {
    credentials: Credentials,
    endpoint: Endpoint,
    config: Config,
    initial_token: Option<Token>,
    observer: Option<Box<Observer>>,
    /// The root certificates of the last setter, or why they cannot be used.
    roots: Option<Result<Trust, Error>>,
    change: Option<Box<http::Change>>,
    http_client: Option<reqwest::Client>,
}

type Observer = dyn Fn(&Event) + Send + Sync;

impl Client {
    /// Returns a builder for a client with `credentials`. Default endpoint: the production service.
    ///
    /// ```
    /// use meshconnect_auth_core::Credentials;
    /// use meshconnect_auth_reqwest::Client;
    ///
    /// let client = Client::builder(Credentials::new("id", "secret")?).build()?;
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn builder(credentials: Credentials) -> ClientBuilder {
        ClientBuilder::new(credentials)
    }
}

impl ClientBuilder {
    /// Creates a builder with `credentials`. Default endpoint: the production service.
    ///
    /// ```
    /// use meshconnect_auth_core::Credentials;
    /// use meshconnect_auth_reqwest::ClientBuilder;
    ///
    /// let client = ClientBuilder::new(Credentials::new("id", "secret")?).build()?;
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            endpoint: Endpoint::default(),
            config: Config::default(),
            initial_token: None,
            observer: None,
            roots: None,
            change: None,
            http_client: None,
        }
    }

    /// Sets the base URL of the API. Default: [`Endpoint::PRODUCTION`].
    ///
    /// ```
    /// # use meshconnect_auth_core::{Credentials, Endpoint};
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let client = Client::builder(credentials)
    ///     .endpoint(Endpoint::parse("http://127.0.0.1:8080")?)
    ///     .build()?;
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Sets the time-outs, the number of attempts, the back-off, the cooldowns, and the time of the
    /// refresh. Default: [`Config::default`]. [`build`](Self::build) fails if [`Config::check`]
    /// does.
    ///
    /// ```
    /// # use meshconnect_auth_core::{Config, Credentials};
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let mut config = Config::default();
    /// config.attempts = 5;
    /// let client = Client::builder(credentials).config(config).build()?;
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets a function that is called with each [`Event`], for metrics. Default: none.
    ///
    /// The thread or task that caused the event calls it, outside of all locks. The function must
    /// return quickly, and must not wait for a token.
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let client = Client::builder(credentials)
    ///     .observer(|event| println!("{event}"))
    ///     .build()?;
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Sets the first cached token, from another process or from an earlier run of this one.
    /// Default: none. The token is used until its expiry; an expired token is ignored.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use meshconnect_auth_core::{Credentials, Token};
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let token = Token::new("a.b.c", SystemTime::now() + Duration::from_secs(600))?;
    /// let client = Client::builder(credentials).initial_token(token.clone()).build()?;
    /// assert_eq!(client.cached_token(), Some(token));
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn initial_token(mut self, token: Token) -> Self {
        self.initial_token = Some(token);
        self
    }

    /// Trusts only the certificate authorities in `pem`. Default: those of the platform. The last
    /// setter of root certificates wins.
    ///
    /// [`build`](Self::build) fails if `pem` contains a certificate that cannot be read, or
    /// anything other than certificates; see [`read_pem_certificates`]. The error names the line.
    ///
    /// [`read_pem_certificates`]: meshconnect_auth_core::read_pem_certificates
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let builder = Client::builder(credentials).root_certificates_pem("no certificate");
    /// let error = builder.build().unwrap_err();
    /// assert!(error.to_string().contains("contain no certificate"));
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn root_certificates_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots = Some(Trust::pem(pem.as_ref()));
        self
    }

    /// Trusts only the certificate authority in `der`. Default: those of the platform. The last
    /// setter of root certificates wins. [`build`](Self::build) fails if the certificate cannot be
    /// read.
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let builder = Client::builder(credentials).root_certificate_der(b"no certificate");
    /// let error = builder.build().unwrap_err();
    /// assert!(error.to_string().contains("cannot be read"));
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn root_certificate_der(mut self, der: impl AsRef<[u8]>) -> Self {
        self.roots = Some(Trust::der(der.as_ref()));
        self
    }

    /// Trusts only Mozilla's root certificates, which are compiled in, for machines and containers
    /// without certificates. Default: those of the platform. The last setter of root certificates
    /// wins. This method needs the feature `webpki-roots`.
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let client = Client::builder(credentials).webpki_roots().build()?;
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    #[cfg(feature = "webpki-roots")]
    pub fn webpki_roots(mut self) -> Self {
        self.roots = Some(Ok(Trust::mozilla()));
        self
    }

    /// Sets a function that changes the HTTP client of this crate before it is built, for example its
    /// local address, DNS resolver or default headers. Default: none. The last function wins.
    ///
    /// The function gets a builder with the settings of this crate: root certificates, crypto
    /// provider, proxy, connect time-out. This crate calls it for every HTTP client that it makes: for
    /// the first request, and again after a certificate was not accepted. Afterwards it turns off
    /// redirects, retries, the header `Referer` and decompression, whatever the function set.
    ///
    /// reqwest's own TLS setters have no effect, because the builder already holds a complete TLS
    /// configuration. Replace it with
    /// [`tls_backend_preconfigured`](reqwest::ClientBuilder::tls_backend_preconfigured), for example
    /// for a client certificate. A proxy that you add can read a secret that is sent in plain http.
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let client = Client::builder(credentials)
    ///     .http(|builder| builder.local_address(std::net::IpAddr::from([10, 0, 0, 1])))
    ///     .build()?;
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn http(
        mut self,
        change: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.change = Some(Box::new(change));
        self
    }

    /// Sets your own HTTP client, for example one with another TLS stack. Default: a client with the
    /// settings of this builder. To change only a few settings, use [`http`](Self::http).
    ///
    /// This crate still applies the attempt's time-out and the body's limit. Everything else comes
    /// from your client; see the [crate's page](crate#your-own-client). A client that follows
    /// redirects can send the secret to another server. A proxy can read a secret that is sent in
    /// plain http.
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # use meshconnect_auth_reqwest::{Client, reqwest};
    /// # fn client(own: reqwest::Client) -> Result<(), meshconnect_auth_core::Error> {
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let client = Client::builder(credentials).http_client(own).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Builds the client. This needs no runtime.
    ///
    /// This reads the environment's proxy variables (see [`Proxy::for_endpoint`]), unless you have
    /// set your own HTTP client. It sends nothing and reads no file: the first connection loads the
    /// platform's certificates.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](meshconnect_auth_core::ErrorKind::Configuration) if
    ///
    /// - [`Config::check`] fails,
    /// - a root certificate cannot be read,
    /// - root certificates, or changes of the HTTP client, are set together with your own HTTP client,
    /// - a proxy variable cannot be read, or
    /// - reqwest refuses the host name of the endpoint.
    ///
    /// ```
    /// # use meshconnect_auth_core::{Config, Credentials, ErrorKind};
    /// # use meshconnect_auth_reqwest::Client;
    /// # let credentials = Credentials::new("id", "secret")?;
    /// let mut config = Config::default();
    /// config.attempts = 0;
    /// let error = Client::builder(credentials).config(config).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Configuration);
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn build(self) -> Result<Client, Error> {
        self.build_with(|name| env::var_os(name))
    }

    /// Builds the client with the environment that `variable` reads.
    fn build_with(self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Client, Error> {
        self.config.check()?;
        let roots = self.roots.transpose()?;
        let proxy = if self.http_client.is_some() {
            Config::check_own_client(roots.is_some(), self.change.is_some())?;
            None
        } else {
            Proxy::for_endpoint(&self.endpoint, variable)?
        };
        let settings = Settings {
            endpoint: self.endpoint.clone(),
            config: self.config.clone(),
            trust: roots.unwrap_or(Trust::Platform),
            proxy: proxy.as_ref().map(http::proxy).transpose()?,
            change: self.change,
        };
        let http = Http::new(settings, self.http_client)?;
        let exchange = Exchange::new(self.endpoint, self.credentials).with_proxy(proxy.as_ref());
        let mut machine = Machine::new(self.config, exchange, seed(getrandom::u64().ok()));
        if let Some(token) = self.initial_token {
            machine.handle_token(clock::now(), token);
        }
        Ok(Client::new(Shared::new(machine, self.observer), http))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("credentials", &self.credentials)
            .field("endpoint", &self.endpoint)
            .field("config", &self.config)
            .field("initial_token", &self.initial_token)
            .finish_non_exhaustive()
    }
}

/// Returns `random`, or without it a number that depends on the process and the time. So clients with
/// the same settings do not send at the same time, in forked processes either.
fn seed(random: Option<u64>) -> u64 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    random.unwrap_or_else(|| hasher.hash_one((process::id(), clock::now())))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, SystemTime};

    use meshconnect_auth_core::ErrorKind;

    use super::*;

    /// The certificate of an authority.
    const PEM: &str = include_str!("ca.pem");

    fn builder() -> ClientBuilder {
        Client::builder(Credentials::new("an-id", "a-secret-to-hide").unwrap())
    }

    fn token(life: u64) -> Token {
        let end = SystemTime::now()
            .checked_add(Duration::from_secs(life))
            .unwrap();
        Token::new("handed.in.token", end).unwrap()
    }

    /// Returns the error of `build` in an environment with one variable.
    fn refused(builder: ClientBuilder, variable: (&str, &str)) -> String {
        let lookup = |name: &str| (name == variable.0).then(|| variable.1.into());
        let error = builder.build_with(lookup).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string()
    }

    #[test]
    fn has_defaults() {
        let client = builder().build_with(|_| None).unwrap();
        assert_eq!(client.endpoint(), &Endpoint::default());
        assert_eq!(client.cached_token(), None);
    }

    #[test]
    fn passes_settings_on() {
        let endpoint = Endpoint::parse("http://127.0.0.1:4000").unwrap();
        let builder = builder()
            .endpoint(endpoint.clone())
            .initial_token(token(600));
        let client = builder.build_with(|_| None).unwrap();
        assert_eq!(client.endpoint(), &endpoint);
        assert_eq!(client.cached_token().unwrap().id_token(), "handed.in.token");
    }

    #[test]
    fn ignores_an_expired_token() {
        let token = Token::new("handed.in.token", SystemTime::UNIX_EPOCH).unwrap();
        let client = builder().initial_token(token).build_with(|_| None).unwrap();
        assert_eq!(client.cached_token(), None);
    }

    #[test]
    fn last_setter_of_root_certificates_wins() {
        let good = builder()
            .root_certificates_pem("none")
            .root_certificates_pem(PEM.repeat(2));
        assert!(good.build_with(|_| None).is_ok());
        let bad = builder()
            .root_certificates_pem(PEM)
            .root_certificates_pem("none");
        assert!(refused(bad, ("", "")).contains("contain no certificate"));
    }

    #[test]
    fn refuses_invalid_settings() {
        let mut config = Config::default();
        config.attempts = 0;
        let not_x509 = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let one_is_bad = format!("{PEM}{not_x509}");
        let proxy = ("HTTPS_PROXY", "http://user:hidden@proxy:80\n");
        for (builder, variable, says) in [
            (builder().config(config), ("", ""), "attempt"),
            (
                builder().root_certificates_pem(one_is_bad),
                ("", ""),
                "block 2 (line 12) cannot be read",
            ),
            (
                builder().root_certificate_der(PEM),
                ("", ""),
                "cannot be read",
            ),
            (
                own(builder().root_certificates_pem(PEM)),
                ("", ""),
                "root certificates are set together with your own HTTP client",
            ),
            (
                own(builder().http(|builder| builder)),
                ("", ""),
                "`http` is set together with your own HTTP client",
            ),
            (builder(), proxy, "HTTPS_PROXY"),
        ] {
            let words = refused(builder, variable);
            assert!(words.contains(says) && !words.contains("hidden"), "{words}");
        }
    }

    /// The user's HTTP client has its own proxies, and a loopback host has none.
    #[test]
    fn ignores_proxy_variables_without_a_use() {
        let broken = |_: &str| Some("not a proxy".into());
        assert!(own(builder()).build_with(broken).is_ok());
        let loopback = Endpoint::parse("https://localhost").unwrap();
        assert!(builder().endpoint(loopback).build_with(broken).is_ok());
    }

    #[test]
    fn debug_does_not_show_secrets() {
        let shown = format!(
            "{:?}",
            builder()
                .initial_token(token(600))
                .root_certificates_pem(PEM)
        );
        assert!(!shown.contains("a-secret-to-hide") && !shown.contains("handed.in.token"));
        for part in ["an-id", "api.meshconnect.com", "attempts"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
    }

    #[test]
    fn seeds_differ() {
        assert_eq!(seed(Some(7)), 7);
        let without_a_source: HashSet<_> = (0..9).map(|_| seed(None)).collect();
        assert_eq!(without_a_source.len(), 9);
    }

    fn own(builder: ClientBuilder) -> ClientBuilder {
        let tls = crate::tls::config(Trust::none()).unwrap();
        let own = reqwest::Client::builder().tls_backend_preconfigured(tls.config);
        builder.http_client(own.build().unwrap())
    }
}
