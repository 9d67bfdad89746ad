//! The side that listens.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::files::Watched;
use super::{TlsError, authorities, chain, private_key, provider};
use crate::stream::Stream;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// What TLS may hold of what a client has not taken, bytes, besides what the system holds: about one record. More would
/// be memory that slow readers keep from others.
const BUFFERED: usize = 16 * 1_024;

/// What a listener needs for TLS: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate, and after it those that lead to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Which certificates clients show; `None` where they are not asked for one.
    pub clients: Option<ClientCertificates>,
    /// What is spoken within.
    pub protocol: Protocol,
}

/// Which certificates clients show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities that sign them.
    pub ca: PathBuf,
    /// Whether there is no connection without one. One that is shown must be good in any case.
    pub required: bool,
}

/// What is spoken within TLS, as ALPN names it (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2, for gRPC.
    Http2,
    /// HTTP/1.1, for browsers' sockets.
    Http1,
}

impl Protocol {
    /// Its name in ALPN.
    pub(super) fn name(self) -> Vec<u8> {
        match self {
            Self::Http2 => b"h2".to_vec(),
            Self::Http1 => b"http/1.1".to_vec(),
        }
    }
}

/// Takes handshakes. A clone shares the certificates, which [`Acceptor::follow`] renews.
#[derive(Clone)]
pub struct Acceptor(Arc<Watched<ServerConfig>>);

impl Acceptor {
    /// Reads the files.
    pub fn new(tls: &ServerTls) -> Result<Self, TlsError> {
        let mut files = vec![tls.certificate.clone(), tls.key.clone()];
        files.extend(tls.clients.as_ref().map(|clients| clients.ca.clone()));
        let tls = tls.clone();
        Ok(Self(Arc::new(Watched::new(files, Box::new(move |contents| build(&tls, contents)))?)))
    }

    /// Does the handshake of a connection, however long the client takes: whoever calls sets the limit.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<Stream> {
        let acceptor = TlsAcceptor::from(self.0.get());
        // In a box of its own, which goes with the handshake: it is far larger than what is left of it.
        let accepting = Box::pin(acceptor.accept_with(socket, |tls| tls.set_buffer_limit(Some(BUFFERED))));
        Ok(Stream::Tls(Box::new(accepting.await?.into())))
    }

    /// Renews the certificates when their files change, until `stop`. Connections that there are keep theirs.
    pub async fn follow(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let watched = Arc::clone(&self.0);
            // A file system may take its time, and this thread serves.
            let looked = tokio::task::spawn_blocking(move || watched.look());
            if looked.await.is_err() {
                return;
            }
        }
    }
}

pub(super) fn build(tls: &ServerTls, contents: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
    let [certificate, key, ca @ ..] = contents else { return Err(TlsError::NoAuthorities) };
    let chain = chain(&tls.certificate, certificate)?;
    let key = private_key(&tls.key, key)?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match (&tls.clients, ca) {
        (Some(clients), [ca, ..]) => builder.with_client_cert_verifier(verifier(clients, ca)?),
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::content(&tls.key, &"not the key of the certificate"),
        error => TlsError::content(&tls.certificate, &error),
    })?;
    config.alpn_protocols = vec![tls.protocol.name()];
    Ok(config)
}

fn verifier(clients: &ClientCertificates, ca: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(authorities(&clients.ca, ca)?, provider());
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsError::content(&clients.ca, &error))
}
