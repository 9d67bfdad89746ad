//! The life of a process that runs a hub: start, say so, wait for a signal, drain, exit.

use anyhow::Context;
use carillon_hub::app::Hub;
use carillon_hub::config::Config;
use carillon_hub::telemetry::{LogOptions, init_log};
use tokio::signal::unix::{SignalKind, signal};

/// Runs a hub until SIGTERM or Ctrl-C, and drains it. `ready` is called once when it serves.
pub(crate) fn run(config: &Config, ready: impl FnOnce(&Hub) -> anyhow::Result<()>) -> anyhow::Result<()> {
    init_log(&LogOptions { filter: config.log.level.clone(), format: config.log_format() })?;
    // For what belongs to no worker: each of those has a thread and a runtime of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        // Before the start: a signal that comes during it must end the process in order, too.
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
        let hub = Hub::start(config).await.context("the hub did not start")?;
        let told = ready(&hub);
        if told.is_ok() {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        hub.stop().await;
        told
    })
}
