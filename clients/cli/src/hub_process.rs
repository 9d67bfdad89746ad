//! The life of a process that runs a hub: start, say so, wait for a signal, drain, exit.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use carillon_hub::app::{Hub, Stopped};
use carillon_hub::config::{AuditTo, Config};
use carillon_hub::telemetry::{LogOptions, init_log};
use serde_json::json;

use crate::browsers::Browsers;
use crate::dev_tokens::DevTokens;
use crate::output::Output;
use crate::stop_signals::StopSignals;

/// Where a hub serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// gRPC.
    pub(crate) grpc: SocketAddr,
    /// Health and metrics.
    pub(crate) http: SocketAddr,
    /// Browsers; `None` without a bridge.
    pub(crate) bridge: Option<SocketAddr>,
    /// Whether browsers speak TLS.
    pub(crate) bridge_tls: bool,
}

impl Ready {
    /// The addresses as one JSON object.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut value = json!({"grpc": self.grpc.to_string(), "http": self.http.to_string()});
        if let Some(bridge) = self.bridge {
            value["bridge"] = json!(bridge.to_string());
        }
        value
    }

    /// Says where it serves: to standard output, unless that is the audit log's.
    pub(crate) fn say(&self, config: &Config, output: Output) -> io::Result<()> {
        if config.audit.to == Some(AuditTo::Stdout) {
            tracing::info!("{}", self.text());
            return Ok(());
        }
        output.data(&self.json(), || self.text())
    }

    /// The addresses for people.
    pub(crate) fn text(&self) -> String {
        let Self { grpc, http, .. } = self;
        let scheme = if self.bridge_tls { "https" } else { "http" };
        let bridge =
            self.bridge.map(|bridge| format!(", browsers at {scheme}://{bridge}")).unwrap_or_default();
        format!("gRPC at {grpc}, health and metrics at http://{http}{bridge}")
    }
}

/// Runs a hub until SIGTERM or Ctrl-C, and drains it. `ready` is called once when it serves. `tokens` are for the bridge's
/// page.
pub(crate) fn run(
    config: &Config,
    tokens: Option<&DevTokens>,
    ready: impl FnOnce(&Ready) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    init_log(&LogOptions { filter: config.log.level.clone(), format: config.log_format() })?;
    // For what belongs to no worker: each of those has a thread and a runtime of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        // Before the start: a signal that comes during it must end the process in order, too.
        let mut signals = StopSignals::listen()?;
        let browsers = Browsers::bind(config, tokens).context("the bridge did not start")?;
        let fronts: Vec<_> = browsers.iter().map(Browsers::front).collect();
        let hub = Hub::start(config, &fronts).await.context("the hub did not start")?;
        let told = ready(&Ready {
            grpc: hub.grpc_address(),
            http: hub.http_address(),
            bridge: browsers.as_ref().map(Browsers::address),
            bridge_tls: config.bridge.tls.certificate.is_some(),
        });
        let ended = if told.is_ok() {
            tokio::select! {
                () = signals.wait() => told,
                // Whoever watches over the process starts another one.
                () = hub.failed() => Err(anyhow::anyhow!("the store has failed: the log says why")),
            }
        } else {
            told
        };
        let stopped = hub.stop().await;
        ended.and_then(|()| match stopped {
            Stopped::InOrder | Stopped::CutOff => Ok(()),
            Stopped::AuditLeftOpen => {
                bail!("the audit log was not closed, its last lines may be lost: the log says why")
            }
            Stopped::StoreLeftOpen => bail!("the store was not closed: the log says why"),
        })
    })
}
