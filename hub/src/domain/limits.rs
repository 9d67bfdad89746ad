//! Every bound of the protocol and of the hub, with its default. No number stands twice: the protocol's comments and
//! the configuration reference name these.

use std::time::Duration;

use super::rate::Rate;

/// Longest room name, bytes.
pub const ROOM_NAME_BYTES: usize = 255;
/// Longest tenant, user or instance id, bytes.
pub const ID_BYTES: usize = 128;
/// Shortest and longest idempotency key, bytes.
pub const IDEMPOTENCY_KEY_BYTES: std::ops::RangeInclusive<usize> = 8..=64;
/// Largest seq: stores count in signed 64-bit numbers.
pub const SEQ_MAX: u64 = i64::MAX as u64;
/// Longest text of a message, characters (row W8a).
pub const CONTENT_CHARACTERS: usize = 10_000;
/// Tags of an HTML text, with those that close: what reading it may cost grows with their square, as each is compared with those that
/// are open.
pub const HTML_TAGS: usize = 300;
/// What an HTML text may weigh as it is read: its elements, those that are opened again among them, and their attributes.
pub const HTML_WEIGHT: usize = 1_000;
/// Longest binary content, bytes.
pub const CONTENT_BYTES: usize = 65_536;
/// Longest media type, bytes.
pub const MEDIA_TYPE_BYTES: usize = 128;
/// Most attributes of a message.
pub const ATTRIBUTES: usize = 16;
/// Longest attribute value, bytes.
pub const ATTRIBUTE_VALUE_BYTES: usize = 256;
/// Most metadata pairs of a room, and most data pairs of a notification.
pub const METADATA: usize = 32;
/// Longest key of an attribute or of metadata, bytes.
pub const KEY_BYTES: usize = 64;
/// Longest metadata value, bytes.
pub const METADATA_VALUE_BYTES: usize = 1_024;
/// Longest reaction key, bytes.
pub const REACTION_KEY_BYTES: usize = 64;
/// Most distinct reactions (user and key) of one message.
pub const REACTIONS_PER_MESSAGE: usize = 1_000;
/// Most keys whose reactions a message shows where it is read: those with the most reactions.
pub const REACTION_KEYS_SHOWN: usize = 100;
/// Most users whom each of those names.
pub const REACTION_USERS_SHOWN: usize = 20;
/// Most edits of one message: deleting it blanks them all in one step.
pub const EDITS_PER_MESSAGE: u32 = 1_000;
/// Longest event name, characters (row H4).
pub const EVENT_NAME_CHARACTERS: usize = 100;
/// Longest merge key of an event, bytes.
pub const EVENT_KEY_BYTES: usize = 64;
/// Keys of a room that keeps the last event of each: all are handed over to who joins.
pub const STATE_KEYS: usize = 1_000;
/// Bytes of those events' keys, names and payloads.
pub const STATE_BYTES: usize = 1 << 20;
/// Longest presence text, characters.
pub const STATUS_TEXT_CHARACTERS: usize = 128;
/// Longest client name in `hello`, bytes.
pub const CLIENT_NAME_BYTES: usize = 64;
/// Most entries of a history page.
pub const HISTORY_LIMIT: u32 = 200;
/// Entries of a history page when none are asked for.
pub const HISTORY_DEFAULT: u32 = 50;
/// Most entries that `join{rewind}` hands over.
pub const REWIND: u32 = 1_000;
/// Most members in `conversation_create`.
pub const CREATE_MEMBERS: usize = 1_000;
/// Most users in one `presence_watch`.
pub const WATCHED_USERS: usize = 100;
/// Most notification ids in one command.
pub const NOTIFICATION_IDS: usize = 200;
/// Notifications of each of an inbox's two logs that one read of a page looks at.
pub const INBOX_LOOKED_AT: u32 = 1_000;
/// Unread notifications that are counted: an inbox with more says so many.
pub const INBOX_COUNTED: u64 = 1_000;
/// Longest notification kind, bytes.
pub const NOTIFICATION_KIND_BYTES: usize = 64;
/// Longest notification title, characters.
pub const NOTIFICATION_TITLE_CHARACTERS: usize = 256;
/// Most users that one notification names.
pub const NOTIFICATION_USERS: usize = 1_000;
/// How long notifications are kept that do not expire before, by default.
pub const NOTIFICATION_RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);
/// Most items of any other page (rooms, members, presence, notifications, sessions).
pub const PAGE_LIMIT: u32 = 200;
/// Items of a page when none are asked for.
pub const PAGE_DEFAULT: u32 = 50;
/// Largest frame that configuration may allow, bytes (row H7).
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Commands of one session that may be in flight; past that the hub stops reading the stream.
pub const COMMANDS_IN_FLIGHT: usize = 64;
/// Pages that are read and held for one session's commands at a time; other commands that ask for one wait.
pub const PAGES_IN_FLIGHT: usize = 2;
/// Times that a command is decided on, where its home refuses a condition each time, as others change what it goes by.
pub const DECISIONS: usize = 16;
/// How long a change of a room's metadata waits for those before it on the same node; then it is decided on beside them.
pub const ALONE_AT_MOST: Duration = Duration::from_millis(500);
/// Shortest signing secret, bytes (row W4d).
pub const SECRET_BYTES: usize = 32;

