//! The tables, and the way from older versions to this one.
//!
//! - `journal`: what was appended, in the order of commits; moves to its home later ("settling"). Row kind 0 is no entry:
//!   it carries marks (`seq` delivered, `target` read, `number` at read); in room 0 it says that a sender was erased, or
//!   nothing.
//! - `log`: settled entries by (room, seq). The `name` of a message is "service" where a service sent it, and the `version` of
//!   an event 1. `edits`: which edits a message has. `latest`: the last event of each key.
//! - `tenants`: `bytes` is what a tenant's rooms hold, counted along with each change of `log` and `journal`.
//! - `rooms`: a room's state; head, tag, number, time and last message are as of its last settling.
//! - `marks`: delivered and read, and by its index which rooms a user ever wrote to.
//! - `idempotency`: one row per group; `keys` are 16 bytes each, `records` [`RECORD`](super::idempotency::RECORD) bytes.
//! - `inbox`, `broadcast`: a user's own log and the tenant's. `broadcast_seen` and `broadcast_deleted` are what users did to
//!   the tenant's: ranges that they have read or deleted (see [`seen`](super::seen)), and what of it they deleted. `ends`
//!   is when a notification goes: when it expires, or was kept long enough.
//!   Of a user's own all up to `users.inbox_read` is read, and after that what has `read`; `inbox_unread` and
//!   `inbox_critical` count the others (see [`own`](super::own)).
//! - `outbox`: what outcomes cause in many inboxes and has not reached them yet, a slice of users (a line each) per row;
//!   `outbox_notices` is what they are told.
//! - `audit_heads`: where chains of audit lines stood.
//! - `entries`: the view for people, over journal and log.

use rusqlite::Connection;

use super::engine::Result;

/// The newest version that this code knows.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// "Carl": tells the `file` command and us whose database it is.
pub(super) const APPLICATION_ID: i64 = 0x4361_726c;

/// Each brings the database from the version of its index to the next.
const MIGRATIONS: [&str; 10] = [
    VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7, VERSION_8, VERSION_9,
    VERSION_10,
];

/// Tables without which a database is not whole.
pub(super) const TABLES: [&str; 20] = [
    "audit_heads",
    "broadcast",
    "broadcast_deleted",
    "broadcast_seen",
    "edits",
    "idempotency",
    "inbox",
    "journal",
    "latest",
    "log",
    "marks",
    "members",
    "meta",
    "outbox",
    "outbox_notices",
    "reactions",
    "revocations",
    "rooms",
    "tenants",
    "users",
];

const VERSION_1: &str = "
CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE tenants(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
  broadcast_head INT NOT NULL DEFAULT 0, broadcast_time INT NOT NULL DEFAULT 0);
CREATE TABLE users(id INTEGER PRIMARY KEY, tenant INT NOT NULL, name TEXT NOT NULL, known_from INT,
  inbox_head INT NOT NULL DEFAULT 0, inbox_time INT NOT NULL DEFAULT 0, broadcast_read INT NOT NULL DEFAULT 0,
  UNIQUE(tenant, name));
CREATE TABLE rooms(id INTEGER PRIMARY KEY, tenant INT NOT NULL, name TEXT NOT NULL,
  head INT NOT NULL DEFAULT 0, tag INT NOT NULL DEFAULT 0, number INT NOT NULL DEFAULT 0, time INT NOT NULL DEFAULT 0,
  last_message INT NOT NULL DEFAULT 0, first INT NOT NULL DEFAULT 1, version INT NOT NULL DEFAULT 0,
  created INT NOT NULL DEFAULT 0, direct INT NOT NULL DEFAULT 0, members INT NOT NULL DEFAULT 0, metadata TEXT,
  UNIQUE(tenant, name));
CREATE TABLE journal(id INTEGER PRIMARY KEY, room INT NOT NULL, seq INT NOT NULL, tag INT, kind INT NOT NULL,
  sender INT, number INT, time INT, target INT, version INT, edited INT, name TEXT, key TEXT, media_type TEXT, content,
  attributes TEXT);
CREATE TABLE log(room INT NOT NULL, seq INT NOT NULL, tag INT, kind INT NOT NULL, sender INT, number INT, time INT,
  target INT, version INT, edited INT, name TEXT, key TEXT, media_type TEXT, content, attributes TEXT,
  PRIMARY KEY(room, seq)) WITHOUT ROWID;
CREATE TABLE edits(room INT, target INT, seq INT, PRIMARY KEY(room, target, seq)) WITHOUT ROWID;
CREATE TABLE latest(room INT, key TEXT, seq INT NOT NULL, tag INT, sender INT, number INT, time INT, name TEXT,
  media_type TEXT, content, PRIMARY KEY(room, key)) WITHOUT ROWID;
