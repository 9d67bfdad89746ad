//! A room that somebody follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use carillon_proto::Frame;
use parking_lot::{Mutex, RwLock};
use tokio::sync::OnceCell;

use crate::bus::Topic;
use crate::bus::feed::{Feed, Hold};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::few;
use crate::domain::member::Role;
use crate::domain::names::{RoomKey, SessionId, UserId};
use crate::domain::position::{Position, Seq};
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

use super::follower::Follower;
use super::mailbox::Signal;
use super::marks::ToldMarks;
use super::tail::{Past, Tail};
use super::tally::Turn;

/// The followers of one room on one runtime. They are changed by that runtime alone; its fan-out and others, which look
/// for a user that is removed, only read, so that they never wait for each other.
#[derive(Default)]
struct Followers {
    list: RwLock<Vec<Arc<Follower>>>,
    count: AtomicUsize,
    /// Bytes of the room's broadcasts that wait for the runtime; changed under its inbox' lock.
    waiting_bytes: AtomicUsize,
    wakeup_under_way: AtomicBool,
}

struct State {
    head: Position,
    tail: Tail,
}

/// A room's head, tail and followers.
pub struct ActiveRoom {
    /// Its name.
    pub key: RoomKey,
    state: Mutex<State>,
    /// Whether the head is known; with what keeps the room followed where other nodes write to it too.
    loaded: OnceCell<Option<Hold>>,
    /// Its log is another one now: whoever follows it ends, and begins anew in another room of this name.
    is_over: AtomicBool,
    followers: Box<[Followers]>,
    /// What followers were told of marks, where there are other nodes.
    pub(super) marks: ToldMarks,
    idle_since: AtomicI64,
}

impl ActiveRoom {
    /// A room whose head is not known yet, for this many runtimes.
    pub fn new(key: RoomKey, shards: usize) -> Self {
        Self {
            key,
            state: Mutex::new(State { head: Position::default(), tail: Tail::default() }),
            loaded: OnceCell::new(),
            is_over: AtomicBool::new(false),
            followers: (0..shards).map(|_| Followers::default()).collect(),
            marks: ToldMarks::default(),
            idle_since: AtomicI64::new(Timestamp::now().millis()),
        }
    }

    /// Learns the head, once: from the store, or from `feed`, which tells everything that is committed after it. The room
    /// must be in the map before, so that what is committed meanwhile is not missed: the later of both is the head.
    pub async fn load(&self, store: &dyn Store, feed: Option<&Feed>) -> Result<(), StoreError> {
        let load = || async {
            let (hold, head) = match feed {
                None => {
                    let stored = store.room(&self.key).await?;
                    let beginning = Position { epoch: store.epoch(), ..Position::default() };
                    (None, stored.map_or(beginning, |room| room.head))
                }
                Some(feed) => {
                    let topic = Topic::Room(self.key.clone());
                    let hold = feed.follow(topic.clone()).await.map_err(|_| StoreError::Unavailable)?;
                    // It has begun anew just now.
                    let head = feed.position(&topic).ok_or(StoreError::Unavailable)?;
                    (Some(hold), head)
                }
            };
            let mut state = self.state.lock();
            if state.head.seq < head.seq || state.head.seq == Seq(0) {
                state.head = head;
                state.tail.reset(head.seq);
            }
            Ok(hold)
        };
        self.loaded.get_or_try_init(load).await.map(|_| ())
    }

    /// The last entry.
    pub fn head(&self) -> Position {
        self.state.lock().head
    }

    /// Adds a follower and gives the head: every entry after it wakes the follower.
    pub fn follow(&self, shard: usize, follower: &Arc<Follower>) -> Position {
        if let Some(followers) = self.followers.get(shard) {
            let mut list = followers.list.write();
            follower.set_index(list.len());
            few::push(&mut list, Arc::clone(follower));
            followers.count.store(list.len(), Ordering::SeqCst);
        }
        // Whoever ended the others did not see this one, perhaps.
        if self.is_over.load(Ordering::SeqCst) {
            follower.mailbox.signal(Signal::Close(begin_anew()));
        }
        self.head()
    }

