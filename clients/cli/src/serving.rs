//! A hub's process: configuration, start, signal, drain under a deadline, exit.

use anyhow::Context;
use carillon_hub::app::Hub;
use carillon_hub::config::Config;
use carillon_hub::telemetry::{LogOptions, init_log};
use tokio::signal::unix::{SignalKind, signal};

/// Runs a hub until SIGTERM or Ctrl-C. `announce` is called when it serves.
pub(crate) fn run(config: &Config, announce: impl FnOnce(&Hub) -> anyhow::Result<()>) -> anyhow::Result<()> {
    init_log(&LogOptions { filter: config.log.level.clone(), format: config.log_format() })
        .context("cannot set up the log")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let hub = Hub::start(config).await?;
        announce(&hub)?;
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C")?,
        }
        if !hub.stop().await {
            anyhow::bail!("sessions were cut off: they did not end within the drain timeout");
        }
        Ok(())
    })
}
