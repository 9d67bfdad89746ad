//! The settings of `serve --dev`: everything on one machine, nothing to prepare.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, LimitsSection, Mode, NamespaceSection};
use crate::domain::namespace::{AutoJoin, NamespaceRules, Who};

/// The secret's file in the data folder.
const SECRET_FILE: &str = "dev-secret";

impl Config {
    /// The development settings over a data folder, which is made where it is missing. The secret in it is made on the
    /// first run (only its owner may read it) and used again, so that tokens outlast a restart.
    pub fn development(data: &Path) -> Result<Self, ConfigError> {
        let secret = data.join(SECRET_FILE);
        make_secret(data, &secret).map_err(|cause| ConfigError::File {
            path: secret.clone(),
            action: "cannot be made",
            cause,
        })?;
        let mut config = Self { mode: Mode::Development, ..Self::default() };
        data.clone_into(&mut config.store.path);
        config.auth.secret_file = Some(secret);
        config.bridge.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 7422)));
        // Everybody on this machine has one address, load tests too.
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

/// Makes the secret unless it is there. It appears whole or not at all: a crash leaves no half of it, and of two
/// processes that start at once the second finds the first's.
fn make_secret(data: &Path, secret: &Path) -> io::Result<()> {
    fs::create_dir_all(data)?;
    if secret.exists() {
        return Ok(());
    }
    let draft = Draft(data.join(format!("{SECRET_FILE}.{}", std::process::id())));
    let mut file = draft.create()?;
    writeln!(file, "{}", random_hex()?)?;
    file.sync_all()?;
    match fs::hard_link(&draft.0, secret) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// A file that is removed at the end, whatever happens.
struct Draft(PathBuf);

impl Draft {
    fn create(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.0)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What is left is a name in the user's own data folder, readable by them alone.
        let _ = fs::remove_file(&self.0);
    }
}

/// 32 random bytes as 64 hexadecimal digits.
fn random_hex() -> io::Result<String> {
    let mut halves = [[0_u8; 16]; 2];
    getrandom::fill(halves.as_flattened_mut()).map_err(|error| io::Error::other(error.to_string()))?;
    let [first, second] = halves.map(u128::from_ne_bytes);
    Ok(format!("{first:032x}{second:032x}"))
}
