//! The time of each operation, next to the minimum that it could take.
//!
//! ```sh
//! cargo bench --features blocking --bench operations           # all
//! cargo bench --features blocking --bench operations -- parse  # those whose name contains "parse"
//! ```
//!
//! On a busy machine, compare the fastest samples, and ratios instead of times.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::time::{Duration, SystemTime};

use divan::counter::BytesCount;
use divan::{Bencher, black_box, black_box_drop};
use meshconnect_auth::{Credentials, Endpoint, Exchange, Moment, Token};

const NOW: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

/// The token of the contract's example.
const ID_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWUsImlhdCI6MTUxNjIzOTAyMn0.KMUFsIDTnFmyG3nMiGM6H9FNFUROf3wh7SmqJp-QV30";

const CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";
const SECRET: &str = "a secret of about the usual length, which is 64 characters or so";

fn main() {
    divan::main();
}

fn credentials() -> Credentials {
    Credentials::new(CLIENT_ID, SECRET).unwrap()
}

fn exchange() -> Exchange {
    Exchange::new(Endpoint::default(), credentials())
}

/// Returns a token that needs no refresh during the run.
fn token() -> Token {
    let expiry = SystemTime::now().checked_add(Duration::from_secs(12 * 60 * 60));
    Token::new(ID_TOKEN, expiry.unwrap()).unwrap()
}

/// From a call to an owned header while a token is cached. Includes dropping the header. The
/// samples are large because two threads start at different times and would not overlap in small
/// samples.
#[divan::bench_group(sample_count = 20, sample_size = 1_000_000, threads = [1, 2])]
mod hit {
    use std::pin::pin;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::{Context, Poll, Waker};

    use meshconnect_auth::{Client, blocking};

    use super::{Bencher, black_box, black_box_drop, credentials, token};

    #[divan::bench]
    fn floor_load_and_clone(bencher: Bencher) {
        let (expiry, header) = (AtomicU64::new(1), token().header_value().clone());
        bencher.bench(|| {
            assert!(black_box(&expiry).load(Ordering::Acquire) > 0);
            black_box_drop(header.clone());
        });
    }

    #[divan::bench]
    fn first_poll(bencher: Bencher) {
        let client = Client::builder(credentials()).initial_token(token());
        let client = client.build().unwrap();
        bencher.bench(|| {
            let mut context = Context::from_waker(Waker::noop());
            match pin!(client.token()).poll(&mut context) {
                Poll::Ready(token) => black_box_drop(token.unwrap().header_value().clone()),
                Poll::Pending => panic!("the cached token was not ready"),
            }
        });
    }

    #[divan::bench]
    fn blocking(bencher: Bencher) {
        let client = blocking::Client::builder(credentials()).initial_token(token());
        let client = client.build().unwrap();
        bencher.bench(|| black_box_drop(client.token().unwrap().header_value().clone()));
    }
}

/// From the bytes of a response to a token.
#[divan::bench_group(sample_size = 10, max_time = 2)]
mod parse {
    use http::Response;
    use meshconnect_auth::BodyBuffer;

    use super::{Bencher, BytesCount, ID_TOKEN, NOW, black_box, black_box_drop, exchange};

    #[derive(Clone, Copy, Debug)]
    enum Body {
        Contract,
        /// 64 KiB of arrays, 100 deep.
        Nested,
    }

    const BODIES: [Body; 2] = [Body::Contract, Body::Nested];

    impl Body {
        fn bytes(self) -> Vec<u8> {
            let with = |more: &str| {
                format!(
                    r#"{{{more}"content":{{"id_token":"{ID_TOKEN}","expires_in":3600,"status":"available"}},"status":"ok","message":"","errorHash":"e47df370","errorType":""}}"#
                )
            };
            let details = |deep: &[String]| with(&format!(r#""details":[{}],"#, deep.join(",")));
            let body = match self {
                Self::Contract => with(""),
                Self::Nested => {
                    // The outer array is the hundredth level.
                    let one = format!("{}{}", "[".repeat(99), "]".repeat(99));
                    let room = BodyBuffer::DEFAULT_LIMIT.saturating_sub(details(&[]).len());
                    details(&vec![one; room / 199])
                }
            };
            assert!(body.len() <= BodyBuffer::DEFAULT_LIMIT);
            body.into_bytes()
        }
    }

    /// serde into a typed struct, without checks.
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "the fields are deserialized but not used")]
    struct Bare<'a> {
        status: &'a str,
        #[serde(borrow)]
        content: BareContent<'a>,
    }

    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "the fields are deserialized but not used")]
    struct BareContent<'a> {
        id_token: &'a str,
        expires_in: u64,
    }

    #[divan::bench(args = BODIES)]
    fn floor_bare_struct(bencher: Bencher, body: Body) {
        let body = body.bytes();
        bencher
            .counter(BytesCount::of_slice(&body))
            .bench(|| serde_json::from_slice::<Bare<'_>>(black_box(&body)).unwrap());
    }

    /// Includes dropping the tree, which is useless once the token is extracted.
    #[divan::bench(args = BODIES)]
    fn json_value(bencher: Bencher, body: Body) {
        let body = body.bytes();
        bencher.counter(BytesCount::of_slice(&body)).bench(|| {
            let value: serde_json::Value = serde_json::from_slice(black_box(&body)).unwrap();
            black_box_drop(value);
        });
    }

    /// Includes wiping the body.
    #[divan::bench(args = BODIES)]
    fn exchange_parse(bencher: Bencher, body: Body) {
        let (exchange, body) = (exchange(), body.bytes());
        let response = || {
            Response::builder()
                .header("content-type", "application/json; charset=utf-8")
                .header("date", "Fri, 15 Jan 2027 08:00:00 GMT")
                .body(BodyBuffer::from(body.as_slice()))
                .unwrap()
        };
        bencher
            .counter(BytesCount::of_slice(&body))
            .with_inputs(response)
            .bench_values(|response| exchange.parse(response, NOW).unwrap().into_token(NOW));
    }
}

