//! What a process that ended without closing left in the journal goes home at opening. The rest of the state is in its
//! tables.
//!
//! Journal rows carry what their entries read as when the process ended, and those that were home already are in the log
//! as they read then, so the rows that are missing there are all there is to do.

use rusqlite::Connection;

use crate::domain::limits::STATE_KEYS;

use super::engine::Result;
use super::rows::COLUMNS;

/// Rows that one transaction replays.
const BATCH: i64 = 8_192;

/// Rows of the journal: after the first, up to the second.
type Span = (i64, i64);

/// Reads all that a replay reads, and the pages that it changes: what is damaged fails here, before anything was written.
pub(super) fn rehearse(db: &Connection) -> Result<()> {
    // Columns that are not looked at the engine would not read. Put to text, a content is read to its end.
    for sql in [
        "SELECT count(value) FROM meta",
        "SELECT sum(length(content || '')), sum(length(attributes)), max(id) FROM journal",
        "SELECT count(l.time), sum(length(r.metadata || '')) FROM journal j LEFT JOIN rooms r ON r.id = j.room
         LEFT JOIN log l ON l.room = j.room AND l.seq = j.seq WHERE j.kind > 0",
        "SELECT count(m.read) FROM journal j LEFT JOIN marks m ON m.room = j.room AND m.user = j.sender",
        "SELECT count(m.room) FROM journal j LEFT JOIN marks m INDEXED BY marks_by_user
         ON m.user = j.sender AND m.room = j.room",
        "SELECT sum(length(t.content || '')) FROM journal j JOIN latest t ON t.room = j.room AND t.key = j.key",
    ] {
        db.query_row(sql, [], |_| Ok(()))?;
    }
    Ok(())
}

/// Replays the journal, in pieces that each stand for themselves: what a process that ended meanwhile did not get to is
/// still there. Gives the id of the last row there ever was.
pub(super) fn replay(db: &mut Connection) -> Result<i64> {
    let settled: i64 = db.query_row("SELECT value FROM meta WHERE name = 'settled'", [], |row| row.get(0))?;
    let last: Option<i64> = db.query_row("SELECT max(id) FROM journal", [], |row| row.get(0))?;
    let Some(last) = last else { return Ok(settled) };
    let last = last.max(settled);
    let mut done = settled;
    loop {
        let end = (done + BATCH).min(last);
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        replay_span(&transaction, (done, end))?;
        transaction.execute("DELETE FROM journal WHERE id <= ?1", [end])?;
        transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'settled'", [end])?;
        transaction.commit()?;
        done = end;
        if done == last {
            return Ok(last);
        }
    }
}

fn replay_span(db: &Connection, span: Span) -> Result<()> {
    let qualified = COLUMNS.split(", ").map(|column| format!("j.{column}")).collect::<Vec<_>>().join(", ");
    db.execute(
        &format!(
            "INSERT OR IGNORE INTO log SELECT {qualified} FROM journal j JOIN rooms r ON r.id = j.room
             WHERE j.id > ?1 AND j.id <= ?2 AND j.kind > 0 AND j.seq >= r.first ORDER BY j.room, j.seq"
        ),
        span,
    )?;
    replay_heads(db, span)?;
    replay_marks(db, span)?;
    replay_latest(db, span)
}

fn replay_heads(db: &Connection, span: Span) -> Result<()> {
    // With a bare column beside max(), SQLite takes it from the row of the maximum.
    db.execute(
        "UPDATE rooms SET head = n.seq, tag = n.tag, number = n.number, time = n.time
         FROM (SELECT room, max(seq) AS seq, tag, number, time FROM journal WHERE id > ?1 AND id <= ?2 AND kind > 0 GROUP BY room) n
         WHERE rooms.id = n.room AND n.seq > rooms.head",
        span,
    )?;
    db.execute(
        "UPDATE rooms SET last_message = n.seq
         FROM (SELECT room, max(seq) AS seq FROM journal WHERE id > ?1 AND id <= ?2 AND kind = 1 GROUP BY room) n
         WHERE rooms.id = n.room AND n.seq > rooms.last_message",
        span,
    )?;
    Ok(())
}

/// Marks, but of those who were erased after.
fn replay_marks(db: &Connection, span: Span) -> Result<()> {
    // Messages move their senders' marks, but those of services (they have a name); rows of kind 0 carry marks as they were
    // raised to.
    db.execute(
        "WITH erased AS MATERIALIZED (SELECT sender, max(id) AS id FROM journal
           WHERE kind = 0 AND room = 0 AND sender IS NOT NULL GROUP BY sender)
         INSERT INTO marks SELECT j.room, j.sender, max(j.seq), max(CASE j.kind WHEN 0 THEN j.target ELSE j.seq END),
           max(j.number) FROM journal j LEFT JOIN erased e ON e.sender = j.sender
         WHERE j.id > ?1 AND j.id <= ?2 AND (j.kind = 0 OR j.kind = 1 AND j.name IS NULL) AND j.room > 0
           AND j.id > coalesce(e.id, 0)
         GROUP BY j.room, j.sender
         ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered), read = max(read, excluded.read),
           read_number = max(read_number, excluded.read_number)",
        span,
    )?;
    db.execute(
        "WITH erased AS MATERIALIZED (SELECT sender, max(id) AS id FROM journal
           WHERE kind = 0 AND room = 0 AND sender IS NOT NULL GROUP BY sender)
         INSERT OR IGNORE INTO marks SELECT DISTINCT j.room, j.sender, 0, 0, 0
         FROM journal j LEFT JOIN erased e ON e.sender = j.sender
         WHERE j.id > ?1 AND j.id <= ?2 AND j.kind > 1 AND j.id > coalesce(e.id, 0)",
        span,
    )?;
    Ok(())
}

fn replay_latest(db: &Connection, span: Span) -> Result<()> {
    db.execute(
        "INSERT INTO latest SELECT room, key, max(seq), tag, sender, number, time, name, media_type, content,
           coalesce(version, 0) FROM journal WHERE id > ?1 AND id <= ?2 AND kind = 7 AND key IS NOT NULL GROUP BY room, key
         ON CONFLICT DO UPDATE SET seq = excluded.seq, tag = excluded.tag, sender = excluded.sender,
           number = excluded.number, time = excluded.time, name = excluded.name, media_type = excluded.media_type,
           content = excluded.content, by_service = excluded.by_service WHERE excluded.seq > latest.seq",
        span,
    )?;
    // Of keys that were emptied those gave way that were so first.
    db.execute(
        "WITH placed AS (SELECT room, key, row_number() OVER (PARTITION BY room ORDER BY content IS NULL, seq DESC) AS place
           FROM latest WHERE room IN (SELECT room FROM journal WHERE id > ?1 AND id <= ?2 AND kind = 7 AND key IS NOT NULL))
         DELETE FROM latest WHERE content IS NULL AND (room, key) IN (SELECT room, key FROM placed WHERE place > ?3)",
        (span.0, span.1, STATE_KEYS as i64),
    )?;
    Ok(())
}