CREATE TABLE reactions(room INT, seq INT, key TEXT, user INT, PRIMARY KEY(room, seq, key, user)) WITHOUT ROWID;
CREATE TABLE members(room INT, user INT, role INT NOT NULL, version INT NOT NULL, joined INT NOT NULL,
  history_from INT NOT NULL, PRIMARY KEY(room, user)) WITHOUT ROWID;
CREATE INDEX members_by_user ON members(user, room);
CREATE TABLE marks(room INT, user INT, delivered INT NOT NULL, read INT NOT NULL, read_number INT NOT NULL,
  PRIMARY KEY(room, user)) WITHOUT ROWID;
CREATE INDEX marks_by_user ON marks(user, room);
CREATE TABLE idempotency(id INTEGER PRIMARY KEY, time INT NOT NULL, keys BLOB NOT NULL, records BLOB NOT NULL);
CREATE TABLE inbox(user INT, seq INT, id TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, media_type TEXT,
  body, priority INT NOT NULL, data TEXT, sender TEXT NOT NULL, expires INT, time INT NOT NULL,
  read INT NOT NULL DEFAULT 0, PRIMARY KEY(user, seq)) WITHOUT ROWID;
CREATE UNIQUE INDEX inbox_by_id ON inbox(user, id);
CREATE INDEX inbox_unread ON inbox(user, read, priority, expires);
CREATE TABLE broadcast(tenant INT, seq INT, id TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL,
  media_type TEXT, body, priority INT NOT NULL, data TEXT, sender TEXT NOT NULL, expires INT, time INT NOT NULL,
  PRIMARY KEY(tenant, seq)) WITHOUT ROWID;
CREATE INDEX broadcast_by_id ON broadcast(tenant, id);
CREATE TABLE broadcast_state(user INT, seq INT, deleted INT NOT NULL, PRIMARY KEY(user, seq)) WITHOUT ROWID;
CREATE VIEW entries AS
SELECT t.name AS tenant, r.name AS room, e.seq AS seq,
  CASE e.kind WHEN 1 THEN 'message' WHEN 2 THEN 'edit' WHEN 3 THEN 'deletion' WHEN 4 THEN 'reaction'
    WHEN 5 THEN 'membership' WHEN 6 THEN 'room' WHEN 7 THEN 'event' END AS kind,
  u.name AS sender, strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS time, e.content AS content,
  e.number AS number, e.version AS version, e.name AS name, e.key AS key,
  CASE e.kind WHEN 5 THEN (SELECT name FROM users WHERE id = e.target) ELSE e.target END AS target,
  e.media_type AS media_type, e.attributes AS attributes
FROM (SELECT room, seq, kind, sender, number, time, target, version, name, key, media_type, content, attributes FROM log
    UNION ALL SELECT room, seq, kind, sender, number, time, target, version, name, key, media_type, content, attributes
    FROM journal j WHERE kind > 0 AND NOT EXISTS (SELECT 1 FROM log l WHERE l.room = j.room AND l.seq = j.seq)) e
  JOIN rooms r ON r.id = e.room JOIN tenants t ON t.id = r.tenant JOIN users u ON u.id = e.sender
WHERE e.seq >= r.first;
";

/// Effects on many wait in an outbox; notifications that have ended are found by an index. Those that are there already
/// are kept for 90 days.
const VERSION_2: &str = "
CREATE TABLE outbox(id INTEGER PRIMARY KEY, tenant INT NOT NULL, notice INT NOT NULL, users TEXT NOT NULL);
CREATE TABLE outbox_notices(seq INTEGER PRIMARY KEY, tenant INT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
  title TEXT NOT NULL, media_type TEXT, body, priority INT NOT NULL, data TEXT, sender TEXT NOT NULL, expires INT,
  time INT NOT NULL, ends INT);
ALTER TABLE inbox ADD COLUMN ends INT;
ALTER TABLE broadcast ADD COLUMN ends INT;
UPDATE inbox SET ends = min(coalesce(expires, 1 << 62), time + 7776000000);
UPDATE broadcast SET ends = min(coalesce(expires, 1 << 62), time + 7776000000);
CREATE INDEX inbox_ends ON inbox(ends);
CREATE INDEX broadcast_ends ON broadcast(ends);
CREATE INDEX users_known ON users(tenant) WHERE known_from IS NOT NULL;
";

