//! Reads of a room's log.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::content::Content;
use crate::domain::entry::{Entry, EntryBody, EventKey, ReactionKey, ReactionSummary};
use crate::domain::names::{RoomKey, UserId};
use crate::domain::position::{Position, Seq, Tag};
use crate::domain::time::Timestamp;
use crate::store::{EntryPage, EntryRange, PageBound};

use super::super::engine::{EngineError, Result};
use super::super::overlay::{Head, RoomOverlay};
use super::super::readers::Reader;
use super::super::rows::{COLUMNS, read_content, read_entry, read_event, seq};
use super::rooms::room_id;

/// Users that a summary of reactions names.
const NAMED: usize = 20;

/// What a page takes from the unsettled entries: its end for `After`, its beginning for `Before`.
struct Copied {
    head: Option<Head>,
    /// The oldest unsettled seq.
    first: Seq,
    entries: Vec<Arc<Entry>>,
}

/// A page that is being filled.
struct Filling {
    bound: PageBound,
    bytes: usize,
    entries: Vec<Entry>,
    full: bool,
}

impl Filling {
    fn new(bound: PageBound) -> Self {
        Self { bound, bytes: 0, entries: Vec::new(), full: false }
    }

    /// Takes an entry; false where the page is full before it.
    fn take(&mut self, entry: Entry) -> bool {
        let size = content_bytes(&entry);
        let fits = self.entries.len() < self.bound.items.max(1) as usize
            && (self.entries.is_empty() || self.bytes + size <= self.bound.bytes);
        if fits {
            self.bytes += size;
            self.entries.push(entry);
        } else {
            self.full = true;
        }
        fits
    }
}

impl Reader {
    /// A page of a room's log.
    pub(in super::super) fn entries(
        &mut self,
        key: &RoomKey,
        range: EntryRange,
        bound: PageBound,
    ) -> Result<EntryPage> {
        let copied = self.copy_unsettled(key, range, bound);
        // The page is of the moment of the copy: the row's head is the copy's, and the settled one without a copy.
        let Some(row) = self.room_row(key, copied.head)? else { return Ok(EntryPage::empty(self.epoch)) };
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
        let mut entries = filling.entries;
        self.add_reactions(row.id, &mut entries)?;
        Ok(EntryPage {
            entries,
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
        filling: &mut Filling,
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
            if !filling.take(read_entry(row, epoch, &mut user)?) {
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
            if !filling.take(entry) {
                break;
            }
        }
        Ok(filling.entries)
    }

    fn settled_latest(&mut self, room: i64) -> Result<Vec<Entry>> {
        let epoch = self.epoch;
        let (db, mut user) = self.with_names();
        let mut statement = db.prepare_cached(
            "SELECT key, seq, tag, sender, number, time, name, media_type, content FROM latest WHERE room = ?1",
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
                body: EntryBody::Event(read_event(name, row.get_ref(0)?, payload)?),
            });
        }
        Ok(found)
    }

    /// Fills in the reactions to the messages of a page, with one scan.
    fn add_reactions(&mut self, room: i64, entries: &mut [Entry]) -> Result<()> {
        let is_message = |entry: &&Entry| matches!(entry.body, EntryBody::Message(_));
        let seqs = || entries.iter().filter(is_message).map(|entry| entry.seq.0);
        let (Some(least), Some(most)) = (seqs().min(), seqs().max()) else { return Ok(()) };
        let (db, mut user) = self.with_names();
        let mut statement = db.prepare_cached(
            "SELECT seq, key, user FROM reactions WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq, key",
        )?;
        let mut rows = statement.query((room, least as i64, most as i64))?;
        let mut found: BTreeMap<u64, BTreeMap<ReactionKey, Vec<UserId>>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let key = row.get_ref(1)?.as_str().map_err(|_| EngineError::Damaged("reaction"))?;
            let key = ReactionKey::parse(key).map_err(|_| EngineError::Damaged("reaction"))?;
            let users = found.entry(row.get::<_, i64>(0)? as u64).or_default().entry(key).or_default();
            users.push(user(row.get(2)?)?);
        }
        for entry in entries {
            if let (EntryBody::Message(message), Some(keys)) = (&mut entry.body, found.remove(&entry.seq.0)) {
                message.reactions = keys.into_iter().map(|(key, users)| summarise(key, users)).collect();
            }
        }
        Ok(())
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

fn fill_copied(filling: &mut Filling, entries: Vec<Arc<Entry>>, wanted: impl Fn(Seq) -> bool) {
    if filling.full {
        return;
    }
    for entry in entries {
        if wanted(entry.seq) && !filling.take((*entry).clone()) {
            break;
        }
    }
}

fn summarise(key: ReactionKey, mut users: Vec<UserId>) -> ReactionSummary {
    let count = users.len() as u32;
    users.sort_unstable();
    users.truncate(NAMED);
    ReactionSummary { key, count, users }
}

fn content_bytes(entry: &Entry) -> usize {
    let content = match &entry.body {
        EntryBody::Message(message) => message.content.as_ref(),
        EntryBody::Edit { content, .. } => content.as_ref(),
        EntryBody::Event(event) => event.payload.as_ref(),
        _ => None,
    };
    content.map_or(0, |content| content.as_bytes().len())
}
