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
/// Connections of users and strangers on the gRPC port.
pub const CONNECTIONS_ACTIVE: Family = gauge(
    "carillon_grpc_connections_active",
    "Connections on the gRPC port, those of services, bridges and trusted proxies aside",
);
/// Connections of strangers.
pub const CONNECTIONS_UNKNOWN: Family =
    gauge("carillon_grpc_connections_unknown", "Those of them on which nobody known has called");
/// Connections that take none of those places.
pub const CONNECTIONS_ASIDE: Family = gauge(
    "carillon_grpc_connections_aside",
    "Connections on the gRPC port of services, bridges and trusted proxies",
);
/// Connections that this node may have.
pub const CONNECTIONS_LIMIT: Family = gauge(
    "carillon_grpc_connections_limit",
    "Connections that there may be on the gRPC port, those of services, bridges and trusted proxies aside; 0 without a limit",
);
/// Connections that were closed for others.
pub const CONNECTIONS_GAVE_WAY: Family = counter(
    "carillon_grpc_connections_gave_way_total",
    "Connections on which nobody known had called and which were closed for others, as the node was full",
);
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
/// Bridges' keys refused.
pub const BRIDGE_KEYS_REFUSED: Family =
    counter("carillon_bridge_keys_refused_total", "Calls that showed a bridge's key which is not this hub's");
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
/// Servers that there are. Label `link`.
pub const REDIS_SERVERS: Family = gauge(
    "carillon_redis_servers",
    "Servers of Redis that there are, by what leads to them (store, bus, registry)",
);
/// Servers that are connected. Label `link`.
pub const REDIS_CONNECTED: Family =
    gauge("carillon_redis_servers_connected", "Servers of Redis that are connected, by link");
/// Connections that were opened again. Label `link`.
pub const REDIS_REOPENED: Family = counter(
    "carillon_redis_reopened_total",
    "Connections to Redis that were opened again after they were lost, by link",
);
/// Requests that wait for an answer. Label `link`.
pub const REDIS_IN_FLIGHT: Family =
    gauge("carillon_redis_requests_in_flight", "Requests that wait for Redis' answer, by link");
/// Requests by what became of them. Labels `link` and `result`.
pub const REDIS_REQUESTS: Family = counter(
    "carillon_redis_requests_total",
    "Requests to Redis, each a command, a script or several in one piece, by link and result: answered, refused, timed_out or broken",
);
/// How long was waited for answers. Label `link`.
pub const REDIS_WAITED: Family =
    counter("carillon_redis_wait_seconds_total", "How long was waited for all of Redis' answers, by link");
/// How long ago an answer came. Label `link`.
pub const REDIS_ANSWER_AGE: Family =
    gauge("carillon_redis_answer_age_seconds", "How long ago Redis answered last, by link");
/// How long the last question of upkeep took.
pub const REDIS_ROUND_TRIP: Family = gauge(
    "carillon_redis_round_trip_seconds",
    "How long Redis took to answer the small question that the store asks it every second",
);
/// Topics that are wanted.
pub const BUS_TOPICS: Family = gauge("carillon_bus_topics", "Topics of the bus that this node wants to hear");
/// Topics that are heard.
pub const BUS_HEARD: Family = gauge("carillon_bus_topics_heard", "Topics of the bus that this node hears");
/// Messages published.
pub const BUS_PUBLISHED: Family = counter(
    "carillon_bus_published_total",
    "Messages that this node published over the bus; what is committed the store's scripts publish",
);
/// Their bytes.
pub const BUS_PUBLISHED_BYTES: Family =
    counter("carillon_bus_published_bytes_total", "Bytes of messages that this node published over the bus");
/// Messages that came.
pub const BUS_RECEIVED: Family =
    counter("carillon_bus_received_total", "Messages that the bus brought, own ones too");
/// Their bytes.
pub const BUS_RECEIVED_BYTES: Family =
    counter("carillon_bus_received_bytes_total", "Bytes of messages that the bus brought");