    /// Its log is another one than was told: everybody who follows it ends, and resumes, which shows them.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        for followers in &self.followers {
            for follower in followers.list.read().iter() {
                follower.mailbox.signal(Signal::Close(begin_anew()));
            }
        }
    }

    /// Removes a follower; harmless where it is gone already.
    pub fn unfollow(&self, shard: usize, follower: &Arc<Follower>, now: Timestamp) {
        if let Some(followers) = self.followers.get(shard) {
            let mut list = followers.list.write();
            let index = follower.index();
            if list.get(index).is_some_and(|found| Arc::ptr_eq(found, follower)) {
                list.swap_remove(index);
                if let Some(moved) = list.get(index) {
                    moved.set_index(index);
                }
                if list.capacity() > 16 && list.len() < list.capacity() / 4 {
                    list.shrink_to_fit();
                }
            }
            followers.count.store(list.len(), Ordering::SeqCst);
        }
        if self.follower_count() == 0 {
            self.idle_since.store(now.millis(), Ordering::Relaxed);
        }
    }

    /// Removes the followers of a session that will not do it itself. Looks through all of the runtime's.
    pub fn unfollow_session(&self, shard: usize, session: SessionId, now: Timestamp) {
        let Some(followers) = self.followers.get(shard) else { return };
        let of_session = |follower: &&Arc<Follower>| follower.mailbox.session() == session;
        let found: Vec<_> = followers.list.read().iter().filter(of_session).cloned().collect();
        for follower in found {
            self.unfollow(shard, &follower, now);
        }
    }

    /// Sessions that follow it.
    pub fn follower_count(&self) -> usize {
        self.followers.iter().map(|followers| followers.count.load(Ordering::SeqCst)).sum()
    }

    /// How many of them a runtime has.
    pub fn followers_in(&self, shard: usize) -> usize {
        self.followers.get(shard).map_or(0, |followers| followers.count.load(Ordering::SeqCst))
    }

    /// Whether a runtime has followers.
    pub fn has_followers_in(&self, shard: usize) -> bool {
        self.followers_in(shard) > 0
    }

    /// Bytes of the room's broadcasts that wait for a runtime.
    pub(super) fn waiting_bytes(&self, shard: usize) -> usize {
        self.followers.get(shard).map_or(0, |followers| followers.waiting_bytes.load(Ordering::Relaxed))
    }

    pub(super) fn add_waiting_bytes(&self, shard: usize, bytes: usize) {
        if let Some(followers) = self.followers.get(shard) {
            followers.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn remove_waiting_bytes(&self, shard: usize, bytes: usize) {
        if let Some(followers) = self.followers.get(shard) {
            followers.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Nobody has followed it since.
    pub fn idle_since(&self) -> Option<Timestamp> {
        (self.follower_count() == 0).then(|| Timestamp(self.idle_since.load(Ordering::Relaxed)))
    }

    /// Notes that a wake-up is on its way to a runtime; `false` where one is already.
    pub fn begin_wakeup(&self, shard: usize) -> bool {
        self.followers.get(shard).is_some_and(|f| !f.wakeup_under_way.swap(true, Ordering::SeqCst))
    }

    /// A wake-up has come to a runtime: what is appended from now on sends another.
    pub fn take_wakeup(&self, shard: usize) {
        if let Some(followers) = self.followers.get(shard) {
            followers.wakeup_under_way.store(false, Ordering::SeqCst);
        }
    }

    /// Brings what the log has to no more than `most` of a runtime's followers, on that runtime: the last ones before place `end`
    /// of its list. Gives the place of the first of them, which is where to go on. From the end on, so that nobody is passed over
    /// where others come and leave meanwhile: whoever leaves gives their place to the last one.
    pub fn deliver_before(&self, shard: usize, end: usize, most: usize, turn: &mut Turn) -> usize {
        let Some(followers) = self.followers.get(shard) else { return 0 };
        let (head, frame) = {
            let state = self.state.lock();
            (state.tail.head(), state.tail.last().cloned())
        };
        let list = followers.list.read();
        let end = end.min(list.len());
        let begin = end.saturating_sub(most);
        let part = list.get(begin..end).unwrap_or_default();
        // What each of them is about to touch comes from memory for all of them at once.
        std::hint::black_box(part.iter().fold(0, |all, follower| all ^ follower.cursor().0));
        std::hint::black_box(part.iter().filter(|follower| follower.mailbox.rests()).count());
        for follower in part {
            follower.deliver(head, frame.as_ref(), turn);
        }
        begin
    }

    /// Calls `each` for a runtime's followers, on that runtime. It must not wait.
    pub fn for_each_follower(&self, shard: usize, each: impl FnMut(&Arc<Follower>)) {
        if let Some(followers) = self.followers.get(shard) {
            followers.list.read().iter().for_each(each);
        }
    }

    /// Takes a committed entry, which is the message at `about` or changes it; 0 for neither. `frame` is there where
    /// somebody followed when it was asked for.
    pub fn append(&self, position: Position, about: Seq, now: Timestamp, frame: Option<Frame>) {
        let mut state = self.state.lock();
        if position.seq <= state.head.seq {
            return;
        }
        state.head = position;
        match frame {
            Some(frame) => state.tail.push(position.seq, about, now, frame),
            None => state.tail.reset(position.seq),
        }
    }

    /// The log has got to `head`, and what is before it is in the store alone. Whether that is new.
    pub fn move_on(&self, head: Position) -> bool {
        let mut state = self.state.lock();
        let is_new = state.head.seq < head.seq;
        if is_new {
            state.head = head;
            state.tail.reset(head.seq);
        }
        is_new
    }

    /// What is kept of the message at `target`, and of what changed it, no longer reads as it was sent: whoever has not
    /// got it yet gets what `revise` makes of it, or where that is nothing reads it from the store.
    pub fn revise(&self, target: Seq, revise: impl FnMut(Seq, &Frame) -> Option<Frame>) {
        self.state.lock().tail.revise(target, revise);
    }

    /// Drops the tail, or what of it is older than `moment`.
    pub fn shrink(&self, moment: Option<Timestamp>) {
        let mut state = self.state.lock();
        match moment {
            Some(moment) => state.tail.drop_older_than(moment),
            None => {
                let head = state.head.seq;
                state.tail.reset(head);
            }
        }
    }

    /// The user's membership is another one from `seq` on: of this role, or where there is none ended, so that none of their
    /// sessions sees anything later.
    pub fn change_member(&self, user: &UserId, seq: Seq, role: Option<Role>) {
        self.for_each_of(user, |follower| follower.member_changed(seq, role));
    }

    fn for_each_of(&self, user: &UserId, each: impl Fn(&Follower)) {
        for followers in &self.followers {
            let list = followers.list.read();
            list.iter().filter(|follower| follower.mailbox.user().user == *user).for_each(|f| each(f));
        }
    }

    /// Hands what lies past `cursor` to `take` while it wants more.
    pub fn pull(&self, cursor: &mut Seq, until: Seq, take: impl FnMut(&Frame) -> bool) -> Past {
        self.state.lock().tail.pull(cursor, until, take)
    }
}

/// What a session is told whose client must begin anew: it reconnects, resumes, and is told what is not as it was.
pub(super) fn begin_anew() -> Refusal {
    ErrorCode::Unavailable.into()
}
