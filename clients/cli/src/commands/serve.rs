//! `carillon serve`: a hub on this machine with nothing else installed.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;
use carillon_hub::config::{AuditTo, Config, HiddenText};
use clap::Args;
use serde_json::json;

use crate::dev_tokens::DevTokens;
use crate::environment;
use crate::hub_process::{self, Ready};
use crate::output::Output;

/// Run a hub on this machine with nothing else installed.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// For development: creates what it needs, and prints tokens for alice, bob and a service.
    #[arg(long, conflicts_with = "config")]
    dev: bool,
    /// Where data is kept [default: as the configuration says; with --dev, $CARILLON_DATA or ./carillon-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address for gRPC; port 0 for a free one [default: 127.0.0.1:7420, or as the configuration says].
    #[arg(long, value_name = "ADDR")]
    grpc: Option<SocketAddr>,
    /// Address for health and metrics; port 0 for a free one [default: 127.0.0.1:7421, or as the configuration says].
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Address for browsers; port 0 for a free one [default: 127.0.0.1:7422, or as the configuration says].
    #[arg(long, value_name = "ADDR")]
    bridge: Option<SocketAddr>,
    /// Speak plain text to other machines: in a closed network, or behind a proxy that terminates TLS.
    #[arg(long)]
    insecure: bool,
    /// Keep state in Redis, which many nodes may share: redis://HOST:PORT, rediss:// for TLS, or unix:///PATH.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// The server given with --redis is one of a cluster.
    #[arg(long, requires = "redis")]
    redis_cluster: bool,
    /// A configuration file [default: without --dev, $CARILLON_CONFIG].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// With --dev: keep an audit log too, in `audit` in the data folder.
    #[arg(long, requires = "dev")]
    audit: bool,
    /// Threads that serve sessions; 0 for one per core.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &ServeArgs, output: Output) -> anyhow::Result<()> {
    let config = config(args)?;
    if args.dev && environment::has_settings() {
        output.hint("--dev reads no settings from CARILLON__ variables: name a file with --config for those");
    }
    if !args.dev {
        return hub_process::run(&config, None, |ready| Ok(ready.say(&config, output)?));
    }
    let mut tokens = DevTokens::mint(&config)?;
    let shown = tokens.clone();
    hub_process::run(&config, Some(&shown), |ready| ready_dev(&config, ready, &mut tokens, output))
}

fn config(args: &ServeArgs) -> anyhow::Result<Config> {
    let file = || args.config.clone().or_else(|| environment::path(environment::CONFIG));
    let mut config = match (args.dev, file()) {
        (true, _) => Config::development(&environment::data(args.data.as_ref()))?,
        (false, Some(file)) => Config::load(&file)?,
        (false, None) => bail!(
            "what shall it run with: say --dev for development, or name a file with --config \
             (`carillon config show --dev` prints one to begin with)"
        ),
    };
    if let Some(data) = &args.data {
        config.store.path.clone_from(data);
    }
    if let Some(server) = &args.redis {
        config.redis.servers = vec![HiddenText::from(server.clone())];
        config.redis.cluster = args.redis_cluster;
    }
    if args.audit {
        config.audit.to = Some(AuditTo::File);
    }
    if let Some(workers) = args.workers {
        config.grpc.workers = workers;
    }
    config.grpc.listen = args.grpc.unwrap_or(config.grpc.listen);
    config.http.listen = args.http.unwrap_or(config.http.listen);
    config.bridge.listen = args.bridge.or(config.bridge.listen);
    config.grpc.insecure |= args.insecure;
    config.bridge.insecure |= args.insecure;
    config.check()?;
    Ok(config)
}

/// Also writes the tokens where `--as` finds them.
fn ready_dev(config: &Config, ready: &Ready, tokens: &mut DevTokens, output: Output) -> anyhow::Result<()> {
    tokens.grpc = ready.grpc.to_string();
    tokens.write(&config.store.path)?;
    let mut value = ready.json();
    value["tenant"] = json!(tokens.tenant);
    value["tokens"] = json!(tokens.tokens);
    output.data(&value, || {
        let mut lines = vec![format!("{}, data in {}", ready.text(), config.store.path.display())];
        lines.push("for development: no limits are on (commands, sessions, addresses), and the page hands out these tokens".to_owned());
        lines.extend(tokens.tokens.iter().map(|(name, token)| format!("{name}: {token}")));
        lines.push("in two more terminals: `carillon chat room:lobby --as alice`, `carillon chat room:lobby --as bob`".to_owned());
        if let Some(bridge) = ready.bridge {
            for name in ["alice", "bob"] {
                let token = tokens.tokens.get(name).map(String::as_str).unwrap_or_default();
                lines.push(format!("or in a browser, as {name}: http://{bridge}/#token={token}"));
            }
        }
        lines.join("\n")
    })?;
    Ok(())
}
