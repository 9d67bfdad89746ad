//! A node of a schedule: a board, what drives it, and a follower who believes what it is told.

use std::collections::{BTreeMap, VecDeque};

use super::super::super::properties::{View, apply};
use super::super::super::{Board, Notice, Options};
use super::super::{Lease, Mirror, Read, Telling};
use super::registry::Registry;
use super::{Fate, GRACE, LEASE, ROOMS, room, seen};
use crate::bus::registry::{Kept, Leases, Writing};
use crate::bus::sessions::{Batch, Life, Told};
use crate::domain::limits::SEQUENCE_RETRY;
use crate::domain::names::{RoomName, SessionId, TenantId, UserId};
use crate::domain::presence::{Status, UserState};
use crate::domain::push::Push;
use crate::domain::time::{Moment, Now, Timestamp};

pub(super) struct Node {
    pub(super) id: u64,
    board: Board,
    mirror: Mirror,
    lease: Lease,
    telling: Telling,
    is_whole: bool,
    /// What its clock is ahead, in milliseconds.
    skew: i64,
    sessions: Vec<(SessionId, u64)>,
    on_its_way: VecDeque<Batch>,
    came: Vec<Batch>,
    was_lost: bool,
    /// Whether the tenant's topic is heard.
    is_followed: bool,
    reading: Option<(Read, Kept)>,
    renewing: Option<Renewing>,
    removing: Vec<Life>,
    observer: SessionId,
    views: BTreeMap<RoomName, View>,
}

/// A renewal of the lease that is under way.
struct Renewing {
    look: u64,
    asked: Moment,
    /// What comes of it; `None` where that is nothing.
    leases: Option<Leases>,
}

impl Node {
    /// A process that is about to hear the tenant's topic. An observer follows all rooms.
    pub(super) fn start(id: u64, observer: SessionId, now: u64) -> Self {
        let options = Options { grace: GRACE, large_room: usize::MAX, shared: true, ..Options::default() };
        let mut node = Self {
            id,
            board: Board::new(TenantId::parse("acme").unwrap(), options),
            mirror: Mirror::new(id),
            lease: Lease::new(id, LEASE),
            telling: Telling::default(),
            is_whole: false,
            skew: id as i64 % 3 * 60_000,
            sessions: Vec::new(),
            on_its_way: VecDeque::new(),
            came: Vec::new(),
            was_lost: false,
            is_followed: false,
            reading: None,
            renewing: None,
            removing: Vec::new(),
            observer,
            views: BTreeMap::new(),
        };
        let time = node.time(now);
        node.board.connect(observer, &UserId::parse(&format!("observer{id}")).unwrap(), time);
        for number in 0..ROOMS {
            node.board.join(&room(number), observer, true, time);
            let page = node.board.snapshot(&room(number), usize::MAX);
            let view = page.states.into_iter().map(|state| (state.user.clone(), seen(state)));
            node.views.insert(room(number), view.collect());
        }
        node
    }

    fn time(&self, now: u64) -> Now {
        Now { time: Timestamp(now as i64 + self.skew), moment: Moment(now) }
    }

    fn pick(&self, any: usize) -> Option<SessionId> {
        (!self.sessions.is_empty()).then(|| self.sessions[any % self.sessions.len()].0)
    }

    pub(super) fn connect(&mut self, session: SessionId, user: &UserId, instance: u64, now: u64) {
        self.sessions.push((session, instance));
        let notices = self.board.connect_as(session, user, instance, self.time(now));
        self.take_notices(notices);
    }

    pub(super) fn disconnect(&mut self, any: usize, now: u64) {
        let Some(session) = self.pick(any) else { return };
        self.sessions.retain(|(other, _)| *other != session);
        let notices = self.board.disconnect(session, self.time(now));
        self.take_notices(notices);
    }

    pub(super) fn disconnect_all(&mut self, now: u64) {
        while !self.sessions.is_empty() {
            self.disconnect(0, now);
        }
    }

