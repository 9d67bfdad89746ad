//! Fetching the document in which an issuer publishes its keys.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::access::authentication::{JwksError, Remote};
use crate::domain::limits::{JWKS_BYTES, JWKS_TIMEOUT};

/// What the issuer's server may say before its document, bytes.
const HEAD_BYTES: usize = 64 * 1_024;

/// Why there is no document. Holds nothing of what was answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Nobody answers, or nobody whose certificate is believed.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// Not done within [`JWKS_TIMEOUT`].
    #[error("no whole answer in time")]
    Late,
    /// Another status than 200: a redirect is one, and is not followed, since who may name an address may name any.
    #[error("answered with status {0}")]
    Status(StatusCode),
    /// More than [`JWKS_BYTES`].
    #[error("the answer is too large")]
    TooLarge,
    /// It ended amid the document.
    #[error("the answer broke off")]
    Broken,
    /// The document is of no use.
    #[error(transparent)]
    Document(#[from] JwksError),
}

/// Fetches one document, from an address that configuration names.
pub(super) struct Fetcher {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Fetcher {
    pub(super) fn new(remote: &Remote) -> Self {
        let mut config = tls(remote.roots.as_ref());
        config.resumption = rustls::client::Resumption::disabled();
        // Plain HTTP is for loopback addresses alone: the settings refuse others.
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(HEAD_BYTES)
            .build(connector);
        Self { url: remote.url.clone(), client }
    }

    /// The document, whole.
    pub(super) async fn fetch(&self) -> Result<Bytes, FetchError> {
        timeout(JWKS_TIMEOUT, self.answer()).await.unwrap_or(Err(FetchError::Late))
    }

    async fn answer(&self) -> Result<Bytes, FetchError> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.url.clone();
        let accepted = HeaderValue::from_static("application/jwk-set+json, application/json");
        request.headers_mut().insert(ACCEPT, accepted);
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| FetchError::Unreachable(cause(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        match Limited::new(answer.into_body(), JWKS_BYTES).collect().await {
            Ok(document) => Ok(document.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
            Err(_) => Err(FetchError::Broken),
        }
    }
}

/// TLS towards an address that the settings name: `roots` are believed, or public authorities.
pub(in crate::app) fn tls(roots: Option<&Arc<RootCertStore>>) -> ClientConfig {
    let public = || Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
    let roots = roots.map_or_else(public, Arc::clone);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What lies at the bottom of an error: the system's or the certificate check's own words.
fn cause(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(below) = deepest.source() {
        deepest = below;
    }
    deepest.to_string()
}
