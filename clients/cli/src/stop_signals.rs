//! What asks a serving process to end: SIGTERM and Ctrl-C.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, caught from the moment this was made.
///
/// A process makes it before it starts anything, and before it says that it serves: until then a signal kills it where it
/// stands.
#[derive(Debug)]
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Catches them from now on. Within a runtime.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?,
        })
    }

    /// Waits until one has come.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
