//! Finds the hub and the token, and opens what a command needs.

use std::time::Duration;

use anyhow::{Context, bail};
use carillon_client::{AdminClient, Client, ClientOptions, Events, Executor};

use crate::args::ConnectArgs;
use crate::dev_tokens::{DevTokenProvider, DevTokens, OPERATOR, SERVICE};

/// Where a hub listens unless told otherwise.
const DEFAULT_ADDRESS: &str = "http://127.0.0.1:7420";
/// Name and version, for the operator's eyes.
const NAME: &str = concat!("carillon-cli/", env!("CARGO_PKG_VERSION"));

impl ConnectArgs {
    /// What a client needs. The address comes from `--addr`, else from the development tokens where they are used.
    pub(crate) fn options(&self) -> anyhow::Result<ClientOptions> {
        self.options_as(None)
    }

    /// A client with a session.
    pub(crate) async fn client(
        &self,
        set: impl FnOnce(ClientOptions) -> ClientOptions,
    ) -> anyhow::Result<(Client, Events)> {
        Ok(Client::connect(set(self.options()?)).await?)
    }

    /// Commands without a session.
    pub(crate) fn executor(&self) -> anyhow::Result<Executor> {
        Ok(Executor::new(self.options()?)?)
    }

    /// Administration of `tenant`. Without a token the development service's is used, and its tenant.
    pub(crate) fn admin(&self, tenant: Option<&str>) -> anyhow::Result<AdminClient> {
        self.admin_as(SERVICE, tenant)
    }

    /// The same for what is of all tenants: without a token the development operator's is used.
    pub(crate) fn operator(&self, tenant: Option<&str>) -> anyhow::Result<AdminClient> {
        // A token for all tenants needs none to be named.
        self.admin_as(OPERATOR, tenant.or_else(|| self.token().is_some().then_some("")))
    }

    fn admin_as(&self, name: &str, tenant: Option<&str>) -> anyhow::Result<AdminClient> {
        let options = self.options_as(Some(name))?;
        let tenant = match tenant {
            Some(tenant) => tenant.to_owned(),
            None if self.token().is_none() => DevTokens::read(&self.data())?.tenant,
            None => bail!("which tenant: give --tenant"),
        };
        Ok(AdminClient::new(options, tenant)?)
    }

    fn options_as(&self, fallback: Option<&str>) -> anyhow::Result<ClientOptions> {
        let token = self.token();
        let name = self.as_name.as_deref().or(fallback.filter(|_| token.is_none()));
        let options = |address: &str| {
            // A bare `host:port` is what the hub itself prints.
            let scheme = if address.contains("://") { "" } else { "http://" };
            let address = format!("{scheme}{address}");
            let mut options =
                ClientOptions::new(&address).name(NAME).command_timeout(Duration::from_secs(30));
            if let Some(ca) = self.ca(&address) {
                options = options.ca(ca);
            }
            if let Some((certificate, key)) = self.certificate() {
                options = options.certificate(certificate, key);
            }
            options
        };
        if let Some(name) = name {
            let data = self.data();
            let tokens = DevTokens::read(&data)?;
            tokens.token(name)?;
            let address = self.addr().unwrap_or(tokens.grpc);
            let provider = DevTokenProvider { data, name: name.to_owned() };
            return Ok(options(&address).token_provider(provider));
        }
        let token = token.context("who are you: give --token, or --as alice for a development token")?;
        Ok(options(self.addr().as_deref().unwrap_or(DEFAULT_ADDRESS)).token(token))
    }
}
