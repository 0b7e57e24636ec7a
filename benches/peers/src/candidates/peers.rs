//! The alternative libraries, each used as its documentation shows, with its own cache. If a
//! library returns a string instead of a header, the header is built from it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tokio::runtime::Runtime;

use super::{Candidate, Kind, bearer};
use crate::key::service_account;
use crate::stub::{LIFETIME, Stub};
use crate::versions::locked;

/// The scope for the libraries that need one.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

pub(super) fn all(runtime: &Runtime) -> Vec<Candidate> {
    vec![
        google_cloud_auth(runtime),
        google_cloud_auth_tagged(runtime),
        azure_identity(),
        yup_oauth2(runtime),
        gcp_auth(),
        tame_oauth(),
        aws_smithy(),
        huskarl(),
    ]
}

fn google_credentials(
    stub: &Stub,
    runtime: &Runtime,
) -> google_cloud_auth::credentials::Credentials {
    // Without its default features the crate needs a crypto provider of the program to build its
    // HTTP client, although no TLS is used here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let user = serde_json::json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "secret",
        "refresh_token": "refresh",
    });
    let builder = google_cloud_auth::credentials::user_account::Builder::new(user);
    // The credentials spawn a task that refreshes immediately.
    let _entered = runtime.enter();
    builder.with_token_uri(stub.url()).build().unwrap()
}

/// Obtains headers as Google's client libraries do for each request.
fn google_cloud_auth(runtime: &Runtime) -> Candidate {
    use google_cloud_auth::credentials::CacheableResource;

    let stub = Stub::oauth();
    let credentials = google_credentials(&stub, runtime);
    Candidate::awaited(locked("google-cloud-auth"), Kind::Peer, async move || {
        let headers = credentials.headers(http::Extensions::new()).await;
        match headers.unwrap() {
            CacheableResource::New { mut data, .. } => data.remove(AUTHORIZATION).unwrap(),
            CacheableResource::NotModified => unreachable!("no entity tag was given"),
        }
    })
    .with_stub(stub)
}

/// Passes the entity tag of the last result, which lets callers keep data derived from the headers.
/// This caller keeps the header.
fn google_cloud_auth_tagged(runtime: &Runtime) -> Candidate {
    use google_cloud_auth::credentials::CacheableResource;

    let stub = Stub::oauth();
    let credentials = google_credentials(&stub, runtime);
    let first = runtime.block_on(credentials.headers(http::Extensions::new()));
    let CacheableResource::New { entity_tag, data } = first.unwrap() else {
        unreachable!("no entity tag was given");
    };
    let kept = data.get(AUTHORIZATION).unwrap().clone();
    let name = format!("{}, header kept by the caller", locked("google-cloud-auth"));
    Candidate::awaited(name, Kind::Peer, async move || {
        let mut extensions = http::Extensions::new();
        extensions.insert(entity_tag.clone());
        match credentials.headers(extensions).await.unwrap() {
            CacheableResource::New { mut data, .. } => data.remove(AUTHORIZATION).unwrap(),
            CacheableResource::NotModified => kept.clone(),
        }
    })
    .with_stub(stub)
}

fn azure_identity() -> Candidate {
    use azure_core::credentials::{Secret, TokenCredential};
    use azure_core::http::headers::Headers;
    use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, StatusCode};
    use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};

    /// The crate requires an https authority but lets the caller choose the HTTP client.
    #[derive(Debug)]
    struct ToStub(SocketAddr);

    #[async_trait::async_trait]
    impl HttpClient for ToStub {
        async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
            let body = Stub::request_token(self.0, b"grant_type=client_credentials")?;
            let headers = Headers::default();
            Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, headers, body))
        }
    }

    let stub = Stub::oauth();
    let transport = azure_core::http::Transport::new(Arc::new(ToStub(stub.address())));
    let options = ClientSecretCredentialOptions {
        client_options: ClientOptions {
            transport: Some(transport),
            ..ClientOptions::default()
        },
    };
    let (tenant, secret) = (
        "00000000-0000-0000-0000-000000000000",
        Secret::new("secret"),
    );
    let credential = ClientSecretCredential::new(tenant, "id".to_owned(), secret, Some(options));
    let credential = credential.unwrap();
    Candidate::awaited(locked("azure_identity"), Kind::Peer, async move || {
        let token = credential.get_token(&["https://example.com/.default"], None);
        bearer(token.await.unwrap().token.secret())
    })
    .with_stub(stub)
}

fn yup_oauth2(runtime: &Runtime) -> Candidate {
    use hyper_util::client::legacy::{Client, connect::HttpConnector};
    use hyper_util::rt::TokioExecutor;
    use yup_oauth2::{CustomHyperClientBuilder, ServiceAccountAuthenticator, ServiceAccountKey};

    let stub = Stub::oauth();
    let key: ServiceAccountKey = serde_json::from_value(service_account(&stub.url())).unwrap();
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let client = CustomHyperClientBuilder::from(client);
    let authenticator = ServiceAccountAuthenticator::with_client(key, client).build();
    let authenticator = runtime.block_on(authenticator).unwrap();
    Candidate::awaited(locked("yup-oauth2"), Kind::Peer, async move || {
        let token = authenticator.token(&[SCOPE]).await.unwrap();
        bearer(token.token().unwrap())
    })
    .with_stub(stub)
}

fn gcp_auth() -> Candidate {
    use gcp_auth::{CustomServiceAccount, TokenProvider};

    let stub = Stub::oauth();
    let account = service_account(&stub.url()).to_string();
    let account = CustomServiceAccount::from_json(&account).unwrap();
    Candidate::awaited(locked("gcp_auth"), Kind::Peer, async move || {
        bearer(account.token(&[SCOPE]).await.unwrap().as_str())
    })
    .with_stub(stub)
}

