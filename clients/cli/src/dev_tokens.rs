//! The development tokens: `serve --dev` writes them into its data folder, `--as NAME` reads them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use carillon_client::{TokenError, TokenFuture, TokenProvider, TokenReason};
use carillon_hub::access::authentication::{MintFor, MintRequest, ServiceTenants, mint};
use carillon_hub::config::Config;
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The file's name within the data folder.
const FILE: &str = "dev-tokens.json";
/// The file in which the development settings keep their secret, within the data folder.
pub(crate) const SECRET_FILE: &str = "dev-secret";
/// The tenant of development.
const TENANT: &str = "dev";
/// The users of development.
const USERS: [&str; 2] = ["alice", "bob"];
/// The service of development.
pub(crate) const SERVICE: &str = "service";
/// Who watches the whole node.
pub(crate) const OPERATOR: &str = "operator";
/// How long development tokens are good; each start writes new ones.
const GOOD_FOR: Duration = Duration::from_hours(30 * 24);

/// What the file says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct DevTokens {
    /// The tenant of all of them.
    pub(crate) tenant: String,
    /// The hub's address.
    pub(crate) grpc: String,
    /// By the name of user or service.
    pub(crate) tokens: BTreeMap<String, String>,
}

/// The tenant of development.
pub(crate) fn tenant() -> anyhow::Result<TenantId> {
    TenantId::parse(TENANT).map_err(|violation| anyhow::anyhow!(violation.rule))
}

impl DevTokens {
    /// New tokens that a hub of this configuration accepts. Its address is for whoever starts it to say.
    pub(crate) fn mint(config: &Config) -> anyhow::Result<Self> {
        let (options, tenant) = (config.authentication()?, tenant()?);
        let token = |name: &str, subject: MintFor| -> anyhow::Result<(String, String)> {
            let token = mint(&options, &MintRequest { subject, ttl: GOOD_FOR }, Timestamp::now())?;
            Ok((name.to_owned(), token))
        };
        let id = |name| UserId::parse(name).map_err(|violation| anyhow::anyhow!(violation.rule));
        let users = USERS.map(|name| token(name, MintFor::User { tenant: tenant.clone(), user: id(name)? }));
        let tenants = ServiceTenants::Listed(vec![tenant.clone()]);
        let service = token(SERVICE, MintFor::Service { name: id(SERVICE)?, tenants });
        let operator =
            token(OPERATOR, MintFor::Service { name: id(OPERATOR)?, tenants: ServiceTenants::All });
        let tokens = users.into_iter().chain([service, operator]).collect::<anyhow::Result<_>>()?;
        Ok(Self { tenant: TENANT.to_owned(), grpc: String::new(), tokens })
    }

    /// Writes the file into this data folder; only its owner may read it. A reader sees the old file or the new one.
    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<()> {
        let path = data.join(FILE);
        // Several hubs may be started on one folder at once.
        let part = path.with_added_extension(format!("{}.part", std::process::id()));
        let text = serde_json::to_string_pretty(self).context("the tokens cannot be written")?;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .and_then(|mut file| writeln!(file, "{text}"))
            .and_then(|()| fs::rename(&part, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads the file of this data folder.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let text = fs::read_to_string(&path).with_context(|| {
            let path = path.display();
            format!("cannot read development tokens from {path}: run `carillon serve --dev`, or give --data")
        })?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not as `carillon serve --dev` writes it", path.display()))
    }

    /// The token of this name.
    pub(crate) fn token(&self, name: &str) -> anyhow::Result<&str> {
        let Some(token) = self.tokens.get(name) else {
            let names: Vec<_> = self.tokens.keys().map(String::as_str).collect();
            bail!("there is no development token for {name}: there are {}", names.join(", "));
        };
        Ok(token)
    }
}

/// Reads the token anew at each connect: a hub that was started again may have written others.
pub(crate) struct DevTokenProvider {
    pub(crate) data: PathBuf,
    pub(crate) name: String,
}

impl TokenProvider for DevTokenProvider {
    fn token(&self, _reason: TokenReason) -> TokenFuture<'_> {
        let token = DevTokens::read(&self.data).and_then(|tokens| Ok(tokens.token(&self.name)?.to_owned()));
        let token = token.map_err(|error| TokenError { message: format!("{error:#}"), permanent: false });
        Box::pin(std::future::ready(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_written_and_the_names_are_known() {
        let data = tempfile::tempdir().unwrap();
        assert!(DevTokens::read(data.path()).unwrap_err().to_string().contains("serve --dev"));
        let config = Config::development(data.path()).unwrap();
        let minted = DevTokens { grpc: "127.0.0.1:7420".to_owned(), ..DevTokens::mint(&config).unwrap() };
        minted.write(data.path()).unwrap();
        let tokens = DevTokens::read(data.path()).unwrap();
        assert_eq!((tokens.tenant.as_str(), tokens.grpc.as_str()), ("dev", "127.0.0.1:7420"));
        assert!(!tokens.token("bob").unwrap().is_empty());
        assert!(
            tokens.token("eve").unwrap_err().to_string().ends_with("there are alice, bob, operator, service")
        );
    }
}
