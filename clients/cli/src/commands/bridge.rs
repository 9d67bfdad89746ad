//! `carillon bridge`: browsers' way in as a process of its own, in front of hubs elsewhere.

mod browsers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use carillon_bridge::remote::{Notices, RemoteHub, RemoteOptions};
use carillon_bridge::{Bridge, ClientTls};
use carillon_hub::config::Mode;
use carillon_hub::telemetry::{LogOptions, init_log};
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::output::Output;
use crate::stop_signals::StopSignals;
use browsers::BrowserArgs;

/// On a stop, sockets have this long to be told and to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Run the bridge for browsers as a process of its own, in front of one or several hubs.
#[derive(Clone, Debug, Args)]
pub(crate) struct BridgeArgs {
    /// A hub, as `http://127.0.0.1:7420` or `https://hub.internal:7420`; several times for several.
    #[arg(long = "hub", value_name = "URL", required = true, env = "CARILLON_HUBS", value_delimiter = ',')]
    hubs: Vec<String>,
    /// Speak plain text to hubs on other machines, at addresses of `http`: in a closed network.
    #[arg(long)]
    hub_insecure: bool,
    /// A PEM file with the authorities that sign the hubs' certificates [default: those that the system trusts].
    #[arg(long, value_name = "FILE")]
    hub_ca: Option<PathBuf>,
    /// A PEM file with the certificate to show to the hubs.
    #[arg(long, visible_alias = "hub-cert", value_name = "FILE", requires = "hub_key")]
    hub_certificate: Option<PathBuf>,
    /// A PEM file with that certificate's key.
    #[arg(long, value_name = "FILE", requires = "hub_certificate")]
    hub_key: Option<PathBuf>,
    /// For development: pages of this machine may connect, nobody is counted by address, and the page is served.
    #[arg(long)]
    dev: bool,
    /// The key that proves to the hubs that this is a bridge: their grpc.bridge_key, 32 bytes at least.
    #[arg(long, value_name = "KEY", env = "CARILLON_BRIDGE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Threads that serve; 0 for one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    workers: usize,
    #[command(flatten)]
    browsers: BrowserArgs,
}

impl BridgeArgs {
    fn mode(&self) -> Mode {
        if self.dev { Mode::Development } else { Mode::Production }
    }

    fn remote(&self) -> RemoteOptions {
        let identity = self.hub_certificate.clone().zip(self.hub_key.clone());
        let tls = ClientTls { ca: self.hub_ca.clone(), identity };
        RemoteOptions {
            hubs: self.hubs.clone(),
            tls,
            insecure: self.hub_insecure,
            key: self.key.clone(),
            notices: Notices::default(),
        }
    }
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &BridgeArgs, output: Output) -> anyhow::Result<()> {
    let config = args.browsers.config(args.mode());
    init_log(&LogOptions { filter: config.log.level.clone(), format: config.log_format() })?;
    config.check_bridge()?;
    // For the signals alone: each worker has a runtime of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let mut signals = runtime.block_on(async { StopSignals::listen() })?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if args.workers == 0 { cores() } else { args.workers };
    let options = crate::browsers::options(&config, args.browsers.listen(), None)?;
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let bridge = Arc::new(Bridge::bind(options, workers)?);
    let remote = args.remote();
    if !args.dev && args.key.is_none() && args.hub_certificate.is_none() {
        tracing::warn!("without --key or --hub-cert hubs count all clients of this bridge as one address");
    }
    let stop = CancellationToken::new();
    let threads: Vec<_> = (0..workers)
        .map(|worker| start(worker, Arc::clone(&bridge), &remote, stop.clone()))
        .collect::<anyhow::Result<_>>()?;
    let address = bridge.address();
    output.data(&json!({"bridge": address.to_string()}), || {
        format!("browsers at {scheme}://{address}, in front of {}", args.hubs.join(", "))
    })?;
    runtime.block_on(signals.wait());
    stop.cancel();
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a worker panicked"))??;
    }
    Ok(())
}

type Worker = std::thread::JoinHandle<anyhow::Result<()>>;

/// Starts a worker: a runtime with a listener and connections to the hubs of its own.
fn start(
    worker: usize,
    bridge: Arc<Bridge>,
    remote: &RemoteOptions,
    stop: CancellationToken,
) -> anyhow::Result<Worker> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // What is wrong with the hubs' addresses is said before anything is served.
    let hub = {
        let _entered = runtime.enter();
        RemoteHub::new(remote, stop.clone())?
    };
    let started = std::thread::Builder::new().name(format!("bridge-{worker}")).spawn(move || {
        runtime.block_on(async {
            Arc::clone(&bridge).serve(Arc::new(hub), stop).await;
            let ended = async {
                while bridge.connections() > 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            if tokio::time::timeout(FAREWELL, ended).await.is_err() {
                tracing::warn!(connections = bridge.connections(), "connections were cut off");
            }
        });
        runtime.shutdown_background();
        Ok(())
    });
    started.context("cannot start a worker")
}