/// Connections lost.
pub const BUS_LOST: Family = counter("carillon_bus_lost_total", "Connections of the bus that were lost");
/// Connections closed as too much came.
pub const BUS_OVERFLOWS: Family = counter(
    "carillon_bus_overflows_total",
    "Connections of the bus that were closed as what they brought was not taken fast enough",
);
/// Gaps.
pub const BUS_GAPS: Family = counter(
    "carillon_bus_gaps_total",
    "Times that something of a log did not come over the bus and was read from the store",
);
/// Pages read.
pub const BUS_PAGES: Family = counter(
    "carillon_bus_pages_total",
    "Pages of logs that were read from the store, when they were opened, in doubt or had a gap",
);
/// Reads that failed.
pub const BUS_READ_FAILURES: Family =
    counter("carillon_bus_read_failures_total", "Reads of logs that failed; each is done again");
/// What came twice.
pub const BUS_REPEATED: Family = counter(
    "carillon_bus_repeated_total",
    "Messages of the bus that had been told before, and were left out",
);
/// Logs that were other ones.
pub const BUS_DIVERGED: Family = counter(
    "carillon_bus_diverged_total",
    "Times that what was told of a log is not what the store has: its followers began anew",
);
/// Other nodes.
pub const OTHER_NODES: Family =
    gauge("carillon_other_nodes", "Other nodes that are there, as their leases say");
/// Whether the own lease is good.
pub const LEASE_GOOD: Family =
    gauge("carillon_lease_good", "1 while this node's lease is good: the others take it to be there");
/// Own leases that ended.
pub const LEASES_LOST: Family = counter(
    "carillon_leases_lost_total",
    "Times that this node's own lease had ended: to the others it was gone",
);
/// Batches told.
pub const PRESENCE_TOLD: Family = counter(
    "carillon_presence_batches_told_total",
    "Batches of changes among its sessions that this node told the others",
);
/// Batches that could not be told.
pub const PRESENCE_UNTOLD: Family = counter(
    "carillon_presence_batches_failed_total",
    "Batches that could not be told; their tenants were told anew",
);
/// Batches that came.
pub const PRESENCE_HEARD: Family = counter(
    "carillon_presence_batches_heard_total",
    "Batches of changes among other nodes' sessions that came",
);
/// Reads of others' sessions.
pub const PRESENCE_READS: Family = counter(
    "carillon_presence_reads_total",
    "Times that another node's sessions of a tenant were read whole",
);
/// Resident memory.
pub const MEMORY_BYTES: Family = gauge("process_resident_memory_bytes", "Resident memory of the process");

/// All of them, in the order in which they are shown.
pub const ALL: [Family; 66] = [
    SESSIONS_ACTIVE,
    SESSIONS_PEAK,
    SESSIONS_LIMIT,
    SESSIONS,
    SESSIONS_BY_TENANT,
    CONNECTIONS_ACTIVE,
    CONNECTIONS_UNKNOWN,
    CONNECTIONS_ASIDE,
    CONNECTIONS_LIMIT,
    CONNECTIONS_GAVE_WAY,
    ATTEMPTS,
    ATTEMPTS_FAILED,
    TURNED_AWAY,
    TOKENS_REFUSED,
    BRIDGE_KEYS_REFUSED,
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
    REDIS_SERVERS,
    REDIS_CONNECTED,
    REDIS_REOPENED,
    REDIS_IN_FLIGHT,
    REDIS_REQUESTS,
    REDIS_WAITED,
    REDIS_ANSWER_AGE,
    REDIS_ROUND_TRIP,
    BUS_TOPICS,
    BUS_HEARD,
    BUS_PUBLISHED,
    BUS_PUBLISHED_BYTES,
    BUS_RECEIVED,
    BUS_RECEIVED_BYTES,
    BUS_LOST,
    BUS_OVERFLOWS,
    BUS_GAPS,
    BUS_PAGES,
    BUS_READ_FAILURES,
    BUS_REPEATED,
    BUS_DIVERGED,
    OTHER_NODES,
    LEASE_GOOD,
    LEASES_LOST,
    PRESENCE_TOLD,
    PRESENCE_UNTOLD,
    PRESENCE_HEARD,
    PRESENCE_READS,
    MEMORY_BYTES,
];
