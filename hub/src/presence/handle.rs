//! Presence of all tenants, for the rest of the hub.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::board::{Board, Page};
use super::nodes::Nodes;
use super::notice::{Notice, NoticeSink};
use super::options::Options;
use super::typing::Typing;
use crate::domain::names::{InstanceId, RoomKey, SessionId, TenantId, UserId, UserKey};
use crate::domain::presence::{Status, UserState};
use crate::domain::push::Push;
use crate::domain::time::{Moment, Now};

mod elsewhere;

/// Tenants are spread over this many locks. More than the cores of most machines, so that they seldom meet.
const SHARDS: usize = 32;
/// Notices of one shard that may wait while another thread passes on those before them; whoever adds to more waits
/// until that thread has taken them.
pub(super) const WAITING_NOTICES: usize = 4_096;
/// Notices after which a thread passes on no more: what others go on adding is theirs.
pub(super) const TURN_NOTICES: usize = 4_096;

/// The handle: cheap to clone. See [`Board`] for what the methods mean.
///
/// A shard is locked while state changes, not while notices are passed on. Notices of a shard queue up in the order
/// of the changes; the thread that finds nobody passing them on does so until none are left, its own among them. So a
/// method may return before its notices, which another thread has taken on, have arrived. A thread that others keep busy
/// gives up its turn: the next that changes something goes on, or [`Self::tick`] where nobody does.
#[derive(Clone)]
pub struct Presence {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    sink: Arc<dyn NoticeSink>,
    /// See [`TURN_NOTICES`].
    turn: usize,
    hasher: RandomState,
    shards: Vec<Shard>,
    /// Where other nodes have sessions of the same tenants.
    nodes: Option<Arc<Nodes>>,
}

struct Shard {
    state: Mutex<State>,
    /// Woken when waiting notices were taken.
    taken: Condvar,
}

struct State {
    boards: HashMap<TenantId, Board>,
    /// The boards with a deadline, by deadline.
    due: BTreeSet<(Moment, TenantId)>,
    typing: Typing,
    waiting: Vec<Notice>,
    /// Whether a thread is passing on what waits.
    delivering: bool,
}

impl Presence {
    /// Nobody is there. What others are to be told goes to `sink`.
    pub fn new(options: Options, sink: Arc<dyn NoticeSink>) -> Self {
        Self::with_turn(options, sink, TURN_NOTICES)
    }

    /// The same, where a thread passes on no more than so many notices.
    pub(super) fn with_turn(options: Options, sink: Arc<dyn NoticeSink>, turn: usize) -> Self {
        Self::begin(options, sink, turn, None)
    }

    /// The same, where other nodes have sessions of the same tenants; this one is `node` to them.
    pub fn shared(options: Options, sink: Arc<dyn NoticeSink>, node: u64) -> Self {
        let options = Options { shared: true, ..options };
        Self::begin(options, sink, TURN_NOTICES, Some(Arc::new(Nodes::new(node))))
    }

    fn begin(options: Options, sink: Arc<dyn NoticeSink>, turn: usize, nodes: Option<Arc<Nodes>>) -> Self {
        let shard = || Shard { state: Mutex::new(State::new(&options)), taken: Condvar::new() };
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        Self { inner: Arc::new(Inner { options, sink, turn, hasher: RandomState::new(), shards, nodes }) }
    }

    /// A session of the user opened. Where it replaces another, [`Self::disconnect`] that one first.
    pub fn connect(&self, user: &UserKey, session: SessionId, now: Now) {
        self.connect_as(user, session, None, now);
    }

    /// The same, of a named instance: it replaces a session of the same on another node.
    pub fn connect_as(&self, user: &UserKey, session: SessionId, instance: Option<&InstanceId>, now: Now) {
        if let Some(nodes) = &self.inner.nodes {
            nodes.follow(&user.tenant);
        }
        let instance = instance.map_or(0, InstanceId::mark);
        self.change(&user.tenant, |board| board.connect_as(session, &user.user, instance, now));
    }

    /// The session was lost: its grace begins.
    pub fn disconnect(&self, tenant: &TenantId, session: SessionId, now: Now) {
        self.change(tenant, |board| board.disconnect(session, now));
    }

    /// The session ended on purpose: goodbye, kick, revocation.
    pub fn close(&self, tenant: &TenantId, session: SessionId, now: Now) {
        self.change(tenant, |board| board.close(session, now));
    }