    pub(super) fn close(&mut self, any: usize, now: u64) {
        let Some(session) = self.pick(any) else { return };
        self.sessions.retain(|(other, _)| *other != session);
        let notices = self.board.close(session, self.time(now));
        self.take_notices(notices);
    }

    pub(super) fn join(&mut self, any: usize, room: &RoomName, now: u64) {
        let Some(session) = self.pick(any) else { return };
        let notices = self.board.join(room, session, false, self.time(now));
        self.take_notices(notices);
    }

    pub(super) fn leave(&mut self, any: usize, room: &RoomName, now: u64) {
        let Some(session) = self.pick(any) else { return };
        let notices = self.board.leave(room, session, self.time(now));
        self.take_notices(notices);
    }

    pub(super) fn set(&mut self, any: usize, status: Status, text: &str, now: u64) {
        let Some(session) = self.pick(any) else { return };
        let notices = self.board.set(session, status, text, self.time(now));
        self.take_notices(notices);
    }

    pub(super) fn take_leave(&mut self) {
        self.board.leave_for(GRACE.as_millis() as u32);
    }

    pub(super) fn tick(&mut self, now: u64) {
        let notices = self.board.tick(self.time(now));
        self.take_notices(notices);
        self.doubt();
    }

    /// What the others are to be told: what is to be kept, and published with it.
    pub(super) fn tell(&mut self, now: u64) -> Option<(Writing, Batch)> {
        if !self.is_whole || !self.lease.is_good(Moment(now)) {
            return None;
        }
        let tenant = TenantId::parse("acme").unwrap();
        let whole = self.telling.is_whole(&tenant);
        if !whole && !self.board.has_changed() {
            return None;
        }
        let told = self.board.take_changes(whole, self.time(now));
        let is_last = self.board.own() == 0;
        let mut published = None;
        let message = |batch: &Batch| {
            published = Some(batch.clone());
            bytes::Bytes::new()
        };
        let writing = self.telling.batch(self.lease.life(), &tenant, told, is_last, message);
        published.map(|batch| (writing, batch))
    }

    /// It was kept, and this node has heard of it.
    pub(super) fn was_told(&mut self, writing: &Writing) {
        self.telling.was_told(&writing.tenant, writing.counter, writing.is_last);
    }

    pub(super) fn arrives(&mut self, batch: Batch) {
        self.on_its_way.push_back(batch);
    }

    pub(super) fn hears_something(&self) -> bool {
        !self.on_its_way.is_empty()
    }

    pub(super) fn hear(&mut self, now: u64) {
        let Some(batch) = self.on_its_way.pop_front() else { return };
        self.came.push(batch.clone());
        let told = self.mirror.hear(batch, self.lease.looks());
        self.put(&told, now);
    }

    pub(super) fn hear_again(&mut self, any: usize, now: u64) {
        let Some(batch) = self.came.len().checked_sub(1).map(|last| self.came[any % (last + 1)].clone())
        else {
            return;
        };
        let told = self.mirror.hear(batch, self.lease.looks());
        self.put(&told, now);
    }

    pub(super) fn lose(&mut self) {
        self.was_lost |= !self.on_its_way.is_empty();
        self.on_its_way.clear();
    }

    pub(super) fn drop_next(&mut self) -> bool {
        self.on_its_way.pop_front().is_some()
    }

    pub(super) fn says_something(&mut self, now: u64) {
        let notices = self.board.set(self.observer, Status::Away, "", self.time(now));
        self.take_notices(notices);
    }

    pub(super) fn remove(&mut self, registry: &mut Registry) {
        self.removing.drain(..).for_each(|life| registry.remove(life));
    }

    /// The bus says that something may have been lost.
    pub(super) fn is_back(&mut self, now: u64) {
        if std::mem::take(&mut self.was_lost) {
            self.mirror.missed();
            self.put(&[], now);
        }
    }

