//! The name of every metric, with what it means. Units are in the names, as Prometheus' conventions ask.

/// A metric: its name, kind and meaning.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The name on the wire.
    pub name: &'static str,
    /// How it changes.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
}

/// How a metric changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It grows.
    Counter,
    /// It rises and falls.
    Gauge,
    /// It counts durations, by buckets.
    Histogram,
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Histogram, help }
}

/// Sessions open now.
pub const SESSIONS_ACTIVE: Family = gauge("carillon_sessions_active", "Sessions open now");
/// Most sessions at once.
pub const SESSIONS_PEAK: Family =
    gauge("carillon_sessions_peak", "Most sessions that were open at once since the start");
/// Sessions that this node may have.
pub const SESSIONS_LIMIT: Family =
    gauge("carillon_sessions_limit", "Sessions that there may be on this node; 0 without a limit");
/// Sessions opened.
pub const SESSIONS: Family = counter("carillon_sessions_total", "Sessions opened");
/// Sessions open now, per tenant. Label `tenant`.
pub const SESSIONS_BY_TENANT: Family =
    gauge("carillon_tenant_sessions_active", "Sessions open now, by tenant");
/// Attempts to open a session.
pub const ATTEMPTS: Family = counter("carillon_session_attempts_total", "Attempts to open a session");
/// Attempts that failed. Label `code`.
pub const ATTEMPTS_FAILED: Family = counter(
    "carillon_session_attempts_failed_total",
    "Attempts to open a session that failed, by error code",
);
/// What the bridge in this process answered by itself. Label `why`.
pub const TURNED_AWAY: Family = counter(
    "carillon_bridge_turned_away_total",
    "Requests and connections that the bridge turned away by itself: origin, too_many or handshake",
);
/// Tokens refused.
pub const TOKENS_REFUSED: Family = counter(
    "carillon_tokens_refused_total",
    "Tokens and tickets that were refused, of sessions and of other calls",
);
/// Keys that could not be fetched or read.
pub const KEY_FAILURES: Family = counter(
    "carillon_key_failures_total",
    "Times that keys to check tokens with could not be fetched, or read again from their files",
);
/// Audit lines written.
pub const AUDIT_LINES: Family = counter("carillon_audit_lines_total", "Audit lines written");
/// Audit lines lost.
pub const AUDIT_LOST: Family =
    counter("carillon_audit_lost_total", "Audit lines that found no room, and are lost");
/// Whether the audit log cannot be written.
pub const AUDIT_FAILING: Family =
    gauge("carillon_audit_failing", "1 while audit lines cannot be written, else 0");
/// Sessions that the hub ended. Label `code`.
pub const DISCONNECTS: Family =
    counter("carillon_sessions_disconnected_total", "Sessions that the hub ended, by error code");
/// How long sessions lasted.
pub const SESSION_SECONDS: Family =
    histogram("carillon_session_duration_seconds", "How long sessions lasted");
/// Commands answered. Labels `command` and `status` (`ok` or an error code).
pub const COMMANDS: Family = counter("carillon_commands_total", "Commands answered, by command and status");
/// From a command's arrival to its answer. Label `command`.
pub const COMMAND_SECONDS: Family =
    histogram("carillon_command_duration_seconds", "From a command's arrival to its answer, by command");
/// Frames delivered.
pub const DELIVERIES: Family = counter("carillon_deliveries_total", "Pushes handed to sessions' streams");
/// Bytes delivered.
pub const DELIVERED_BYTES: Family =
    counter("carillon_delivered_bytes_total", "Bytes of pushes handed to sessions' streams");
/// Writes to streams.
pub const WRITES: Family =
    counter("carillon_writes_total", "Writes to sessions' streams: deliveries per write show the merging");
/// Times a session caught up from the store.
pub const CATCH_UPS: Family =
    counter("carillon_catch_ups_total", "Times that a session behind in a room was served from the store");
/// Sessions ended for reading too slowly.
pub const SLOW_CONSUMERS: Family =
    counter("carillon_slow_consumers_total", "Sessions ended because they read too slowly");
/// Ephemeral pushes dropped.
pub const DROPPED: Family = counter(
    "carillon_ephemeral_dropped_total",
    "Typing, presence and ephemeral events that were merged away or dropped",
);
/// Rooms held in memory.
pub const ROOMS: Family = gauge("carillon_rooms_active", "Rooms held in memory");
/// Outcomes committed.
pub const STORE_COMMITTED: Family = counter("carillon_store_committed_total", "Outcomes committed");
/// Outcomes answered as duplicates.
pub const STORE_DUPLICATES: Family =
    counter("carillon_store_duplicates_total", "Outcomes answered as duplicates of earlier ones");
/// Groups committed.
pub const STORE_GROUPS: Family =
    counter("carillon_store_groups_total", "Groups committed, each with one sync");
/// Outcomes waiting.
pub const STORE_QUEUED: Family = gauge("carillon_store_queued", "Outcomes waiting to be committed");
/// Idempotency keys remembered.
pub const STORE_KEYS: Family = gauge("carillon_store_idempotency_keys", "Idempotency keys remembered");
/// Size of the write-ahead log.
pub const STORE_LOG_BYTES: Family = gauge("carillon_store_log_bytes", "Size of the store's write-ahead log");
/// Whether the store commits.
pub const STORE_HEALTHY: Family = gauge("carillon_store_healthy", "1 while the store commits, else 0");
/// Resident memory.
pub const MEMORY_BYTES: Family = gauge("process_resident_memory_bytes", "Resident memory of the process");

/// All of them, in the order in which they are shown.
pub const ALL: [Family; 32] = [
    SESSIONS_ACTIVE,
    SESSIONS_PEAK,
    SESSIONS_LIMIT,
    SESSIONS,
    SESSIONS_BY_TENANT,
    ATTEMPTS,
    ATTEMPTS_FAILED,
    TURNED_AWAY,
    TOKENS_REFUSED,
    KEY_FAILURES,
    AUDIT_LINES,
    AUDIT_LOST,
    AUDIT_FAILING,
    DISCONNECTS,
    SESSION_SECONDS,
    COMMANDS,
    COMMAND_SECONDS,
    DELIVERIES,
    DELIVERED_BYTES,
    WRITES,
    CATCH_UPS,
    SLOW_CONSUMERS,
    DROPPED,
    ROOMS,
    STORE_COMMITTED,
    STORE_DUPLICATES,
    STORE_GROUPS,
    STORE_QUEUED,
    STORE_KEYS,
    STORE_LOG_BYTES,
    STORE_HEALTHY,
    MEMORY_BYTES,
];
