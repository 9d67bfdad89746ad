//! Reads of a room's log.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::content::Content;
use crate::domain::entry::{Entry, EntryBody, EventKey};
use crate::domain::names::RoomKey;
use crate::domain::position::{Position, Seq, Tag};
use crate::domain::time::Timestamp;
use crate::store::{EntryPage, EntryRange, PageBound};

use super::super::engine::{EngineError, Result};
use super::super::overlay::{Head, RoomOverlay};
use super::super::readers::Reader;
use super::super::rows::{COLUMNS, read_content, read_entry, read_event, seq};
use super::rooms::room_id;
use crate::store::filling::Filling;

/// What a page takes from the unsettled entries: its end for `After`, its beginning for `Before`.
struct Copied {
    head: Option<Head>,
    /// The oldest unsettled seq.
    first: Seq,
    entries: Vec<Arc<Entry>>,
}

impl Reader {
    /// A page of a room's log.
    pub(in super::super) fn entries(
        &mut self,
        key: &RoomKey,
        mut range: EntryRange,
        bound: PageBound,
    ) -> Result<EntryPage> {
        let (copied, row) = loop {
            let copied = self.copy_unsettled(key, range, bound);
            // The page is of the moment of the copy: the row's head is the copy's, and the settled one without a copy.
            let Some(row) = self.room_row(key, copied.head)? else {
                return Ok(EntryPage::empty(self.epoch));
            };
            let EntryRange::After(_) = range else { break (copied, row) };
            let first = row.room.first;
            if copied.entries.first().is_none_or(|entry| entry.seq >= first) {
                break (copied, row);
            }
            // The room was trimmed between the copy and the snapshot, past where the copy begins: it ends too early.
            range = EntryRange::After(Seq(first.0 - 1));
            self.begin_snapshot()?;
        };
        let head = row.head;
        let first = row.room.first.min(head.seq.next());
        let mut filling = Filling::new(bound);
        match range {
            EntryRange::After(after) => {
                let next = after.next().max(first);
                if next < copied.first {
                    self.fill_settled(
                        &mut filling,
                        row.id,
                        true,
                        (next, Seq(copied.first.0.min(head.seq.0 + 1))),
                    )?;
                }
                fill_copied(&mut filling, copied.entries, |seq| seq >= next);
            }
            EntryRange::Before(before) => {
                fill_copied(&mut filling, copied.entries, |seq| seq < before && seq >= first);
                let end = before.min(copied.first).min(head.seq.next());
                if !filling.full && end > first {
                    self.fill_settled(&mut filling, row.id, false, (first, end))?;
                }
            }
        }
        self.add_reactions(row.id, &mut filling)?;
        Ok(EntryPage {
            entries: filling.items,
            head: Position { epoch: self.epoch, seq: head.seq, tag: head.tag },
            head_number: head.number,
            first,
            more: filling.full,
        })
    }

    fn copy_unsettled(&self, key: &RoomKey, range: EntryRange, bound: PageBound) -> Copied {
        // One more than the page may hold shows that there is more.
        let most = bound.items.max(1) as usize + 1;
        let copy = |room: &RoomOverlay| {
            let first = room.first();
            let entries = match range {
                EntryRange::After(after) => {
                    let skipped = (after.0 + 1).saturating_sub(first.0) as usize;
                    room.entries.iter().skip(skipped).take(most).cloned().collect()
                }
                EntryRange::Before(before) => {
                    let kept = before.0.saturating_sub(first.0).min(room.entries.len() as u64) as usize;
                    room.entries.range(..kept).rev().take(most).cloned().collect()
                }
            };
            Copied { head: Some(room.head), first, entries }
        };
        let nothing = Copied { head: None, first: Seq(u64::MAX), entries: Vec::new() };
        self.overlay.look(key, copy).unwrap_or(nothing)
    }

