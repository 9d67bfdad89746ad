//! The settings of `serve --dev`: everything on one machine, nothing to prepare.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::{Config, ConfigError, LimitsSection, Mode, NamespaceSection, secret_file};
use crate::domain::namespace::{AutoJoin, NamespaceRules, Who};

/// The secret's file in the data folder.
const SECRET_FILE: &str = "dev-secret";

impl Config {
    /// The development settings over a data folder, which is made where it is missing. The secret in it is made on the
    /// first run (only its owner may read it) and used again, so that tokens outlast a restart.
    pub fn development(data: &Path) -> Result<Self, ConfigError> {
        let secret = data.join(SECRET_FILE);
        secret_file::make(&secret).map_err(|cause| ConfigError::File {
            path: secret.clone(),
            action: "cannot be made",
            cause,
        })?;
        let mut config = Self { mode: Mode::Development, ..Self::default() };
        data.clone_into(&mut config.store.path);
        config.auth.secret_file = Some(secret);
        config.bridge.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 7422)));
        // Everybody on this machine has one address, load tests too.
        config.grpc.connections = 0;
        config.grpc.connections_per_user = 0;
        config.grpc.unauthenticated_per_address = 0;
        config.grpc.attempts_per_address = 0;
        config.bridge.unauthenticated_per_address = 0;
        config.bridge.attempts_per_address = 0;
        config.limits = LimitsSection::off();
        config.namespaces = namespaces().into_iter().map(NamespaceSection::from).collect();
        config.check()?;
        Ok(config)
    }
}

/// One namespace of each kind that the hub has.
fn namespaces() -> [NamespaceRules; 6] {
    let open = |name| NamespaceRules { join: Who::Tenant, send: Who::Tenant, ..NamespaceRules::closed(name) };
    [
        NamespaceRules { create: true, ..NamespaceRules::closed("conversation") },
        NamespaceRules { auto_join: AutoJoin::Tenant, ..open("org") },
        // Signals to one user's devices: anyone of the tenant may call, only the user listens.
        NamespaceRules { durable: false, join: Who::Owner, auto_join: AutoJoin::User, ..open("user") },
        open("room"),
        NamespaceRules { durable: false, ..open("live") },
        NamespaceRules { latest_per_key: true, ..open("state") },
    ]
}
