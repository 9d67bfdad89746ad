//! The audit log of a hub: begun before anybody comes in, ended when everybody has gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::StartError;
use crate::audit::{AuditLog, Prepared, Trail, event};
use crate::config::Config;
use crate::store::Store;
use crate::telemetry::Metrics;

/// A log that is not begun, where configuration asks for one.
pub(super) struct Audit {
    prepared: Option<Prepared>,
}

impl Audit {
    /// As `config` says.
    pub(super) fn prepare(config: &Config, metrics: &Metrics) -> Result<Self, StartError> {
        let prepared = config.audit()?.map(|options| Prepared::new(options, metrics));
        Ok(Self { prepared })
    }

    /// Where lines are put.
    pub(super) fn trail(&self) -> Trail {
        self.prepared.as_ref().map(Prepared::trail).unwrap_or_default()
    }

    /// Begins it where it ended, as far as `store` knows. To be called on a runtime.
    pub(super) async fn start(self, store: &Arc<dyn Store>) -> Result<Running, StartError> {
        let Some(prepared) = self.prepared else { return Ok(Running(None)) };
        let heads = store.audit_heads().await.map_err(StartError::AuditHeads)?;
        let (trail, store, runtime) = (prepared.trail(), Arc::clone(store), Handle::current());
        let anchor = Box::new(move |head| runtime.block_on(store.anchor_audit(head)));
        // It reads its last file.
        let log = tokio::task::spawn_blocking(move || prepared.start(&heads, anchor)).await;
        let log =
            log.map_err(|error| std::io::Error::other(error.to_string())).map_err(StartError::Worker)??;
        Ok(Running(Some((trail, log))))
    }
}

/// What a start line says of who writes it.
const VERSION: &str = concat!("carillon/", env!("CARGO_PKG_VERSION"));

/// A log that is kept, where there is one.
pub(super) struct Running(Option<(Trail, AuditLog)>);

impl Running {
    /// The hub serves.
    pub(super) fn started(&self) {
        if let Some((trail, _)) = &self.0 {
            trail.tell_hub(event::STARTED, VERSION);
        }
    }

    /// Writes what waits and notes where the log ends; the store must still be open. Whether that was done in `limit`: who does
    /// not take lines may do so for ever.
    pub(super) async fn close(self, limit: Duration) -> bool {
        let Some((trail, log)) = self.0 else { return true };
        trail.tell_rest();
        trail.tell_hub(event::STOPPED, VERSION);
        let (done, closed) = oneshot::channel();
        // On a thread of its own: the process ends without it, where a runtime waits for all that it began.
        let closing = std::thread::Builder::new().name("audit-end".to_owned()).spawn(move || {
            log.close();
            // Nobody waits any more where it took too long.
            let _ = done.send(());
        });
        closing.is_ok() && matches!(timeout(limit, closed).await, Ok(Ok(())))
    }
}
