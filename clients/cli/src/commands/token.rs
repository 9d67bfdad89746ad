//! `carillon token`: makes a token that a hub of this secret accepts.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use carillon_hub::access::authentication::{MintFor, MintRequest, Options, ServiceTenants, mint};
use carillon_hub::config::Config;
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::Timestamp;
use clap::Args;
use serde_json::json;

use crate::dev_tokens::{self, DevTokens};
use crate::output::Output;

/// Make a token. The secret is that of the configuration, or of `serve --dev`'s data folder.
#[derive(Clone, Debug, Args)]
pub(crate) struct TokenArgs {
    /// The user's id; with --service the service's name.
    pub(crate) user: String,
    /// The user's tenant [default: that of the development tokens]. A service may have several.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Vec<String>,
    /// A service's token, for `notify` and `admin`.
    #[arg(long)]
    pub(crate) service: bool,
    /// For how many minutes it is good.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    pub(crate) minutes: u32,
    /// A file with the signing secret, 32 bytes at least.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) secret_file: Option<PathBuf>,
    /// A configuration file with the secret and the names of the claims.
    #[arg(long, value_name = "FILE", env = "CARILLON_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder of `serve --dev`.
    #[arg(long, value_name = "DIR", env = "CARILLON_DATA", default_value = "./carillon-data")]
    pub(crate) data: PathBuf,
}

/// Prints the token.
pub(crate) fn run(args: &TokenArgs, output: Output) -> anyhow::Result<()> {
    let options = options(args)?;
    let tenants = tenants(args)?;
    let user = UserId::parse(&args.user).map_err(|violation| anyhow!("the name: {}", violation.rule))?;
    let subject = match (args.service, tenants.as_slice()) {
        (true, _) => MintFor::Service { name: user, tenants: ServiceTenants::Listed(tenants) },
        (false, [tenant]) => MintFor::User { tenant: tenant.clone(), user },
        (false, _) => bail!("a user has one tenant: give --tenant once"),
    };
    let ttl = Duration::from_secs(60 * u64::from(args.minutes));
    let token = mint(&options, &MintRequest { subject, ttl }, Timestamp::now())?;
    output.data(&json!({ "token": token }), || token.clone())?;
    Ok(())
}

fn options(args: &TokenArgs) -> anyhow::Result<Options> {
    let config = match (&args.config, &args.secret_file) {
        (Some(file), _) => Config::load(file)?,
        (None, Some(secret)) => {
            let mut config = Config::default();
            config.auth.secret_file = Some(secret.clone());
            config
        }
        (None, None) => {
            let tokens = args.data.join(dev_tokens::FILE);
            if !tokens.exists() {
                bail!(
                    "there is no secret in {}: run `carillon serve --dev`, or give --data, --config or --secret-file",
                    args.data.display()
                );
            }
            Config::development(&args.data)?
        }
    };
    Ok(config.authentication()?)
}

fn tenants(args: &TokenArgs) -> anyhow::Result<Vec<TenantId>> {
    if args.tenant.is_empty() {
        if args.config.is_some() || args.secret_file.is_some() {
            bail!("give --tenant");
        }
        let tenant = DevTokens::read(&args.data)?.tenant;
        return Ok(vec![
            TenantId::parse(&tenant).map_err(|violation| anyhow!("the tenant: {}", violation.rule))?,
        ]);
    }
    let parse = |tenant: &String| {
        TenantId::parse(tenant).map_err(|violation| anyhow!("the tenant {tenant:?}: {}", violation.rule))
    };
    args.tenant.iter().map(parse).collect()
}
