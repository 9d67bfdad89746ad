//! `[grpc.tls]` and `[bridge.tls]`, and where plain text is allowed.

use std::net::SocketAddr;
use std::path::PathBuf;

use carillon_net::tls::{Acceptor, ClientCertificates, Protocol, ServerTls, TlsError};

use super::check::{Broken, require};

/// The certificate of a listener; without one it speaks plain text.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSection {
    /// A PEM file with the certificate, and after it those that lead to an authority.
    pub certificate: Option<PathBuf>,
    /// A PEM file with its private key.
    pub key: Option<PathBuf>,
}

/// The same for gRPC, whose clients may have certificates too.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcTlsSection {
    /// A PEM file with the certificate, and after it those that lead to an authority.
    pub certificate: Option<PathBuf>,
    /// A PEM file with its private key.
    pub key: Option<PathBuf>,
    /// A PEM file with the authorities that sign clients' certificates; unset: clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// Whether there is no connection without one.
    pub client_certificates: Demand,
    /// Whether services' tokens are good on connections with a client's certificate alone.
    pub services_need_certificate: bool,
}

/// Whether something may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// It may.
    Optional,
    /// It may not.
    #[default]
    Required,
}

impl TlsSection {
    /// What the listener needs; `None` for plain text.
    pub(super) fn server(&self, section: &str, protocol: Protocol) -> Result<Option<ServerTls>, Broken> {
        let both = "both or none of certificate and key";
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(ServerTls {
                certificate: certificate.clone(),
                key: key.clone(),
                clients: None,
                protocol,
            })),
            (None, Some(_)) => Err(Broken::new(format!("{section}.key"), both)),
            (Some(_), None) => Err(Broken::new(format!("{section}.certificate"), both)),
        }
    }
}

impl GrpcTlsSection {
    /// What the listener needs; `None` for plain text.
    pub(super) fn server(&self) -> Result<Option<ServerTls>, Broken> {
        let own = TlsSection { certificate: self.certificate.clone(), key: self.key.clone() };
        let server = own.server("grpc.tls", Protocol::Http2)?;
        require(
            self.client_ca.is_none() || server.is_some(),
            "grpc.tls.client_ca",
            "with grpc.tls.certificate and grpc.tls.key alone",
        )?;
        require(
            self.client_ca.is_some() || !self.services_need_certificate,
            "grpc.tls.services_need_certificate",
            "with grpc.tls.client_ca alone, which says whose certificates are good",
        )?;
        let clients = self
            .client_ca
            .clone()
            .map(|ca| ClientCertificates { ca, required: self.client_certificates == Demand::Required });
        Ok(server.map(|server| ServerTls { clients, ..server }))
    }
}

/// Reads the files, so that a hub does not start with ones that it cannot use.
pub(super) fn check_files(section: &str, tls: Option<&ServerTls>) -> Result<(), Broken> {
    let Some(tls) = tls else { return Ok(()) };
    let blame = |error: TlsError| {
        let of = |path: Option<&PathBuf>| path.map(PathBuf::as_path) == error.path();
        let key = if of(tls.clients.as_ref().map(|clients| &clients.ca)) {
            "client_ca"
        } else if of(Some(&tls.key)) {
            "key"
        } else {
            "certificate"
        };
        Broken::new(format!("{section}.{key}"), error.to_string())
    };
    Acceptor::new(tls).map(drop).map_err(blame)
}

/// Refuses plain text where others than this machine hear it.
pub(super) fn check_exposure(
    section: &str,
    listen: SocketAddr,
    tls: bool,
    insecure: bool,
) -> Result<(), Broken> {
    let rule = format!(
        "{listen} is reached from other machines, and tokens would travel in plain text: set {section}.tls.certificate \
         and {section}.tls.key, or listen on 127.0.0.1; where a proxy in front terminates TLS, say \
         {section}.insecure = true"
    );
    require(tls || insecure || carillon_net::is_inside(listen), &format!("{section}.listen"), &rule)
}
