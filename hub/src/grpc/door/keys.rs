//! Bridges' keys that are not this hub's: whoever runs the bridge is to hear of it, for all of its clients are one address.

use std::sync::Arc;
use std::time::Duration;

use carillon_proto::port;
use http::HeaderMap;

use super::Visitor;
use crate::domain::seldom::Seldom;
use crate::domain::time::Moment;
use crate::telemetry::Metrics;

/// Anyone may show a key: a line is written at most this often.
const INTERVAL: Duration = Duration::from_mins(1);

/// Says and counts them. A clone shares it.
#[derive(Clone, Default)]
pub struct WrongKeys(Arc<Inner>);

#[derive(Default)]
struct Inner {
    metrics: Metrics,
    said: Seldom,
}

impl WrongKeys {
    /// Counts in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self(Arc::new(Inner { metrics, said: Seldom::default() }))
    }

    /// A call has shown one.
    fn note(&self, now: Moment) {
        self.0.metrics.counters().bridge_keys_refused.increment();
        if let Some(left_out) = self.0.said.admit_every(INTERVAL, now) {
            tracing::warn!(
                left_out,
                "a bridge shows a key that is not grpc.bridge_key: what it says of its clients is not believed"
            );
        }
    }
}

impl Visitor {
    /// Whether a call shows a bridge's key that is not this hub's, which is counted and said.
    pub(in crate::grpc) fn shows_wrong_key(&self, headers: &HeaderMap) -> bool {
        let is_wrong = headers.contains_key(port::BRIDGE_KEY) && !self.is_bridge(headers);
        if is_wrong {
            self.door.wrong_keys.note(Moment::now());
        }
        is_wrong
    }
}
