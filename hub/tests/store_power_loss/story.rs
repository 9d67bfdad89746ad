//! Lives of a store between losses of power, and what must hold after each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::names::{IdempotencyKey, RoomKey, RoomName, TenantId, UserId};
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
use carillon_hub::domain::position::{Epoch, Position, Seq};
use carillon_hub::store::sqlite::{Options, SqliteStore};
use carillon_hub::store::{
    Change, CommitSink, Committed, EntryRange, Home, Idempotency, Outcome, PageBound, Store, Write,
};
use futures::StreamExt;
use futures::executor::block_on;
use futures::stream::FuturesUnordered;

use crate::disk::{Disk, Random};
use crate::vfs;

const ROOMS: u64 = 5;
const LIVES: u64 = 4;
const IN_FLIGHT: usize = 24;

pub(crate) struct Ignored;

impl CommitSink for Ignored {
    fn committed(&self, _changes: &[Change]) {}
}

/// What a story knows of its past.
pub(crate) struct Story {
    disk: Arc<Disk>,
    vfs: &'static str,
    folder: tempfile::TempDir,
    random: Random,
    sent: u64,
    /// Sends by their number: the room, and the place once it was acknowledged.
    sends: BTreeMap<u64, (u64, Option<Position>)>,
    /// Acknowledged deletions.
    deleted: Vec<(u64, Seq)>,
    epoch: Option<Epoch>,
}

impl Story {
    pub(crate) fn new(ignores_syncs: bool, seed: u64) -> Self {
        let disk = Arc::new(Disk::new(ignores_syncs));
        Self {
            vfs: vfs::register(Arc::clone(&disk)),
            disk,
            folder: tempfile::tempdir().unwrap(),
            random: Random(seed),
            sent: 0,
            sends: BTreeMap::new(),
            deleted: Vec::new(),
            epoch: None,
        }
    }

    fn options(&self) -> Options {
        let namespaces = Arc::new(Namespaces::new(vec![NamespaceRules::closed("room")]));
        Options {
            unsettled: 48,
            idle: Duration::from_millis(3),
            readers: 1,
            vfs: Some(self.vfs),
            ..Options::new(self.folder.path(), namespaces, Arc::new(Ignored))
        }
    }

    fn next(&mut self) -> Action {
        let mut acknowledged = self.sends.iter().filter_map(|(_, (room, at))| at.map(|at| (*room, at.seq)));
        if self.random.below(8) == 0
            && let Some((room, seq)) = acknowledged.next_back()
            && !self.deleted.contains(&(room, seq))
        {
            return Action::Delete(room, seq);
        }
        let (send, room) = (self.sent, self.random.below(ROOMS));
        self.sent += 1;
        self.sends.insert(send, (room, None));
        Action::Send(send, room)
    }
}

#[derive(Clone, Copy)]
enum Action {
    Send(u64, u64),
    Delete(u64, Seq),
}

impl Action {
    fn outcome(self) -> Outcome {
        let (room, body, key) = match self {
            Self::Send(send, room) => {
                let content = Content::text(&format!("message {send}"), "").unwrap();
                let body = EntryBody::Message(Message::new(content, None, Pairs::default()));
                (room, body, Some(format!("send-{send:06}")))
            }
            Self::Delete(room, seq) => (room, EntryBody::Deletion { target: seq }, None),
        };
        Outcome {
            tenant: TenantId::parse("acme").unwrap(),
            home: Home::Room(room_key(room).room),
            actor: UserId::parse("alice").unwrap(),
            by_service: false,
            idempotency: key.map(|key| Idempotency {
                key: IdempotencyKey::parse(Bytes::from(key)).unwrap(),
                fingerprint: 1,
            }),
            conditions: Vec::new(),
            writes: vec![Write::Append(body)],
            effects: Vec::new(),
        }
    }
}

fn room_key(room: u64) -> RoomKey {
    RoomKey {
        tenant: TenantId::parse("acme").unwrap(),
        room: RoomName::parse(&format!("room:{room}")).unwrap(),
    }
}

