//! The side that dials.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::files::Watched;
use super::server::Protocol;
use super::{TlsError, authorities, chain, private_key, provider};
use crate::stream::Stream;

/// The port of `https` where an address names none.
const HTTPS_PORT: u16 = 443;

/// Whom a client trusts, and what it shows: PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The authorities that sign servers' certificates; `None` for those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The client's own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Dials addresses of `https`, for HTTP/2. The files are read again for each connection.
#[derive(Clone)]
pub struct Connector(Arc<Watched<ClientConfig>>);

impl Connector {
    /// Reads the files.
    pub fn new(tls: &ClientTls) -> Result<Self, TlsError> {
        let mut files: Vec<_> = tls.ca.iter().cloned().collect();
        if let Some((certificate, key)) = &tls.identity {
            files.extend([certificate.clone(), key.clone()]);
        }
        let tls = tls.clone();
        Ok(Self(Arc::new(Watched::new(files, Box::new(move |contents| build(&tls, contents)))?)))
    }

    async fn dial(self, uri: Uri) -> io::Result<TokioIo<Stream>> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "the address has no host");
        let host = uri.host().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "no certificate can name this host"))?;
        let watched = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || watched.look()).await?;
        let socket = TcpStream::connect((host, uri.port_u16().unwrap_or(HTTPS_PORT))).await?;
        socket.set_nodelay(true)?;
        let stream = TlsConnector::from(self.0.get()).connect(name, socket).await?;
        Ok(TokioIo::new(Stream::Tls(Box::new(stream.into()))))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Stream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.clone().dial(uri).boxed()
    }
}

fn build(tls: &ClientTls, contents: &[Vec<u8>]) -> Result<ClientConfig, TlsError> {
    let mut contents = contents.iter();
    let trusted = match (&tls.ca, contents.len()) {
        (Some(path), 1..) => authorities(path, contents.next().map_or(&[], Vec::as_slice))?,
        _ => of_the_system()?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted);
    let mut config = match (&tls.identity, contents.next(), contents.next()) {
        (Some((certificate_path, key_path)), Some(certificate), Some(key)) => builder
            .with_client_auth_cert(chain(certificate_path, certificate)?, private_key(key_path, key)?)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    TlsError::content(key_path, &"not the key of the certificate")
                }
                error => TlsError::content(certificate_path, &error),
            })?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![Protocol::Http2.name()];
    Ok(config)
}

/// What the system trusts, read once.
fn of_the_system() -> Result<Arc<RootCertStore>, TlsError> {
    static TRUSTED: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let trusted = TRUSTED.get_or_init(|| {
        let mut store = RootCertStore::empty();
        // Some of a system's are too old for any use.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    });
    if trusted.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(Arc::clone(trusted)) }
}
