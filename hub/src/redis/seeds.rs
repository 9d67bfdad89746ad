//! The servers that the settings name: by them the others are found and reached as well.

use redis::io::tcp::TcpSettings;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError, RedisResult,
    TlsCertificates,
};

use super::error::LinkError;
use super::options::Options;
use super::slots::Address;

/// Why a database with a number is refused: two hubs there would hear each other.
const ANOTHER_DATABASE: &str = "databases have keys of their own but share channels: leave the number out of the URL, and give each hub a prefix";

/// The servers that the settings name, and what their certificates are checked against.
pub(super) struct Seeds {
    seeds: Vec<ConnectionInfo>,
    certificates: Option<TlsCertificates>,
}

impl Seeds {
    /// Of these settings, which are checked.
    pub(super) fn new(options: &Options) -> Result<Self, LinkError> {
        let read = |path| std::fs::read(path).map_err(|error| LinkError::settings(&error));
        let root = options.ca.as_ref().map(read).transpose()?;
        let certificates = root.map(|root| TlsCertificates { client_tls: None, root_cert: Some(root) });
        let seeds =
            options.servers.iter().map(|server| info(server, options)).collect::<Result<Vec<_>, _>>()?;
        if seeds.is_empty() || seeds.len() > 1 && !options.cluster {
            return Err(LinkError::Settings("one server, or several of a cluster".into()));
        }
        let all = Self { seeds, certificates };
        for seed in &all.seeds {
            all.client(seed.clone()).map_err(|error| LinkError::settings(&error))?;
        }
        Ok(all)
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> {
        self.seeds.iter().map(address_of)
    }

    /// A client of the server at an address, which the settings need not name.
    pub(super) fn client_of(&self, address: &Address) -> RedisResult<Client> {
        let seed = self.seeds.iter().find(|seed| address_of(seed) == *address).or(self.seeds.first());
        let seed = seed.ok_or_else(|| RedisError::from(std::io::Error::other("no seed")))?;
        self.client(at(seed, address))
    }

    fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }
}

/// What a server's URL and the settings beside it come to.
fn info(server: &str, options: &Options) -> Result<ConnectionInfo, LinkError> {
    let info = server.into_connection_info().map_err(|error| LinkError::settings(&error))?;
    if info.redis_settings().db() != 0 {
        return Err(LinkError::Settings(ANOTHER_DATABASE.into()));
    }
    let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    if let (None, Some(user)) = (settings.username(), &options.user) {
        settings = settings.set_username(user);
    }
    if let (None, Some(password)) = (settings.password(), &options.password) {
        settings = settings.set_password(password);
    }
    Ok(info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

/// Where a server is, as a cluster names it. One on a socket of this machine has its path.
fn address_of(info: &ConnectionInfo) -> Address {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Address { host: host.as_str().into(), port: *port }
        }
        ConnectionAddr::Unix(path) => Address { host: path.to_string_lossy().into(), port: 0 },
        _ => Address { host: "".into(), port: 0 },
    }
}

/// The way to another server of a seed's cluster.
fn at(seed: &ConnectionInfo, address: &Address) -> ConnectionInfo {
    let (host, port) = (address.host.to_string(), address.port);
    let there = match seed.addr() {
        ConnectionAddr::Tcp(..) => ConnectionAddr::Tcp(host, port),
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        own => own.clone(),
    };
    seed.clone().set_addr(there)
}