/// Sends the request that the crate returns if it has no token. The crate does no I/O.
fn tame_oauth() -> Candidate {
    use tame_oauth::gcp::{
        ServiceAccountInfo, ServiceAccountProvider, TokenOrRequest, TokenProvider,
    };

    let stub = Stub::oauth();
    let account = service_account(&stub.url()).to_string();
    let account = ServiceAccountInfo::deserialize(account).unwrap();
    let provider = ServiceAccountProvider::new(account).unwrap();
    let address = stub.address();
    Candidate::blocking(locked("tame-oauth"), Kind::Peer, move || {
        let token = match provider.get_token(&[SCOPE]).unwrap() {
            TokenOrRequest::Token(token) => token,
            TokenOrRequest::Request {
                request,
                scope_hash,
                ..
            } => {
                let body = Stub::request_token(address, request.body()).unwrap();
                let response = http::Response::new(body);
                provider.parse_token_response(scope_hash, response).unwrap()
            }
        };
        // The conversion of the crate uses the token type of the response.
        let header: HeaderValue = token.try_into().unwrap();
        header
    })
    .with_stub(stub)
}

/// Calls the cache of the AWS clients as their orchestrator calls it.
fn aws_smithy() -> Candidate {
    use aws_smithy_async::rt::sleep::TokioSleep;
    use aws_smithy_async::time::SystemTimeSource;
    use aws_smithy_runtime::client::identity::IdentityCache;
    use aws_smithy_runtime_api::client::identity::http::Token;
    use aws_smithy_runtime_api::client::identity::{
        Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver,
    };
    use aws_smithy_runtime_api::client::runtime_components::{
        RuntimeComponents, RuntimeComponentsBuilder,
    };
    use aws_smithy_types::config_bag::ConfigBag;

    #[derive(Debug)]
    struct FromStub(SocketAddr);

    impl ResolveIdentity for FromStub {
        fn resolve_identity<'a>(
            &'a self,
            _: &'a RuntimeComponents,
            _: &'a ConfigBag,
        ) -> IdentityFuture<'a> {
            let body = Stub::request_token(self.0, b"grant_type=client_credentials").unwrap();
            let response: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let expires_at = Some(SystemTime::now() + LIFETIME);
            let token = Token::new(response["access_token"].as_str().unwrap(), expires_at);
            IdentityFuture::ready(Ok(Identity::new(token, expires_at)))
        }
    }

    let stub = Stub::oauth();
    let cache = IdentityCache::lazy().build();
    let resolver = SharedIdentityResolver::new(FromStub(stub.address()));
    // A real client's builder requires an endpoint, retries and more, which the cache does not use.
    // This builder fills them in. Clock and timer are the real ones.
    let components = RuntimeComponentsBuilder::for_tests()
        .with_time_source(Some(SystemTimeSource::new()))
        .with_sleep_impl(Some(TokioSleep::new()))
        .build()
        .unwrap();
    let bag = ConfigBag::base();
    Candidate::awaited(
        format!("{}, `IdentityCache::lazy`", locked("aws-smithy-runtime")),
        Kind::Peer,
        async move || {
            let identity = cache.resolve_cached_identity(resolver.clone(), &components, &bag);
            let identity = identity.await.unwrap();
            bearer(identity.data::<Token>().unwrap().token())
        },
    )
    .with_stub(stub)
}

fn huskarl() -> Candidate {
    use bytes::Bytes;
    use http::{HeaderMap, Method, Request, StatusCode, Uri};
    use huskarl::authorizer::HttpAuthorizer;
    use huskarl::cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache};
    use huskarl::core::Error;
    use huskarl::core::client_auth::ClientSecret;
    use huskarl::core::http::{HttpClient, HttpResponse, Idempotency};
    use huskarl::core::platform::MaybeSendBoxFuture;
    use huskarl::core::secrets::{ProvidedSecret, SecretString};
    use huskarl::grant::client_credentials::{
        ClientCredentialsGrant, ClientCredentialsGrantParameters,
    };

    /// The crate brings no HTTP client.
    struct ToStub(SocketAddr);

    impl HttpClient for ToStub {
        fn execute(
            &self,
            request: Request<Bytes>,
            _: Idempotency,
        ) -> MaybeSendBoxFuture<'_, Result<HttpResponse, Error>> {
            Box::pin(async move {
                Ok(HttpResponse {
                    status: StatusCode::OK,
                    headers: HeaderMap::new(),
                    body: Stub::request_token(self.0, request.body()).unwrap().into(),
                })
            })
        }
    }

    let stub = Stub::oauth();
    let secret = ProvidedSecret::new(SecretString::new("secret"));
    let grant = ClientCredentialsGrant::builder()
        .client_id("id")
        .client_auth(ClientSecret::new(secret))
        .token_endpoint(stub.url().parse().unwrap())
        .http_client(ToStub(stub.address()))
        .build();
    let source = GrantTokenSource::builder()
        .grant(grant)
        .grant_parameters(ClientCredentialsGrantParameters::builder().build())
        .refresh_store(InMemoryRefreshTokenStore::default())
        .build();
    let cache = InMemoryTokenCache::builder().source(source).build();
    let authorizer = HttpAuthorizer::builder().cache(cache).build();
    let uri = Uri::from_static("https://api.example.com/");
    Candidate::awaited(locked("huskarl"), Kind::Peer, async move || {
        let headers = authorizer.get_headers(&Method::GET, &uri).await;
        headers.unwrap().remove(AUTHORIZATION).unwrap()
    })
    .with_stub(stub)
}