    /// The session joined the room. Register it with delivery before, and take the [`Self::snapshot`] after: then
    /// nothing is missed between the two.
    pub fn join(&self, room: &RoomKey, session: SessionId, wants_presence: bool, now: Now) {
        self.change(&room.tenant, |board| board.join(&room.room, session, wants_presence, now));
    }

    /// The session left the room.
    pub fn leave(&self, room: &RoomKey, session: SessionId, now: Now) {
        self.change(&room.tenant, |board| board.leave(&room.room, session, now));
    }

    /// The session's device shows this status and text.
    pub fn set(&self, tenant: &TenantId, session: SessionId, status: Status, text: &str, now: Now) {
        self.change(tenant, |board| board.set(session, status, text, now));
    }

    /// The session watches these users instead of those before, and is told how each is now.
    pub fn watch(&self, tenant: &TenantId, session: SessionId, users: &[UserId]) {
        self.change(tenant, |board| board.watch(session, users));
    }

    /// The session did something at `now`.
    pub fn touch(&self, tenant: &TenantId, session: SessionId, now: Now) {
        if let Some(board) = self.shard(tenant).state.lock().boards.get_mut(tenant) {
            board.touch(session, now);
            if let Some(nodes) = self.inner.nodes.as_ref().filter(|_| board.has_changed()) {
                nodes.note_changed(tenant);
            }
        }
    }

    /// The user types in the room, or no longer; the latter to be called too where the user leaves the room. In large
    /// rooms typing is dropped.
    pub fn typing(&self, room: &RoomKey, user: &UserId, active: bool, now: Now) {
        let shard = self.shard(&room.tenant);
        let mut state = shard.state.lock();
        let large = state.boards.get(&room.tenant).is_some_and(|board| board.is_large(&room.room));
        let push = state.typing.set(room, user, active && !large, now.moment);
        state.waiting.extend(push.and_then(|push| typing_notice(room.clone(), push)));
        self.pass_on(shard, state);
    }

    /// How the user is now.
    pub fn state(&self, user: &UserKey) -> UserState {
        let state = self.shard(&user.tenant).state.lock();
        let board = state.boards.get(&user.tenant);
        board.map_or_else(|| UserState::offline(user.user.clone()), |board| board.state(&user.user))
    }

    /// How many are present in the room.
    pub fn occupancy(&self, room: &RoomKey) -> u32 {
        self.read(room, |board| board.occupancy(&room.room))
    }

    /// Whether the room has so many present that neither single changes nor marks nor typing are told.
    pub fn is_large(&self, room: &RoomKey) -> bool {
        self.read(room, |board| board.is_large(&room.room))
    }

    /// The first who are present in the room.
    pub fn snapshot(&self, room: &RoomKey, limit: usize) -> Page {
        self.page(room, None, limit)
    }

    /// At most `limit` who are present in the room, those whose ids come after `after`.
    pub fn page(&self, room: &RoomKey, after: Option<&UserId>, limit: usize) -> Page {
        self.read(room, |board| board.page(&room.room, after, limit))
    }

    /// Ends what is over at `now`. Costs a lock per shard where nothing is due.
    pub fn tick(&self, now: Now) {
        for shard in &self.inner.shards {
            while self.tick_one(shard, now) {}
        }
    }