/// What users have seen of the broadcasts is kept as ranges, and unseen ones are counted by indexes.
const VERSION_3: &str = "
CREATE TABLE broadcast_seen(user INT, first INT, last INT NOT NULL, PRIMARY KEY(user, first)) WITHOUT ROWID;
CREATE TABLE broadcast_deleted(user INT, seq INT, PRIMARY KEY(user, seq)) WITHOUT ROWID;
INSERT INTO broadcast_seen SELECT user, seq, seq FROM broadcast_state;
INSERT INTO broadcast_deleted SELECT user, seq FROM broadcast_state WHERE deleted;
DROP TABLE broadcast_state;
CREATE INDEX broadcast_unread ON broadcast(tenant, seq, expires);
CREATE INDEX broadcast_critical ON broadcast(tenant, seq, priority, expires) WHERE priority = 4;
";

/// Revocations: `tenant` is empty where one holds in all of them; `subject` is a token's id or a name, `until` when the
/// token ends or before when tokens were issued.
const VERSION_4: &str = "
CREATE TABLE revocations(seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, kind INT NOT NULL,
  subject NOT NULL, until INT NOT NULL, UNIQUE(tenant, kind, subject));
CREATE INDEX revocations_end ON revocations(until) WHERE kind = 1;
";

/// Where chains of audit lines stood.
const VERSION_5: &str = "
CREATE TABLE audit_heads(chain INT, seq INT, seal BLOB NOT NULL, time INT NOT NULL, PRIMARY KEY(chain, seq)) WITHOUT ROWID;
CREATE INDEX audit_heads_time ON audit_heads(time);
";

/// What an entry counts as in its tenant's storage, of its columns: the same as
/// [`EntryBody::stored_bytes`](crate::domain::entry::EntryBody::stored_bytes), which the conformance suite holds it to.
macro_rules! stored_bytes {
    () => {
        "100 + ifnull(octet_length(content), 0) + ifnull(octet_length(key), 0)
           + CASE WHEN kind IN (4, 7) THEN ifnull(octet_length(name), 0) ELSE 0 END
           + ifnull((SELECT sum(octet_length(p.key) + octet_length(p.value)) FROM json_each(attributes) p), 0)"
    };
}

/// The same, for statements over `log`.
pub(super) const STORED_BYTES: &str = stored_bytes!();

/// What each tenant's rooms hold is counted along.
const VERSION_6: &str = concat!(
    "ALTER TABLE tenants ADD COLUMN bytes INT NOT NULL DEFAULT 0;
UPDATE tenants SET bytes = n.bytes FROM (
  SELECT r.tenant AS tenant, sum(e.bytes) AS bytes FROM (
    SELECT room, seq, ",
    stored_bytes!(),
    " AS bytes FROM log
    UNION ALL SELECT room, seq, ",
    stored_bytes!(),
    " AS bytes FROM journal j
      WHERE kind > 0 AND NOT EXISTS (SELECT 1 FROM log l WHERE l.room = j.room AND l.seq = j.seq)) e
  JOIN rooms r ON r.id = e.room WHERE e.seq >= r.first GROUP BY r.tenant) n
WHERE tenants.id = n.tenant;
"
);

/// Revocations of what was issued before an instant go as well.
const VERSION_7: &str = "CREATE INDEX IF NOT EXISTS revocations_before ON revocations(until) WHERE kind > 1;";

/// A user's unread notifications are found by their places.
const VERSION_8: &str = "CREATE INDEX inbox_unread_by_place ON inbox(user, seq) WHERE read = 0;";

/// What a user has read of their own log is kept as a mark, and how much is unread is counted along. What was read one by
/// one before stays so.
const VERSION_9: &str = "
CREATE INDEX inbox_critical_by_place ON inbox(user, seq) WHERE read = 0 AND priority = 4;
ALTER TABLE users ADD COLUMN inbox_read INT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN inbox_unread INT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN inbox_critical INT NOT NULL DEFAULT 0;
UPDATE users SET inbox_unread = n.every, inbox_critical = n.critical FROM (
  SELECT user, count(*) AS every, sum(priority = 4) AS critical FROM inbox WHERE read = 0 GROUP BY user) n
WHERE users.id = n.user;
";

/// Last events say whether a service published them.
const VERSION_10: &str = "ALTER TABLE latest ADD COLUMN by_service INT NOT NULL DEFAULT 0;";

/// Brings the database to [`VERSION`], in one transaction.
pub(super) fn migrate(db: &mut Connection) -> Result<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    if version < VERSION {
        transaction.execute_batch(&format!(
            "PRAGMA user_version={VERSION}; PRAGMA application_id={APPLICATION_ID};"
        ))?;
    }
    transaction.commit()?;
    Ok(())
}