/// From existing credentials to a request that can be sent.
#[divan::bench_group(sample_size = 100)]
mod request {
    use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
    use reqwest::Url;

    use super::{Bencher, CLIENT_ID, Duration, Endpoint, SECRET, black_box, exchange};

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn url() -> Url {
        Endpoint::default().token_uri().to_string().parse().unwrap()
    }

    #[divan::bench]
    fn floor_copy_body(bencher: Bencher) {
        let request = exchange().request();
        let body = request.body().as_ref();
        let mut copy = vec![0; body.len()];
        bencher.bench_local(|| {
            copy.copy_from_slice(black_box(body));
            black_box(&copy);
        });
    }

    #[divan::bench]
    fn exchange_request(bencher: Bencher) {
        let exchange = exchange();
        bencher.bench(|| exchange.request());
    }

    /// As the async transport builds it.
    #[divan::bench]
    fn exchange_to_reqwest(bencher: Bencher) {
        let (exchange, url) = (exchange(), url());
        bencher.bench(|| {
            let (head, body) = exchange.request().into_parts();
            let mut request = reqwest::Request::new(head.method, url.clone());
            *request.headers_mut() = head.headers;
            *request.body_mut() = Some(body.into_bytes().into());
            *request.timeout_mut() = Some(TIMEOUT);
            request
        });
    }

    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Bare {
        client_id: &'static str,
        client_secret: &'static str,
    }

    const BODY: Bare = Bare {
        client_id: CLIENT_ID,
        client_secret: SECRET,
    };

    fn built(request: reqwest::RequestBuilder) -> reqwest::Request {
        let request = request
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "meshconnect-auth")
            .timeout(TIMEOUT)
            .json(black_box(&BODY));
        request.build().unwrap()
    }

    #[divan::bench]
    fn reqwest_builder(bencher: Bencher) {
        let (client, url) = (super::construction::bare_reqwest(), url());
        bencher.bench(|| built(client.post(black_box(url.as_str()))));
    }

    /// Uses a URL that is parsed once.
    #[divan::bench]
    fn reqwest_builder_parsed_url(bencher: Bencher) {
        let (client, url) = (super::construction::bare_reqwest(), url());
        bencher.bench(|| built(client.post(url.clone())));
    }

    /// Uses a URL that is parsed once and a body that is serialized once.
    #[divan::bench]
    fn reqwest_builder_parsed_url_and_body(bencher: Bencher) {
        let (client, url) = (super::construction::bare_reqwest(), url());
        let body = exchange().request().into_body().into_bytes();
        bencher.bench(|| {
            let request = client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "application/json")
                .header(USER_AGENT, "meshconnect-auth")
                .timeout(TIMEOUT)
                .body(body.clone());
            request.build().unwrap()
        });
    }
}

/// From credentials to a client. No certificates are loaded.
#[divan::bench_group(sample_size = 100)]
mod construction {
    use std::sync::{Arc, LazyLock};

    use meshconnect_auth::{Client, blocking};
    use rustls::{ClientConfig, RootCertStore, crypto::ring};
    use ureq::Agent;

    use super::{Bencher, credentials};

    /// reqwest would otherwise build a TLS configuration, which takes most of its time.
    static TLS: LazyLock<ClientConfig> = LazyLock::new(|| {
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    });

    /// Reads the proxies of the environment, as the async client does.
    pub(super) fn bare_reqwest() -> reqwest::Client {
        let client = reqwest::Client::builder().tls_backend_preconfigured(TLS.clone());
        client.build().unwrap()
    }

    #[divan::bench]
    fn floor_reqwest(bencher: Bencher) {
        LazyLock::force(&TLS);
        bencher.bench(bare_reqwest);
    }

    /// Excludes the `reqwest::Client`, which the client builds on first use.
    #[divan::bench]
    fn build(bencher: Bencher) {
        let credentials = credentials();
        bencher.bench(|| Client::builder(credentials.clone()).build().unwrap());
    }

    #[divan::bench]
    fn floor_ureq(bencher: Bencher) {
        bencher.bench(|| Agent::new_with_config(Agent::config_builder().build()));
    }

    #[divan::bench]
    fn build_blocking(bencher: Bencher) {
        let credentials = credentials();
        bencher.bench(|| {
            blocking::Client::builder(credentials.clone())
                .build()
                .unwrap()
        });
    }
}
