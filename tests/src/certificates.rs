//! Authorities and what they sign, made for one test; and connections that show exactly what it says.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use carillon_hub::config::{Config, Demand};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// An authority, with a folder of its own for what it signs.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Each has a name of its own, as authorities have.
        params.distinguished_name.push(DnType::CommonName, folder.path().display().to_string());
        let own = params.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("ca.pem"), own.pem()).expect("it can be written");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// The file that makes a client or a hub trust it.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate of this name, in files of this name.
    pub fn signs(&self, name: &str) -> Pair {
        self.signs_for(name, &[name])
    }

    /// One for a hub or bridge on this machine.
    pub fn signs_local(&self) -> Pair {
        self.signs_for("local", &["localhost", "127.0.0.1"])
    }

    /// One that was good in another time.
    pub fn signed_long_ago(&self) -> Pair {
        let mut params = names(&["localhost", "127.0.0.1"]);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.write("expired", &params)
    }

    fn signs_for(&self, file: &str, bears: &[&str]) -> Pair {
        self.write(file, &names(bears))
    }

    fn write(&self, file: &str, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed");
        let pair = Pair {
            certificate: self.folder.path().join(format!("{file}.crt")),
            key: self.folder.path().join(format!("{file}.key")),
        };
        fs::write(&pair.certificate, certificate.pem()).expect("it can be written");
        fs::write(&pair.key, key.serialize_pem()).expect("it can be written");
        pair
    }

    /// Lets a hub ask its clients for certificates of this authority.
    pub fn is_asked_for(&self, demand: Demand) -> impl FnOnce(&mut Config) + use<> {
        let ca = self.file();
        move |config| {
            config.grpc.tls.client_ca = Some(ca);
            config.grpc.tls.client_certificates = demand;
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// Lets a hub's gRPC use it.
    pub fn at_grpc(&self) -> impl FnOnce(&mut Config) + use<> {
        let Self { certificate, key } = self.clone();
        move |config| {
            config.grpc.tls.certificate = Some(certificate);
            config.grpc.tls.key = Some(key);
        }
    }

    /// Lets a bridge use it.
    pub fn at_bridge(&self) -> Option<carillon_bridge::ServerTls> {
        Some(carillon_bridge::ServerTls {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            clients: None,
            protocol: carillon_bridge::Protocol::Http1,
        })
    }

    /// What the certificate's file holds.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.certificate).expect("a certificate")
    }
}

fn names(bears: &[&str]) -> CertificateParams {
    CertificateParams::new(bears.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names")
}

/// A connection within TLS to a hub or bridge whose certificate this authority signed, and what it speaks there.
pub async fn dial(
    address: SocketAddr,
    authority: &Authority,
    alpn: &str,
) -> io::Result<TlsStream<TcpStream>> {
    dial_with(address, authority, alpn, rustls::DEFAULT_VERSIONS).await
}

/// The same with these versions of TLS.
pub async fn dial_with(
    address: SocketAddr,
    authority: &Authority,
    alpn: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    dial_over(TcpStream::connect(address).await?, authority, alpn, versions).await
}

/// The same over this connection.
pub async fn dial_over(
    socket: TcpStream,
    authority: &Authority,
    alpn: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    let mut trusted = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(authority.file()).expect("a certificate");
    trusted.add(ca).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let mut config = builder.expect("versions").with_root_certificates(trusted).with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

/// The certificate that whoever listens there shows.
pub async fn shown(address: SocketAddr, authority: &Authority, alpn: &str) -> CertificateDer<'static> {
    let stream = dial(address, authority, alpn).await.expect("a handshake");
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    shown.expect("a certificate").clone().into_owned()
}

/// What terminates TLS with this pair in front of a listener of plain text that speaks HTTP/2; gives where it listens.
pub async fn terminates(pair: &Pair, target: SocketAddr) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = PrivateKeyDer::from_pem_file(&pair.key).expect("a key");
    let config = builder.expect("versions").with_no_client_auth().with_single_cert(vec![pair.der()], key);
    let mut config = config.expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust the certificate goes away.
                let Ok(mut near) = acceptor.accept(near).await else { return };
                let mut far = TcpStream::connect(target).await.expect("it listens");
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}