/// Largest frame that the hub reads, bytes, by default (row H7).
pub const FRAME_BYTES: usize = 100 * 1024;
/// Rooms that one session may be joined to, by default (row L5).
pub const ROOMS_PER_SESSION: usize = 100;
/// Sessions of one user at once, by default (row L3).
pub const SESSIONS_PER_USER: usize = 5;
/// Sessions of a node at once, by default (row F7b).
pub const SESSIONS_PER_NODE: usize = 1_000;
/// Sessions of one user that others have taken over from and whose clients do not take their end: past so many the oldest
/// is broken off.
pub const REPLACED_HELD: usize = 5;
/// Not before it has had this long to take it.
pub const REPLACED_WORDS: Duration = Duration::from_secs(1);
/// Who finds too many sessions may try again after this long: some end, also those whose clients are gone.
pub const SESSIONS_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Buckets of ended sessions that are kept for a user's next ones: as many as may have been open at once.
pub const SPENT_BUCKETS: usize = 64;
/// Past this share of the sessions of a node, percent, an operator is warned (row F7b).
pub const SESSIONS_WARNING: usize = 80;
/// Commands of a session, and of a user without one, by default: 60 a minute (row H6).
pub const COMMANDS_RATE: Rate = Rate::new(60, Duration::from_secs(1));
/// Messages that a user sends, by default (row W10).
pub const SEND_RATE: Rate = Rate::new(10, Duration::from_secs(6));
/// Edits, by default (row W10).
pub const EDIT_RATE: Rate = Rate::new(3, Duration::from_secs(20));
/// Deletions, by default (row W10).
pub const DELETE_RATE: Rate = Rate::new(3, Duration::from_secs(20));
/// Events that a user publishes, by default.
pub const PUBLISH_RATE: Rate = Rate::new(20, Duration::from_secs(1));
/// How often a user shows that they are typing, by default (row W10).
pub const TYPING_RATE: Rate = Rate::new(5, Duration::from_secs(2));
/// Joins, by default (row W10).
pub const JOIN_RATE: Rate = Rate::new(20, Duration::from_secs(3));
/// Marks, by default: clients send one a second for each room.
pub const MARK_RATE: Rate = Rate::new(200, Duration::from_millis(50));
/// Changes of one's inbox, by default: 10 a minute (row F8).
pub const INBOX_RATE: Rate = Rate::new(10, Duration::from_secs(6));
/// Sessions that a user opens, by default: all devices and tabs come back some times at once, and one of them every second.
pub const OPEN_RATE: Rate = Rate::new(60, Duration::from_secs(1));
/// Sessions that are opened from one address, by default: a school's devices all come back some times at once, and 100 of them
/// every second.
pub const OPEN_PER_ADDRESS_RATE: Rate = Rate::new(5_000, Duration::from_millis(10));
/// Addresses of which it is known how many were.
pub const OPENING_ADDRESSES: usize = 100_000;
/// Rooms that the line of the audit log names which says that a session has resumed some; their number is in it.
pub const AUDIT_RESUMED_ROOMS: usize = 10;
/// Rooms that a user's sessions resume, by default: all of [`SESSIONS_PER_USER`] sessions those of [`ROOMS_PER_SESSION`] twice
/// at once, and 50 a second.
pub const RESUME_RATE: Rate = Rate::new(1_000, Duration::from_millis(20));
/// Sessions of a node that read what they begin with at the same time.
pub const OPENINGS_AT_ONCE: usize = 1_024;
/// Rooms that sessions of a node resume, or join by themselves, at the same time.
pub const JOINS_AT_ONCE: usize = 1_024;
/// Pages that sessions of a node read at the same time of rooms in which they are behind.
pub const CATCH_UPS_AT_ONCE: usize = 512;
/// Each of these keeps its turn for so long at most: what hangs holds up no others.
pub const TURN_AT_MOST: Duration = Duration::from_millis(500);
/// A room that could not be resumed, or read, is tried again after so long; after twice as long each time that it cannot.
pub const JOIN_AGAIN: Duration = Duration::from_secs(1);
/// A line of the log says so at most this often.
pub const UNREAD_ROOMS: Duration = Duration::from_secs(10);
/// The longest of these waits.
pub const JOIN_AGAIN_MOST: Duration = Duration::from_secs(30);
/// A session with rooms left to resume that waits for its turn looks for it this often, should an administrator fill it.
pub const RESUME_LOOKS: Duration = Duration::from_secs(1);
/// Requests of a service, by default.
pub const SERVICE_RATE: Rate = Rate::new(2_000, Duration::from_millis(1));
/// What an entry counts as in its tenant's storage besides what it says, bytes. It is in databases: never change it.
pub const STORED_OVERHEAD: u64 = 100;
/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// How many idempotency keys a node remembers, by default.
pub const IDEMPOTENCY_KEYS: usize = 20_000_000;
/// How long the idempotency key of an ephemeral event is remembered at least, in memory.
pub const EPHEMERAL_KEY_WINDOW: Duration = Duration::from_secs(60);
/// Such keys of one tenant that are remembered at least, and twice as many at most; about 25 bytes of memory each. A tenant
/// that publishes more in the time forgets its own oldest.
pub const EPHEMERAL_KEYS: usize = 65_536;
/// Where the cap on keys would let the window fall below this, sends get RATE_LIMITED.
pub const IDEMPOTENCY_WINDOW_FLOOR: Duration = Duration::from_secs(600);
/// Heartbeat: a ping this often (row W2).
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(25);
/// Heartbeat: dead after this long without an inbound frame (row W2).
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(60);
/// A stream that has not authenticated by then is closed (row F2).
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that the requests of one user that are not whole yet may hold together, without a session: dozens of the largest.
pub const UNFINISHED_BYTES: usize = 4 << 20;
/// Whoever has more may try again after this long.
pub const UNFINISHED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Largest request that anyone may make, of health and of reflection, bytes: it bears the name of a service or a type.
pub const OPEN_REQUEST_BYTES: usize = 512;
/// A command that is not done by then is answered with DEADLINE_EXCEEDED (row LH7).
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// Erasing a user's content that is not done by then is answered with `DEADLINE_EXCEEDED`; repeating it carries on.
pub const ERASURE_TIMEOUT: Duration = Duration::from_secs(60);
/// `token_expiring` is sent this long before expiry.
pub const TOKEN_EXPIRING_NOTICE: Duration = Duration::from_secs(60);
/// How far the clock of a token's issuer may be ahead: for `nbf` and `iat`.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(5);
/// How often the keys that an issuer publishes are fetched anew.
pub const JWKS_REFRESH: Duration = Duration::from_secs(600);
/// Tokens with unknown keys make them be fetched no more often than this.
pub const JWKS_FLOOR: Duration = Duration::from_secs(30);
/// Keys that could not be fetched anew for this long are not used any more.
pub const JWKS_STALE: Duration = Duration::from_secs(24 * 3_600);
/// A fetch of keys that is not done by then has failed.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest document of published keys, bytes.
pub const JWKS_BYTES: usize = 256 * 1_024;
/// Most keys in it.
pub const JWKS_KEYS: usize = 64;
/// A fetch of keys that failed is tried again after this long at first, after that at twice as long each time.
pub const JWKS_BACKOFF: Duration = Duration::from_secs(1);
/// And no later than this.
pub const JWKS_BACKOFF_MOST: Duration = Duration::from_secs(60);
/// Who bears a token whose issuer's keys are being fetched is told to try again after this long.
pub const JWKS_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Most keys of one issuer in the settings, and most that one token is tried with.
pub const KEYS_TRIED: usize = 8;
/// Most issuers.
pub const ISSUERS: usize = 64;
/// Longest name of a key, bytes.
pub const KID_BYTES: usize = 256;
/// Largest file with a key or with certificates, bytes.
pub const KEY_FILE_BYTES: u64 = 1 << 20;
/// How often files with keys are read again.
pub const KEY_FILES_INTERVAL: Duration = Duration::from_secs(1);
/// On a stop, what is not done by then is cut off.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// After that, what is left of the process's own tasks has this long, and the store as long again to write everything
/// home. Nothing durable hangs on either: the next start does what this one did not.
pub const STOP_REST: Duration = Duration::from_secs(2);
/// Typing expires by itself after this long.
pub const TYPING_EXPIRY: Duration = Duration::from_secs(6);
/// A disconnected device counts as present for this long, so that a reconnect is silent.
pub const PRESENCE_GRACE: Duration = Duration::from_secs(10);
/// Above this many present, a room sends `occupancy` instead of each `presence`, and neither marks nor typing.
pub const LARGE_ROOM: usize = 100;
/// `occupancy` at most this often in a large room.
pub const OCCUPANCY_INTERVAL: Duration = Duration::from_secs(2);
/// Above this many present, `occupancy` at most every [`OCCUPANCY_INTERVAL_HUGE`].
pub const HUGE_ROOM: usize = 1_000;
/// `occupancy` at most this often above [`HUGE_ROOM`].
pub const OCCUPANCY_INTERVAL_HUGE: Duration = Duration::from_secs(10);
/// A room's unread counts are sent to members who are not joined at most this often.
pub const UNREAD_INTERVAL: Duration = Duration::from_millis(250);
/// A room that nobody is joined to frees its state after this long (row H9 asks for 5 minutes).
pub const EMPTY_ROOM_AFTER: Duration = Duration::from_secs(60);
/// Entries that a room's tail keeps at most.
pub const TAIL_ENTRIES: usize = 256;
/// Bytes that a room's tail keeps at most.
pub const TAIL_BYTES: usize = 1 << 20;
/// Bytes of ephemeral events that may wait for one session; past that it is a slow consumer.
pub const MAILBOX_BYTES: usize = 256 * 1024;
/// A burst of ephemeral events may be this many times as large, where the session reads on.
pub const MAILBOX_BURST: usize = 4;
/// A session with more than [`MAILBOX_BYTES`] waiting is a slow consumer after this long.
pub const MAILBOX_OVERFULL: Duration = Duration::from_secs(5);
/// Bytes of ephemeral events that may wait for one runtime, before whoever publishes is refused.
pub const SHARD_BYTES: usize = 8 << 20;
/// Bytes of ephemeral events of one room that may wait for one runtime.
pub const SHARD_ROOM_BYTES: usize = 1 << 20;
/// A session whose stream has not moved for this long while frames wait is disconnected.
pub const SLOW_CONSUMER_AFTER: Duration = Duration::from_secs(30);
/// A session that stays behind for this many times as long, though its stream moves, is disconnected where it takes less
/// than [`SLOW_CONSUMER_FLOOR`].
pub const SLOW_CONSUMER_FACTOR: u32 = 4;
/// Bytes a second that a session which is behind must take: less than the slowest mobile networks give.
pub const SLOW_CONSUMER_FLOOR: usize = 1_024;
/// A session that was ended for it, or for anything else, and does not read why for this many times as long is broken
/// off.
pub const UNHEARD_FACTOR: u32 = 2;
/// Bytes of answers that may wait for one session before its stream is read no further.
pub const OUTBOX_READ_BYTES: usize = 64 * 1024;
/// Bytes of answers that may wait for one session before no more are added: one page more than this at most.
pub const OUTBOX_BYTES: usize = 256 * 1024;
/// Bytes read from the store for one session at a time.
pub const CATCH_UP_BYTES: usize = PAGE_BYTES;
/// Bytes merged into one DATA frame (the prototype `fan` measured no gain above).
pub const WRITE_MERGE_BYTES: usize = 16 * 1024;
/// HTTP/2: streams of one connection that may be open at once, sessions among them.
pub const HTTP2_STREAMS: u32 = 128;
/// HTTP/2: bytes that a client may send on one stream before they are read.
pub const HTTP2_STREAM_WINDOW: u32 = 32 * 1024;
/// HTTP/2: bytes that a client may send on one connection before they are read. Enough for every stream at once, so
/// that one which is not read stalls no other.
pub const HTTP2_CONNECTION_WINDOW: u32 = HTTP2_STREAMS * HTTP2_STREAM_WINDOW;
/// HTTP/2: bytes of one request's headers: a token, and room for the rest.
pub const HTTP2_HEADER_BYTES: u32 = 16 * 1024;
/// HTTP/2: a connection is asked for a sign of life after this long without one. Sessions have their own heartbeat;
/// this finds dead connections that have none.
pub const HTTP2_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// HTTP/2: a connection that does not answer for this long is closed.
pub const HTTP2_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// TCP: a connection whose client's system acknowledges nothing of what was sent, or takes no more, for this long is
/// closed. Longer than a slow consumer is given to read why it was ended, so that this happens first.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(100);
/// Connections of one address at once on which nobody known has called, by default (row H5).
pub const UNAUTHENTICATED_PER_ADDRESS: usize = 10;
/// Attempts of one address within a minute that failed or are pending, by default (row H5).
pub const ATTEMPTS_PER_ADDRESS: usize = 10;
/// Connections of a node at once, by default, those of services and bridges aside.
pub const CONNECTIONS: usize = 16_000;
/// Connections of one user of a node at once, by default: each device that comes back on a bad network every few seconds
/// leaves one until the hub notices that nobody is there ([`HTTP2_KEEPALIVE_INTERVAL`], [`HTTP2_KEEPALIVE_TIMEOUT`]).
pub const CONNECTIONS_PER_USER: usize = 100;
/// Past this share of them, percent, an operator is warned (row F7b).
pub const CONNECTIONS_WARNING: usize = 80;
/// And again once it was below this one.
pub const CONNECTIONS_WARNING_OVER: usize = 70;
/// Who finds too many connections may try again after this long.
pub const CONNECTIONS_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Who has too many of either is still told so, on so many connections of one worker within [`TURNED_AWAY_FOR`]: within TLS
/// each costs a handshake. More are closed without a word.
pub const TURNED_AWAY: usize = 64;
/// And so many of them of one address, so that nobody takes them all.
pub const TURNED_AWAY_OF_ADDRESS: usize = 16;
/// How long such a connection stays open to be told.
pub const TURNED_AWAY_FOR: Duration = Duration::from_secs(5);
/// A handshake of TLS that is not done by then ends the connection (row F2).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Tickets that may be good at once.
pub const TICKETS: usize = 100_000;
/// Tickets of one user or service that may be good at once.
pub const TICKETS_PER_BEARER: usize = 20;
/// How often `WatchOverview` tells.
pub const OVERVIEW_INTERVAL: Duration = Duration::from_secs(1);
/// Longest token, bytes.
pub const TOKEN_BYTES: usize = 8_192;
/// Longest name of a type of tokens, bytes.
pub const TYPE_BYTES: usize = 64;
/// What tokens may say that they are, where configuration does not say.
pub const TOKEN_TYPES: [&str; 2] = ["JWT", "at+jwt"];
/// Most grants of rooms in one token.
pub const GRANTS: usize = 100;
/// Longest `jti` claim that is revoked by name, bytes.
pub const JTI_BYTES: usize = 1_000;
/// Tokens of issuers whose clock is ahead, of which a node remembers when each was shown first.
pub const EARLY_TOKENS: usize = 100_000;
/// How far ahead of now an instant may be before which tokens were issued: clocks differ.
pub const REVOKED_AHEAD: Duration = Duration::from_mins(5);
/// How far ahead of now a revoked token may expire.
pub const REVOKED_LIFE: Duration = Duration::from_hours(24 * 3_653);
/// Calls without a good token on one connection, while its address has to wait, after which it is closed.
pub const DENIED_CALLS: u32 = 10;
/// Single tokens that one tenant may have revoked at once; users, and services, of which it may have all earlier tokens revoked.
pub const REVOKED: usize = 200_000;
/// An authoriser that has not answered by then has failed.
pub const AUTHORIZER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an authoriser's answers are remembered at most.
pub const AUTHORIZER_CACHE: Duration = Duration::from_secs(5);
/// How many of them are.
pub const AUTHORIZER_CACHE_ENTRIES: usize = 100_000;
/// Where its answers are remembered for less, it is asked this often whether a room that is followed may still be.
pub const AUTHORIZER_INTERVAL: Duration = Duration::from_secs(1);
/// Questions that an authoriser may be asked at a time; past that `UNAVAILABLE`.
pub const AUTHORIZER_QUESTIONS: usize = 1_000;
/// How many of them may be about one user, so that nobody keeps it from the others.
pub const AUTHORIZER_QUESTIONS_OF_USER: usize = 100;
/// After failures of so many users in a row an authoriser is left alone.
pub const BREAKER_FAILURES: u32 = 5;
/// For so long.
pub const BREAKER_OPEN: Duration = Duration::from_secs(10);
/// Longest cursor, bytes.
pub const CURSOR_BYTES: usize = 512;
/// Most kinds in an inbox filter.
pub const FILTER_KINDS: usize = 16;
/// Rooms with unread messages that `connected` carries at most.
pub const CONNECTED_ROOMS: u32 = 100;
/// Bytes of those rooms at most.
pub const CONNECTED_BYTES: usize = 192 * 1024;
/// Bytes of a page at most, unless a single item is larger. The largest frames that the hub sends are pages.
pub const PAGE_BYTES: usize = 256 * 1024;
/// Largest last message that a list of rooms shows, bytes with all that it carries.
pub const LISTED_MESSAGE_BYTES: usize = 4 * 1024;
/// Memberships that one read of a user's unread rooms looks at.
pub const MEMBERSHIPS_LOOKED_AT: u32 = 1_000;
/// A caller whose command met a full store queue is told to try again after this long.
pub const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// A caller whose idempotency key could not be remembered is told to try again after this long: keys make room by and
/// by, as the oldest pass [`IDEMPOTENCY_WINDOW_FLOOR`].
pub const KEYS_RETRY_AFTER: Duration = Duration::from_secs(10);
/// Memberships that the hub remembers, so that a send reads nothing before it commits.
pub const REMEMBERED_MEMBERSHIPS: usize = 100_000;
/// Rooms of which the hub remembers what they were created as.
pub const REMEMBERED_ROOMS: usize = 10_000;
/// Most members of a room whose members one notification is for.
pub const NOTIFICATION_ROOM_MEMBERS: usize = 10_000;
/// Members that are read at a time where all of a room's are needed.
pub const MEMBERS_READ: u32 = 1_000;
/// Users of a room whose marks are remembered as told, so that no lower ones are told later.
pub const TOLD_MARKS: usize = 1_000;
/// Users whose memberships or marks in a room are read at a time.
pub const USERS_READ: usize = 256;
/// Longest text that says where a session is from, its user agent or its page's origin, bytes.
pub const PEER_TEXT_BYTES: usize = 256;
/// An audit file of so many bytes is followed by another.
pub const AUDIT_FILE_BYTES: usize = 64 << 20;
/// Audit files that are kept.
pub const AUDIT_FILES: usize = 32;
/// Bytes of audit lines that may wait to be written.
pub const AUDIT_QUEUE_BYTES: usize = 8 << 20;
/// Where the audit log stands is noted this often.
pub const AUDIT_ANCHOR_INTERVAL: Duration = Duration::from_secs(5);
/// Audit lines about refused strangers, of all addresses: anybody can be refused as often as they like. A week of them at
/// most fills the files that are kept by default.
pub const AUDIT_STRANGERS: Rate = Rate::new(1_000, Duration::from_millis(200));
/// The same of one address.
pub const AUDIT_STRANGER: Rate = Rate::new(20, Duration::from_secs(10));
/// Addresses whose lines are counted.
pub const AUDIT_STRANGER_ADDRESSES: usize = 10_000;
/// Audit lines about one user or service who was refused.
pub const AUDIT_REFUSED: Rate = Rate::new(60, Duration::from_secs(10));
/// Lines about what one service does that no limit holds up: past them they are summed up.
pub const AUDIT_PASSED: Rate = Rate::new(1_000, Duration::from_millis(100));
/// Users and services of whom it is known how many such lines there were.
pub const AUDIT_KNOWN: usize = 10_000;
/// HTTP/2 frames of a connection that cancel a call.
pub const FRAMES_RESET: Rate = Rate::new(1_000, Duration::from_millis(5));
/// HTTP/2 data frames without data that end nothing.
pub const FRAMES_EMPTY: Rate = Rate::new(1_000, Duration::from_millis(10));
/// HTTP/2 frames that give room, 50 at a time: a client that reads much sends many.
pub const FRAMES_WINDOW: Rate = Rate::new(4_000, Duration::from_millis(1));
/// All other HTTP/2 frames but headers and data, 10 at a time. Clients on the same machine that measure it send thousands
/// of pings a second.
pub const FRAMES_CONTROL: Rate = Rate::new(2_000, Duration::from_millis(1));
/// What another node committed and came before what it follows on is held this long before the store is asked.
pub const SEQUENCE_HOLD: Duration = Duration::from_millis(50);
/// A read of what the bus did not bring that failed is done again after this long.
pub const SEQUENCE_RETRY: Duration = Duration::from_secs(1);
/// And where it fails again and again, after twice as long each time, up to this.
pub const SEQUENCE_RETRY_MOST: Duration = Duration::from_secs(16);
/// Items of one log that are held at most; what comes beyond is read from the store.
pub const SEQUENCE_ITEMS: usize = 256;
/// Bytes of one log that are held at most.
pub const SEQUENCE_BYTES: usize = 1 << 20;
/// Bytes of all logs that are held at most.
pub const SEQUENCE_TOTAL_BYTES: usize = 64 << 20;
/// Tags of a log's last entries that are remembered, by which its own are told from another log's.
pub const SEQUENCE_TAGS: usize = 32;
/// A connection of the bus that has had nothing to do for so long is asked whether it is still there.
pub const BUS_HEARTBEAT: Duration = Duration::from_secs(2);
/// A subscription or a publication that is not done by then has failed: less than [`COMMAND_TIMEOUT`], so that whoever
/// waits for it hears why.
pub const BUS_LIMIT: Duration = Duration::from_secs(3);
/// Bytes of messages that may wait to be published, for each server of the bus.
pub const BUS_OUTGOING_BYTES: usize = 8 << 20;
/// Bytes of messages that the bus has brought and that wait to be told; past that they are read from the store.
pub const BUS_INCOMING_BYTES: usize = 64 << 20;
/// Others are told of changes among a node's sessions at most this often.
pub const PRESENCE_TELLS: Duration = Duration::from_millis(200);
/// A session that another node has lost is given up this much later here than there: its node says so before.
pub const PRESENCE_ELSEWHERE_GRACE: Duration = Duration::from_secs(1);
/// Sessions that are said in one message; where there are more, others read them from the registry.
pub const PRESENCE_TOLD: usize = 1_000;
/// Messages of a node that wait while its sessions are read; past that they are read again.
pub const PRESENCE_LATER: usize = 256;
/// A tenant without sessions here is followed for so long, after the last of them and after anybody asked who is present.
pub const PRESENCE_LINGER: Duration = Duration::from_secs(10);
/// A node's lease: where it does not renew it, its sessions are over by then. Renewed at a third.
pub const NODE_LEASE: Duration = Duration::from_secs(15);
/// While Redis is away a node waits at most this part of its lease between two attempts to connect: two thirds of the lease
/// are left when the first node is back and gives all of them the time of the outage, and an attempt takes time itself.
pub const COMES_BACK: u32 = 5;
/// What a lease is renewed with waits at most this part of the lease for an answer, and for a connection: one that is dead is
/// found out at half of the lease, and there is time for another one.
pub const LEASE_ANSWERS: u32 = 6;
/// However short the lease is they may take so long.
pub const LEASE_ANSWERS_LEAST: Duration = Duration::from_millis(500);
/// What a node has said of somebody's sessions holds for so long.
pub const SESSION_COUNT_LASTS: Duration = Duration::from_mins(3);
/// A node says again what it has of everybody's sessions after so long.
pub const SESSION_COUNT_AGAIN: Duration = Duration::from_mins(1);
/// What all nodes are asked they answer within this time, or count as silent.
pub const NODES_ANSWER: Duration = Duration::from_secs(2);
/// Counts of sessions that are said at once.
pub const SESSION_COUNTS_AT_ONCE: usize = 32;
/// What nodes have for each other's users, and the bus does not take now, waits up to so much.
pub const KEPT: usize = 16_384;
/// And up to so many bytes.
pub const KEPT_BYTES: usize = 16 << 20;
/// So much of it is told at once.
pub const KEPT_AT_ONCE: usize = 64;
/// Commands that are sent to a server of the bus at once.
pub const BUS_BATCH: usize = 512;
/// Reads of what the bus did not bring that are under way at once.
pub const BUS_READS: usize = 64;
/// Connected users whose rooms are looked up at once.
pub const BUS_WALKS: usize = 16;
/// Rooms of one connected user that are followed, as they are told of unread messages there.
pub const FOLLOWED_MEMBERSHIPS: usize = 1_000;
/// A node that cannot read what was revoked ends its sessions after this long (guarantee 7).
pub const REVOCATION_STALE: Duration = Duration::from_secs(60);
