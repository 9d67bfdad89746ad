//! `carillon serve`: a hub on this machine with nothing else installed.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use carillon_hub::access::authentication::{MintFor, MintRequest, ServiceTenants, mint};
use carillon_hub::app::Hub;
use carillon_hub::config::Config;
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::Timestamp;
use clap::Args;
use serde_json::{Value, json};

use crate::output::Output;
use crate::{dev_tokens, serving};

/// Where data is kept where nothing else is said.
const DATA: &str = "./carillon-data";
/// The tenant of the development tokens.
const DEV_TENANT: &str = "dev";
/// The users who have one.
const DEV_USERS: [&str; 2] = ["alice", "bob"];
/// The service that has one.
const DEV_SERVICE: &str = "service";
/// How long they are good: a start makes new ones.
const DEV_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Run a hub on this machine with nothing else installed.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// For development: creates what it needs, and prints tokens for alice, bob and a service.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Where data is kept [default: ./carillon-data].
    #[arg(long, value_name = "DIR", env = "CARILLON_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Address for gRPC; port 0 for a free one [default: 127.0.0.1:7420].
    #[arg(long, value_name = "ADDR")]
    pub(crate) grpc: Option<SocketAddr>,
    /// Address for health and metrics over HTTP; port 0 for a free one [default: 127.0.0.1:7421].
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// A configuration file.
    #[arg(long, value_name = "FILE", env = "CARILLON_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Threads that serve sessions [default: one per core].
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &ServeArgs, output: Output) -> anyhow::Result<()> {
    let config = config(args)?;
    serving::run(&config, |hub| {
        let tokens = if args.dev { Some(dev_tokens(&config, hub)?) } else { None };
        announce(hub, tokens.as_ref(), output)
    })
}

fn config(args: &ServeArgs) -> anyhow::Result<Config> {
    let mut config = match (&args.config, args.dev) {
        (Some(file), _) => Config::load(file)?,
        (None, true) => {
            let data = args.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
            Config::development(&data)?
        }
        (None, false) => bail!(
            "a hub needs a configuration: give --config FILE, or --dev for one that is ready for development"
        ),
    };
    if let Some(data) = &args.data {
        config.store.path.clone_from(data);
    }
    if let Some(address) = args.grpc {
        config.grpc.listen = address;
    }
    if let Some(address) = args.http {
        config.http.listen = address;
    }
    if let Some(workers) = args.workers {
        config.grpc.workers = workers;
    }
    config.check()?;
    Ok(config)
}

/// Makes the development tokens and writes them into the data folder, for `--as`.
fn dev_tokens(config: &Config, hub: &Hub) -> anyhow::Result<Value> {
    let tenant = TenantId::parse(DEV_TENANT)?;
    let options = config.authentication()?;
    let now = Timestamp::now();
    let mut tokens = serde_json::Map::new();
    for name in DEV_USERS {
        let subject = MintFor::User { tenant: tenant.clone(), user: UserId::parse(name)? };
        tokens.insert(name.into(), mint(&options, &MintRequest { subject, ttl: DEV_TTL }, now)?.into());
    }
    let tenants = ServiceTenants::Listed(vec![tenant]);
    let subject = MintFor::Service { name: UserId::parse(DEV_SERVICE)?, tenants };
    tokens.insert(DEV_SERVICE.into(), mint(&options, &MintRequest { subject, ttl: DEV_TTL }, now)?.into());
    let tokens = json!({
        "tenant": DEV_TENANT,
        "grpc": format!("http://{}", hub.grpc_address()),
        "http": format!("http://{}", hub.http_address()),
        "tokens": tokens,
    });
    let path = config.store.path.join(dev_tokens::FILE);
    write_private(&path, &tokens.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(tokens)
}

/// Only its owner may read it.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn announce(hub: &Hub, tokens: Option<&Value>, output: Output) -> anyhow::Result<()> {
    let (grpc, http) = (hub.grpc_address(), hub.http_address());
    let ready = json!({
        "grpc": format!("http://{grpc}"),
        "http": format!("http://{http}"),
        "tokens": tokens.map_or(Value::Null, |tokens| tokens["tokens"].clone()),
    });
    output.data(&ready, || {
        let mut text = format!("carillon serves\n  gRPC    http://{grpc}\n  health  http://{http}/health/ready");
        if let Some(Value::Object(tokens)) = tokens.map(|tokens| &tokens["tokens"]) {
            text.push_str("\n\ntokens of the tenant dev, for --token (or --as NAME where the data folder is at hand):");
            for (name, token) in tokens {
                let _ = write!(text, "\n\n  {name}\n  {}", token.as_str().unwrap_or_default());
            }
            text.push_str("\n\ntry, in two more terminals:\n  carillon chat room:lobby --as alice\n  carillon chat room:lobby --as bob");
        }
        text
    })?;
    Ok(())
}
