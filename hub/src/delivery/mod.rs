//! From a committed entry to the sessions that follow its room.
//!
//! A room that is followed has a [`room::ActiveRoom`]: its head, and a [`tail::Tail`] of the last entries, each already
//! encoded. A session that follows it holds a cursor and a [`follower::Follower`]. What the store commits comes in through
//! [`Delivery::committed`](crate::store::CommitSink): the entry goes into the tail, and each runtime that has followers
//! gets one wake-up ([`shard::Shard`]); there the followers' [`mailbox::Mailbox`]es learn that the room has something
//! past their cursor. The session then pulls from the tail, or from the store where the tail begins too late. Join,
//! resume, slow reader and lost wake-up are that one path. One entry for a session that has nothing else to say or to do goes
//! out at once, past its task, where its front offers a way ([`rest`]).
//!
//! What is not in a log (ephemeral events, typing, presence, notifications) goes the same way and into the mailboxes
//! themselves, bounded in bytes and merged by key.
//!
//! Where other nodes write to the store too, a [`Feed`] tells what they commit as if it had been committed here, and what
//! is in no log is handed to them as ready frames ([`elsewhere`]).

mod elsewhere;
pub mod encoder;
pub mod follower;
pub mod mailbox;
mod marks;
mod merging;
mod missed;
pub mod registry;
mod rest;
mod restart;
pub mod room;
pub mod rooms;
pub mod shard;
mod sink;
pub mod tail;
pub mod tally;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use carillon_proto::Frame;

use crate::bus::feed::Feed;
use crate::domain::names::{RoomKey, SessionId, UserId, UserKey};
use crate::domain::namespace::Namespaces;

use crate::domain::push::Push;
use crate::store::{Store, StoreError};

use encoder::FrameEncoder;
use mailbox::MergeKey;
pub use missed::Missed;
use missed::MissedRooms;
use registry::Registry;
use room::ActiveRoom;
use rooms::Rooms;
use shard::{Shard, Wakeup};
pub use sink::LatestMessage;
use sink::{ChangedInboxes, ReadRooms, UnreadRooms};

/// Which followers of a room a broadcast is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// All.
    All,
    /// All but this session.
    Except(SessionId),
    /// All but this user's sessions.
    Others(UserId),
    /// Those that asked for presence.
    PresenceFollowers,
}

/// Something for all followers of a room that is no entry of its log.
#[derive(Clone)]
pub struct Broadcast {
    /// What.
    pub frame: Frame,
    /// What of it that still waits is replaced by it.
    pub merge: Option<MergeKey>,
    /// For whom.
    pub to: To,
    /// Whether it tells of the hub's own state, as presence, typing and marks do: it is never refused, as nobody could
    /// be told so. It has a merge key, of which there are no more than that state has subjects.
    pub of_state: bool,
}

/// The handle that areas' outcomes and sessions share.
pub struct Delivery {
    rooms: Rooms,
    registry: Arc<Registry>,
    shards: Vec<Arc<Shard>>,
    encoder: Arc<dyn FrameEncoder>,
    namespaces: Arc<Namespaces>,
    unread: UnreadRooms,
    read: ReadRooms,
    inboxes: ChangedInboxes,
    /// Rooms where marks may have been missed.
    missed: MissedRooms,
    /// Rooms whose members' unread counts may have changed unheard.
    missed_counts: MissedRooms,
    large_room: usize,
    epoch: AtomicU64,
    /// What other nodes commit comes from there; not set where there are none.
    feed: OnceLock<Feed>,
}

impl Delivery {
    /// For `shards` runtimes; each runs [`Shard::run`] of its own. Rooms with more followers than `large_room` are told
    /// of neither marks nor typing.
    pub fn new(
        shards: usize,
        namespaces: Arc<Namespaces>,
        encoder: Arc<dyn FrameEncoder>,
        large_room: usize,
    ) -> Self {
        let registry = Arc::new(Registry::new(shards));
        let shard = |index| Arc::new(Shard::new(index, Arc::clone(&registry)));
        Self {
            rooms: Rooms::new(shards),
            shards: (0..shards).map(shard).collect(),
            registry,
            encoder,
            namespaces,
            unread: UnreadRooms::default(),
            read: ReadRooms::default(),
            inboxes: ChangedInboxes::default(),
            missed: MissedRooms::default(),
            missed_counts: MissedRooms::default(),
            large_room,
            epoch: AtomicU64::new(0),
            feed: OnceLock::new(),
        }
    }

