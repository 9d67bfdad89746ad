//! The connections to one server, and what is known of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;

use super::slots::Address;

/// A connection to one server, which many use at once.
#[derive(Clone)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// Tells this connection from those before.
    pub number: u64,
    /// What reads go over, and writes that nobody waits for.
    pub connection: MultiplexedConnection,
    /// What is waited for: another connection to the same server where replicas are waited for, else the same.
    pub writes: MultiplexedConnection,
    standing: Arc<Standing>,
}

/// Which of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// [`Server::connection`].
    Reads,
    /// [`Server::writes`].
    Writes,
}

/// What is known of a server's connections.
#[derive(Default)]
struct Standing {
    /// Whether writes go over the same connection as reads.
    are_one: bool,
    /// That for reads has brought nothing since an answer was late.
    is_silent: AtomicBool,
    /// Nor has that for writes.
    are_writes_silent: AtomicBool,
    /// Others have taken their places, or are about to.
    is_replaced: AtomicBool,
}

impl Standing {
    fn silence(&self, way: Way) -> &AtomicBool {
        match way {
            Way::Writes if !self.are_one => &self.are_writes_silent,
            Way::Reads | Way::Writes => &self.is_silent,
        }
    }
}

impl Server {
    /// Connections that were just opened; without one for writes they go over the other one.
    pub(super) fn new(
        address: Address,
        number: u64,
        connection: MultiplexedConnection,
        writes: Option<MultiplexedConnection>,
    ) -> Self {
        let standing = Arc::new(Standing { are_one: writes.is_none(), ..Standing::default() });
        let writes = writes.unwrap_or_else(|| connection.clone());
        Self { address, number, connection, writes, standing }
    }

    /// One of its connections.
    pub fn over(&self, way: Way) -> MultiplexedConnection {
        match way {
            Way::Reads => self.connection.clone(),
            Way::Writes => self.writes.clone(),
        }
    }

    /// Whether other connections have taken the places of these, or are about to: what these bring counts for nothing.
    pub fn is_replaced(&self) -> bool {
        self.standing.is_replaced.load(Ordering::Acquire)
    }

    /// Others take their places.
    pub(super) fn replaced(&self) {
        self.standing.is_replaced.store(true, Ordering::Release);
    }

    /// A connection has not brought an answer in time; whether that is new.
    pub(super) fn silent(&self, way: Way) -> bool {
        !self.standing.silence(way).swap(true, Ordering::AcqRel)
    }

    /// A connection has brought an answer.
    pub fn answered(&self, way: Way) {
        let silence = self.standing.silence(way);
        if silence.load(Ordering::Acquire) {
            silence.store(false, Ordering::Release);
        }
    }

    /// Whether either has brought nothing since an answer was late, or counts for nothing: others are to take their places.
    pub(super) fn is_silent(&self) -> bool {
        self.is_replaced()
            || [Way::Reads, Way::Writes]
                .into_iter()
                .any(|way| self.standing.silence(way).load(Ordering::Acquire))
    }
}
