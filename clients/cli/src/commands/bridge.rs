//! `carillon bridge`: browsers' way in as a process of its own, in front of hubs elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use carillon_bridge::remote::{RemoteHub, RemoteOptions};
use carillon_bridge::{AddressLimits, Bridge, Options, Origins, Page};
use carillon_hub::telemetry::{LogFormat, LogOptions, init_log};
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::output::Output;

/// On a stop, sockets have this long to be told and to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Run the bridge for browsers as a process of its own, in front of one or several hubs.
#[derive(Clone, Debug, Args)]
pub(crate) struct BridgeArgs {
    /// A hub, as `http://127.0.0.1:7420`; several times for several.
    #[arg(long = "hub", value_name = "URL", required = true, env = "CARILLON_HUBS", value_delimiter = ',')]
    hubs: Vec<String>,
    /// Address for browsers; port 0 for a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7422")]
    listen: SocketAddr,
    /// A page's origin that may connect, as `https://app.example.org`; several times for several.
    #[arg(long = "origin", value_name = "ORIGIN", env = "CARILLON_ORIGINS", value_delimiter = ',')]
    origins: Vec<String>,
    /// For development: pages of this machine may connect, nobody is counted by address, and the page is served.
    #[arg(long)]
    dev: bool,
    /// The key that proves to the hubs that this is a bridge.
    #[arg(long, value_name = "KEY", env = "CARILLON_BRIDGE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// A proxy whose x-forwarded-for is believed; several times for several.
    #[arg(long = "trusted-proxy", value_name = "IP")]
    trusted_proxies: Vec<IpAddr>,
    /// Bytes of one frame that a client may send: as the hubs' session.frame_bytes.
    #[arg(long, value_name = "N", default_value_t = 102_400)]
    frame_bytes: usize,
    /// Threads that serve; 0 for one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    workers: usize,
}

impl BridgeArgs {
    fn options(&self) -> anyhow::Result<Options> {
        let origins = Origins::new(&self.origins, self.dev).context("--origin")?;
        Ok(Options {
            addresses: (!self.dev).then(AddressLimits::default),
            frame_bytes: self.frame_bytes,
            trusted_proxies: self.trusted_proxies.clone(),
            page: self.dev.then(Page::default),
            ..Options::new(self.listen, origins)
        })
    }
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &BridgeArgs, output: Output) -> anyhow::Result<()> {
    init_log(&LogOptions {
        filter: "info".to_owned(),
        format: if args.dev { LogFormat::Text } else { LogFormat::Json },
    })?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if args.workers == 0 { cores() } else { args.workers };
    let bridge = Arc::new(Bridge::bind(args.options()?, workers)?);
    let remote = RemoteOptions { hubs: args.hubs.clone(), key: args.key.clone() };
    let stop = CancellationToken::new();
    let threads: Vec<_> = (0..workers)
        .map(|worker| start(worker, Arc::clone(&bridge), &remote, stop.clone()))
        .collect::<anyhow::Result<_>>()?;
    let address = bridge.address();
    output.data(&json!({"bridge": address.to_string()}), || {
        format!("browsers at http://{address}, in front of {}", args.hubs.join(", "))
    })?;
    wait_for_signal()?;
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

fn wait_for_signal() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}
