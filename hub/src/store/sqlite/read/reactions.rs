//! Reactions, summed up for the messages of a page.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::domain::entry::{Entry, EntryBody, ReactionKey};
use crate::domain::names::UserId;

use super::super::engine::{EngineError, Result};
use super::super::readers::Reader;
use crate::store::filling::Filling;
use crate::store::reactions;

impl Reader {
    /// Fills in the reactions to the messages of a page, one message after the other, as far as the page's bound allows.
    pub(super) fn add_reactions(&mut self, room: i64, page: &mut Filling<Entry>) -> Result<()> {
        let seqs = page.items.iter().filter(|entry| is_message(entry)).map(|entry| entry.seq.0 as i64);
        let (Some(least), Some(most)) = (seqs.clone().min(), seqs.max()) else { return Ok(()) };
        let (db, mut user) = self.with_names();
        // Most pages have none: one look says so.
        let reacted = reacted_seqs(db, room, (least, most))?;
        for index in 0..page.items.len() {
            let Some(entry) = page.items.get(index) else { break };
            if !is_message(entry) || reacted.binary_search(&(entry.seq.0 as i64)).is_err() {
                continue;
            }
            let keys = reactions_to(db, room, entry.seq.0 as i64, &mut user)?;
            if !page.complete(index, |entry| reactions::show(entry, keys)) {
                break;
            }
        }
        Ok(())
    }
}

fn is_message(entry: &Entry) -> bool {
    matches!(entry.body, EntryBody::Message(_))
}

/// The messages in a range that have reactions, in order.
fn reacted_seqs(db: &Connection, room: i64, (least, most): (i64, i64)) -> Result<Vec<i64>> {
    // Skips from message to message, whatever number of reactions each has.
    let mut next =
        db.prepare_cached("SELECT min(seq) FROM reactions WHERE room = ?1 AND seq >= ?2 AND seq <= ?3")?;
    let mut found = Vec::new();
    let mut from = least;
    while let Some(seq) = next.query_row((room, from, most), |row| row.get::<_, Option<i64>>(0))? {
        found.push(seq);
        from = seq + 1;
    }
    Ok(found)
}

fn reactions_to(
    db: &Connection,
    room: i64,
    seq: i64,
    user: &mut impl FnMut(i64) -> Result<UserId>,
) -> Result<BTreeMap<ReactionKey, Vec<UserId>>> {
    let mut statement =
        db.prepare_cached("SELECT key, user FROM reactions WHERE room = ?1 AND seq = ?2 ORDER BY key")?;
    let mut rows = statement.query((room, seq))?;
    let mut keys: BTreeMap<ReactionKey, Vec<UserId>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_str().map_err(|_| EngineError::Damaged("reaction"))?;
        let key = ReactionKey::parse(key).map_err(|_| EngineError::Damaged("reaction"))?;
        keys.entry(key).or_default().push(user(row.get(1)?)?);
    }
    Ok(keys)
}