    /// When [`Self::tick`] has something to do; it may become earlier with any change.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.inner.shards.iter().filter_map(|shard| shard.state.lock().next_deadline()).min()
    }

    /// Whether nobody is there, and nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.inner.shards.iter().all(|shard| shard.state.lock().is_empty())
    }

    /// One board at a time, so that nobody waits for the lock while hundreds tick. Returns whether more may be due.
    fn tick_one(&self, shard: &Shard, now: Now) -> bool {
        let mut state = shard.state.lock();
        let over = state.typing.tick(now.moment);
        state.waiting.extend(over.into_iter().filter_map(|(room, push)| typing_notice(room, push)));
        let due = state.due.first().filter(|(when, _)| *when <= now.moment).map(|(_, tenant)| tenant.clone());
        if let Some(tenant) = &due {
            let has_changed = state.change(tenant, self.inner.options, |board| board.tick(now));
            if let Some(nodes) = self.inner.nodes.as_ref().filter(|_| has_changed) {
                nodes.note_changed(tenant);
            }
        }
        self.pass_on(shard, state);
        due.is_some()
    }

    fn shard(&self, tenant: &TenantId) -> &Shard {
        // Within bounds: `new` makes `SHARDS` of them.
        let index = self.inner.hasher.hash_one(tenant) as usize % SHARDS;
        &self.inner.shards[index]
    }

    fn read<T: Default>(&self, room: &RoomKey, read: impl FnOnce(&Board) -> T) -> T {
        self.shard(&room.tenant).state.lock().boards.get(&room.tenant).map(read).unwrap_or_default()
    }

    fn change(&self, tenant: &TenantId, change: impl FnOnce(&mut Board) -> Vec<Notice>) {
        let shard = self.shard(tenant);
        let mut state = shard.state.lock();
        let has_changed = state.change(tenant, self.inner.options, change);
        if let Some(nodes) = self.inner.nodes.as_ref().filter(|_| has_changed) {
            nodes.note_changed(tenant);
        }
        self.pass_on(shard, state);
    }

    /// Passes on what waits, unless another thread does.
    fn pass_on(&self, shard: &Shard, mut state: MutexGuard<'_, State>) {
        if state.delivering {
            shard
                .taken
                .wait_while(&mut state, |state| state.delivering && state.waiting.len() > WAITING_NOTICES);
        }
        if state.delivering || state.waiting.is_empty() {
            return;
        }
        state.delivering = true;
        let mut notices = std::mem::take(&mut state.waiting);
        drop(state);
        let mut turn = Turn { shard, left: self.inner.turn };
        while !notices.is_empty() {
            turn.left = turn.left.saturating_sub(notices.len());
            for notice in notices {
                self.inner.sink.deliver(notice);
            }
            notices = turn.next();
        }
    }
}

/// A thread's turn to pass on what waits in a shard.
struct Turn<'a> {
    shard: &'a Shard,
    /// Notices that it may still take.
    left: usize,
}

impl Turn<'_> {
    /// What came meanwhile; the turn is over where that is nothing, or where it has passed on enough.
    fn next(&self) -> Vec<Notice> {
        let mut state = self.shard.state.lock();
        state.delivering = self.left > 0 && !state.waiting.is_empty();
        self.shard.taken.notify_all();
        if state.delivering { std::mem::take(&mut state.waiting) } else { Vec::new() }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // A sink that panics loses its notice, not the shard.
        if std::thread::panicking() {
            self.shard.state.lock().delivering = false;
            self.shard.taken.notify_all();
        }
    }
}

impl State {
    fn new(options: &Options) -> Self {
        Self {
            boards: HashMap::new(),
            due: BTreeSet::new(),
            typing: Typing::new(options.typing_expiry),
            waiting: Vec::new(),
            delivering: false,
        }
    }

    /// Changes a tenant's board, which comes to be with its first session and goes with its last; where other nodes have
    /// sessions too it stays until the tenant is not followed any more. Whether those are to be told something.
    fn change(
        &mut self,
        tenant: &TenantId,
        options: Options,
        change: impl FnOnce(&mut Board) -> Vec<Notice>,
    ) -> bool {
        let board = self.boards.entry(tenant.clone()).or_insert_with(|| Board::new(tenant.clone(), options));
        let before = board.next_deadline();
        self.waiting.extend(change(board));
        let after = board.next_deadline();
        let has_changed = board.has_changed();
        if board.is_empty() && !options.shared {
            self.boards.remove(tenant);
        }
        if before != after {
            before.map(|when| self.due.remove(&(when, tenant.clone())));
            after.map(|when| self.due.insert((when, tenant.clone())));
        }
        has_changed
    }

    fn next_deadline(&self) -> Option<Moment> {
        if !self.delivering && !self.waiting.is_empty() {
            // Somebody gave up their turn.
            return Some(Moment::default());
        }
        let board = self.due.first().map(|(when, _)| *when);
        board.into_iter().chain(self.typing.next_deadline()).min()
    }

    fn is_empty(&self) -> bool {
        self.boards.is_empty() && self.due.is_empty() && self.typing.is_empty() && self.waiting.is_empty()
    }
}

fn typing_notice(room: RoomKey, push: Push) -> Option<Notice> {
    match push {
        Push::Typing { user, active, .. } => Some(Notice::typing(room, user, active)),
        _ => None,
    }
}
