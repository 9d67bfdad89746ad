//! The handle that others count with, and the text that `/metrics` shows.

use std::sync::Arc;
use std::time::Instant;

use metrics::{Recorder, counter, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::commands::Commands;
use super::connections::ConnectionsFigures;
use super::counters::Counters;
use super::exposition::Exposition;
use super::histogram::{Histogram, LIFETIME};
use super::memory::resident_bytes;
use super::names::{self, Family, Kind};
use super::nodes::NodesFigures;
use crate::domain::error::ErrorCode;
use crate::domain::names::TenantId;
use crate::store::StoreFigures;

/// What the hub counts. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    counters: Counters,
    commands: Commands,
    lifetimes: Histogram,
    recorder: Arc<PrometheusRecorder>,
    recorded: PrometheusHandle,
}

/// What others know and nobody counts.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The store's figures.
    pub store: StoreFigures,
    /// Rooms held in memory.
    pub rooms: u64,
    /// Sessions that there may be on this node; 0 without a limit.
    pub sessions_limit: u64,
    /// Sessions open now, by tenant.
    pub sessions_by_tenant: Vec<(TenantId, u64)>,
    /// Connections on the gRPC port.
    pub connections: ConnectionsFigures,
    /// Of other nodes and what leads to them, where there may be any.
    pub nodes: Option<NodesFigures>,
}

/// The process has a recorder already.
#[derive(Debug, thiserror::Error)]
#[error("a metrics recorder is installed already")]
pub struct InstallError;

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        for family in [names::ATTEMPTS_FAILED, names::TURNED_AWAY, names::DISCONNECTS] {
            describe(&recorder, family);
        }
        Self(Arc::new(Inner {
            counters: Counters::default(),
            commands: Commands::default(),
            lifetimes: Histogram::new(LIFETIME),
            recorded: recorder.handle(),
            recorder: Arc::new(recorder),
        }))
    }

    /// Makes the macros of the `metrics` crate count here, for the whole process. Counters and gauges alone: the
    /// recorder keeps every sample of a histogram until [`Metrics::render`] is called.
    pub fn install(&self) -> Result<(), InstallError> {
        metrics::set_global_recorder(Arc::clone(&self.0.recorder)).map_err(|_| InstallError)
    }

    /// The counters of hot paths.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Commands by name and status.
    pub fn commands(&self) -> &Commands {
        &self.0.commands
    }

    /// Counts a session as open until what is returned is dropped.
    pub fn session_opened(&self) -> OpenSession {
        self.0.counters.sessions.rise();
        self.0.counters.sessions_opened.increment();
        OpenSession { metrics: self.clone(), since: Instant::now() }
    }

    /// Counts an attempt to open a session that failed.
    pub fn attempt_failed(&self, code: ErrorCode) {
        self.count_code(names::ATTEMPTS_FAILED, code);
    }

    /// Counts somebody whom the bridge turned away.
    pub fn turned_away(&self, why: &'static str) {
        with_local_recorder(&*self.0.recorder, || {
            counter!(names::TURNED_AWAY.name, "why" => why).increment(1);
        });
    }

    /// Counts a session that the hub ended.
    pub fn disconnected(&self, code: ErrorCode) {
        self.count_code(names::DISCONNECTS, code);
    }

    fn count_code(&self, family: Family, code: ErrorCode) {
        with_local_recorder(&*self.0.recorder, || {
            counter!(family.name, "code" => code.name()).increment(1);
        });
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self, figures: &Figures) -> String {
        let mut text = Exposition::default();
        self.write_sessions(&mut text, figures);
        self.write_commands(&mut text);
        self.write_deliveries(&mut text, figures);
        write_store(&mut text, &figures.store);
        if let Some(nodes) = &figures.nodes {
            nodes.write(&mut text, &figures.store);
        }
        if let Some(bytes) = resident_bytes() {
            text.single(names::MEMORY_BYTES, bytes);
        }
        let mut text = text.finish();
        text.push_str(&self.0.recorded.render());
        text
    }

    fn write_sessions(&self, text: &mut Exposition, figures: &Figures) {
        let counters = &self.0.counters;
        text.single(names::SESSIONS_ACTIVE, counters.sessions.now());
        text.single(names::SESSIONS_PEAK, counters.sessions.peak());
        text.single(names::SESSIONS_LIMIT, figures.sessions_limit);
        text.single(names::SESSIONS, counters.sessions_opened.total());
        text.family(names::SESSIONS_BY_TENANT);
        for (tenant, sessions) in &figures.sessions_by_tenant {
            text.sample(names::SESSIONS_BY_TENANT, &[("tenant", tenant.as_str())], *sessions);
        }
        figures.connections.write(text);
        text.single(names::ATTEMPTS, counters.attempts.total());
        text.single(names::TOKENS_REFUSED, counters.tokens_refused.total());
        text.single(names::BRIDGE_KEYS_REFUSED, counters.bridge_keys_refused.total());
        text.single(names::KEY_FAILURES, counters.key_failures.total());
        text.single(names::AUDIT_LINES, counters.audit_lines.total());
        text.single(names::AUDIT_LOST, counters.audit_lost.total());
        text.single(
            names::AUDIT_FAILING,
            u64::from(counters.audit_failing.load(std::sync::atomic::Ordering::Relaxed)),
        );
        text.family(names::SESSION_SECONDS);
        text.histogram(names::SESSION_SECONDS, &[], &self.0.lifetimes);
    }

    fn write_commands(&self, text: &mut Exposition) {
        let commands = self.0.commands.all();
        text.family(names::COMMANDS);
        for (command, of) in &commands {
            for (status, count) in of.statuses() {
                text.sample(names::COMMANDS, &[("command", command), ("status", status)], count);
            }
        }
        text.family(names::COMMAND_SECONDS);
        for (command, of) in &commands {
            text.histogram(names::COMMAND_SECONDS, &[("command", command)], &of.latency);
        }
    }

    fn write_deliveries(&self, text: &mut Exposition, figures: &Figures) {
        let counters = &self.0.counters;
        text.single(names::DELIVERIES, counters.deliveries.total());
        text.single(names::DELIVERED_BYTES, counters.delivered_bytes.total());
        text.single(names::WRITES, counters.writes.total());
        text.single(names::CATCH_UPS, counters.catch_ups.total());
        text.single(names::SLOW_CONSUMERS, counters.slow_consumers.total());
        text.single(names::DROPPED, counters.dropped.total());
        text.single(names::ROOMS, figures.rooms);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("counters", &self.0.counters).finish_non_exhaustive()
    }
}