/// Lives some lives; gives how many outcomes were acknowledged and how often power was lost, or what was violated.
pub(crate) fn lives(story: &mut Story) -> Result<(u64, u64), String> {
    let (mut acknowledged, mut losses) = (0, 0);
    for life in 0..=LIVES {
        vfs::restart(story.vfs);
        let store = SqliteStore::open(&story.options()).map_err(|error| format!("life {life}: {error}"))?;
        if story.epoch.replace(store.epoch()).is_some_and(|epoch| epoch != store.epoch()) {
            return Err(format!("life {life}: the epoch changed"));
        }
        verify(story, &store).map_err(|violation| format!("life {life}: {violation}"))?;
        if life == LIVES {
            break;
        }
        story.disk.lose_power_after(200 + story.random.below(4_000));
        acknowledged += live(story, &store);
        losses += u64::from(story.disk.is_off());
        drop(store);
        story.disk.restore_power(&mut story.random);
    }
    Ok((acknowledged, losses))
}

/// Sends until the power goes.
fn live(story: &mut Story, store: &SqliteStore) -> u64 {
    let mut acknowledged = 0;
    block_on(async {
        let act = |action: Action| {
            let committed = store.commit(action.outcome());
            async move { (action, committed.await) }
        };
        let mut pending: FuturesUnordered<_> = (0..IN_FLIGHT).map(|_| act(story.next())).collect();
        while let Some((action, committed)) = pending.next().await {
            let Ok(committed) = committed else { continue };
            acknowledged += 1;
            match action {
                Action::Send(send, room) => _ = story.sends.insert(send, (room, Some(committed.position))),
                Action::Delete(room, seq) => story.deleted.push((room, seq)),
            }
            pending.push(act(story.next()));
        }
    });
    acknowledged
}

/// What must hold of everything that was ever acknowledged.
fn verify(story: &mut Story, store: &SqliteStore) -> Result<(), String> {
    for room in 0..ROOMS {
        let bound = PageBound { items: 1_000_000, bytes: usize::MAX };
        let page = block_on(store.entries(&room_key(room), EntryRange::After(Seq(0)), bound));
        let page = page.map_err(|error| error.to_string())?;
        let mut places = HashMap::new();
        for (entry, seq) in page.entries.iter().zip(1..) {
            if entry.seq != Seq(seq) {
                return Err(format!("room {room}: {seq} is missing"));
            }
            if let EntryBody::Message(message) = &entry.body {
                match &message.content {
                    Some(content) => _ = places.insert(content.as_bytes().to_vec(), entry.position()),
                    None => continue,
                }
            }
            let deleted = story.deleted.contains(&(room, entry.seq));
            if deleted {
                return Err(format!("room {room}: the deletion of {seq} was lost"));
            }
        }
        let alive = page
            .entries
            .iter()
            .filter(|entry| matches!(&entry.body, EntryBody::Message(message) if message.content.is_some()));
        if alive.count() != places.len() {
            return Err(format!("room {room}: a message is there twice"));
        }
        if page.entries.len() as u64 != page.head.seq.0 {
            return Err(format!("room {room}: the head is {} of {}", page.head.seq.0, page.entries.len()));
        }
        for (send, (_, position)) in story.sends.iter().filter(|(_, (at, _))| *at == room) {
            let Some(position) = position else { continue };
            let blanked = page.entries.get(position.seq.0 as usize - 1).is_some_and(|entry| {
                entry.tag == position.tag
                    && matches!(&entry.body, EntryBody::Message(message) if message.content.is_none())
            });
            let found = places.get(format!("message {send}").as_bytes());
            if !blanked && found != Some(position) {
                return Err(format!("room {room}: send {send} at {} is {found:?}", position.seq.0));
            }
        }
    }
    retry_all(story, store)
}

/// Every send again: what was acknowledged is a duplicate with its place; what was not is there once now.
fn retry_all(story: &mut Story, store: &SqliteStore) -> Result<(), String> {
    for (send, (room, position)) in &mut story.sends {
        let outcome = Action::Send(*send, *room).outcome();
        let committed: Committed = block_on(store.commit(outcome)).map_err(|error| error.to_string())?;
        match position {
            Some(position) if !committed.duplicate || committed.position != *position => {
                return Err(format!("send {send} was committed again"));
            }
            _ => *position = Some(committed.position),
        }
    }
    Ok(())
}
