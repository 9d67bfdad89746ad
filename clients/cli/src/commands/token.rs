//! `carillon token`: makes a token that a hub of this secret accepts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use carillon_hub::access::authentication::{MintFor, MintRequest, ServiceTenants, mint};
use carillon_hub::config::Config;
use carillon_hub::domain::error::Violation;
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::Timestamp;
use clap::Args;
use serde_json::json;

use crate::dev_tokens;
use crate::environment;
use crate::output::Output;

/// Make a token. The secret is that of the configuration, or of `serve --dev`'s data folder.
#[derive(Clone, Debug, Args)]
pub(crate) struct TokenArgs {
    /// The user's id; with --service the service's name.
    user: String,
    /// The user's tenant [default: that of the development tokens]. A service may have several.
    #[arg(long, value_name = "ID")]
    tenant: Vec<String>,
    /// A service's token, for `notify` and `admin`.
    #[arg(long)]
    service: bool,
    /// For how many minutes it is good.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    minutes: u32,
    /// A configuration file with the secret and the names of the claims [default: without --data, $CARILLON_CONFIG].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder of `serve --dev` [default: $CARILLON_DATA or ./carillon-data].
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
}

impl TokenArgs {
    /// The configuration file; `None` for the secret of `serve --dev`.
    fn file(&self) -> Option<PathBuf> {
        let variable = || environment::path(environment::CONFIG).filter(|_| self.data.is_none());
        self.config.clone().or_else(variable)
    }
}

/// Prints the token.
pub(crate) fn run(args: &TokenArgs, output: Output) -> anyhow::Result<()> {
    let config = match args.file() {
        Some(file) => Config::load(&file)?,
        None => development(&environment::data(args.data.as_ref()))?,
    };
    let request = MintRequest { subject: subject(args)?, ttl: Duration::from_mins(1) * args.minutes };
    let token = mint(&config.authentication()?, &request, Timestamp::now())?;
    output.data(&json!({"token": token}), || token.clone())?;
    Ok(())
}

/// The settings over a secret that is there already: a token of a new one would be good at no hub.
fn development(data: &Path) -> anyhow::Result<Config> {
    if !data.join(dev_tokens::SECRET_FILE).is_file() {
        bail!(
            "there is no development secret in {}: run `carillon serve --dev`, or give --data or --config",
            data.display()
        );
    }
    Ok(Config::development(data)?)
}

fn subject(args: &TokenArgs) -> anyhow::Result<MintFor> {
    let parsed: Result<Vec<_>, _> = args.tenant.iter().map(|tenant| TenantId::parse(tenant)).collect();
    let mut tenants = parsed.map_err(broken)?;
    if tenants.is_empty() && args.file().is_none() {
        tenants.push(dev_tokens::tenant()?);
    }
    let name = UserId::parse(&args.user).map_err(broken)?;
    if args.service {
        return Ok(MintFor::Service { name, tenants: ServiceTenants::Listed(tenants) });
    }
    let first = tenants.pop().filter(|_| tenants.is_empty());
    let tenant = first.context("a user has one tenant: give one --tenant")?;
    Ok(MintFor::User { tenant, user: name })
}

fn broken(violation: Violation) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", violation.field, violation.rule)
}
