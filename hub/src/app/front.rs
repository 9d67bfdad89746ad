//! Fronts beside gRPC, in the same process: they serve on the hub's own workers, so that a session and the socket that it
//! is for live on one runtime.

use std::sync::Arc;

use carillon_proto::port::HubPort;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

/// A front. It knows the hub by its port alone.
pub trait Front: Send + Sync + 'static {
    /// Serves on the runtime of one worker, in front of `hub`, whose sessions live there too. Called once per worker.
    /// From `stop` on it takes nothing new; it ends when all that it has is done. What is left when the hub ends is
    /// dropped.
    fn serve(&self, hub: Arc<dyn HubPort>, stop: CancellationToken) -> BoxFuture<'static, ()>;
}
