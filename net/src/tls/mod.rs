//! TLS 1.2 and 1.3 with rustls and ring. Certificates, keys and authorities are PEM files; they are read again by their
//! content, and where what they hold now is wrong, what was in use stays in use.

mod client;
mod files;
mod server;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use client::{ClientTls, Connector};
pub use server::{Acceptor, ClientCertificates, Protocol, ServerTls};

/// Why certificates cannot be used. The text names the file, and nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: cannot be read: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {problem}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The system names no authorities to trust.
    #[error("this system has no certificate authorities: name a file with those to trust")]
    NoAuthorities,
    /// TLS itself does not take it.
    #[error("{0}")]
    Refused(#[from] rustls::Error),
}

impl TlsError {
    /// The file that is to blame.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Content { path, .. } => Some(path),
            Self::NoAuthorities | Self::Refused(_) => None,
        }
    }

    fn content(path: &Path, problem: &dyn std::fmt::Display) -> Self {
        Self::Content { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// The one provider of cryptography: named with each configuration, for a process-wide one could be another's.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A chain of certificates, the own one first.
fn chain(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match parsed {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(pem::Error::NoItemsFound) => Err(TlsError::content(path, &"holds no certificate in PEM")),
        Err(_) => Err(TlsError::content(path, &"not valid PEM")),
    }
}

fn private_key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|_| TlsError::content(path, &"holds no private key in PEM"))
}

/// Those whose signatures on certificates are trusted.
fn authorities(path: &Path, text: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in chain(path, text)? {
        store.add(certificate).map_err(|error| TlsError::content(path, &error))?;
    }
    Ok(Arc::new(store))
}