    /// The tenant's topic is heard from now on.
    pub(super) fn follow(&mut self) {
        if !std::mem::replace(&mut self.is_followed, true) {
            self.mirror.begin(self.lease.looks());
            self.lease.look_now();
        }
    }

    pub(super) fn begin_renewing(&mut self, registry: &mut Registry, fate: Fate, now: u64) {
        if self.renewing.is_some() {
            return;
        }
        let is_new = self.lease.ask();
        let look = self.lease.looks();
        let answer: Option<Leases> =
            (fate != Fate::Failed).then(|| registry.renew(self.lease.life(), LEASE, is_new, now));
        let leases = answer.filter(|_| fate == Fate::Done);
        self.renewing = Some(Renewing { look, asked: Moment(now), leases });
    }

    pub(super) fn end_renewing(&mut self, now: u64) {
        let Some(Renewing { look, asked, leases }) = self.renewing.take() else { return };
        let Some(leases) = leases else { return self.lease.failed(Moment(now), SEQUENCE_RETRY) };
        let found = self.lease.answered(&leases, asked, Moment(now));
        if found.is_reborn {
            self.telling.begin_anew();
        }
        let told = self.mirror.look(&found.alive, look);
        self.removing.extend(found.ended);
        self.put(&told, now);
    }

    pub(super) fn begin_read(&mut self, registry: &Registry, now: u64) {
        if self.reading.is_none() && self.is_followed {
            let read = self.mirror.next_read(Moment(now));
            self.reading = read.map(|read| (read, registry.read(read.life)));
        }
    }

    pub(super) fn end_read(&mut self, succeeds: bool, now: u64) {
        let Some((read, kept)) = self.reading.take() else { return };
        let told = self.mirror.was_read(read, succeeds.then_some(kept), Moment(now));
        self.put(&told, now);
    }

    fn put(&mut self, told: &[Told], now: u64) {
        for told in told {
            let notices = self.board.put(told, self.time(now));
            self.take_notices(notices);
        }
        self.doubt();
        if self.mirror.is_whole() && !std::mem::replace(&mut self.is_whole, true) {
            let notices = self.board.become_whole(self.time(now));
            self.take_notices(notices);
        }
    }

    fn doubt(&mut self) {
        for session in self.board.take_released() {
            self.mirror.doubt(session);
        }
    }

    fn take_notices(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            if let Push::Presence { room: Some(name), state, reason } = notice.push {
                apply(self.views.get_mut(&name).unwrap(), &state, reason, true);
            }
        }
    }

    /// Whoever follows a room knows who is present there, and nobody waits for what is not under way, nor about to begin.
    pub(super) fn check(&self, now: u64) {
        let waits_for_nothing = self.reading.is_none()
            && self.renewing.is_none()
            && self.mirror.next_deadline().is_none()
            && self.lease.next_deadline() > Moment(now).plus(SEQUENCE_RETRY);
        assert!(!self.is_followed || self.is_whole || !waits_for_nothing, "what node {} waits for", self.id);
        for (room, view) in &self.views {
            let present: View =
                self.present(room).into_iter().map(|state| (state.user.clone(), state)).collect();
            assert_eq!(view, &present, "what the observer at {} believes", self.id);
        }
    }

    pub(super) fn life(&self) -> Life {
        self.lease.life()
    }

    pub(super) fn state(&self, user: &UserId) -> UserState {
        self.board.state(user)
    }

    pub(super) fn present(&self, room: &RoomName) -> Vec<UserState> {
        self.board.snapshot(room, usize::MAX).states.into_iter().map(seen).collect()
    }

    /// Own sessions that nobody may have replaced elsewhere.
    pub(super) fn unnamed(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.iter().filter(|(_, instance)| *instance == 0).map(|(session, _)| *session)
    }

    /// Own sessions, whose they are and where.
    pub(super) fn own(&self) -> Vec<(SessionId, (UserId, Vec<RoomName>))> {
        let records = self.board.own_records();
        records.into_iter().map(|(session, record)| (session, (record.user, record.rooms))).collect()
    }
}
