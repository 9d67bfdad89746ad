//! `AdminService.WatchOverview`: a node's figures as they move.

use std::sync::Arc;

use carillon_proto::v1;
use futures::stream::{BoxStream, StreamExt};
use tokio::time::{MissedTickBehavior, interval};

use super::ports::{NodeFigures, Observe, StillGood};
use crate::domain::error::Refusal;
use crate::domain::limits::OVERVIEW_INTERVAL;
use crate::domain::time::Timestamp;
use crate::telemetry::Rates;

/// The figures, one response per [`OVERVIEW_INTERVAL`]. Ends when the node drains, and with why `still_good` says so
/// where who watches may do so no more.
pub(super) fn watch(
    observe: Arc<dyn Observe>,
    still_good: StillGood,
) -> BoxStream<'static, Result<v1::WatchOverviewResponse, Refusal>> {
    let mut ticks = interval(OVERVIEW_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let before = observe.figures().counted;
    let begin = Some((observe, still_good, ticks, before));
    futures::stream::unfold(begin, async |watched| {
        let (observe, still_good, mut ticks, before) = watched?;
        ticks.tick().await;
        let figures = observe.figures();
        if figures.draining {
            return None;
        }
        if let Err(refusal) = still_good() {
            return Some((Err(refusal), None));
        }
        let rates = figures.counted.since(&before);
        let response = response(&figures, &rates);
        Some((Ok(response), Some((observe, still_good, ticks, figures.counted))))
    })
    .boxed()
}

fn response(figures: &NodeFigures, rates: &Rates) -> v1::WatchOverviewResponse {
    // Past the last bucket a latency has no bound; JSON has no infinity.
    let millis = |seconds: f64| if seconds.is_finite() { seconds * 1e3 } else { f64::from(u32::MAX) };
    v1::WatchOverviewResponse {
        time_ms: figures.time.millis(),
        sessions: figures.sessions,
        sessions_peak: figures.sessions_peak,
        rooms: figures.rooms,
        messages_per_s: rates.messages,
        deliveries_per_s: rates.deliveries,
        commands_per_s: rates.commands,
        latency: rates.latency.map(|[p50, p95, p99]| v1::LatencyPercentiles {
            p50_ms: millis(p50),
            p95_ms: millis(p95),
            p99_ms: millis(p99),
        }),
        limits_hit: rates.limits_hit,
        slow_consumers: rates.slow_consumers,
        store_queued: figures.store_queued,
        memory_bytes: figures.memory_bytes,
        store_healthy: figures.store_healthy,
        store_away_since_ms: figures.store_away_since.map_or(0, Timestamp::millis),
        other_nodes: figures.other_nodes,
    }
}