fn write_store(text: &mut Exposition, store: &StoreFigures) {
    text.single(names::STORE_COMMITTED, store.committed);
    text.single(names::STORE_DUPLICATES, store.duplicates);
    text.single(names::STORE_GROUPS, store.groups);
    text.single(names::STORE_QUEUED, store.queued);
    text.single(names::STORE_KEYS, store.keys);
    text.single(names::STORE_LOG_BYTES, store.log_bytes);
    text.single(names::STORE_HEALTHY, u64::from(store.healthy && store.writable));
}

fn describe(recorder: &PrometheusRecorder, family: Family) {
    match family.kind {
        Kind::Counter => recorder.describe_counter(family.name.into(), None, family.help.into()),
        Kind::Gauge => recorder.describe_gauge(family.name.into(), None, family.help.into()),
        Kind::Histogram => recorder.describe_histogram(family.name.into(), None, family.help.into()),
    }
}

/// A session that counts as open. Dropping it closes the count and records how long it lasted.
#[derive(Debug)]
pub struct OpenSession {
    metrics: Metrics,
    since: Instant,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.metrics.0.counters.sessions.fall();
        self.metrics.0.lifetimes.record(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::bus::BusFigures;
    use crate::bus::sequence::Counts;
    use crate::bus::sessions::SessionsFigures;
    use crate::redis::LinkFigures;
    use crate::store::ServerFigures;

    fn filled() -> String {
        let metrics = Metrics::new();
        let first = metrics.session_opened();
        drop(metrics.session_opened());
        metrics.counters().deliveries.add(7);
        metrics.attempt_failed(ErrorCode::InvalidToken);
        metrics.attempt_failed(ErrorCode::InvalidToken);
        metrics.turned_away("origin");
        metrics.counters().tokens_refused.increment();
        metrics.counters().key_failures.add(2);
        metrics.disconnected(ErrorCode::SlowConsumer);
        let took = Duration::from_millis(3);
        metrics.commands().record("message_send", Ok(()), took);
        metrics.commands().record("message_send", Err(ErrorCode::RateLimited), took);
        let figures = Figures {
            store: StoreFigures {
                committed: 5,
                healthy: true,
                writable: true,
                server: Some(ServerFigures {
                    link: LinkFigures { servers: 3, connected: 2, timed_out: 9, ..LinkFigures::default() },
                    round_trip: Duration::from_micros(250),
                }),
                ..StoreFigures::default()
            },
            rooms: 2,
            sessions_limit: 7,
            connections: ConnectionsFigures { active: 3, limit: 4, ..ConnectionsFigures::default() },
            sessions_by_tenant: vec![(TenantId::parse("acme").unwrap(), 1)],
            nodes: Some(NodesFigures {
                bus: BusFigures { topics: 4, ..BusFigures::default() },
                logs: Counts { gaps: 6, ..Counts::default() },
                sessions: SessionsFigures { has_lease: true, others: 2, ..SessionsFigures::default() },
                registry: LinkFigures {
                    waited: Duration::from_millis(1_500),
                    answered_ago: Some(Duration::from_millis(250)),
                    ..LinkFigures::default()
                },
            }),
        };
        let text = metrics.render(&figures);
        drop(first);
        text
    }

    #[test]
    fn what_is_counted_is_shown() {
        let text = filled();
        for line in [
            "carillon_sessions_active 1",
            "carillon_sessions_peak 2",
            "carillon_sessions_total 2",
            "carillon_session_duration_seconds_count 1",
            "carillon_tenant_sessions_active{tenant=\"acme\"} 1",
            "carillon_grpc_connections_active 3",
            "carillon_grpc_connections_limit 4",
            "carillon_deliveries_total 7",
            "carillon_session_attempts_failed_total{code=\"INVALID_TOKEN\"} 2",
            "carillon_bridge_turned_away_total{why=\"origin\"} 1",
            "carillon_tokens_refused_total 1",
            "carillon_sessions_limit 7",
            "carillon_key_failures_total 2",
            "carillon_sessions_disconnected_total{code=\"SLOW_CONSUMER\"} 1",
            "carillon_commands_total{command=\"message_send\",status=\"ok\"} 1",
            "carillon_commands_total{command=\"message_send\",status=\"RATE_LIMITED\"} 1",
            "carillon_command_duration_seconds_bucket{command=\"message_send\",le=\"0.002\"} 0",
            "carillon_command_duration_seconds_bucket{command=\"message_send\",le=\"0.005\"} 2",
            "carillon_command_duration_seconds_bucket{command=\"message_send\",le=\"+Inf\"} 2",
            "carillon_command_duration_seconds_sum{command=\"message_send\"} 0.006",
            "carillon_store_committed_total 5",
            "carillon_store_healthy 1",
            "carillon_rooms_active 2",
            "carillon_redis_servers{link=\"store\"} 3",
            "carillon_redis_servers_connected{link=\"store\"} 2",
            "carillon_redis_requests_total{link=\"store\",result=\"timed_out\"} 9",
            "carillon_redis_wait_seconds_total{link=\"registry\"} 1.5",
            "carillon_redis_answer_age_seconds{link=\"registry\"} 0.25",
            "carillon_redis_round_trip_seconds 0.00025",
            "carillon_bus_topics 4",
            "carillon_bus_gaps_total 6",
            "carillon_other_nodes 2",
            "carillon_lease_good 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_metric_is_shown_once_with_its_kind_and_meaning() {
        let text = filled();
        let names: HashSet<_> = names::ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), names::ALL.len());
        for family in names::ALL {
            let head = format!("# TYPE {} ", family.name);
            assert_eq!(text.matches(&head).count(), 1, "{} in\n{text}", family.name);
            assert!(text.contains(&format!("# HELP {} {}\n", family.name, family.help)), "{}", family.name);
        }
        let shown = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert_eq!(shown, names::ALL.len());
    }

    #[test]
    fn a_hub_that_is_alone_shows_nothing_of_others() {
        let text = Metrics::new().render(&Figures::default());
        assert!(!text.contains("carillon_redis_") && !text.contains("carillon_bus_"), "{text}");
    }

    #[test]
    fn the_process_uses_memory() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