    /// Takes settled entries of `from..end`, upwards or downwards.
    fn fill_settled(
        &mut self,
        filling: &mut Filling<Entry>,
        room: i64,
        up: bool,
        (from, end): (Seq, Seq),
    ) -> Result<()> {
        let epoch = self.epoch;
        let (db, mut user) = self.with_names();
        let order = if up { "ASC" } else { "DESC" };
        let mut statement = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM log WHERE room = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq {order} LIMIT ?4"
        ))?;
        let most = i64::from(filling.bound.items.max(1)) + 1;
        let mut rows = statement.query((room, from.0 as i64, end.0 as i64, most))?;
        while let Some(row) = rows.next()? {
            if !filling.take_entry(read_entry(row, epoch, &mut user)?) {
                break;
            }
        }
        Ok(())
    }

    /// One entry.
    pub(in super::super) fn entry(&mut self, key: &RoomKey, seq: Seq) -> Result<Option<Entry>> {
        let bound = PageBound { items: 1, bytes: usize::MAX };
        let Some(before) = seq.0.checked_sub(1) else { return Ok(None) };
        let page = self.entries(key, EntryRange::After(Seq(before)), bound)?;
        Ok(page.entries.into_iter().next().filter(|entry| entry.seq == seq))
    }

    /// The last event of each key, in order of seq.
    pub(in super::super) fn latest_events(&mut self, key: &RoomKey, bound: PageBound) -> Result<Vec<Entry>> {
        let copy = |room: &RoomOverlay| -> Vec<Arc<Entry>> { room.latest.values().cloned().collect() };
        let unsettled = self.overlay.look(key, copy).unwrap_or_default();
        let mut latest: BTreeMap<EventKey, Entry> = BTreeMap::new();
        if let Some(room) = room_id(&self.db, key)? {
            for entry in self.settled_latest(room)? {
                keep_latest(&mut latest, entry);
            }
        }
        for entry in unsettled {
            keep_latest(&mut latest, (*entry).clone());
        }
        let mut entries: Vec<Entry> = latest.into_values().collect();
        entries.sort_unstable_by_key(|entry| entry.seq);
        let mut filling = Filling::new(bound);
        for entry in entries {
            if !filling.take_entry(entry) {
                break;
            }
        }
        Ok(filling.items)
    }

    fn settled_latest(&mut self, room: i64) -> Result<Vec<Entry>> {
        let epoch = self.epoch;
        let (db, mut user) = self.with_names();
        let mut statement = db.prepare_cached(
            "SELECT key, seq, tag, sender, number, time, name, media_type, content, by_service
             FROM latest WHERE room = ?1",
        )?;
        let mut rows = statement.query([room])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let payload: Option<Content> = read_content(row.get_ref(7)?, row.get_ref(8)?)?;
            let name = row.get_ref(6)?.as_str().map_err(|_| EngineError::Damaged("event name"))?;
            found.push(Entry {
                epoch,
                seq: seq(row.get(1)?),
                tag: Tag(row.get::<_, i64>(2)? as u32),
                time: Timestamp(row.get(5)?),
                sender: user(row.get(3)?)?,
                number: row.get::<_, i64>(4)? as u64,
                body: EntryBody::Event(read_event((name, row.get(9)?), row.get_ref(0)?, payload)?),
            });
        }
        Ok(found)
    }
}

fn keep_latest(latest: &mut BTreeMap<EventKey, Entry>, entry: Entry) {
    if let EntryBody::Event(event) = &entry.body
        && let Some(key) = event.key.clone()
        && latest.get(&key).is_none_or(|kept| kept.seq <= entry.seq)
    {
        latest.insert(key, entry);
    }
}

fn fill_copied(filling: &mut Filling<Entry>, entries: Vec<Arc<Entry>>, wanted: impl Fn(Seq) -> bool) {
    if filling.full {
        return;
    }
    for entry in entries {
        if wanted(entry.seq) && !filling.take_entry((*entry).clone()) {
            break;
        }
    }
}