    /// Other nodes write to the store too, and `feed` tells what.
    pub fn join(&self, feed: Feed) {
        self.feed.get_or_init(|| feed);
    }

    /// What tells of other nodes, where there are any.
    pub fn feed(&self) -> Option<&Feed> {
        self.feed.get()
    }

    /// The runtimes' shards, in order.
    pub fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// Live sessions by user.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The rooms that somebody follows, or did a while ago.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// What makes frames.
    pub fn encoder(&self) -> &dyn FrameEncoder {
        &*self.encoder
    }

    /// Rooms with messages since the last call, whose members may want to know their unread counts, each with its
    /// latest message.
    pub fn take_unread_rooms(&self) -> Vec<(RoomKey, LatestMessage)> {
        self.unread.take()
    }

    /// Connected users who have read since the last call, each with the room.
    pub fn take_read_rooms(&self) -> Vec<(RoomKey, UserId)> {
        self.read.take()
    }

    /// Connected users whose inboxes changed since the last call.
    pub fn take_changed_inboxes(&self) -> Vec<UserKey> {
        self.inboxes.take(&self.registry)
    }

    /// Whether a room has too many followers for marks and typing to be passed on.
    pub fn is_large(&self, room: &ActiveRoom) -> bool {
        room.follower_count() > self.large_room
    }

    /// The room, ready to be followed: everything that is committed after its head will be told.
    pub async fn activate(&self, key: &RoomKey, store: &dyn Store) -> Result<Arc<ActiveRoom>, StoreError> {
        let room = self.rooms.get_or_insert(key);
        room.load(store, self.feed()).await?;
        Ok(room)
    }

    /// The room, ready to be followed, where it keeps no log.
    pub async fn activate_ephemeral(
        &self,
        key: &RoomKey,
        store: &dyn Store,
    ) -> Result<Arc<ActiveRoom>, StoreError> {
        match self.feed() {
            None => Ok(self.rooms.get_or_insert(key)),
            Some(_) => self.activate(key, store).await,
        }
    }

    /// Sends to the room's followers. Nobody follows: nothing happens. `false` where a runtime is too far behind to
    /// take more, and so nothing was sent to those of it.
    pub fn broadcast(&self, key: &RoomKey, broadcast: &Broadcast) -> bool {
        match self.rooms.get(key) {
            Some(room) => self.broadcast_in(&room, broadcast),
            None => true,
        }
    }

    fn broadcast_in(&self, room: &Arc<ActiveRoom>, broadcast: &Broadcast) -> bool {
        let mut taken = true;
        for (index, shard) in self.shards.iter().enumerate() {
            if room.has_followers_in(index) {
                taken &= shard.send(Wakeup::Broadcast(Arc::clone(room), broadcast.clone()));
            }
        }
        taken
    }

    /// Sends to every session of a user.
    pub fn send_to_user(&self, user: &UserKey, push: &Push, merge: Option<MergeKey>) {
        let sessions = self.registry.sessions_of(user);
        if sessions.is_empty() {
            return;
        }
        let frame = self.encoder.push(push);
        for mailbox in sessions {
            mailbox.push(frame.clone(), merge);
        }
    }

    /// Tells the runtimes with followers of `room` that its log has grown.
    fn wake_followers(&self, room: &Arc<ActiveRoom>) {
        for (index, shard) in self.shards.iter().enumerate() {
            if room.has_followers_in(index) && room.begin_wakeup(index) {
                shard.send(Wakeup::Entries(Arc::clone(room)));
            }
        }
    }
}
